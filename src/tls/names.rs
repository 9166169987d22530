//! Whom a certificate is for: names and addresses of this machine, as far as the authority may vouch for them. Pure, but for
//! the host name.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the machine is called and where it is reached now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The host name, as [`host_name`] gives it.
    pub host: String,
    /// The name that mDNS gave, `dmx-2.local` for example.
    pub mdns: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// The host name in lower case, `dmx` if it is none that a certificate can hold.
#[must_use]
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().trim_end_matches('.').to_lowercase();
    if is_name(&name) { name } else { "dmx".to_owned() }
}

/// Labels of letters, digits and hyphens (RFC 1123, 2.1). RFC 5280 limits a common name to 64 characters, `.local` included.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 58 && name.split('.').all(label) && name.parse::<IpAddr>().is_err()
}

/// The nets that the authority may vouch for: loopback, private and link-local ones, each with the length of its prefix. No
/// other machine of the world is in them (RFC 1918, RFC 3927, RFC 4193, RFC 4291).
pub(super) const NETS: [(IpAddr, u8); 8] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
];

/// The names that the authority may vouch for, with everything below them; `host` is what the machine was called when the
/// authority was made. RFC 5280, 4.2.1.10: without a dot in front.
pub(super) fn zones(host: &str) -> Vec<String> {
    let all: BTreeSet<_> = ["local", "localhost", host].map(str::to_owned).into();
    all.into_iter().collect()
}

/// Most addresses of one certificate: a handshake carries them all, and container hosts have hundreds.
const MOST: usize = 64;

/// Whom a certificate is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) dns: BTreeSet<String>,
    pub(super) addresses: BTreeSet<IpAddr>,
}

impl Names {
    /// Those of this machine that an authority for these zones may vouch for. One name too many and clients would refuse the
    /// whole certificate.
    pub(super) fn of(machine: &Machine, zones: &[String]) -> Self {
        let Machine { host, mdns, addresses } = machine;
        let first = host.split('.').next().unwrap_or_default();
        let all = [format!("{first}.local"), host.clone(), "localhost".to_owned()].into_iter().chain(mdns.clone());
        let within = |name: &String| zones.iter().any(|zone| is_within(name, zone));
        let dns = all.map(|name| name.to_lowercase()).filter(|name| is_name(name) && within(name)).collect();
        let always = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        let near = addresses.iter().map(IpAddr::to_canonical).filter(is_near);
        Self { dns, addresses: near.chain(always).take(MOST).collect() }
    }

    /// The name that people read in a certificate.
    pub(super) fn title(&self) -> &str {
        let local = self.dns.iter().find(|name| name.ends_with(".local"));
        local.or(self.dns.first()).map_or("dmxd", String::as_str)
    }
}

fn is_within(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_near(address: &IpAddr) -> bool {
    NETS.iter().any(|net| is_in(*address, *net))
}

fn is_in(address: IpAddr, (net, length): (IpAddr, u8)) -> bool {
    let length = u32::from(length);
    match (address, net) {
        (IpAddr::V4(address), IpAddr::V4(net)) => (address.to_bits() ^ net.to_bits()).leading_zeros() >= length,
        (IpAddr::V6(address), IpAddr::V6(net)) => (address.to_bits() ^ net.to_bits()).leading_zeros() >= length,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(host: &str, mdns: Option<&str>, addresses: &[&str], zones: &[String]) -> Names {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Names::of(&Machine { host: host.into(), mdns: mdns.map(str::to_owned), addresses }, zones)
    }

    fn listed(names: &Names) -> (Vec<&str>, Vec<String>) {
        (names.dns.iter().map(String::as_str).collect(), names.addresses.iter().map(IpAddr::to_string).collect())
    }

    #[test]
    fn a_certificate_is_for_all_names_and_near_addresses() {
        let own =
            ["127.0.0.1", "192.168.1.5", "169.254.3.4", "203.0.113.5", "fd00::5", "fe80::5", "2001:db8::5", "::1"];
        let names = named("dmx", Some("dmx-2.local"), &own, &zones("dmx"));
        let (dns, addresses) = listed(&names);
        assert_eq!(dns, ["dmx", "dmx-2.local", "dmx.local", "localhost"]);
        assert_eq!(addresses, ["127.0.0.1", "169.254.3.4", "192.168.1.5", "::1", "fd00::5", "fe80::5"]);
        assert_eq!(names.title(), "dmx-2.local");
    }

    #[test]
    fn a_name_that_the_authority_may_not_vouch_for_is_left_out() {
        let (dns, _) = (named("hall", None, &[], &zones("dmx")), ());
        assert_eq!(listed(&dns).0, ["hall.local", "localhost"], "renamed since");
        let names = named("box.example.com", None, &[], &zones("box.example.com"));
        assert_eq!(listed(&names).0, ["box.example.com", "box.local", "localhost"]);
        let names = named("dmx", Some("router.example"), &[], &zones("dmx"));
        assert_eq!(listed(&names).0, ["dmx", "dmx.local", "localhost"]);
    }

    #[test]
    fn nets_end_where_they_end() {
        for (address, near) in [
            ("172.15.255.255", false),
            ("172.16.0.0", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("fbff::1", false),
            ("fdff::1", true),
            ("febf::1", true),
            ("fec0::1", false),
            ("::2", false),
            ("100.64.0.1", false),
        ] {
            assert_eq!(is_near(&address.parse().unwrap()), near, "{address}");
        }
    }

    #[test]
    fn only_a_name_is_a_name() {
        for (name, is) in [
            ("dmx", true),
            ("a.b-c", true),
            ("-a", false),
            ("a..b", false),
            ("a_b", false),
            ("", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_name(name), is, "{name}");
        }
        assert!(!is_name(&"a".repeat(59)), "with .local it would be longer than 64");
    }
}
