//! Many producers at once, and a ledger of what they sent and which answers they got.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::packet::Packet;
use super::{Appliance, CMD, Connect, Link, Web, colour, command, eventually, fresh_id, patiently};

/// Unacknowledged commands of one MQTT producer.
const WINDOW: usize = 8;

/// What was sent and what was answered. Clones share it.
#[derive(Clone)]
pub struct Ledger(Arc<Mutex<Book>>);

struct Book {
    limit: usize,
    sent: Vec<Value>,
    acked: BTreeSet<usize>,
    seqs: BTreeMap<usize, u64>,
}

impl Ledger {
    /// For at most this many commands (the appliance remembers 4096 ids by default).
    pub fn new(limit: usize) -> Self {
        assert!(limit <= 4096, "ids beyond the cache would not be recognised");
        let book = Book { limit, sent: Vec::new(), acked: BTreeSet::new(), seqs: BTreeMap::new() };
        Self(Arc::new(Mutex::new(book)))
    }

    /// A new command and its number; its colour names the number.
    fn next(&self) -> Option<(usize, Value)> {
        let mut book = self.0.lock().unwrap();
        let number = book.sent.len();
        if number >= book.limit {
            return None;
        }
        let body = command(colour(u32::try_from(number).unwrap()));
        book.sent.push(body.clone());
        Some((number, body))
    }

    fn ack(&self, number: usize, seq: Option<u64>) {
        let mut book = self.0.lock().unwrap();
        assert!(book.acked.insert(number), "command {number} was acknowledged twice");
        if let Some(seq) = seq {
            book.seqs.insert(number, seq);
        }
    }

    /// Everything that was sent, in order of numbers.
    pub fn sent(&self) -> Vec<Value> {
        self.0.lock().unwrap().sent.clone()
    }

    /// Numbers of the commands that their door has acknowledged.
    pub fn acked(&self) -> BTreeSet<usize> {
        self.0.lock().unwrap().acked.clone()
    }

    /// `seq` by number, from REST.
    pub fn seqs(&self) -> BTreeMap<usize, u64> {
        self.0.lock().unwrap().seqs.clone()
    }

    /// Waits for this many acknowledgements.
    pub async fn wait_acked(&self, count: usize) {
        eventually(&format!("{count} acknowledged commands"), async || {
            (self.0.lock().unwrap().acked.len() >= count).then_some(())
        })
        .await;
    }
}

/// Running producers.
pub struct Load {
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// This many MQTT producers and one on REST, each as fast as it gets answers.
    pub async fn start(appliance: &Appliance, ledger: &Ledger, mqtt_producers: usize) -> Self {
        let mut tasks = Vec::new();
        for _ in 0..mqtt_producers {
            let link = Link::join(appliance.mqtt, &Connect::new(&format!("producer-{}", fresh_id()))).await;
            tasks.push(tokio::spawn(produce_mqtt(link, ledger.clone())));
        }
        tasks.push(tokio::spawn(produce_rest(appliance.web(), ledger.clone())));
        Self { tasks }
    }

    /// Waits until every producer has ended: its commands are used up, or the appliance is gone.
    pub async fn join(self) {
        for task in self.tasks {
            patiently("the end of a producer", task).await.unwrap();
        }
    }
}

async fn produce_mqtt(mut link: Link, ledger: Ledger) {
    let mut in_flight = BTreeMap::new();
    loop {
        while in_flight.len() < WINDOW {
            let Some((number, body)) = ledger.next() else { break };
            let pkid = link.offer_publish(CMD, body.to_string().as_bytes()).await;
            in_flight.insert(pkid, number);
        }
        if in_flight.is_empty() {
            return link.leave().await;
        }
        match link.read().await {
            Some(Packet::PubAck(pkid)) => ledger.ack(in_flight.remove(&pkid).expect("a PUBACK of ours"), None),
            Some(other) => panic!("a producer was sent {other:?}"),
            None => return, // the appliance is gone
        }
    }
}

async fn produce_rest(web: Web, ledger: Ledger) {
    while let Some((number, body)) = ledger.next() {
        let request = web.request(reqwest::Method::POST, "/rgb").header("content-type", "application/json");
        let Ok(answer) = request.body(body.to_string()).send().await else { break };
        // 503: the appliance is stopping.
        if answer.status() != 202 {
            continue;
        }
        let Ok(body) = answer.json::<Value>().await else { break };
        ledger.ack(number, body["seq"].as_u64());
    }
}
