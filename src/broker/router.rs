//! rumqttd's router behind three small types: what wildcards want goes in by one [`Publisher`], and comes back by a handful
//! of [`Tap`]s, one of which has each wildcard of the house.
//!
//! The router only matches and fans out: it is handed topics and numbers, never a payload, a retained message, a QoS above
//! 0 or a client's name, and never a reason to disconnect a link. Links are never disconnected (BROKER K5, K9).

use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{self as mq, Packet};
use rumqttd::{Notification, RouterConfig};

use super::levels::WildcardId;
use super::topic::Filter;

/// Topics that a router is given before another one takes its place: it never forgets one, and each takes it some 0.5 kB.
pub(super) const MOST_TOPICS: usize = 20_000;

/// Links by which messages come back.
pub(super) const TAPS: usize = 4;

/// Bytes of one segment and segments of one filter's log. Its newest three are always there, so half as much again as
/// `owed` lets be under way. Each entry takes 180 bytes beside these, and a filter that nobody has goes on noting: hence
/// no more.
const SEGMENT_BYTES: usize = 8 * 1024;
const SEGMENTS: usize = 4;

/// Messages the router hands to one link at a time.
const READ_AT_ONCE: u64 = 200;

/// Notifications that are taken from a link before they are handed out.
const BATCH: usize = 64;

/// Subscription of the guardian's messages; the router allows no 0.
pub(super) const PROBES: WildcardId = 1;

/// Topic and filter of them: clients' topics all begin with a slash in there.
const PROBE: &str = "probe";

/// Events that may wait for the router, of the 1,000 that its line holds: with more, whoever has time waits, so that
/// nobody's thread is held up by a router that is stuck.
const EVENTS: usize = 900;

/// Between two looks whether there is room in the router's line.
const LOOK: Duration = Duration::from_millis(5);

/// The router thread is gone or does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the message router does not answer: {0}")]
pub(super) struct RouterGone(String);

impl RouterGone {
    /// Somebody else saw it.
    pub(super) fn told() -> Self {
        Self("a link found it gone".to_owned())
    }

    pub(super) fn silent(patience: Duration) -> Self {
        Self(format!("silent for {patience:?}"))
    }

