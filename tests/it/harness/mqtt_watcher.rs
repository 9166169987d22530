//! A subscriber of the state that remembers everything it received.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::packet::Packet;
use super::{Connect, Link, STATE, eventually, fresh_id, rgb_of};

/// One state as received.
#[derive(Clone, Debug)]
pub struct Seen {
    pub seq: u64,
    pub rgb: [u8; 3],
    pub retain: bool,
    pub qos: u8,
    pub at: Instant,
    pub body: Value,
}

/// A live subscription to the state topic, from the retained message on.
pub struct StateWatcher {
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl StateWatcher {
    /// Subscribes at QoS 1 and waits for the retained state.
    pub async fn start(broker: SocketAddr) -> Self {
        let mut link = Link::join(broker, &Connect::new(&format!("watcher-{}", fresh_id()))).await;
        assert_eq!(link.subscribe(STATE, 1).await, 1);
        let seen = Arc::new(Mutex::new(vec![fold(&link.message().await)]));
        let kept = seen.clone();
        let task = tokio::spawn(async move {
            while let Some(packet) = link.read().await {
                if let Packet::Publish(message) = packet {
                    kept.lock().unwrap().push(fold(&message));
                }
            }
        });
        Self { seen, task }
    }

    /// Everything so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The newest.
    pub fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().expect("at least the retained state").clone()
    }

    /// Waits until a `seq` has been seen.
    pub async fn wait_seq(&self, seq: u64) -> Seen {
        eventually(&format!("state {seq} on MQTT"), async || Some(self.last()).filter(|seen| seen.seq >= seq)).await
    }

    /// Everything, once the connection has ended (after a kill, for instance).
    pub async fn into_all(mut self) -> Vec<Seen> {
        super::patiently("the end of the connection", &mut self.task).await.unwrap();
        self.seen()
    }
}

impl Drop for StateWatcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Every `seq` is one more than the previous one: nothing missing, nothing twice, nothing out of order.
pub fn assert_gap_free(seen: &[Seen]) {
    for pair in seen.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq + 1, "after {:?} came {:?}", pair[0], pair[1]);
    }
}

fn fold(message: &super::Message) -> Seen {
    let body = message.json();
    Seen {
        seq: body["seq"].as_u64().expect("a seq"),
        rgb: rgb_of(&body),
        retain: message.retain,
        qos: message.qos,
        at: Instant::now(),
        body,
    }
}
