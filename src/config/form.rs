//! The form that a text must have: a text of another form would fail later, when nobody watches.

use std::fmt;
use std::net::IpAddr;

use hyper::Uri;

/// A form of text.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// Completes "… is not".
    pub(crate) name: &'static str,
    /// The remedy.
    pub(crate) right: &'static str,
    /// Whether a text has it.
    pub(crate) fits: fn(&str) -> bool,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Anything but an empty text.
pub(crate) const FOLDER: Form =
    Form { name: "a folder", right: "name a folder, \"data\" for example", fits: |text| !text.is_empty() };

/// OLA's address for frames.
pub(crate) const HTTP_URL: Form = Form {
    name: "an http:// or https:// URL",
    right: "use one like http://localhost:9090/set_dmx",
    fits: |text| {
        text.parse::<Uri>().is_ok_and(|url| matches!(url.scheme_str(), Some("http" | "https")) && has_host(&url))
    },
};

/// Where an S3 server is; empty = Amazon's.
pub(crate) const S3_ENDPOINT: Form = Form {
    name: "an http:// or https:// URL of a server",
    right: "use one like http://minio.local:9000, with nothing behind the port",
    fits: |text| text.is_empty() || is_server(text),
};

/// A proxy; empty = none.
pub(crate) const S3_PROXY: Form = Form {
    name: "an http:// or https:// URL of a server",
    right: "use one like http://proxy:3128, with nothing behind the port",
    fits: |text| text.is_empty() || is_server(text),
};

fn is_server(text: &str) -> bool {
    let bare = text.trim_end_matches('/');
    (HTTP_URL.fits)(bare) && bare.matches('/').count() == 2 && !bare.contains(['?', '#', '@'])
}

/// A name by which browsers may ask for the web.
pub(crate) const WEB_HOST: Form = Form {
    name: "a host name",
    right: "use one like dmx.example.com, without scheme and port, or * for any",
    fits: |text| {
        text == "*" || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)))
    },
};

/// An entry of the list of origins. A browser sends the scheme and host in lower case and nothing behind the port.
pub(crate) const ORIGIN: Form = Form {
    name: "an origin",
    right: "use local for this network, * for any, or scheme://host[:port] in lower case with nothing behind it",
    fits: |text| {
        let Some((_, authority)) = text.split_once("://") else { return matches!(text, "*" | "local") };
        let bare = !authority.contains(['/', '?', '#', '@']) && !text.contains(|c: char| c.is_ascii_uppercase());
        bare && text.parse::<Uri>().is_ok_and(|url| has_host(&url))
    },
};

/// Has a host, and a valid port if any.
fn has_host(url: &Uri) -> bool {
    let Some(authority) = url.authority() else { return false };
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    let port = place.strip_prefix(authority.host()).unwrap_or(":");
    let port_can_be = port.is_empty() || port.trim_start_matches(':').parse::<u16>().is_ok_and(|port| port != 0);
    !authority.host().is_empty() && port_can_be
}

/// The part before `/rgb/cmd`. MQTT 3.1.1, 4.7: no wildcards in names; `$…` belongs to the broker.
pub(crate) const TOPIC_PREFIX: Form = Form {
    name: "a legal topic prefix",
    right: "use one like v1/demo: without + and #, no / at either end, not $…, not in v1/devices or dmx",
    fits: |text| {
        let within =
            |place: &str| text.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        // a topic name has at most 65,535 bytes; 256 leave room for everything that follows
        let sized = (1..=256).contains(&text.len());
        let plain = !text.contains(['+', '#', '\0']) && !text.starts_with(['$', '/']) && !text.ends_with('/');
        sized && plain && !within("v1/devices") && !within("dmx")
    },
};

/// A machine in the network; empty = none.
pub(crate) const HOST: Form = Form {
    name: "a host name or IP address",
    right: "use one like broker.local, without scheme and port",
    fits: |text| {
        let name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || text.chars().all(name)
    },
};

/// `src` of a command.
pub(crate) const SRC: Form = Form {
    name: "a source",
    right: "use 1 to 64 characters, \"dmx-input\" for example",
    fits: |text| (1..=64).contains(&text.chars().count()),
};

/// Key of an API client.
pub(crate) const API_KEY: Form = Form {
    name: "a key",
    right: "use printable ASCII characters, since it travels in the header x-api-key",
    fits: |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()),
};

/// Name of a user.
pub(crate) const PERSON: Form = Form {
    name: "a name",
    right: "use 1 to 64 characters without +, # and /, and without a space at either end",
    fits: |text| {
        let plain = text.trim() == text && !text.chars().any(|c| c.is_control() || "+#/".contains(c));
        plain && (1..=64).contains(&text.chars().count())
    },
};

