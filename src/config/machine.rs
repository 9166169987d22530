//! Settings of the machine below the appliance: its name, its networks, who may log in. They are in `dmxd.toml` on the
//! boot partition only; a running `dmxd` does not use them.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;

use super::diagnostic::Diagnostic;
use super::draft::{Draft, about};
use super::form::Form;
use super::table::sections;
use super::value::Limits::{self, Any, Text};
use super::value::{Parse, ValueError, fit, quoted, shown};
use crate::kit::secret::Secret;

/// All settings of the machine.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// `[host]`
    pub host: Host,
    /// `[network]`
    pub network: Network,
    /// `[wifi]`
    pub wifi: Wifi,
    /// `[ssh]`
    pub ssh: Ssh,
}

/// What it is called.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Host name; empty = the image's.
    pub name: String,
}

/// The network by cable.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Fixed address with prefix length; empty = DHCP.
    pub address: String,
    /// Gateway; `None` = no need for one.
    pub gateway: Option<IpAddr>,
    /// Name servers.
    pub dns: Vec<String>,
}

/// The wireless network.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Wifi {
    /// Name of the network; empty = no Wi-Fi.
    pub name: Ssid,
    /// Its key; `None` = an open network.
    pub key: Option<Secret>,
    /// Two-letter code of the country, whose law says which channels may be used.
    pub country: String,
    /// Fixed address with prefix length; empty = DHCP.
    pub address: String,
    /// Gateway; `None` = no need for one.
    pub gateway: Option<IpAddr>,
    /// Name servers.
    pub dns: Vec<String>,
}

/// Name of a Wi-Fi network. Unlike other texts it keeps blanks at its ends: `"Stage "` and `"Stage"` are different
/// networks.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ssid(String);

impl Deref for Ssid {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Ssid {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl Parse for Ssid {
    fn from_text(text: &str, limits: Limits) -> Result<Self, ValueError> {
        if text.contains(char::is_control) {
            let wrong = format!("{} has a control character in it", shown(text));
            return Err(ValueError { wrong, right: "use printable characters".to_owned() });
        }
        fit(&shown(text), text, limits).map(|()| text.into())
    }

    fn to_toml(&self) -> String {
        quoted(self)
    }
}

/// Who may log in.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Ssh {
    /// Whether anybody may.
    pub enabled: bool,
    /// Public keys, as they stand in `authorized_keys`.
    pub keys: Vec<String>,
}

sections! {
    Machine MACHINE:

    [host] Host "The machine in its network." {
        name: [], Text(HOST_NAME), "Host name; NAME.local is where the page is. Empty = dmx.";
    }

    [network] Network "The network by cable." {
        address: [], Text(CIDR), "Fixed address, \"192.168.1.50/24\" for example; empty = by DHCP.";
        gateway: [], Any, "Router, for a fixed address that should reach the internet.";
        dns: [], Text(ADDRESS), "Name servers, for the same.";
    }

    [wifi] Wifi "A Wi-Fi network to join. For shows a cable is better." {
        name: [], Text(SSID), "Its name; empty = none is joined.";
        key: [], Text(PSK), "Its key (WPA2). Taken out of this file once it is stored on the appliance.";
        country: [], Text(COUNTRY), "Country, two letters, \"DE\" for example: the law of channels.";
        address: [], Text(CIDR), "Fixed address, as for the cable.";
        gateway: [], Any, "Router.";
        dns: [], Text(ADDRESS), "Name servers.";
    }

    [ssh] Ssh "Login by ssh as root. There is no password, only keys." {
        enabled: [], Any, "Whether it is possible.";
        keys: [], Text(SSH_KEY), "Public keys, [\"ssh-ed25519 AAAA… me@laptop\"] for example.";
    }
}

/// One label (RFC 1123, 2.1): mDNS has no names with dots.
const HOST_NAME: Form = Form {
    name: "a host name",
    right: "use 1 to 63 small letters, digits and hyphens, with a letter or digit at either end",
    fits: |text| {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        text.is_empty()
            || (text.len() <= 63 && text.bytes().all(legal) && !text.starts_with('-') && !text.ends_with('-'))
    },
};

const CIDR: Form = Form {
    name: "an address with the length of its prefix",
    right: "use one like 192.168.1.50/24, or leave it empty for DHCP",
    fits: |text| {
        let Some((address, length)) = text.split_once('/') else { return text.is_empty() };
        let longest = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        length.bytes().all(|b| b.is_ascii_digit()) && length.parse::<u8>().is_ok_and(|n| (1..=longest).contains(&n))
    },
};

const ADDRESS: Form =
    Form { name: "an IP address", right: "use one like 192.168.1.1", fits: |text| text.parse::<IpAddr>().is_ok() };

/// IEEE 802.11: at most 32 bytes.
const SSID: Form = Form {
    name: "the name of a Wi-Fi network",
    right: "use at most 32 bytes (letters beyond English take 2 and more)",
    fits: |text| text.len() <= 32,
};

/// IEEE 802.11i: a passphrase of 8 to 63 printable ASCII characters, or the 256 bits themselves.
const PSK: Form = Form {
    name: "a Wi-Fi key",
    right: "use 8 to 63 printable ASCII characters, or 64 hexadecimal digits",
    fits: |text| {
        let phrase = (8..=63).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b));
        phrase || is_raw_key(text)
    },
};

