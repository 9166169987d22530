//! A peer in place of OLA that answers as told and remembers every request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::eventually;

/// How it answers; a change counts from the next request on.
#[derive(Clone, Debug)]
pub enum Mood {
    /// As OLA does.
    Ok,
    /// As OLA does, after this long.
    Slow(Duration),
    /// A whole answer of any kind: status line, headers, blank line, body.
    Says(String),
    /// Never.
    BlackHole,
    /// `ok`, and then more without end.
    Endless,
    /// One header without end.
    EndlessHead,
    /// Announces 100 bytes, and sends one every `DRIP`.
    Drip,
}

/// One request as received.
#[derive(Clone, Debug)]
pub struct Posted {
    /// When it was complete.
    pub at: Instant,
    /// When it was answered, or its sender left.
    pub ended: Option<Instant>,
    /// Number of its connection, from 0.
    pub connection: usize,
    /// Unanswered requests for the same universe at that moment, this one included.
    pub in_flight: usize,
    /// Request line and headers.
    pub head: String,
    /// Its body.
    pub body: String,
}

/// What its universes show when read back.
#[derive(Clone, Debug, Default)]
pub enum Shows {
    /// What was sent last.
    #[default]
    Ours,
    /// These levels, separated by commas.
    Others(String),
    /// It does not answer.
    Nothing,
    /// An answer without end.
    Endless,
}

#[derive(Default)]
struct Book {
    connections: usize,
    posted: Vec<Posted>,
    /// What was sent last, by universe.
    light: BTreeMap<String, String>,
    shows: Shows,
    /// How often a universe was read back.
    read_back: usize,
}

/// A listening peer.
pub struct FakeOla {
    /// Where it listens.
    pub address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    book: Arc<Mutex<Book>>,
    task: JoinHandle<()>,
}

impl FakeOla {
    /// On the loopback.
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mood, book) = (Arc::new(Mutex::new(mood)), Arc::new(Mutex::new(Book::default())));
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(accept(listener, mood.clone(), book.clone()));
        Self { address, mood, book, task }
    }

    /// Where it takes frames.
    pub fn url(&self) -> String {
        format!("http://{}/set_dmx", self.address)
    }

    /// From the next request on.
    pub fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// From the next time that a universe is read back.
    pub fn shows(&self, shows: Shows) {
        self.book.lock().unwrap().shows = shows;
    }

    /// How often a universe was read back.
    pub fn read_back(&self) -> usize {
        self.book.lock().unwrap().read_back
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.book.lock().unwrap().connections
    }

    /// Every request so far.
    pub fn posted(&self) -> Vec<Posted> {
        self.book.lock().unwrap().posted.clone()
    }

    /// Waits until there are this many requests.
    pub async fn wait_posted(&self, count: usize) -> Vec<Posted> {
        eventually(&format!("{count} requests"), async || {
            let posted = self.posted();
            (posted.len() >= count).then_some(posted)
        })
        .await
    }

    /// Waits until this many requests have been answered or given up.
    pub async fn wait_ended(&self, count: usize) -> Vec<Posted> {
        eventually(&format!("the end of {count} requests"), async || {
            let posted = self.posted();
            (posted.iter().filter(|posted| posted.ended.is_some()).count() >= count).then_some(posted)
        })
        .await
    }

    /// Waits until the newest request for a universe shows this light.
    pub async fn wait_light(&self, universe: u32, rgb: [u8; 3]) -> Posted {
        eventually(&format!("{rgb:?} for universe {universe}"), async || {
            let posted = self.posted();
            let newest = posted.into_iter().rfind(|posted| posted.frame().0 == universe)?;
            (newest.lamp() == rgb).then_some(newest)
        })
        .await
    }
}

impl Drop for FakeOla {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Posted {
    /// OLA's universe and the levels, which must be bytes in plain decimal.
    pub fn frame(&self) -> (u32, Vec<u8>) {
        let (universe, levels) = self.body.strip_prefix("u=").and_then(|rest| rest.split_once("&d=")).expect("u=…&d=…");
        let levels = levels.split(',').map(|level| level.parse().expect("a level")).collect();
        (universe.parse().expect("a universe"), levels)
    }

    /// The lamp's light.
    pub fn lamp(&self) -> [u8; 3] {
        self.frame().1[..3].try_into().unwrap()
    }

    /// A header; empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value)).unwrap_or_default()
    }

