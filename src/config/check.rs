//! What a single value cannot show: settings that depend on each other, and features that this version lacks.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::diagnostic::Diagnostic;
use super::draft::{Draft, about};
use super::table::settings;
use super::{BackupProvider, Config, this_machine};
use crate::kit::secret::Secret;
use crate::kit::usb::same_file;

/// r, g, b: no more can be mapped.
const INPUT_CHANNELS: u16 = 3;

/// A rule about one setting and others that it looks at.
struct Rule {
    /// The settings it looks at. A fault names the first one that somebody set, since that one can be found.
    keys: &'static [&'static str],
    broken: fn(&Config) -> bool,
    /// What is wrong; `{}` stands for the value.
    wrong: &'static str,
    right: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        keys: &["mqtt.password", "mqtt.username"],
        broken: |c| c.mqtt.password.is_some() && c.mqtt.username.is_empty(),
        wrong: "a password without mqtt.username protects nothing",
        right: "set both or neither",
    },
    Rule {
        keys: &["mqtt.port", "http.port", "mqtt.bind", "http.host"],
        broken: |c| c.mqtt.port != 0 && c.mqtt.port == c.http.port && overlap(c.mqtt.bind, c.http.host),
        wrong: "mqtt.port and http.port are the same",
        right: "give each its own port",
    },
    Rule {
        keys: &["http.host"],
        broken: |c| is_of_many(c.http.host),
        wrong: "{} stands for many machines, so nobody can listen there",
        right: "use an address of this machine, 0.0.0.0 for all of IPv4 or :: for all",
    },
    Rule {
        keys: &["mqtt.bind"],
        broken: |c| is_of_many(c.mqtt.bind),
        wrong: "{} stands for many machines, so nobody can listen there",
        right: "use an address of this machine, 0.0.0.0 for all of IPv4 or :: for all",
    },
    Rule {
        keys: &["http.also_port", "http.port", "mqtt.port"],
        broken: |c| c.http.also_port.is_some_and(|port| port == c.http.port || port == c.mqtt.port),
        wrong: "http.also_port is another door's port",
        right: "give it its own, or leave it empty",
    },
    Rule {
        keys: &["tls.port", "tls.mqtt_port", "http.port", "http.also_port", "mqtt.port"],
        broken: |c| c.tls.enabled && collide(c),
        wrong: "an encrypted door has the port of another one",
        right: "give each its own",
    },
    Rule {
        keys: &["tls.cert", "tls.key"],
        broken: |c| c.tls.cert.is_some() != c.tls.key.is_some(),
        wrong: "only one of tls.cert and tls.key is set",
        right: "set both, or neither for an authority of the appliance's own",
    },
    Rule {
        keys: &["tls.only", "tls.enabled"],
        broken: |c| c.tls.only && !c.tls.enabled,
        wrong: "tls.only without tls.enabled would leave no door",
        right: "set both, or neither",
    },
    Rule {
        keys: &["backup.s3_bucket", "backup.provider", "backup.enabled"],
        broken: |c| c.backup.enabled && c.backup.provider == BackupProvider::S3 && c.backup.s3_bucket.is_empty(),
        wrong: "backups go to S3, but no bucket is named",
        right: "name one in backup.s3_bucket, or set backup.provider to local",
    },
    Rule {
        keys: &["backup.s3_secret_key", "backup.s3_access_key"],
        broken: |c| c.backup.s3_secret_key.is_some() != c.backup.s3_access_key.is_some(),
        wrong: "only one of backup.s3_access_key and backup.s3_secret_key is set",
        right: "set both or neither",
    },
    Rule {
        keys: &["ola.universes"],
        broken: |c| c.ola.universes.iter().any(|pair| pair.ours == 0),
        wrong: "universe 0 already goes to ola.universe",
        right: "set that one, and only further universes here",
    },
    Rule {
        keys: &["ola.universes"],
        broken: |c| twice(c.ola.universes.iter().map(|pair| pair.ours)),
        wrong: "one of our universes is named twice",
        right: "name each once",
    },
    Rule {
        keys: &["ola.universes", "ola.universe"],
        broken: |c| twice(c.ola.universes.iter().map(|pair| pair.olas).chain([c.ola.universe])),
        wrong: "two of our universes go to one of OLA's, where they would fight",
        right: "give each its own",
    },
    Rule {
        keys: &["usb.port", "input.port"],
        broken: |c| both_named(c) && c.usb.port == c.input.port,
        wrong: "usb.port and input.port are the same",
        right: "name two different ports",
    },
    Rule {
        keys: &["http.ui_dir"],
        broken: |c| c.http.ui_dir.as_ref().is_some_and(|folder| !folder.join("index.html").is_file()),
        wrong: "{} has no index.html that can be read",
        right: "name the app's folder, src/pwa for example, or leave it empty",
    },
];

/// Features that are parsed and checked but not available yet, and therefore refused.
const NOT_YET: &[Rule] = &[
    Rule {
        keys: &["mqtt.host"],
        broken: |c| !this_machine::is(&c.mqtt.host),
        wrong: "{} is another broker, which this version cannot join yet",
        right: "leave it empty or set it to localhost",
    },
    Rule {
        keys: &["ola.url"],
        broken: |c| c.ola.url.to_ascii_lowercase().starts_with("https:"),
        wrong: "{} is https, which this version cannot speak to OLA yet",
        right: "use http://, which is what olad serves",
    },
];