/// Whether a Wi-Fi key is the key itself, and not a phrase that it is made from.
pub(crate) fn is_raw_key(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// ISO 3166-1.
const COUNTRY: Form = Form {
    name: "a country",
    right: "use two capital letters, DE for example",
    fits: |text| text.is_empty() || (text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())),
};

/// sshd(8), "AUTHORIZED_KEYS FILE FORMAT", without options: they could run anything.
const SSH_KEY: Form = Form {
    name: "a public ssh key",
    right: "use one line of a .pub file, ssh-ed25519 AAAA… name",
    fits: |text| {
        let mut words = text.split(' ');
        let kind = words.next().unwrap_or_default();
        let key = words.next().unwrap_or_default();
        let known = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-", "sk-ssh-ed25519@", "sk-ecdsa-sha2-"];
        let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        // The key repeats its kind behind a length of 4 bytes, the first three of them 0.
        known.iter().any(|k| kind.starts_with(k))
            && key.starts_with("AAAA")
            && key.len() > 40
            && key.bytes().all(base64)
    },
};

/// Settings of the machine that need each other.
pub(crate) fn check(draft: &mut Draft, machine: &Machine) {
    let Machine { host: _, network, wifi, ssh } = machine;
    let rules = [
        (
            &["wifi.key", "wifi.name"][..],
            wifi.key.is_some() && wifi.name.is_empty(),
            "a key without wifi.name opens nothing",
            "set both, or neither",
        ),
        (
            &["wifi.country", "wifi.name"],
            !wifi.name.is_empty() && wifi.country.is_empty(),
            "without wifi.country there is no Wi-Fi",
            "set it to the two letters of the country, DE for example",
        ),
        (
            &["network.gateway", "network.address"],
            network.gateway.is_some() && network.address.is_empty(),
            "a router without network.address is not used",
            "set both, or neither",
        ),
        (
            &["wifi.gateway", "wifi.address"],
            wifi.gateway.is_some() && wifi.address.is_empty(),
            "a router without wifi.address is not used",
            "set both, or neither",
        ),
        (
            &["ssh.enabled", "ssh.keys"],
            ssh.enabled && ssh.keys.is_empty(),
            "without ssh.keys nobody can log in",
            "set at least one key, or switch it off",
        ),
    ];
    for (keys, broken, wrong, right) in rules {
        let clear = !keys.iter().any(|key| draft.unclear.contains(key));
        let key = keys.iter().find(|key| draft.origins.contains_key(*key)).or(keys.first());
        if let Some(key) = key.filter(|_| broken && clear) {
            draft.faults.push(Diagnostic::new(about(key, draft.origins.get(key)), wrong, right));
        }
    }
}

/// Addresses that are of the right form and that no machine can have.
pub(crate) fn addresses(draft: &mut Draft, machine: &Machine) -> Vec<Diagnostic> {
    let (cable, air) = (Link::of(&machine.network), Link::of_wifi(&machine.wifi));
    let mut faults = Vec::new();
    for link in [&cable, &air] {
        link.warn(draft);
        link.check(draft, &mut faults);
    }
    if let (Some(own), Some(other)) = (cable.net(), air.net())
        && own.address == other.address
    {
        let right = "give each its own, or leave one to DHCP";
        faults.push(fault(draft, "wifi.address", "is the address of the cable too", right, own.address));
    }
    faults
}

/// Addresses of one network, by their keys.
struct Link<'a> {
    address: (&'static str, &'a str),
    gateway: (&'static str, Option<IpAddr>),
    dns: (&'static str, &'a [String]),
}