    pub(super) fn because(error: &impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl From<LinkError> for RouterGone {
    fn from(error: LinkError) -> Self {
        Self(error.to_string())
    }
}

type Made = (LinkTx, LinkRx, Notification);
/// The router's own sender has no public name, so it lives in this closure.
type Connect = dyn Fn(&str) -> Result<Made, RouterGone> + Send + Sync;

/// A router's thread.
pub(super) struct Router {
    /// Which one this is, in the order of their lives.
    generation: usize,
    connect: Arc<Connect>,
    /// Another one has taken its place.
    retired: AtomicBool,
}

impl Drop for Router {
    /// Nobody holds it any more.
    fn drop(&mut self) {
        if self.retired.load(Ordering::Relaxed) {
            let connect = self.connect.clone();
            let ended = std::thread::Builder::new().name("router-end".into()).spawn(move || end(&*connect));
            if let Err(error) = ended {
                tracing::warn!(%error, "router_not_ended: its memory stays");
            }
        }
    }
}

/// Ends a router's thread, for which there is no other way: it does not survive being asked for the messages of a link
/// that was disconnected (BROKER K5). Blocks, for ever when the thread is stuck.
fn end(connect: &Connect) {
    // Err: it has ended already.
    let Ok((mut tx, rx, _)) = connect("last") else { return tracing::debug!("router_ended_already") };
    let gone = mq::Disconnect { reason_code: mq::DisconnectReasonCode::NormalDisconnection };
    tx.buffer().push_back(Packet::Disconnect(gone, None));
    let _ = tx.publish("", Bytes::new()); // Err: as above; it fetches both
    let _ = rx.ready(); // as above
}

impl Router {
    /// Starts a router's thread. Blocks for a moment.
    ///
    /// # Errors
    /// The thread did not answer.
    pub(super) fn start(generation: usize) -> Result<(Self, Publisher, Vec<Tap>), RouterGone> {
        let config = RouterConfig {
            max_connections: TAPS + 2, // the publisher's, and the last one, which ends the thread
            max_outgoing_packet_count: READ_AT_ONCE,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            ..RouterConfig::default()
        };
        let events = rumqttd::Router::new(generation, config).spawn();
        let line = events.clone();
        let waiting: Arc<dyn Fn() -> usize + Send + Sync> = Arc::new(move || line.len());
        let connect: Arc<Connect> =
            Arc::new(move |name| Ok(LinkBuilder::new(name, events.clone()).clean_session(true).build()?));
        // One of its own: a link that publishes and unsubscribes gets messages twice (BROKER).
        let (tx, _rx, _) = connect("publisher")?;
        let mut taps = Vec::with_capacity(TAPS);
        for number in 0..TAPS {
            let (tx, rx, _) = connect(&format!("tap:{number}"))?;
            taps.push(Tap { tx, rx, waiting: waiting.clone(), unanswered: VecDeque::new(), paused: false });
        }
        if let Some(first) = taps.first_mut() {
            first.hear_probes()?;
        }
        let router = Self { generation, connect, retired: AtomicBool::new(false) };
        Ok((router, Publisher { tx, _rx, generation, topics: HashSet::default() }, taps))
    }

    pub(super) fn generation(&self) -> usize {
        self.generation
    }

    /// Has the thread end once nobody holds it any more.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Ends the thread now, as a fault in it would.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        end(&*self.connect);
    }
}

/// The one link that publishes.
pub(super) struct Publisher {
    tx: LinkTx,
    /// Kept: dropping it would close the router's way of waking this link.
    _rx: LinkRx,
    /// Which router this is the way into.
    generation: usize,
    /// Hashes of the topics that the router was given; it never forgets one.
    topics: HashSet<u64, BuildHasherDefault<DefaultHasher>>,
}

/// Length of a reference in the router's logs beside its topic: what that adds, the slash in front, the number.
const BESIDE: usize = 4 + 1 + 8;

impl Publisher {
    /// Bytes of a message in the router's logs.
    pub(super) fn size(topic: &[u8]) -> usize {
        BESIDE + topic.len()
    }

    pub(super) fn generation(&self) -> usize {
        self.generation
    }

    /// Different topics that the router was given, the guardian's among them.
    pub(super) fn topics(&self) -> usize {
        self.topics.len() + 1
    }

    /// Whether a topic would be a new one.
    pub(super) fn is_new(&self, topic: &[u8]) -> bool {
        !self.topics.contains(&hash(topic))
    }

    /// Sends a reference to all wildcards.
    pub(super) fn publish(&mut self, topic: &[u8], number: u64) -> Result<(), RouterGone> {
        let mut both = BytesMut::with_capacity(1 + topic.len() + 8);
        both.put_u8(b'/'); // as in `Filter::in_router`
        both.put_slice(topic);
        let inside = both.split().freeze();
        both.put_u64(number);
        self.topics.insert(hash(topic));
        sent(self.tx.try_publish(inside, both.freeze()))
    }

