//! The addresses of this machine's doors.

use std::net::{IpAddr, SocketAddr};

use super::doors::At;
use crate::http::Addresses;

/// All addresses of this machine.
pub(super) fn all() -> Vec<IpAddr> {
    if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|interface| interface.ip()).collect()
}

/// This machine's addresses, loopback first, without the link-local ones that are useless without a zone.
pub(super) fn own() -> Vec<IpAddr> {
    let mut all = all();
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

/// What other machines can dial now: addresses come and go with cables. The plain ones come first.
pub(super) fn for_others(at: &At, own: &[IpAddr]) -> Addresses {
    let own: Vec<_> = own.iter().copied().filter(|ip| !ip.is_loopback()).collect();
    let dialled = |door: &str| {
        let doors = at.listening.iter().filter(move |(name, _)| *name == door);
        let all = doors.flat_map(|(_, door)| of(*door, &own)).filter(|address| !address.ip().is_loopback());
        all.collect::<Vec<_>>()
    };
    let page = |scheme: &str, usual: u16, address: SocketAddr| match address.port() {
        port if port == usual => format!("{scheme}://{}/", address.to_string().trim_end_matches(&format!(":{port}"))),
        _ => format!("{scheme}://{address}/"),
    };
    let plain = if at.https_only { Vec::new() } else { dialled("http") };
    let plain = plain.into_iter().map(|address| page("http", 80, address));
    let secure = dialled("https").into_iter().map(|address| page("https", 443, address));
    let brokers = ["mqtt", "mqtts"]
        .into_iter()
        .flat_map(|door| dialled(door).into_iter().map(move |address| format!("{door}://{address}")));
    Addresses { web: plain.chain(secure).collect(), mqtt: brokers.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_what_they_can_dial_and_nothing_else() {
        let own = ["127.0.0.1", "192.0.2.7", "::1", "2001:db8::7"].map(|ip| ip.parse().unwrap());
        let at = |doors: &[(&'static str, &str)], https_only| At {
            listening: doors.iter().map(|(door, at)| (*door, at.parse().unwrap())).collect(),
            https_only,
        };
        let told = |web: &str, mqtt: &str| for_others(&at(&[("http", web), ("mqtt", mqtt)], false), &own);
        let everywhere = told("0.0.0.0:8080", "[::]:1883");
        assert_eq!(everywhere.web, ["http://192.0.2.7:8080/"]);
        assert_eq!(everywhere.mqtt, ["mqtt://192.0.2.7:1883", "mqtt://[2001:db8::7]:1883"]);
        let usual = told("[::]:80", "127.0.0.1:1883");
        assert_eq!(usual.web, ["http://192.0.2.7/", "http://[2001:db8::7]/"]);
        assert!(usual.mqtt.is_empty());
        let doors = [("http", "0.0.0.0:80"), ("https", "0.0.0.0:443"), ("mqtts", "0.0.0.0:8883")];
        let secure = for_others(&at(&doors, false), &own);
        assert_eq!(secure.web, ["http://192.0.2.7/", "https://192.0.2.7/"]);
        assert_eq!(secure.mqtt, ["mqtts://192.0.2.7:8883"]);
        assert_eq!(for_others(&at(&doors, true), &own).web, ["https://192.0.2.7/"], "the plain one only leads there");
    }
}
