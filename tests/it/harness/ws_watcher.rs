//! A WebSocket client that folds what it receives into one picture, as the tablet app does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::{eventually, patiently};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a close frame of this code.
    Closed(u16),
    /// Without one.
    Broken,
}

/// The sum of all messages so far.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Types in order of arrival.
    pub order: Vec<String>,
    /// Every `state`, with its time of arrival.
    pub states: Vec<(Value, Instant)>,
    /// Every `rev` of a partial `state.update`.
    pub revs: Vec<u64>,
    /// Every partial `state.update`.
    pub updates: Vec<Value>,
    /// Every full `state.update`.
    pub fulls: Vec<Value>,
    /// Levels by universe.
    pub universes: BTreeMap<u64, [u8; 512]>,
    /// The last `desk`.
    pub desk: Option<Value>,
    /// Every `desk`.
    pub desks: Vec<Value>,
    /// Every list of `devices`, with its time of arrival.
    pub devices: Vec<(Value, Instant)>,
    /// Anything else: `err`, `pong`, acks.
    pub others: Vec<Value>,
    /// How it ended.
    pub ending: Option<Ending>,
}

/// A connected client.
pub struct WsWatcher {
    picture: Arc<Mutex<Picture>>,
    out: mpsc::Sender<Message>,
    task: JoinHandle<()>,
}

impl WsWatcher {
    /// Connects, and waits for the whole greeting: state, universe 0, desk, devices.
    pub async fn start(web: SocketAddr) -> Self {
        let watcher = Self::connect(web, "/ws", &[]).await.expect("the WebSocket opens");
        watcher.wait("the devices", |picture| picture.devices.first().cloned()).await;
        watcher
    }

    /// Connects to a path with headers; `Err` is the status of a refused handshake.
    pub async fn connect(web: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{web}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let opened = patiently("the WebSocket handshake", tokio_tungstenite::connect_async(request)).await;
        let (socket, _) = match opened {
            Ok(opened) => opened,
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => return Err(answer.status().as_u16()),
            Err(error) => panic!("the WebSocket handshake: {error}"),
        };
        let picture = Arc::new(Mutex::new(Picture::default()));
        let kept = picture.clone();
        let (out, mut outgoing) = mpsc::channel::<Message>(1024);
        let task = tokio::spawn(async move {
            let (mut sink, mut stream) = socket.split();
            let ending = loop {
                tokio::select! {
                    Some(message) = outgoing.recv() => if sink.send(message).await.is_err() { break Ending::Broken },
                    received = stream.next() => match received {
                        Some(Ok(Message::Text(text))) => {
                            kept.lock().unwrap().fold(serde_json::from_str(&text).expect("JSON only"));
                        }
                        Some(Ok(Message::Close(frame))) => {
                            break frame.map_or(Ending::Closed(1005), |frame| Ending::Closed(frame.code.into()));
                        }
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => break Ending::Broken,
                    },
                }
            };
            kept.lock().unwrap().ending = Some(ending);
        });
        Ok(Self { picture, out, task })
    }

    /// Sends JSON.
    pub async fn send(&self, message: &Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    /// Sends any frame.
    pub async fn send_raw(&self, message: Message) {
        patiently("the WebSocket to take a message", self.out.send(message)).await.expect("the connection is open");
    }

    /// The picture so far.
    pub fn picture(&self) -> Picture {
        self.picture.lock().unwrap().clone()
    }

    /// Waits for something in the picture.
    pub async fn wait<T>(&self, what: &str, look: impl Fn(&Picture) -> Option<T>) -> T {
        eventually(&format!("{what} on the WebSocket"), async || look(&self.picture.lock().unwrap())).await
    }

    /// Waits until the change of this `seq` was seen, as `state` and as `state.update`; gives the newest state.
    pub async fn wait_seq(&self, seq: u64) -> Value {
        self.wait(&format!("change {seq}"), |picture| {
            let (state, _) = picture.states.last()?;
            let greeting = picture.states.len() == 1;
            let updated = greeting || picture.revs.last().is_some_and(|&rev| rev >= seq);
            (updated && state["seq"].as_u64()? >= seq).then(|| state.clone())
        })
        .await
    }

    /// Waits for the n-th (from 0) message that is neither state nor desk.
    pub async fn other(&self, n: usize) -> Value {
        self.wait("an answer", |picture| picture.others.get(n).cloned()).await
    }

    /// Waits for the ack of a unified command.
    pub async fn ack(&self, id: &Value) -> Value {
        self.wait(&format!("the ack of {id}"), |picture| {
            picture.others.iter().find(|other| other["ack"] == *id).cloned()
        })
        .await
    }

    /// Waits until the last `desk` looks like this.
    pub async fn desk(&self, what: &str, like: impl Fn(&Value) -> bool) -> Value {
        self.wait(what, |picture| picture.desk.clone().filter(|desk| like(desk))).await
    }

    /// Waits for the end of the connection.
    pub async fn ending(&self) -> Ending {
        self.wait("the end", |picture| picture.ending).await
    }
}

impl Drop for WsWatcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Picture {
    fn fold(&mut self, message: Value) {
        // acks have the same shape on every door: no type
        let kind = message["type"].as_str().unwrap_or_default().to_owned();
        assert!(!kind.is_empty() || message.get("ack").is_some(), "every message but an ack has a type: {message}");
        match kind.as_str() {
            "state" => self.states.push((message, Instant::now())),
            "state.update" => self.fold_update(&message),
            "desk" => {
                self.desks.push(message.clone());
                self.desk = Some(message);
            }
            "devices" => self.devices.push((message, Instant::now())),
            _ => self.others.push(message),
        }
        self.order.push(kind);
    }

    fn fold_update(&mut self, message: &Value) {
        let universe = message["universe"].as_u64().expect("a universe");
        let full = message["full"].as_bool().expect("full or not");
        if full {
            self.universes.insert(universe, [0; 512]);
            self.fulls.push(message.clone());
        } else {
            self.revs.push(message["rev"].as_u64().expect("a rev"));
            self.updates.push(message.clone());
        }
        // one that nobody had commanded before was dark
        let levels = self.universes.entry(universe).or_insert([0; 512]);
        for change in message["delta"].as_array().expect("a delta") {
            let channel = usize::try_from(change["ch"].as_u64().expect("a channel")).unwrap();
            levels[channel - 1] = u8::try_from(change["val"].as_u64().expect("a level")).expect("a byte");
        }
    }

    /// The lamp, from the levels of universe 0.
    pub fn lamp(&self) -> [u8; 3] {
        let levels = &self.universes[&0];
        [levels[0], levels[1], levels[2]]
    }

    /// Every change came once and in order, as `state` and as `state.update`.
    pub fn assert_gap_free(&self) {
        let seqs: Vec<_> = self.states.iter().map(|(state, _)| state["seq"].as_u64().expect("a seq")).collect();
        for (name, numbers) in [("state", &seqs), ("state.update", &self.revs)] {
            for pair in numbers.windows(2) {
                assert_eq!(pair[1], pair[0] + 1, "{name}: {} came after {}", pair[1], pair[0]);
            }
        }
        assert_eq!(seqs.get(1), self.revs.first(), "both begin with the first change after the greeting");
    }
}