    /// Sends the guardian's message.
    pub(super) fn probe(&mut self) -> Result<(), RouterGone> {
        sent(self.tx.try_publish(PROBE, Bytes::from_static(&[0; 8])))
    }
}

/// What became of a message that was put where the router fetches it. A full line is none of its troubles: it is fetched
/// with the event that already waits, or the guardian's next one.
fn sent(tried: Result<usize, LinkError>) -> Result<(), RouterGone> {
    match tried {
        Ok(_) => Ok(()),
        Err(error) if error.source().is_some_and(|why| why.to_string().contains("full")) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn hash(topic: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(topic)
}

/// What a tap is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `again`: messages by it are owed already, from the time of another router.
    Subscribe {
        id: WildcardId,
        filter: Filter,
        again: bool,
    },
    Unsubscribe(Filter),
}

/// What a tap brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The message of a number, by a filter.
    Came(WildcardId, u64),
    /// A subscription stands: it misses nothing from now on.
    Answered { id: WildcardId, again: bool },
}

/// A link that reads.
pub(super) struct Tap {
    tx: LinkTx,
    rx: LinkRx,
    /// Events that wait for the thread.
    waiting: Arc<dyn Fn() -> usize + Send + Sync>,
    /// What the router has not answered yet, in the order of its answers.
    unanswered: VecDeque<Option<News>>,
    /// The router waits for being told to go on: a link stays silent after 200 notifications.
    paused: bool,
}

impl Tap {
    /// Hears the guardian's messages from now on. Blocks until the router has answered.
    fn hear_probes(&mut self) -> Result<(), RouterGone> {
        self.put(subscribe(PROBE.to_owned(), PROBES), None);
        self.go()?;
        while !self.unanswered.is_empty() {
            let answer = self.rx.recv()?;
            self.take(answer, &mut Vec::new());
        }
        Ok(())
    }

    /// Hands orders on; what comes of them is among the news. Ends when the router has room for them. Cancelled, it has not
    /// taken them.
    pub(super) async fn order(&mut self, orders: impl FnOnce() -> Vec<Order>) -> Result<(), RouterGone> {
        while (self.waiting)() >= EVENTS {
            tokio::time::sleep(LOOK).await;
        }
        for order in orders() {
            match order {
                Order::Subscribe { id, filter, again } => {
                    self.put(subscribe(filter.in_router(), id), Some(News::Answered { id, again }));
                }
                // One answer a filter, and none for one that it has not (BROKER): each was subscribed to before.
                Order::Unsubscribe(filter) => {
                    let packet = mq::Unsubscribe { pkid: 1, filters: vec![filter.in_router()] };
                    self.put(Packet::Unsubscribe(packet, None), None);
                }
            }
        }
        self.go()
    }

    fn put(&mut self, packet: Packet, then: Option<News>) {
        self.unanswered.push_back(then);
        self.tx.buffer().push_back(packet);
    }

    /// Has the router fetch what was put there. `LinkTx::send` is async in name only: it is done at the first poll.
    fn go(&mut self) -> Result<(), RouterGone> {
        let Some(last) = self.tx.buffer().pop_back() else { return Ok(()) };
        self.tx.send(last).now_or_never().map_or(Ok(()), |sent| sent.map(drop).map_err(RouterGone::from))
    }

    /// What has come: at least something, at most a batch. Cancel-safe: what is taken is returned.
    pub(super) async fn news(&mut self, news: &mut Vec<News>) -> Result<(), RouterGone> {
        while news.is_empty() {
            if self.paused {
                self.rx.wake().await?;
                self.paused = false;
            }
            let first = self.rx.next().await?;
            self.take(first, news);
        }
        while news.len() < BATCH && !self.paused {
            let Some(next) = self.rx.next().now_or_never().transpose()? else { break };
            self.take(next, news);
        }
        Ok(())
    }

    fn take(&mut self, notification: Option<Notification>, news: &mut Vec<News>) {
        match notification {
            Some(Notification::Forward(forward)) => {
                let id = forward.properties.and_then(|properties| properties.subscription_identifiers.first().copied());
                let number = forward.publish.payload.first_chunk().map(|number| u64::from_be_bytes(*number));
                news.extend(id.zip(number).map(|(id, number)| News::Came(id, number)));
            }
            Some(Notification::Unschedule) => self.paused = true,
            Some(Notification::DeviceAck(_)) => news.extend(self.unanswered.pop_front().flatten()),
            _ => {}
        }
    }
}

fn subscribe(path: String, id: WildcardId) -> Packet {
    let filters = vec![mq::Filter {
        path,
        qos: mq::QoS::AtMostOnce,
        nolocal: false,
        preserve_retain: false,
        retain_forward_rule: mq::RetainForwardRule::Never,
    }];
    let properties = mq::SubscribeProperties { id: Some(id), user_properties: Vec::new() };
    Packet::Subscribe(mq::Subscribe { pkid: 1, filters }, Some(properties))
}