/// A net, as the address of a machine in it and the length of its prefix.
#[derive(Clone, Copy)]
struct Net {
    address: IpAddr,
    length: u32,
}

impl<'a> Link<'a> {
    fn of(cable: &'a Network) -> Self {
        Self {
            address: ("network.address", &cable.address),
            gateway: ("network.gateway", cable.gateway),
            dns: ("network.dns", &cable.dns),
        }
    }

    fn of_wifi(wifi: &'a Wifi) -> Self {
        Self {
            address: ("wifi.address", &wifi.address),
            gateway: ("wifi.gateway", wifi.gateway),
            dns: ("wifi.dns", &wifi.dns),
        }
    }

    fn net(&self) -> Option<Net> {
        let (address, length) = self.address.1.split_once('/')?;
        Some(Net { address: address.parse().ok()?, length: length.parse().ok()? })
    }

    fn warn(&self, draft: &mut Draft) {
        if !self.dns.1.is_empty() && self.address.1.is_empty() && !draft.unclear.contains(self.address.0) {
            let about = about(self.dns.0, draft.origins.get(self.dns.0));
            let wrong = format!("name servers without {} are not used", self.address.0);
            draft.warnings.push(Diagnostic::new(about, wrong, "set both, or neither"));
        }
    }

    fn check(&self, draft: &Draft, faults: &mut Vec<Diagnostic>) {
        let Some(net) = self.net() else { return };
        if let Some(wrong) = of_no_use(net.address).or_else(|| net.edge(net.address)) {
            return faults.push(fault(
                draft,
                self.address.0,
                wrong,
                "use the address of one machine, 192.168.1.50/24 for example",
                net,
            ));
        }
        if let (key, Some(router)) = self.gateway {
            let near = net.has(router) || is_link_local_v6(router) && net.address.is_ipv6();
            let wrong = of_no_use(router)
                .or_else(|| (router == net.address).then_some("is this machine's own address"))
                .or_else(|| net.edge(router))
                .map(str::to_owned)
                .or_else(|| (!near).then(|| format!("is not in the net of {} {net}", self.address.0)));
            if let Some(wrong) = wrong {
                faults.push(fault(draft, key, &wrong, "use the router's address in that net, or leave it out", router));
            }
        }
        for server in self.dns.1.iter().filter_map(|server| server.parse().ok()) {
            let own = || (server == net.address).then_some("is this machine's own address, where no name server is");
            if let Some(wrong) = of_no_use(server).or_else(own).or_else(|| net.edge(server)) {
                faults.push(fault(
                    draft,
                    self.dns.0,
                    wrong,
                    "use the address of a name server, your router's for example",
                    server,
                ));
            }
        }
    }
}

fn fault(draft: &Draft, key: &'static str, wrong: &str, right: &str, value: impl fmt::Display) -> Diagnostic {
    Diagnostic::new(about(key, draft.origins.get(key)), format!("\"{value}\" {wrong}"), right)
}

/// Why no machine of a network can have an address (RFC 6890, RFC 4291).
fn of_no_use(address: IpAddr) -> Option<&'static str> {
    let reserved = match address {
        IpAddr::V4(ip) => ip.octets()[0] == 0 || ip.octets()[0] >= 240,
        IpAddr::V6(ip) => ip.is_unspecified() || ip.to_ipv4_mapped().is_some(),
    };
    if address.is_loopback() {
        Some("is a loopback address: every machine's own")
    } else if address.is_multicast() {
        Some("is a multicast address: of many machines")
    } else {
        reserved.then_some("is no address of a machine")
    }
}

fn is_link_local_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

impl Net {
    /// How many bits of an address tell machines of the net apart.
    fn host_bits(self) -> u32 {
        let all = if self.address.is_ipv4() { 32 } else { 128 };
        u32::saturating_sub(all, self.length)
    }

    fn has(self, other: IpAddr) -> bool {
        let prefix = |address| bits(address).checked_shr(self.host_bits()).unwrap_or(0);
        self.address.is_ipv4() == other.is_ipv4() && prefix(self.address) == prefix(other)
    }

    /// Whether an address stands for the net or for all of it (RFC 922). Nets of two (RFC 3021) and of one have no such.
    fn edge(self, other: IpAddr) -> Option<&'static str> {
        let hosts = 1_u128.checked_shl(self.host_bits()).unwrap_or(0).wrapping_sub(1);
        if self.host_bits() < 2 || !self.has(other) {
            return None;
        }
        match bits(other) & hosts {
            0 => Some("is the address of the net, not of a machine in it"),
            last if last == hosts && other.is_ipv4() => Some("is the broadcast address of its net"),
            _ => None,
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Edition, prepare};

