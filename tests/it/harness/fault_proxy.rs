//! A network that misbehaves: a TCP proxy in front of an HTTP server. It knows just enough HTTP to answer in the
//! server's place.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Bytes pass.
    Pass,
    /// Its request gets this status and no body.
    Answer(u16),
    /// It is cut after this many bytes from the client.
    CutRequest(usize),
    /// It is cut after this many bytes from the server.
    CutAnswer(usize),
    /// Bytes from the server pass in pieces of this size, one a millisecond.
    Slow(usize),
    /// Nothing passes, and the connection stays open.
    Silent,
}

/// A running proxy.
pub struct FaultProxy {
    pub address: SocketAddr,
    weather: Arc<Mutex<(Weather, usize)>>,
    /// Tells open connections that they are out of date.
    era: watch::Sender<u64>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// Passes everything on to `server`.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let weather = Arc::new(Mutex::new((Weather::Pass, usize::MAX)));
        let (era, present) = watch::channel(0);
        let connections = Arc::new(AtomicUsize::new(0));
        let (weathers, count) = (Arc::clone(&weather), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let weather = next(&mut weathers.lock().unwrap());
                let mut present = present.clone();
                present.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = serve(client, server, weather) => {}
                        _ = present.changed() => {}
                    }
                });
            }
        });
        Self { address, weather, era, connections, task }
    }

    /// Cuts open connections, and treats every later one like this.
    pub fn set(&self, weather: Weather) {
        self.set_for(weather, usize::MAX);
    }

    /// Cuts open connections, treats this many like this, and lets later ones pass.
    pub fn set_for(&self, weather: Weather, connections: usize) {
        *self.weather.lock().unwrap() = (weather, connections);
        self.era.send_modify(|era| *era += 1);
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn next((weather, left): &mut (Weather, usize)) -> Weather {
    if *left == 0 {
        return Weather::Pass;
    }
    *left = left.saturating_sub(1).max(if *left == usize::MAX { usize::MAX } else { 0 });
    *weather
}

async fn serve(client: TcpStream, server: SocketAddr, weather: Weather) -> std::io::Result<()> {
    match weather {
        Weather::Answer(status) => return answer(client, status).await,
        Weather::Silent => {
            let _held = client;
            return std::future::pending().await;
        }
        Weather::Pass | Weather::CutRequest(_) | Weather::CutAnswer(_) | Weather::Slow(_) => {}
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = TcpStream::connect(server).await?.into_split();
    let (request, reply, piece) = match weather {
        Weather::CutRequest(bytes) => (bytes, usize::MAX, usize::MAX),
        Weather::CutAnswer(bytes) => (usize::MAX, bytes, usize::MAX),
        Weather::Slow(piece) => (usize::MAX, usize::MAX, piece),
        _ => (usize::MAX, usize::MAX, usize::MAX),
    };
    tokio::select! {
        end = pass(from_client, to_server, request, usize::MAX) => end,
        end = pass(from_server, to_client, reply, piece) => end,
    }
}

/// Passes at most `most` bytes on.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, most: usize, piece: usize) -> std::io::Result<()> {
    let mut left = most;
    let mut buffer = vec![0; piece.min(16 * 1024)];
    while left > 0 {
        let want = left.min(buffer.len());
        let count = from.read(&mut buffer[..want]).await?;
        if count == 0 {
            break;
        }
        if piece != usize::MAX {
            tokio::time::sleep(Duration::from_millis(1)).await; // the slowness itself
        }
        to.write_all(&buffer[..count]).await?;
        left -= count;
    }
    Ok(())
}

/// Reads a request to its end and answers it in the server's place.
async fn answer(mut client: TcpStream, status: u16) -> std::io::Result<()> {
    let mut seen = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let head = seen.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&seen[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let whole = head + length.unwrap_or(0);
            if seen.len() >= whole {
                let reply = format!("HTTP/1.1 {status} Fault\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                client.write_all(reply.as_bytes()).await?;
                return client.shutdown().await;
            }
        }
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        seen.extend_from_slice(&buffer[..count]);
    }
}
