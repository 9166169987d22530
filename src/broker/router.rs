//! rumqttd's router behind two small types: one [`Publisher`] sends everything in, and each session reads through a
//! [`LinkLease`].
//!
//! The router only matches and fans out: it never sees a retained message, a QoS above 0 or a client's name, and never gets
//! a reason to disconnect a link. Links are pooled and never disconnected (BROKER K5, K9).

use std::collections::{HashMap, HashSet, VecDeque};
use std::error::Error;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{self as mq, Packet};
use rumqttd::{Notification, RouterConfig};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::codec::QoS;
use super::recent::Recent;
use super::topic::{Filter, in_router};

/// Bytes of a segment and segments of a filter's log: how far a subscriber may be behind. 1 MiB per filter fits a Pi with
/// 1 GiB; a log of one segment would empty at each turn.
const SEGMENT_BYTES: usize = 256 * 1024;
const SEGMENTS: usize = 4;

/// Messages that the router hands to a link at a time.
const READ_AT_ONCE: u64 = 200;

/// How long the router may take to answer a subscription before it counts as dead.
const ANSWER: Duration = Duration::from_secs(5);

/// The router thread is gone or does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the message router does not answer: {0}")]
pub(super) struct RouterGone(String);

impl RouterGone {
    /// Somebody else noticed.
    pub(super) fn told() -> Self {
        Self("a session found it gone".to_owned())
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

/// Events that may wait for the router, of the 1,000 that its queue holds. Beyond that, those who have time wait, so that a
/// stuck router holds up nobody's thread.
const EVENTS: usize = 900;

/// Links beside those of sessions: the guardian's, and those of sessions being evicted.
const SPARE: usize = 64;

/// Most links made at the same time.
const MADE_AT_ONCE: usize = 16;

/// How often to check whether there is room in the router's queue.
const LOOK: Duration = Duration::from_millis(5);

type Made = (LinkTx, LinkRx, Notification);
/// The router's own sender has no public type, so it lives in this closure.
type Connect = dyn Fn(&str) -> Result<Made, RouterGone> + Send + Sync;

/// The router's front: makes and keeps links.
pub(super) struct Router {
    /// Which router this is, in order.
    generation: usize,
    connect: Arc<Connect>,
    /// Events that wait for its thread.
    waiting: Arc<dyn Fn() -> usize + Send + Sync>,
    /// Every filter it was given; it never forgets one.
    filters: Mutex<HashSet<String>>,
    pool: Mutex<Pool>,
    /// Sessions that may have a link; a further one waits until one is returned.
    links: Arc<Semaphore>,
    /// Links that may be made at the same time: each needs a thread meanwhile.
    making: Semaphore,
    /// Another router has taken its place.
    retired: AtomicBool,
}

impl Drop for Router {
    /// Nobody holds a link any more.
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

/// Ends a router's thread in the only way there is: it panics when asked for the messages of a link that was disconnected
/// (BROKER K5). Blocks, for ever if the thread is stuck.
fn end(connect: &Connect) {
    // Err: it has ended already
    let Ok((mut tx, rx, _)) = connect("last") else { return tracing::debug!("router_ended_already") };
    let gone = mq::Disconnect { reason_code: mq::DisconnectReasonCode::NormalDisconnection };
    tx.buffer().push_back(Packet::Disconnect(gone, None));
    let _ = tx.publish("", Bytes::new()); // Err: as above; the event fetches both
    let _ = rx.ready(); // as above
}

struct Pool {
    idle: Vec<Link>,
    made: u64,
}

impl Router {
    /// Starts a router's thread, for at most `links` sessions.
    ///
    /// # Errors
    /// The thread did not answer.
    pub(super) fn start(generation: usize, links: usize) -> Result<(Self, Publisher), RouterGone> {
        let links = links + SPARE;
        let config = RouterConfig {
            max_connections: links + 2, // the publisher's, and the last one, which ends the thread
            max_outgoing_packet_count: READ_AT_ONCE,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            ..RouterConfig::default()
        };
        let events = rumqttd::Router::new(generation, config).spawn();
        let line = events.clone();
        let waiting = Arc::new(move || line.len());
        let connect: Arc<Connect> =
            Arc::new(move |name| Ok(LinkBuilder::new(name, events.clone()).clean_session(true).build()?));
        let (tx, _rx, _) = connect("publisher")?;
        let pool = Mutex::new(Pool { idle: Vec::new(), made: 0 });
        let router = Self {
            generation,
            connect,
            waiting,
            filters: Mutex::default(),
            pool,
            links: Arc::new(Semaphore::new(links)),
            making: Semaphore::new(MADE_AT_ONCE),
            retired: AtomicBool::new(false),
        };
        Ok((router, Publisher { tx, _rx, generation, number: 0, passed: 0, topics: HashSet::default() }))
    }

    /// Waits for room in the thread's queue, so that sending does not block.
    async fn room(&self) -> Result<(), RouterGone> {
        let room = async {
            while (self.waiting)() >= EVENTS {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(ANSWER, room).await.map_err(|_| RouterGone(format!("takes nothing for {ANSWER:?}")))
    }

    pub(super) fn generation(&self) -> usize {
        self.generation
    }

    fn note(&self, filter: &Filter) {
        self.filters.lock().insert(filter.as_str().to_owned());
    }

    /// Different filters that it knows.
    pub(super) fn filters(&self) -> usize {
        self.filters.lock().len()
    }

    /// Lets the thread end once nobody holds a link any more.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Ends the thread now, as a bug in it would.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        end(&*self.connect);
    }

    /// A link without subscriptions: an idle one, else a new one.
    pub(super) async fn tap(self: &Arc<Self>) -> Result<LinkLease, RouterGone> {
        let place = self.links.clone().acquire_owned().await.map_err(|e| RouterGone(e.to_string()))?;
        let name = {
            let mut pool = self.pool.lock();
            if let Some(link) = pool.idle.pop() {
                return Ok(LinkLease { link, router: self.clone(), _place: place });
            }
            pool.made += 1;
            format!("net:{}", pool.made)
        };
        // 2,000 sessions that all move to a new router would need as many threads
        let _making = self.making.acquire().await.map_err(|e| RouterGone(e.to_string()))?;
        let connect = self.connect.clone();
        // `build` waits for the router's answer without yielding, for ever if the router dies just then: hence a thread of its
        // own, which nobody waits for.
        let (made, link) = oneshot::channel();
        let build = move || {
            let _ = made.send(connect(&name)); // Err: it took too long
        };
        let started = std::thread::Builder::new().name("router-link".into()).spawn(build);
        started.map_err(|error| RouterGone::because(&error))?;
        let built = tokio::time::timeout(ANSWER, link).await.map_err(|_| RouterGone::silent(ANSWER))?;
        let (tx, rx, _) = built.map_err(|error| RouterGone::because(&error))??;
        let link = Link {
            tx,
            rx,
            unanswered: 0,
            early: VecDeque::new(),
            last: HashMap::new(),
            lost: Vec::new(),
            paused: false,
        };
        Ok(LinkLease { link, router: self.clone(), _place: place })
    }
}

/// Length of the prefix of each payload inside the router: QoS, number, and the bytes published so far.
const STAMP: usize = 1 + 8 + 8;

/// The one link that publishes. Its owner's lock makes numbers rise in the order of the router's logs.
pub(super) struct Publisher {
    tx: LinkTx,
    /// Kept, since dropping it would close the router's way of waking this link.
    _rx: LinkRx,
    /// Which router this publishes to.
    generation: usize,
    number: u64,
    /// Bytes of all messages so far, as the logs count them.
    passed: u64,
    /// Hashes of the topics that the router knows; it never forgets one.
    topics: HashSet<u64, BuildHasherDefault<DefaultHasher>>,
}

impl Publisher {
    /// Continues from another router's publisher.
    pub(super) fn go_on_from(&mut self, other: &Self) {
        (self.number, self.passed) = (other.number, other.passed);
    }

    pub(super) fn generation(&self) -> usize {
        self.generation
    }

    /// Bytes of all messages so far.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// Different topics that the router knows.
    pub(super) fn topics(&self) -> usize {
        self.topics.len()
    }

    /// Whether a topic would be new.
    pub(super) fn is_new(&self, topic: &str) -> bool {
        !self.topics.contains(&hash(topic))
    }

    /// Number of the last message.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Sends a message to all subscribers; its number is the next one, even if the router is gone. Payload and topic are
    /// copied, so that nothing pins a socket's read buffer.
    pub(super) fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS) -> (Recent, Result<(), RouterGone>) {
        self.number += 1;
        let mut stamped = BytesMut::with_capacity(STAMP + payload.len());
        stamped.put_u8(qos.bits());
        stamped.put_u64(self.number);
        let inside = Bytes::from(in_router(topic));
        self.passed += (inside.len() + STAMP + payload.len()) as u64;
        stamped.put_u64(self.passed);
        stamped.put_slice(payload);
        self.topics.insert(hash(topic));
        let stamped = stamped.freeze();
        let (topic, payload) = (inside.slice(1..), stamped.slice(STAMP..));
        let recent = Recent { number: self.number, passed: self.passed, topic, payload, qos };
        (recent, sent(self.tx.try_publish(inside, stamped)))
    }

    /// Sends a message that only the guardian receives: clients' topics all begin with a slash inside the router.
    pub(super) fn probe(&mut self) -> Result<(), RouterGone> {
        sent(self.tx.try_publish(PROBE, Bytes::new()))
    }
}

/// The result of putting a message where the router fetches it. A full queue is fine: it is fetched with an event that
/// already waits, or the guardian's next one.
fn sent(tried: Result<usize, LinkError>) -> Result<(), RouterGone> {
    match tried {
        Ok(_) => Ok(()),
        Err(error) if error.source().is_some_and(|why| why.to_string().contains("full")) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Topic and filter of the guardian's messages.
const PROBE: &str = "probe";

fn hash(topic: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(topic)
}

/// One copy of a message, as it came through one subscription.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// The subscription, by the number given to [`LinkLease::subscribe`].
    pub(super) subscription: usize,
    /// Number of the message, the same in all its copies.
    pub(super) number: u64,
    /// Bytes published up to here.
    pub(super) passed: u64,
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
}

/// A session's hold on a link.
pub(super) struct LinkLease {
    link: Link,
    router: Arc<Router>,
    _place: OwnedSemaphorePermit,
}

impl LinkLease {
    /// Adds a subscription, and waits for the router's answer: from then on it misses nothing.
    pub(super) async fn subscribe(&mut self, filter: &Filter, subscription: usize) -> Result<(), RouterGone> {
        self.router.note(filter);
        self.router.room().await?;
        self.link.subscribe(filter.in_router(), Some(subscription)).await
    }

    /// Subscribes to the guardian's messages.
    pub(super) async fn hear_probes(&mut self) -> Result<(), RouterGone> {
        self.link.subscribe(PROBE.to_owned(), None).await
    }

    /// Ends subscriptions. Copies that were under way still come.
    pub(super) async fn unsubscribe(&mut self, filters: &[Filter]) -> Result<(), RouterGone> {
        for filter in filters {
            self.router.room().await?;
            let packet = mq::Unsubscribe { pkid: 1, filters: vec![filter.in_router()] };
            self.link.tx.send(Packet::Unsubscribe(packet, None)).await?;
            self.link.unanswered += 1;
        }
        self.link.settle().await
    }

    /// Which router it belongs to.
    pub(super) fn generation(&self) -> usize {
        self.router.generation
    }

    /// Returns a link whose subscriptions have all ended; its place is free once it is in the pool.
    pub(super) fn give_back(self) {
        self.router.pool.lock().idle.push(self.link);
    }
}

impl Deref for LinkLease {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

impl DerefMut for LinkLease {
    fn deref_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}

/// A link to the router with its subscriptions.
pub(super) struct Link {
    tx: LinkTx,
    rx: LinkRx,
    /// Subscribes and unsubscribes that the router has not answered yet.
    unanswered: usize,
    /// Messages that came while waiting for an answer.
    early: VecDeque<Delivery>,
    /// By subscription, where in its filter's log the last message was.
    last: HashMap<usize, u64>,
    /// By subscription, messages that a full log dropped before they were read.
    lost: Vec<(usize, u64)>,
    /// The router waits to be told to go on.
    paused: bool,
}

impl Link {
    async fn subscribe(&mut self, path: String, subscription: Option<usize>) -> Result<(), RouterGone> {
        let filters = vec![mq::Filter {
            path,
            qos: mq::QoS::AtMostOnce,
            nolocal: false,
            preserve_retain: false,
            retain_forward_rule: mq::RetainForwardRule::Never,
        }];
        let properties = mq::SubscribeProperties { id: subscription, user_properties: Vec::new() };
        self.tx.send(Packet::Subscribe(mq::Subscribe { pkid: 1, filters }, Some(properties))).await?;
        self.unanswered += 1;
        self.settle().await
    }

    /// Waits until the router has answered everything.
    async fn settle(&mut self) -> Result<(), RouterGone> {
        let settled = async {
            while self.unanswered > 0 {
                if let Some(delivery) = self.advance().await? {
                    self.early.push_back(delivery);
                }
            }
            Ok(())
        };
        tokio::time::timeout(ANSWER, settled).await.unwrap_or_else(|_| Err(RouterGone::silent(ANSWER)))
    }

    /// Drops messages for the previous session.
    pub(super) fn clear(&mut self) {
        self.early.clear();
        self.last.clear();
    }

    /// Forgets the places of subscriptions that are no longer `known`.
    pub(super) fn forget_unless(&mut self, known: impl Fn(usize) -> bool) {
        self.last.retain(|id, _| known(*id));
    }

    /// By subscription, messages lost since the last call: read too late, they had made room for newer ones.
    pub(super) fn lost(&mut self) -> Vec<(usize, u64)> {
        std::mem::take(&mut self.lost)
    }

    /// Ends with the guardian's next message. Cancel-safe.
    pub(super) async fn probed(&mut self) -> Result<(), RouterGone> {
        loop {
            if self.paused {
                self.rx.wake().await?;
                self.paused = false;
            }
            match self.rx.next().await? {
                Some(Notification::Forward(_)) => return Ok(()),
                Some(Notification::Unschedule) => self.paused = true,
                _ => {}
            }
        }
    }

    /// The next message. Cancel-safe: nothing is taken from the link without being returned.
    pub(super) async fn next(&mut self) -> Result<Delivery, RouterGone> {
        if let Some(delivery) = self.early.pop_front() {
            return Ok(delivery);
        }
        loop {
            if let Some(delivery) = self.advance().await? {
                return Ok(delivery);
            }
        }
    }

    /// One step of the link. Cancel-safe: what is taken is returned, and what is due is recorded before waiting for it.
    async fn advance(&mut self) -> Result<Option<Delivery>, RouterGone> {
        if self.paused {
            self.rx.wake().await?;
            self.paused = false;
        }
        match self.rx.next().await? {
            Some(Notification::Forward(forward)) => {
                let place = forward.cursor.map(|(_, offset)| offset);
                let delivery = Delivery::read(forward);
                if let (Some(place), Some(delivery)) = (place, &delivery) {
                    let before = self.last.insert(delivery.subscription, place);
                    let missed = before.map_or(0, |before| place.saturating_sub(before + 1));
                    if missed > 0 {
                        self.lost.push((delivery.subscription, missed));
                    }
                }
                Ok(delivery)
            }
            // after 200 messages a link stays silent until it is told to go on
            Some(Notification::Unschedule) => {
                self.paused = true;
                Ok(None)
            }
            Some(Notification::DeviceAck(_)) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}

impl Delivery {
    /// `None` if our publisher did not write it.
    fn read(forward: rumqttd::Forward) -> Option<Self> {
        let subscription = forward.properties?.subscription_identifiers.first().copied()?;
        let mut payload = forward.publish.payload;
        let qos = QoS::new(payload.try_get_u8().ok()?)?;
        let number = payload.try_get_u64().ok()?;
        let passed = payload.try_get_u64().ok()?;
        let mut topic = forward.publish.topic;
        topic.try_get_u8().ok()?; // the slash in front
        Some(Self { subscription, number, passed, topic, payload, qos })
    }
}
