//! Whether a host is this machine. Asks the kernel only, never a name server: the start must not hang on one.

use std::net::{IpAddr, UdpSocket};

/// True for an empty text, `localhost`, a loopback or own address, and this machine's name with or without `.local`.
pub(crate) fn is(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_lowercase();
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => is_own(address.to_canonical()),
        Err(_) => host.is_empty() || host == "localhost" || is_named(&host, &name()),
    }
}

/// The kernel binds own addresses only.
fn is_own(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

fn is_named(host: &str, name: &str) -> bool {
    // mDNS (RFC 6762) adds `.local` to the bare name; `name` may be a full one.
    let bare = name.split('.').next().unwrap_or(name);
    !bare.is_empty() && (host == name || host == bare || host.strip_suffix(".local") == Some(bare))
}

fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_localhost_and_own_addresses_are_this_machine() {
        for host in ["", "localhost", "LOCALHOST.", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1"] {
            assert!(is(host), "{host}");
        }
        assert!(is(&name()), "{}", name());
    }

    #[test]
    fn another_address_or_name_is_not() {
        // 192.0.2.0/24 and .invalid are reserved for examples (RFC 5737, RFC 2606)
        for host in ["192.0.2.7", "broker.invalid", "localhost.invalid"] {
            assert!(!is(host), "{host}");
        }
    }

    #[test]
    fn a_name_counts_with_and_without_local() {
        for host in ["stage", "stage.local", "stage.hall.example"] {
            assert!(is_named(host, "stage.hall.example"), "{host}");
        }
        assert!(!is_named("stage.other.example", "stage"));
        assert!(!is_named(".local", ""));
    }
}
