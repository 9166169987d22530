//! The addresses of this machine's doors.

use std::net::{IpAddr, SocketAddr};

use crate::http::Addresses;

/// This machine's addresses, loopback first, without the link-local ones that are useless without a zone.
pub(super) fn own() -> Vec<IpAddr> {
    let mut all: Vec<_> = if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|i| i.ip()).collect();
    all.retain(|ip| match ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    });
    all.sort_by_key(|ip| (!ip.is_loopback(), *ip));
    all.dedup();
    all
}

/// Every address of a door.
pub(super) fn of(door: SocketAddr, own: &[IpAddr]) -> Vec<SocketAddr> {
    let hosts = if door.ip().is_unspecified() { own } else { &[door.ip()] };
    let fit = hosts.iter().filter(|ip| ip.is_ipv4() || door.is_ipv6());
    fit.map(|&host| SocketAddr::new(host, door.port())).collect()
}

/// What other machines can dial now: addresses come and go with cables.
pub(super) fn for_others(web: SocketAddr, mqtt: SocketAddr, own: &[IpAddr]) -> Addresses {
    let own: Vec<_> = own.iter().copied().filter(|ip| !ip.is_loopback()).collect();
    let dialled = |door: SocketAddr| of(door, &own).into_iter().filter(|address| !address.ip().is_loopback());
    let page = |address: SocketAddr| match address.port() {
        80 => format!("http://{}/", address.to_string().trim_end_matches(":80")),
        _ => format!("http://{address}/"),
    };
    Addresses {
        web: dialled(web).map(page).collect(),
        mqtt: dialled(mqtt).map(|address| format!("mqtt://{address}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_what_they_can_dial_and_nothing_else() {
        let own = ["127.0.0.1", "192.0.2.7", "::1", "2001:db8::7"].map(|ip| ip.parse().unwrap());
        let told = |web: &str, mqtt: &str| for_others(web.parse().unwrap(), mqtt.parse().unwrap(), &own);
        let everywhere = told("0.0.0.0:8080", "[::]:1883");
        assert_eq!(everywhere.web, ["http://192.0.2.7:8080/"]);
        assert_eq!(everywhere.mqtt, ["mqtt://192.0.2.7:1883", "mqtt://[2001:db8::7]:1883"]);
        let usual = told("[::]:80", "127.0.0.1:1883");
        assert_eq!(usual.web, ["http://192.0.2.7/", "http://[2001:db8::7]/"]);
        assert!(usual.mqtt.is_empty());
    }
}
