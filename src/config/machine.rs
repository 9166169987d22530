//! Settings of the machine below the appliance: its name, its networks, who may log in. They stand in `dmxd.toml` on the
//! boot partition only, and are no business of a running `dmxd`.

use std::net::IpAddr;

use super::fault::Fault;
use super::form::Form;
use super::load::{Draft, about};
use super::table::sections;
use super::value::Limits::{Any, Text};
use crate::kit::secret::Secret;

/// Everything of the machine.
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
    /// Fixed address with the length of its prefix; empty = DHCP.
    pub address: String,
    /// Way out of the network; `None` = none is needed.
    pub gateway: Option<IpAddr>,
    /// Name servers.
    pub dns: Vec<String>,
}

/// The network without one.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Wifi {
    /// Name of the network (SSID); empty = no Wi-Fi.
    pub name: String,
    /// Its key; `None` = an open network.
    pub key: Option<Secret>,
    /// Two letters of the country, whose law says which channels may be used.
    pub country: String,
    /// Fixed address with the length of its prefix; empty = DHCP.
    pub address: String,
    /// Way out of the network; `None` = none is needed.
    pub gateway: Option<IpAddr>,
    /// Name servers.
    pub dns: Vec<String>,
}

/// Who may log in.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Ssh {
    /// Whether anybody.
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
            draft.faults.push(Fault::new(about(key, draft.origins.get(key)), wrong, right));
        }
    }
}
