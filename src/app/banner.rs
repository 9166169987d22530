//! What a person who starts the appliance by hand wants to know: where everything is.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;

use super::addresses;

/// Written to stderr when that is a terminal.
pub(super) fn show(doors: &[(&str, SocketAddr)], data_dir: &Path) {
    let mut out = io::stderr();
    if out.is_terminal() {
        let _ = out.write_all(text(doors, &addresses::own(), data_dir).as_bytes()); // nobody reads: no fault
    }
}

fn text(doors: &[(&str, SocketAddr)], own: &[std::net::IpAddr], data_dir: &Path) -> String {
    let mut text = format!("\n  dmxd {} is running\n", env!("CARGO_PKG_VERSION"));
    for (door, address) in doors {
        let name = if door.starts_with("http") { "web" } else { "MQTT" };
        let scheme = door.split('_').next().unwrap_or(door);
        for address in addresses::of(*address, own) {
            text += &format!("  {name:<6}{scheme}://{address}\n");
        }
    }
    let data = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.into());
    text + &format!("  {:<6}{}\n  Ctrl-C stops it; again: at once.\n\n", "data", data.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_a_client_may_use_is_named() {
        let doors = [
            ("http", "0.0.0.0:8080".parse().unwrap()),
            ("mqtt", "192.0.2.7:1883".parse().unwrap()),
            ("https", "192.0.2.7:8443".parse().unwrap()),
            ("http_also", "192.0.2.7:80".parse().unwrap()),
        ];
        let own = ["127.0.0.1".parse().unwrap(), "192.0.2.7".parse().unwrap(), "::1".parse().unwrap()];
        let text = text(&doors, &own, Path::new("/var/lib/dmxd"));
        for line in [
            "web   http://127.0.0.1:8080",
            "web   http://192.0.2.7:8080",
            "MQTT  mqtt://192.0.2.7:1883",
            "web   https://192.0.2.7:8443",
            "web   http://192.0.2.7:80",
            "data  /var/lib/dmxd",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains("[::1]"), "an IPv4 socket is not reached by IPv6");
    }
}