    /// How long it took.
    pub fn took(&self) -> Duration {
        self.ended.expect("it has ended") - self.at
    }
}

async fn accept(listener: TcpListener, mood: Arc<Mutex<Mood>>, book: Arc<Mutex<Book>>) {
    let mut connections = tokio::task::JoinSet::new(); // aborted with this task
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let connection = book.lock().unwrap().connections;
        book.lock().unwrap().connections += 1;
        connections.spawn(serve(stream, connection, mood.clone(), book.clone()));
    }
}

async fn serve(mut stream: TcpStream, connection: usize, mood: Arc<Mutex<Mood>>, book: Arc<Mutex<Book>>) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = request(&mut stream, &mut buffer).await {
        if let Some(universe) = head.strip_prefix("GET /get_dmx?u=").and_then(|rest| rest.split(' ').next()) {
            let shows = {
                let mut book = book.lock().unwrap();
                book.read_back += 1;
                book.shows.clone()
            };
            let stays = match shows {
                Shows::Ours => {
                    let levels = book.lock().unwrap().light.get(universe).cloned().unwrap_or_default();
                    answer(&mut stream, &shown(&levels), || ()).await
                }
                Shows::Others(levels) => answer(&mut stream, &shown(&levels), || ()).await,
                Shows::Nothing => false,
                Shows::Endless => for_ever(&mut stream, "\r\n\r\n", &"[0,".repeat(32 * 1024), Duration::ZERO).await,
            };
            if !stays {
                while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {} // until the sender goes away
                return;
            }
            continue;
        }
        if let Some((universe, levels)) = body.strip_prefix("u=").and_then(|rest| rest.split_once("&d=")) {
            book.lock().unwrap().light.insert(universe.to_owned(), levels.to_owned());
        }
        let index = {
            let mut book = book.lock().unwrap();
            let universe = |body: &str| body.split('&').next().map(str::to_owned);
            let same = |posted: &&Posted| posted.ended.is_none() && universe(&posted.body) == universe(&body);
            let in_flight = book.posted.iter().filter(same).count() + 1;
            book.posted.push(Posted { at: Instant::now(), ended: None, connection, in_flight, head, body });
            book.posted.len() - 1
        };
        let mood = mood.lock().unwrap().clone();
        // marked before the last byte leaves, so that the next request cannot arrive before the mark
        let mark = || book.lock().unwrap().posted[index].ended = Some(Instant::now());
        let stays = match mood {
            Mood::Ok => answer(&mut stream, OK, mark).await,
            Mood::Slow(pause) => {
                tokio::time::sleep(pause).await; // the peer's script
                answer(&mut stream, OK, mark).await
            }
            Mood::Says(text) => answer(&mut stream, &text, mark).await,
            Mood::BlackHole => false,
            Mood::Endless => for_ever(&mut stream, "\r\n\r\nok", &"ok".repeat(32 * 1024), Duration::ZERO).await,
            Mood::EndlessHead => for_ever(&mut stream, "\r\nServer: ", &"ok".repeat(32 * 1024), Duration::ZERO).await,
            Mood::Drip => for_ever(&mut stream, "\r\nContent-Length: 100\r\n\r\no", "k", DRIP).await,
        };
        if !stays {
            while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {} // until the sender goes away
            return mark();
        }
    }
}

const DRIP: Duration = Duration::from_millis(100);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

fn shown(levels: &str) -> String {
    let body = format!(r#"{{"dmx": [{levels}], "error": ""}}"#);
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

async fn answer(stream: &mut TcpStream, text: &str, mark: impl Fn()) -> bool {
    mark();
    stream.write_all(text.as_bytes()).await.is_ok()
}

/// Goes on as long as somebody reads; gives whether the connection can be used again.
async fn for_ever(stream: &mut TcpStream, start: &str, more: &str, pause: Duration) -> bool {
    let mut written = stream.write_all(format!("HTTP/1.1 200 OK{start}").as_bytes()).await;
    while written.is_ok() {
        tokio::time::sleep(pause).await; // the peer's script
        written = stream.write_all(more.as_bytes()).await;
    }
    false
}

/// The next whole request; `None` if the sender has left.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).expect("a head of text");
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                let body = String::from_utf8(buffer[end + 4..whole].to_vec()).expect("a body of text");
                buffer.drain(..whole);
                return Some((head, body));
            }
        }
        let mut chunk = [0; 8 * 1024];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => buffer.extend_from_slice(&chunk[..count]),
        }
    }
}
