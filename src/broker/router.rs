//! rumqttd's router behind two small types: what is published goes in by one [`Publisher`], each session reads
//! through a [`Tap`].
//!
//! The router only matches and fans out: it never sees a retained message, a QoS above 0 or a client's name, and is
//! never given a reason to disconnect a link. Links are pooled and never disconnected (BROKER K5, K9).

use std::collections::{HashMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{self as mq, Packet};
use rumqttd::{Notification, RouterConfig};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::codec::QoS;
use super::topic::{Filter, in_router};

/// Bytes of one segment and segments of one filter's log: what a subscriber may be behind. 1 MiB a filter fits a Pi
/// of 1 GiB; one segment alone would empty the log at each turn.
const SEGMENT_BYTES: usize = 256 * 1024;
const SEGMENTS: usize = 4;

/// Messages the router hands to one link at a time.
const READ_AT_ONCE: u64 = 200;

/// How long the router may take to answer a subscription before it counts as dead.
const ANSWER: Duration = Duration::from_secs(5);

/// The router thread is gone or does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the message router does not answer: {0}")]
pub(super) struct RouterGone(String);

impl From<LinkError> for RouterGone {
    fn from(error: LinkError) -> Self {
        Self(error.to_string())
    }
}

type Made = (LinkTx, LinkRx, Notification);
/// The router's own sender has no public name, so it lives in this closure.
type Connect = dyn Fn(&str) -> Result<Made, RouterGone> + Send + Sync;

/// The router's front: makes and keeps links.
pub(super) struct Router {
    connect: Arc<Connect>,
    pool: Mutex<Pool>,
    /// Sessions that may have a link; a further one waits until one is given back.
    links: Arc<Semaphore>,
}

struct Pool {
    idle: Vec<Link>,
    made: u64,
}

impl Router {
    /// Starts the router thread, for at most `links` sessions.
    ///
    /// # Errors
    /// The thread did not answer.
    pub(super) fn start(links: usize) -> Result<(Self, Publisher), RouterGone> {
        let config = RouterConfig {
            max_connections: links + 1, // the publisher's
            max_outgoing_packet_count: READ_AT_ONCE,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            ..RouterConfig::default()
        };
        let events = rumqttd::Router::new(0, config).spawn();
        let connect: Arc<Connect> =
            Arc::new(move |name| Ok(LinkBuilder::new(name, events.clone()).clean_session(true).build()?));
        let (tx, _rx, _) = connect("publisher")?;
        let pool = Mutex::new(Pool { idle: Vec::new(), made: 0 });
        Ok((Self { connect, pool, links: Arc::new(Semaphore::new(links)) }, Publisher { tx, _rx, number: 0 }))
    }

    /// A link without subscriptions: an idle one, else a new one.
    pub(super) async fn tap(&self) -> Result<Tap, RouterGone> {
        let place = self.links.clone().acquire_owned().await.map_err(|e| RouterGone(e.to_string()))?;
        let name = {
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(link) = pool.idle.pop() {
                return Ok(Tap { link, _place: place });
            }
            pool.made += 1;
            format!("net:{}", pool.made)
        };
        let connect = self.connect.clone();
        // `build` waits for the router's answer without yielding.
        let built = tokio::task::spawn_blocking(move || connect(&name)).await.map_err(|e| RouterGone(e.to_string()))?;
        let (tx, rx, _) = built?;
        let link = Link { tx, rx, unanswered: 0, early: VecDeque::new(), last: HashMap::new(), lost: 0 };
        Ok(Tap { link, _place: place })
    }

    /// Takes back a link whose subscriptions are all ended; its place is free after it is in the pool.
    pub(super) fn give_back(&self, tap: Tap) {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).idle.push(tap.link);
    }
}

/// Length of what stands before each payload inside the router: QoS and number.
const STAMP: usize = 1 + 8;

/// The one link that publishes. Its owner's lock makes the numbers rise in the order of the router's logs.
pub(super) struct Publisher {
    tx: LinkTx,
    /// Kept: dropping it would close the router's way of waking this link.
    _rx: LinkRx,
    number: u64,
}

