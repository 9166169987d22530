//! What TLS costs: handshakes a second by one and by many clients, memory of a connection, and what the process takes before
//! anybody comes. The clients are ours, with rustls as well, so they share the machine with the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::server::Dmxd;

/// Connections whose memory is measured.
const MANY: usize = 200;

pub(crate) fn measure() -> io::Result<()> {
    let plain = idle(&[])?;
    let secure: [(&str, &str); 3] = [("DMX_TLS_ENABLED", "true"), ("DMX_TLS_PORT", "0"), ("DMX_TLS_MQTT_PORT", "0")];
    let idle = idle(&secure)?;
    println!("TLS: idle RSS {:.1} MB, without TLS {:.1} MB", mb(idle), mb(plain));
    let dmxd = Dmxd::start_with("tls", &secure)?;
    tokio::runtime::Runtime::new()?.block_on(with(&dmxd))
}

fn mb(kb: u64) -> f64 {
    kb as f64 / 1024.0
}

fn idle(settings: &[(&str, &str)]) -> io::Result<u64> {
    let dmxd = Dmxd::start_with("tls-idle", settings)?;
    std::thread::sleep(Duration::from_secs(3));
    dmxd.process.rss_kb()
}

async fn with(dmxd: &Dmxd) -> io::Result<()> {
    let (https, mqtts) = (dmxd.https, dmxd.mqtts);
    let connector = connector(&ca(dmxd.http).await?)?;
    for clients in [1, 16] {
        let begun = (dmxd.process.cpu()?, Instant::now());
        let made = handshakes(&connector, https, clients, Duration::from_secs(5)).await;
        let (cpu, took) = (dmxd.process.cpu()? - begun.0, begun.1.elapsed());
        println!(
            "TLS: {:.0} handshakes a second by {clients} at a time, {} us of dmxd's CPU each",
            made as f64 / took.as_secs_f64(),
            cpu.as_micros() / u128::from(made.max(1)),
        );
    }
    let plain =
        memory(dmxd, async || Ok(connected(TcpStream::connect(("127.0.0.1", dmxd.mqtt)).await?).await?)).await?;
    let secure = memory(dmxd, async || connected(secured(&connector, mqtts).await?).await).await?;
    println!("TLS: {secure} kB a connected MQTT client, without TLS {plain} kB");
    Ok(())
}

/// The authority, by the page about trust.
async fn ca(http: u16) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(("127.0.0.1", http)).await?;
    socket.write_all(b"GET /trust/ca.crt HTTP/1.0\r\n\r\n").await?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await?;
    Ok(answer)
}

fn connector(pem: &[u8]) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem).map_err(io::Error::other)?).map_err(io::Error::other)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled(); // each handshake is a whole one
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn secured(connector: &TlsConnector, door: u16) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], door))).await?;
    connector.connect(ServerName::try_from("localhost").map_err(io::Error::other)?, socket).await
}

async fn handshakes(connector: &TlsConnector, door: u16, clients: usize, time: Duration) -> u64 {
    let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (connector, stop, made) = (connector.clone(), stop.clone(), made.clone());
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if secured(&connector, door).await.is_ok() {
                    made.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    made.load(Ordering::Relaxed)
}

/// kB of one connection of many.
async fn memory<S>(dmxd: &Dmxd, connect: impl AsyncFn() -> io::Result<S>) -> io::Result<u64> {
    let before = dmxd.process.rss_kb()?;
    let mut all = Vec::new();
    for _ in 0..MANY {
        all.push(connect().await?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(dmxd.process.rss_kb()?.saturating_sub(before) / MANY as u64)
}

/// An MQTT client that has its CONNACK.
async fn connected<S: AsyncReadExt + AsyncWriteExt + Unpin>(mut stream: S) -> io::Result<S> {
    stream.write_all(b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0").await?;
    stream.flush().await?;
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await?;
    Ok(stream)
}