/// PIN or password of a user.
pub(crate) const PIN: Form = Form {
    name: "a PIN or password",
    right: "use 6 to 12 digits, or 8 to 128 characters",
    fits: |text| {
        let (characters, digits) = (text.chars().count(), text.bytes().all(|b| b.is_ascii_digit()));
        (8..=128).contains(&characters) || (digits && (6..=12).contains(&characters))
    },
};

/// Key of a backup: an age identity, a passphrase or a Fernet key.
pub(crate) const BACKUP_KEY: Form = Form {
    name: "a backup key",
    right: "use AGE-SECRET-KEY-1…, passphrase:… or a Fernet key (32 bytes in base64url)",
    fits: |text| is_age_identity(text) || is_passphrase(text) || is_fernet_key(text),
};

/// age's identities have a checksum, so a typing error is found here and not in the night of the first backup.
fn is_age_identity(text: &str) -> bool {
    text.starts_with("AGE-SECRET-KEY-1") && text.parse::<age::x25519::Identity>().is_ok()
}

fn is_passphrase(text: &str) -> bool {
    text.strip_prefix("passphrase:").is_some_and(|phrase| !phrase.is_empty())
}

/// 32 bytes are 43 characters of base64url and one of padding, which Python's `Fernet` insists on.
fn is_fernet_key(text: &str) -> bool {
    let Some(data) = text.strip_suffix('=') else { return false };
    data.len() == 43 && data.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(form: Form, right: &[&str], wrong: &[&str]) {
        for text in right {
            assert!((form.fits)(text), "{text:?} should be {}", form.name);
        }
        for text in wrong {
            assert!(!(form.fits)(text), "{text:?} should not be {}", form.name);
        }
    }

    #[test]
    fn an_ola_url_is_http_or_https_and_has_a_host() {
        sort(
            HTTP_URL,
            &["http://localhost:9090/set_dmx", "https://ola", "HTTP://[::1]:9090/"],
            &["", "ola", "localhost:9090", "ftp://ola/", "http://", "http:///set_dmx", "http://ola:x/", "http://a b/"],
        );
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        sort(
            ORIGIN,
            &[
                "*",
                "local",
                "http://tablet.local",
                "https://app.example:8443",
                "http://[::1]:80",
                "capacitor://localhost",
            ],
            &["", "**", "tablet.local", "http://a/", "http://a/app", "http://A", "http://", "http://a:", "http://a:0"],
        );
    }

    #[test]
    fn a_name_of_the_web_has_neither_scheme_nor_port() {
        sort(
            WEB_HOST,
            &["*", "dmx.example.com", "dmx"],
            &["", "http://dmx", "dmx:80", "*.example.com", "a b", "[::1]"],
        );
    }

    #[test]
    fn a_topic_prefix_keeps_out_of_places_that_have_a_meaning() {
        sort(
            TOPIC_PREFIX,
            &["v1/demo", "v1", "stage", "hall/2", "dmxhall", "v1/devices2", "světlo"],
            &["", "/", "a/", "/a", "a/+/b", "a#", "$SYS", "a\0", "v1/devices", "v1/devices/x", "dmx", "dmx/ack"],
        );
        assert!(!(TOPIC_PREFIX.fits)(&"a".repeat(257)));
    }

    #[test]
    fn a_host_has_neither_scheme_nor_port() {
        sort(
            HOST,
            &["", "localhost", "pi-3.local", "10.0.0.7", "::1", "[::1]"],
            &["mqtt://broker", "broker:1883", "a b", "user@broker"],
        );
    }

    #[test]
    fn a_source_has_1_to_64_characters() {
        sort(SRC, &["x", &"ž".repeat(64)], &["", &"ž".repeat(65)]);
    }

    #[test]
    fn a_backup_key_is_an_age_identity_a_passphrase_or_a_fernet_key() {
        let age = age::x25519::Identity::generate().to_string();
        let age = age::secrecy::ExposeSecret::expose_secret(&age);
        let mistyped = if age.ends_with('Q') { "P" } else { "Q" };
        let mistyped = format!("{}{mistyped}", &age[..73]);
        let fernet = format!("{}=", "Ab-_0".repeat(9).get(..43).unwrap());
        sort(
            BACKUP_KEY,
            &[age, &fernet, "passphrase:correct horse", "passphrase: "],
            &[
                "",
                "secret",
                "passphrase:",
                &age.to_lowercase(),
                &mistyped,
                &age[..73],
                &fernet[..43],
                &fernet.replace('-', "+"),
            ],
        );
    }

    #[test]
    fn a_pin_is_digits_or_long_and_a_name_fits_into_a_topic() {
        sort(PIN, &["123456", "abcdefgh"], &["", "12345", "abcdefg"]);
        sort(PERSON, &["Anna", "lamp 1"], &["", " a", "a/b", "+", "#"]);
    }

    #[test]
    fn an_api_key_fits_into_a_header() {
        sort(API_KEY, &["k", "0123-abc~"], &["", "a b", "klíč", "a\n"]);
    }
}