impl Publisher {
    /// Number of the last message.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Sends a message to all who subscribed; its number is the next one. Payload and topic are copied, so that
    /// nothing pins a socket's read buffer.
    pub(super) fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS) -> Result<u64, RouterGone> {
        self.number += 1;
        let mut stamped = BytesMut::with_capacity(STAMP + payload.len());
        stamped.put_u8(qos.bits());
        stamped.put_u64(self.number);
        stamped.put_slice(payload);
        self.tx.publish(in_router(topic), stamped.freeze())?;
        Ok(self.number)
    }
}

/// One copy of a message, as it came through one subscription.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// The subscription, by the number given to [`Tap::subscribe`].
    pub(super) subscription: usize,
    /// Number of the message; all its copies bear it.
    pub(super) number: u64,
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
}

/// A session's hold on a link.
pub(super) struct Tap {
    link: Link,
    _place: OwnedSemaphorePermit,
}

impl Deref for Tap {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

impl DerefMut for Tap {
    fn deref_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}

/// A link to the router with its subscriptions.
pub(super) struct Link {
    tx: LinkTx,
    rx: LinkRx,
    /// Subscribes and unsubscribes the router has not answered yet.
    unanswered: usize,
    /// Messages that came while an answer was waited for.
    early: VecDeque<Delivery>,
    /// By subscription, where in its filter's log the last message stood.
    last: HashMap<usize, u64>,
    /// Messages that a full log dropped before they were read.
    lost: u64,
}

impl Link {
    /// Adds a subscription and waits for the router's answer: from then on it misses nothing.
    pub(super) async fn subscribe(&mut self, filter: &Filter, subscription: usize) -> Result<(), RouterGone> {
        let filters = vec![mq::Filter {
            path: filter.in_router(),
            qos: mq::QoS::AtMostOnce,
            nolocal: false,
            preserve_retain: false,
            retain_forward_rule: mq::RetainForwardRule::Never,
        }];
        let properties = mq::SubscribeProperties { id: Some(subscription), user_properties: Vec::new() };
        self.tx.send(Packet::Subscribe(mq::Subscribe { pkid: 1, filters }, Some(properties))).await?;
        self.unanswered += 1;
        self.settle().await
    }

    /// Ends subscriptions. Copies that were under way still come.
    pub(super) async fn unsubscribe(&mut self, filters: &[Filter]) -> Result<(), RouterGone> {
        for filter in filters {
            let packet = mq::Unsubscribe { pkid: 1, filters: vec![filter.in_router()] };
            self.tx.send(Packet::Unsubscribe(packet, None)).await?;
            self.unanswered += 1;
        }
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
        tokio::time::timeout(ANSWER, settled)
            .await
            .unwrap_or_else(|_| Err(RouterGone(format!("silent for {ANSWER:?}"))))
    }

    /// Forgets messages that were for the previous session.
    pub(super) fn clear(&mut self) {
        self.early.clear();
        self.last.clear();
    }

    /// Forgets where subscriptions stood that are not `known` any more.
    pub(super) fn forget_unless(&mut self, known: impl Fn(usize) -> bool) {
        self.last.retain(|id, _| known(*id));
    }

    /// Messages lost since the last call: read too late, they had made room for newer ones.
    pub(super) fn lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
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

    /// One step of the link; it has a single await, at its beginning.
    async fn advance(&mut self) -> Result<Option<Delivery>, RouterGone> {
        match self.rx.next().await? {
            Some(Notification::Forward(forward)) => {
                let place = forward.cursor.map(|(_, offset)| offset);
                let delivery = Delivery::read(forward);
                if let (Some(place), Some(delivery)) = (place, &delivery) {
                    let before = self.last.insert(delivery.subscription, place);
                    self.lost += before.map_or(0, |before| place.saturating_sub(before + 1));
                }
                Ok(delivery)
            }
            // After 200 messages a link stays silent until this is said.
            Some(Notification::Unschedule) => self.rx.ready().map(|()| None).map_err(Into::into),
            Some(Notification::DeviceAck(_)) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}

impl Delivery {
    /// `None` for what our publisher did not write.
    fn read(forward: rumqttd::Forward) -> Option<Self> {
        let subscription = forward.properties?.subscription_identifiers.first().copied()?;
        let mut payload = forward.publish.payload;
        let qos = QoS::new(payload.try_get_u8().ok()?)?;
        let number = payload.try_get_u64().ok()?;
        let mut topic = forward.publish.topic;
        topic.try_get_u8().ok()?; // the slash in front
        Some(Self { subscription, number, topic, payload, qos })
    }
}