const ODD: &[Rule] = &[
    Rule {
        keys: &["input.port", "input.enabled"],
        broken: |c| c.input.enabled && c.input.port.is_empty(),
        wrong: "the input has no port, so nothing is read",
        right: "name it in input.port, /dev/ttyUSB0 for example",
    },
    // Not a fault: links and numbers change with what is plugged in, and one of the two works anyway.
    Rule {
        keys: &["input.port", "usb.port"],
        broken: |c| both_named(c) && c.usb.port != c.input.port && same_file(&c.usb.port, &c.input.port),
        wrong: "usb.port and input.port lead to the same device, so only the output works",
        right: "name two different devices, best by their links in /dev/serial/by-id",
    },
];

/// Fewer characters of a key can be guessed (CONTRACT, section 13).
const STRONG: usize = 16;

/// Not faults, for the show goes on: but whoever guesses them does what their owner may.
const WEAK: &[Rule] = &[
    Rule {
        keys: &["mqtt.username"],
        broken: |c| is_login(c) && c.mqtt.password.is_none(),
        wrong: "the login has no password, so whoever knows the name is let in",
        right: "set mqtt.password to 16 characters or more",
    },
    Rule {
        keys: &["mqtt.password"],
        broken: |c| is_login(c) && c.mqtt.password.as_ref().is_some_and(is_weak),
        wrong: "the password is shorter than 16 characters and can be guessed",
        right: "use 16 characters or more, and the same in every client",
    },
    Rule {
        keys: &["auth.keys"],
        broken: |c| c.auth.keys.iter().any(is_weak),
        wrong: "a key is shorter than 16 characters and can be guessed",
        right: "use 16 characters or more, or make users in the app, whose keys are strong",
    },
];

fn is_weak(secret: &Secret) -> bool {
    secret.reveal().chars().count() < STRONG
}

/// Whether `mqtt.username` is the login of our own broker.
fn is_login(c: &Config) -> bool {
    !c.mqtt.username.is_empty() && this_machine::is(&c.mqtt.host)
}

impl Diagnostic {
    /// Whether it is about a login or key that can be guessed.
    #[must_use]
    pub fn is_of_a_weak_key(&self) -> bool {
        WEAK.iter().any(|rule| rule.wrong == self.wrong)
    }
}

impl Config {
    /// What is said of logins and keys that can be guessed, by setting; empty: nothing.
    #[must_use]
    pub fn weak_keys(&self) -> Vec<(&'static str, String)> {
        let said = |key: &&'static str, rule: &Rule| (*key, format!("{key}: {}; {}", rule.wrong, rule.right));
        let broken = WEAK.iter().filter(|rule| (rule.broken)(self));
        broken.filter_map(|rule| rule.keys.first().map(|key| said(key, rule))).collect()
    }
}

/// Whether both the USB output and the input run on named ports.
fn both_named(c: &Config) -> bool {
    c.usb_runs() && c.input.enabled && !c.input.port.is_empty()
}

/// Checks the whole draft against the rules and fills in what follows from other settings.
pub(crate) fn check(draft: &mut Draft) {
    draft.config.input.channels = draft.config.input.channels.min(INPUT_CHANNELS);
    let faults: Vec<_> = RULES.iter().chain(NOT_YET).filter_map(|rule| rule.hold_against(draft)).collect();
    let warnings: Vec<_> = ODD.iter().chain(WEAK).filter_map(|rule| rule.hold_against(draft)).collect();
    draft.faults.extend(faults);
    draft.warnings.extend(warnings);
}

impl Rule {
    fn hold_against(&self, draft: &Draft) -> Option<Diagnostic> {
        let clear = !self.keys.iter().any(|key| draft.unclear.contains(key));
        let &key = self.keys.iter().find(|key| draft.origins.contains_key(*key)).or(self.keys.first())?;
        let setting = settings().find(|setting| setting.key == key)?;
        let fault = || {
            let wrong = self.wrong.replace("{}", &setting.to_toml(&draft.config));
            Diagnostic::new(about(key, draft.origins.get(key)), wrong, self.right)
        };
        (clear && (self.broken)(&draft.config)).then(fault)
    }
}

/// Whether an encrypted door would collide with another one; 0 is any free port.
fn collide(c: &Config) -> bool {
    let also = c.http.also_port.unwrap_or_default();
    let (web, mqtt) = ((c.http.host, c.tls.port), (c.mqtt.bind, c.tls.mqtt_port));
    let plain = [(c.http.host, c.http.port), (c.http.host, also), (c.mqtt.bind, c.mqtt.port)];
    let same = |a: (IpAddr, u16), b: (IpAddr, u16)| a.1 != 0 && a.1 == b.1 && overlap(a.0, b.0);
    same(web, mqtt) || plain.into_iter().any(|plain| same(plain, web) || same(plain, mqtt))
}

/// Whether two listeners on one port would collide.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    a == b || a.is_unspecified() || b.is_unspecified()
}

/// Multicast, and the broadcast address of every network.
fn is_of_many(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::from(Ipv4Addr::BROADCAST)
}

/// Whether a value comes twice.
fn twice<T: Ord>(values: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    !values.into_iter().all(|value| seen.insert(value))
}
