//! A broker that is not ours: Debian's Mosquitto, on the loopback, with what a test adds to its configuration.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::eventually;
use super::strangers::{Stranger, mosquitto_broker};

/// A running Mosquitto.
pub struct Mosquitto {
    _stranger: Stranger,
    _folder: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Mosquitto {
    /// Starts one with these lines after those of its listener.
    pub async fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // It takes no port 0: another process may be faster at the port that was free, then it ends and another is tried.
        for _ in 0..5 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
            let config = folder.path().join("mosquitto.conf");
            let listener = format!("listener {} {}\nallow_anonymous true\n", free.port(), free.ip());
            std::fs::write(&config, format!("{listener}{settings}\n")).unwrap();
            let mut stranger = mosquitto_broker(&config);
            let listens = eventually("mosquitto to listen, or to end", async || {
                if stranger.has_ended() {
                    return Some(false);
                }
                TcpStream::connect(free).await.is_ok().then_some(true)
            });
            if listens.await {
                return Self { _stranger: stranger, _folder: folder, address: free };
            }
        }
        panic!("mosquitto does not start: see mosquitto -c with\n{settings}");
    }

    /// With a bridge: everything both ways with the other broker, in `mqttv311` or `mqttv50`.
    pub async fn bridged(other: SocketAddr, version: &str) -> Self {
        Self::start(&format!(
            "connection stage\naddress {other}\nbridge_protocol_version {version}\ntopic # both 1\n\
             cleansession true\nrestart_timeout 1\nnotifications false\n"
        ))
        .await
    }
}