    const NONE: [(&str, &str); 0] = [];

    /// Faults, and behind them warnings.
    fn told(text: &str) -> Vec<String> {
        let said = match prepare(Some(Path::new("/dev/null")), "", (Path::new("t"), text, Edition::New), NONE) {
            Ok(prepared) => prepared.loaded.warnings,
            Err(faults) => faults.faults,
        };
        said.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_that_nobody_can_use_are_refused() {
        for (address, wrong) in [
            ("127.0.0.1/8", "is a loopback address"),
            ("::1/64", "is a loopback address"),
            ("192.168.1.0/24", "is the address of the net"),
            ("10.1.255.255/16", "is the broadcast address"),
            ("239.1.2.3/24", "is a multicast address"),
            ("ff02::1/64", "is a multicast address"),
            ("0.0.0.0/24", "is no address of a machine"),
            ("255.255.255.255/32", "is no address of a machine"),
            ("::/64", "is no address of a machine"),
            ("::ffff:10.0.0.1/96", "is no address of a machine"),
            ("2001:db8::/64", "is the address of the net"),
        ] {
            for section in ["[network]\n", "[wifi]\nname = \"x\"\ncountry = \"DE\"\n"] {
                let text = format!("{section}address = \"{address}\"\n");
                let line = text.lines().count();
                let told = told(&text);
                let name = section.trim_start_matches('[').split(']').next().unwrap();
                let about = format!("t:{line}: {name}.address: \"{address}\" {wrong}");
                assert!(told.len() == 1 && told[0].starts_with(&about), "{told:?}, not {about}");
            }
        }
        for good in [
            "192.168.1.50/24",
            "10.0.0.0/31",
            "10.0.0.1/31",
            "10.0.0.7/32",
            "fe80::7/64",
            "2001:db8::/127",
            "10.1.0.255/16",
        ] {
            assert_eq!(told(&format!("[network]\naddress = \"{good}\"\n")), [""; 0], "{good}");
        }
    }

    #[test]
    fn routers_and_name_servers_can_be_reached() {
        let with = |address: &str, more: &str| told(&format!("[network]\naddress = \"{address}\"\n{more}\n"));
        for (router, wrong) in [
            ("192.168.2.1", "is not in the net of network.address 192.168.1.50/24"),
            ("192.168.1.50", "is this machine's own address"),
            ("192.168.1.0", "is the address of the net"),
            ("192.168.1.255", "is the broadcast address"),
            ("127.0.0.1", "is a loopback address"),
            ("fe80::1", "is not in the net"),
        ] {
            let told = with("192.168.1.50/24", &format!("gateway = \"{router}\""));
            assert!(
                told.len() == 1 && told[0].starts_with(&format!("t:3: network.gateway: \"{router}\" {wrong}")),
                "{told:?}"
            );
        }
        assert_eq!(with("192.168.1.50/24", "gateway = \"192.168.1.1\"\ndns = [\"9.9.9.9\", \"2620:fe::fe\"]"), [""; 0]);
        assert_eq!(with("2001:db8::7/64", "gateway = \"fe80::1\""), [""; 0], "as IPv6 routers are");
        for (server, wrong) in [
            ("0.0.0.0", "is no address of a machine"),
            ("127.0.0.53", "is a loopback address"),
            ("224.0.0.251", "is a multicast address"),
            ("192.168.1.255", "is the broadcast address"),
            ("192.168.1.50", "is this machine's own address"),
        ] {
            let told = with("192.168.1.50/24", &format!("dns = [\"9.9.9.9\", \"{server}\"]"));
            assert!(
                told.len() == 1 && told[0].starts_with(&format!("t:3: network.dns: \"{server}\" {wrong}")),
                "{told:?}"
            );
        }
        let unused = with("", "dns = [\"9.9.9.9\"]");
        assert!(
            unused.len() == 1 && unused[0].contains("network.dns: name servers without network.address"),
            "{unused:?}"
        );
    }

    #[test]
    fn cable_and_wifi_have_not_one_address() {
        let text =
            "[network]\naddress = \"10.0.0.5/8\"\n[wifi]\nname = \"x\"\ncountry = \"DE\"\naddress = \"10.0.0.5/24\"\n";
        let told = told(text);
        assert!(told.len() == 1 && told[0].starts_with("t:6: wifi.address: "), "{told:?}");
    }
}
