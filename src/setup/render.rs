//! The files below /etc that settings become. What is not set has no file: then the image's own ones count.

use std::net::IpAddr;

use crate::config::{Machine, Wifi};

/// A file below /etc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Its path below /etc.
    pub(super) path: &'static str,
    /// Its content; nothing = it must not exist.
    pub(super) text: Option<String>,
    /// Who may read it.
    pub(super) mode: u32,
}

/// Settings of the appliance; they come after the image's own in the order of names.
pub(crate) const APPLIANCE: &str = "50-setup.toml";

const FOR_ALL: u32 = 0o644;
/// Root and the group of the folder.
const FOR_THE_APPLIANCE: u32 = 0o640;
const FOR_ROOT: u32 = 0o600;

/// Every file that may exist.
pub(super) fn all(appliance: &str, machine: &Machine) -> Vec<Written> {
    let Machine { host, network, wifi, ssh } = machine;
    let name = Some(&host.name).filter(|name| !name.is_empty());
    let joins = !wifi.name.is_empty();
    let keys = || format!("{HEAD}{}\n", ssh.keys.join("\n"));
    let (cable, air) = ("Type=ether\nKind=!*\n", "Type=wlan\n");
    vec![
        Written {
            path: "dmxd/appliance.d/50-setup.toml",
            text: (!appliance.is_empty()).then(|| format!("{HEAD}{appliance}")),
            mode: FOR_THE_APPLIANCE,
        },
        Written { path: "hostname", text: name.map(|name| format!("{name}\n")), mode: FOR_ALL },
        Written {
            path: "hosts",
            text: name.map(|name| format!("127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost\n")),
            mode: FOR_ALL,
        },
        Written {
            path: "systemd/network/10-dmxd-wired.network",
            text: fixed(cable, &network.address, network.gateway, &network.dns),
            mode: FOR_ALL,
        },
        Written {
            path: "systemd/network/10-dmxd-wifi.network",
            text: if joins { fixed(air, &wifi.address, wifi.gateway, &wifi.dns) } else { None },
            mode: FOR_ALL,
        },
        Written {
            path: "wpa_supplicant/wpa_supplicant-wlan0.conf",
            text: joins.then(|| wpa_supplicant(wifi)),
            mode: FOR_ROOT,
        },
        Written { path: "ssh/authorized_keys", text: ssh.enabled.then(keys), mode: FOR_ALL },
    ]
}

const HEAD: &str =
    "# Written by dmxd setup from dmxd.toml of the boot partition; changes here are lost at the next start.\n";

/// systemd.network(5); `None` = DHCP, as in the image's own file.
fn fixed(matches: &str, address: &str, gateway: Option<IpAddr>, dns: &[String]) -> Option<String> {
    if address.is_empty() {
        return None;
    }
    let mut text = format!("{HEAD}[Match]\n{matches}\n[Network]\nDHCP=no\nAddress={address}\n");
    if let Some(gateway) = gateway {
        text += &format!("Gateway={gateway}\n");
    }
    for server in dns {
        text += &format!("DNS={server}\n");
    }
    // lamps reach the address even if the cable is plugged in later, and nothing waits for it
    Some(text + "ConfigureWithoutCarrier=yes\n\n[Link]\nRequiredForOnline=no\n")
}

/// wpa_supplicant.conf(5).
fn wpa_supplicant(wifi: &Wifi) -> String {
    // as hex digits, so that no character of a name can end the line or the quotes
    let name: String = wifi.name.bytes().map(|byte| format!("{byte:02x}")).collect();
    let key = match &wifi.key {
        // quotes in a phrase need no escape: the last one on the line ends it
        Some(key) if !crate::config::is_raw_key(key.reveal()) => {
            format!("key_mgmt=WPA-PSK\n\tpsk=\"{}\"", key.reveal())
        }
        Some(key) => format!("key_mgmt=WPA-PSK\n\tpsk={}", key.reveal()),
        None => "key_mgmt=NONE".to_owned(),
    };
    // scan_ssid also finds hidden networks
    format!("{HEAD}country={}\nnetwork={{\n\tssid={name}\n\tscan_ssid=1\n\t{key}\n}}\n", wifi.country)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Host, Network, Ssh};
    use crate::kit::secret::Secret;

    fn text(machine: &Machine, path: &str) -> Option<String> {
        let files = all("", machine);
        files.into_iter().find(|written| written.path.ends_with(path)).and_then(|written| written.text)
    }

    #[test]
    fn nothing_that_somebody_writes_gets_out_of_its_place() {
        let key = Some(Secret::new("a\"}\\ b c"));
        let wifi = Wifi { name: "x\"\\é".into(), key, country: "CZ".into(), ..Wifi::default() };
        let conf = text(&Machine { wifi, ..Machine::default() }, "wlan0.conf").unwrap();
        assert!(
            conf.ends_with(
                "country=CZ\nnetwork={\n\tssid=78225cc3a9\n\tscan_ssid=1\n\tkey_mgmt=WPA-PSK\n\tpsk=\"a\"}\\ b c\"\n}\n"
            ),
            "{conf}"
        );
    }

    #[test]
    fn a_key_of_64_digits_is_no_phrase_and_no_key_an_open_network() {
        let raw = "0123456789abcdef".repeat(4);
        let of = |key: Option<Secret>| {
            let wifi = Wifi { name: "x".into(), key, country: "DE".into(), ..Wifi::default() };
            text(&Machine { wifi, ..Machine::default() }, "wlan0.conf").unwrap()
        };
        assert!(of(Some(Secret::new(raw.clone()))).contains(&format!("psk={raw}\n")));
        assert!(of(None).contains("key_mgmt=NONE\n"));
    }

    #[test]
    fn a_fixed_address_has_its_router_and_name_servers() {
        let network = Network {
            address: "192.168.1.50/24".into(),
            gateway: Some("192.168.1.1".parse().unwrap()),
            dns: vec!["9.9.9.9".into()],
        };
        let file = text(&Machine { network, ..Machine::default() }, "10-dmxd-wired.network").unwrap();
        assert!(file.contains("DHCP=no\nAddress=192.168.1.50/24\nGateway=192.168.1.1\nDNS=9.9.9.9\n"), "{file}");
    }

    #[test]
    fn keys_are_there_only_while_login_is_on() {
        let with = |enabled| Machine {
            host: Host { name: "hall".into() },
            ssh: Ssh { enabled, keys: vec!["ssh-ed25519 AAAA a".into()] },
            ..Machine::default()
        };
        assert!(text(&with(true), "authorized_keys").unwrap().ends_with("\nssh-ed25519 AAAA a\n"));
        assert_eq!(text(&with(false), "authorized_keys"), None);
        assert_eq!(text(&with(false), "hostname").as_deref(), Some("hall\n"));
    }
}
