//! Where messages are put for one client, by whoever has one: its letters, what it has subscribed to, and the socket they
//! are written to.
//!
//! Who puts something in writes it, as long as the socket takes it; else the session's task goes on when the socket does.
//! The lock may be taken under the outlet's, never the other way round, and never across a wait.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncWrite, WriteHalf};
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::dialect::Dialect;
use super::letter::{By, Letter};
use super::outbound::{Left, Outbound};
use super::subscriptions::{Incoming, Subscriptions};
use crate::broker::bell::Bell;
use crate::broker::codec::QoS;
use crate::broker::inbox::Stream;
use crate::broker::lasting::{self, Recipient, Unsaved};
use crate::broker::levels::WildcardId;
use crate::broker::passed::Passed;
use crate::broker::presence::Meter;
use crate::broker::properties;
use crate::broker::rights::Grant;
use crate::broker::shares::Readiness;
use crate::broker::topic::Filter;
use crate::broker::wanted::Wanted;
use crate::kit::budget::{Ending, Full, Who};
use crate::metrics;
use crate::store::Batch;

/// A connected client for which so many bytes wait lags: who says much to it waits until half of them are gone.
const LAG_BYTES: usize = 512 << 10;

/// With so many it is disconnected at once: not all who speak can wait.
const MOST_BYTES: usize = 4 << 20;

/// Bytes that are written at once.
const CHUNK: usize = 64 << 10;

/// Topics whose losses are counted apart until the session's task has told of them.
const TOPICS: usize = 1_000;

/// How many sessions lag.
pub(in crate::broker) struct Laggards {
    count: watch::Sender<usize>,
    metrics: metrics::Broker,
}

impl Laggards {
    pub(in crate::broker) fn new(metrics: &metrics::Broker) -> Arc<Self> {
        Arc::new(Self { count: watch::Sender::new(0), metrics: metrics.clone() })
    }

    /// One more, or one less.
    pub(in crate::broker) fn count(&self, more: bool) {
        self.metrics.laggards.inc_by(u64::from(more));
        self.count.send_modify(|count| *count = if more { *count + 1 } else { count.saturating_sub(1) });
    }

    pub(super) fn watch(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }
}

/// The way to a client.
struct Wire {
    half: WriteHalf<Box<dyn Stream>>,
    dialect: Dialect,
    /// What the socket did not take yet, and what is said beside letters.
    out: BytesMut,
    /// Since when the socket takes nothing: the session's task goes on then.
    stuck_since: Option<Instant>,
    broken: Option<io::Error>,
    meter: Arc<Meter>,
}

/// What came while older messages, or retained ones, are still to come.
#[derive(Default)]
struct Held {
    after: u64,
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

/// How a message is given to this session.
#[derive(Clone, Copy)]
struct Terms {
    qos: QoS,
    by: By,
    /// Its record is this session's, too, if it has one.
    is_stored: bool,
}

impl Terms {
    /// By the session's own subscriptions.
    fn of(qos: QoS) -> Self {
        Self { qos, by: By::Topic, is_stored: true }
    }
}

struct Waiting {
    passed: Arc<Passed>,
    terms: Terms,
}

impl Held {
    fn size(passed: &Passed) -> usize {
        passed.size() + size_of::<Waiting>()
    }

    fn push(&mut self, passed: &Arc<Passed>, terms: Terms) {
        self.bytes += Self::size(passed);
        self.waiting.push_back(Waiting { passed: passed.clone(), terms });
    }

    fn pop(&mut self) -> Option<Arc<Passed>> {
        let Waiting { passed, .. } = self.waiting.pop_front()?;
        self.bytes -= Self::size(&passed);
        Some(passed)
    }
}

struct Inner {
    outbound: Outbound,
    subscriptions: Subscriptions,
    /// `None`: the client is away.
    wire: Option<Wire>,
    held: Option<Held>,
    /// dmxd's own topics that changed while the client was away: it is given their present value, never a queue of
    /// old ones.
    missed: Vec<Bytes>,
    /// Those it was given, with the number that takes account of: copies up to there are old news.
    given: Vec<(Bytes, u64)>,
    /// Letters that had to go for newer ones, by topic, and are to be counted.
    dropped: HashMap<Bytes, u64>,
    /// Somebody is about to write.
    listed: bool,
    /// More waits than may, or than the budget has.
    overflows: bool,
    full: Option<Full>,
    /// What its client may be given; `None`: everything.
    grant: Option<Arc<Grant>>,
}

pub(in crate::broker) struct Outbox {
    inner: Mutex<Inner>,
    /// The session's number in the register: what its client says has it, too.
    source: u64,
    /// Number of the session where messages are stored; 0: it is not kept.
    number: AtomicU32,
    /// Calls the session's task: there is something to do that others do not.
    bell: Arc<Bell>,
    lags: AtomicBool,
    laggards: Arc<Laggards>,
}

/// One session among those behind a filter.
#[derive(Clone)]
pub(in crate::broker) struct Member(Arc<Outbox>);

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Member {
    type Target = Outbox;

    fn deref(&self) -> &Outbox {
        &self.0
    }
}

thread_local! {
    /// No client has a buffer while nothing waits for it.
    static SCRATCH: RefCell<BytesMut> = RefCell::default();
}

impl Wire {
    /// Writes what may go now. Ready: all of it, or the connection is broken.
    fn poll_write(
        &mut self,
        outbound: &mut Outbound,
        of: &Subscriptions,
        sent: &mut u64,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                scratch.clear();
                scratch.extend_from_slice(&self.out);
                self.out.clear();
                *sent += outbound.write(scratch, &mut self.dialect, of, CHUNK);
                let mut rest = &scratch[..];
                while !rest.is_empty() {
                    match Pin::new(&mut self.half).poll_write(cx, rest) {
                        Poll::Ready(Ok(0)) => self.broken = Some(io::ErrorKind::WriteZero.into()),
                        Poll::Ready(Ok(wrote)) => {
                            self.stuck_since = None;
                            rest = rest.get(wrote..).unwrap_or_default();
                            continue;
                        }
                        Poll::Ready(Err(error)) => self.broken = Some(error),
                        Poll::Pending => {
                            self.out = BytesMut::from(rest);
                            self.stuck_since.get_or_insert_with(Instant::now);
                            return Poll::Pending;
                        }
                    }
                    return Poll::Ready(());
                }
                if scratch.is_empty() {
                    self.out = BytesMut::new(); // nothing is kept for an idle client
                    return self.poll_flush(cx);
                }
                if scratch.capacity() > 4 * CHUNK {
                    *scratch = BytesMut::new();
                }
            }
        })
    }
}

impl Wire {
    /// Under TLS a write that was taken may still wait there for the socket.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match Pin::new(&mut self.half).poll_flush(cx) {
            Poll::Ready(Ok(())) => self.stuck_since = None,
            Poll::Ready(Err(error)) => self.broken = Some(error),
            Poll::Pending => {
                self.stuck_since.get_or_insert_with(Instant::now);
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl Inner {
    /// Whether the client may be given a message of this topic.
    fn may_read(&self, topic: &[u8]) -> bool {
        self.grant.as_ref().is_none_or(|grant| std::str::from_utf8(topic).is_ok_and(|topic| grant.may_read(topic)))
    }

    /// Writes what may go now, while the socket takes it.
    fn pump(&mut self, metrics: &metrics::Broker, cx: &mut Context<'_>) -> Poll<()> {
        let Some(wire) = self.wire.as_mut().filter(|wire| wire.broken.is_none()) else { return Poll::Ready(()) };
        let mut sent = 0;
        let done = wire.poll_write(&mut self.outbound, &self.subscriptions, &mut sent, cx);
        metrics.sent.inc_by(sent);
        wire.meter.sent(sent);
        self.outbound.take_too_large().iter().for_each(|topic| self.count(topic));
        done
    }

    /// Whether the session's task has to do something now.
    fn needs_its_task(&self) -> bool {
        let wire = self.wire.as_ref().is_some_and(|wire| wire.stuck_since.is_some() || wire.broken.is_some());
        wire || self.outbound.needs_ids() || self.outbound.needs_loading() || !self.dropped.is_empty()
    }

    /// Keeps a message for a client that is away; true when others had to go for it, or it may be there too long.
    fn keep(&mut self, passed: &Arc<Passed>, terms: Terms, (kept, own): (bool, bool)) -> bool {
        if passed.is_present_value {
            if !self.missed.contains(&passed.topic) {
                self.missed.push(passed.topic.clone());
            }
            return false;
        }
        if terms.qos == QoS::AtMostOnce || (kept && !terms.is_stored) {
            return false; // the second is one that the session has another copy of
        }
        let letter = Letter::shared(passed, terms.qos, kept && terms.is_stored).by(terms.by).own(own);
        let dropped = self.outbound.push_away(letter);
        let news = (!dropped.is_empty() && self.dropped.is_empty()) || properties::expires(&passed.extra).is_some();
        dropped.iter().for_each(|topic| self.count(topic));
        news
    }

    /// Counts a letter of this topic, which had to go.
    fn count(&mut self, topic: &[u8]) {
        let named = self.dropped.len() < TOPICS || self.dropped.contains_key(topic);
        *self.dropped.entry(if named { Bytes::copy_from_slice(topic) } else { Bytes::new() }).or_default() += 1;
    }

    /// Bytes that wait.
    fn waits(&self) -> usize {
        self.outbound.waits() + self.held.as_ref().map_or(0, |held| held.bytes)
    }

    /// The oldest go when there is more than may wait.
    fn make_room(&mut self) {
        while self.waits() > MOST_BYTES {
            if let Some(letter) = self.outbound.drop_oldest() {
                self.count(letter.topic());
            } else if let Some(passed) = self.held.as_mut().and_then(Held::pop) {
                self.count(&passed.topic);
            } else {
                return;
            }
        }
    }
}

impl Member {
    pub(super) fn as_unsaved(&self) -> Arc<dyn Unsaved> {
        self.0.clone()
    }

    /// For the session of this number (`source`), with at most so many `filters`.
    pub(super) fn new(
        (source, bell): (u64, Arc<Bell>),
        outbound: Outbound,
        filters: usize,
        laggards: &Arc<Laggards>,
    ) -> Self {
        let inner = Inner {
            outbound,
            subscriptions: Subscriptions::new(filters),
            wire: None,
            held: None,
            missed: Vec::new(),
            given: Vec::new(),
            dropped: HashMap::new(),
            listed: false,
            overflows: false,
            full: None,
            grant: None,
        };
        Self(Arc::new(Outbox {
            inner: Mutex::new(inner),
            source,
            number: AtomicU32::new(0),
            bell,
            lags: AtomicBool::new(false),
            laggards: laggards.clone(),
        }))
    }
}

impl Unsaved for Outbox {
    fn save(&self, settled: u64, batch: &mut Batch) {
        let (inner, session) = (&mut *self.inner.lock(), self.number());
        if session == 0 {
            return;
        }
        let held = inner.held.iter().flat_map(|held| &held.waiting);
        let held = held.filter_map(|waiting| waiting.passed.stored.as_ref().map(|stored| stored.number));
        let (progress, finished) = inner.outbound.progress(settled, held);
        lasting::note_progress(batch, session, &progress);
        lasting::forget_handshakes(batch, session, finished);
    }
}

impl Outbox {
    /// Number of the session where messages are stored; 0: it is not kept.
    pub(super) fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    /// The session is kept under this number; 0: it is not kept. It has no filters then.
    pub(super) fn keep(&self, number: u32) {
        self.number.store(number, Ordering::Relaxed);
        self.outbound(|outbound| outbound.is_kept = number != 0);
    }

    /// Adds how far the client is, unless the store knows.
    pub(super) fn save_all(&self, settled: u64, batch: &mut Batch) {
        if self.outbound(|outbound| outbound.has_progress()) {
            self.save(settled, batch);
        }
    }

    /// Whether a message is to be stored for it that comes by an exact filter: see [`Outbox::put`].
    pub(in crate::broker) fn recipient(&self, passed: &Passed, qos: QoS) -> Option<Recipient> {
        self.keeps(passed, |of| of.directly(&Incoming::of(passed, self.source), qos))
    }

    /// The same for one that comes by a wildcard: see [`Outbox::put_by`].
    pub(in crate::broker) fn recipient_by(&self, id: WildcardId, passed: &Passed) -> Option<Recipient> {
        self.keeps(passed, |of| of.by(id, &Incoming::of(passed, self.source)))
    }

    /// The same for one that it is chosen for: see [`Outbox::put_shared`].
    pub(in crate::broker) fn recipient_shared(&self, qos: QoS) -> Option<Recipient> {
        let session = self.number();
        let inner = self.inner.lock();
        let is_away = inner.wire.is_none() && inner.held.is_none();
        (session > 0 && qos > QoS::AtMostOnce).then_some(Recipient { session, qos, is_away })
    }

    /// How ready the session is for one more message of this QoS.
    pub(in crate::broker) fn readiness(&self, qos: QoS) -> Readiness {
        let inner = self.inner.lock();
        if inner.wire.is_some() && !inner.overflows {
            return if self.lags() { Readiness::Lags } else { Readiness::Ready };
        }
        let keeps = inner.held.is_some() || (self.number() > 0 && qos > QoS::AtMostOnce);
        if keeps { Readiness::Keeps } else { Readiness::Gone }
    }

    fn keeps(&self, passed: &Passed, granted: impl FnOnce(&Subscriptions) -> Option<QoS>) -> Option<Recipient> {
        let session = self.number();
        if session == 0 {
            return None;
        }
        let inner = self.inner.lock();
        if !inner.may_read(&passed.topic) {
            return None;
        }
        let qos = granted(&inner.subscriptions)?.min(passed.qos);
        // while one connection takes over from another, what comes is held
        let is_away = inner.wire.is_none() && inner.held.is_none();
        (qos > QoS::AtMostOnce).then_some(Recipient { session, qos, is_away })
    }

    /// Takes a message for an exact filter; true when the caller is to [`Outbox::flush`].
    pub(in crate::broker) fn put(&self, passed: &Arc<Passed>, qos: QoS) -> bool {
        let inner = &mut *self.inner.lock();
        let granted = inner.subscriptions.directly(&Incoming::of(passed, self.source), qos);
        granted.is_some_and(|granted| self.take(inner, passed, Terms::of(granted.min(passed.qos))))
    }

    /// The same for one that came by a wildcard, unless it comes another way.
    pub(in crate::broker) fn put_by(&self, id: WildcardId, passed: &Arc<Passed>) -> bool {
        let inner = &mut *self.inner.lock();
        let granted = inner.subscriptions.by(id, &Incoming::of(passed, self.source));
        granted.is_some_and(|granted| self.take(inner, passed, Terms::of(granted.min(passed.qos))))
    }

    /// The same for one that it was chosen for from a group.
    pub(in crate::broker) fn put_shared(&self, passed: &Arc<Passed>, wanted: Wanted, is_stored: bool) -> bool {
        let qos = wanted.options.qos.min(passed.qos);
        self.take(&mut self.inner.lock(), passed, Terms { qos, by: By::of_group(wanted), is_stored })
    }

    /// What its client was chosen for and does not have, with the shared filters by which that came. Only while the client is
    /// away.
    pub(super) fn chosen(&self) -> Vec<(String, Letter)> {
        let inner = &*self.inner.lock();
        let group = |letter: &Letter| inner.subscriptions.shared_for(std::str::from_utf8(letter.topic()).ok()?);
        let with_group = |letter: Letter| Some((group(&letter)?.0.to_owned(), letter));
        inner.outbound.chosen().into_iter().filter_map(with_group).collect()
    }

    /// See [`Outbound::recall`].
    pub(super) fn recall(&self, left: Left, connected: bool) -> Vec<u16> {
        let Inner { outbound, subscriptions, .. } = &mut *self.inner.lock();
        outbound.recall(left, connected, |topic| match std::str::from_utf8(topic) {
            Ok(topic) if subscriptions.qos_of(topic).is_none() => {
                subscriptions.shared_for(topic).map_or(By::Topic, |(_, wanted)| By::of_group(wanted))
            }
            _ => By::Topic,
        })
    }

    fn take(&self, inner: &mut Inner, passed: &Arc<Passed>, terms: Terms) -> bool {
        if !inner.may_read(&passed.topic) {
            return false;
        }
        if let Some(held) = inner.held.as_mut().filter(|held| passed.number > held.after) {
            held.push(passed, terms);
            self.look(inner);
            return false;
        }
        let own = passed.from == self.source && self.source != 0;
        // One that takes nothing any more is as good as gone.
        let Some(wire) = inner.wire.as_ref().filter(|_| !inner.overflows) else {
            if inner.keep(passed, terms, (self.number() != 0, own)) {
                self.bell.ring();
            }
            return false;
        };
        if inner.given.iter().any(|(topic, at)| *topic == passed.topic && passed.number <= *at) {
            return false;
        }
        let writes = wire.stuck_since.is_none() && !std::mem::replace(&mut inner.listed, true);
        let letter = Letter::shared(passed, terms.qos, self.number() != 0 && terms.is_stored).by(terms.by).own(own);
        if let Err(full) = inner.outbound.push_shared(letter) {
            (inner.overflows, inner.full) = (true, Some(full));
            self.bell.ring();
        }
        self.look(inner);
        writes
    }

    /// Looks whether the client lags.
    fn look(&self, inner: &mut Inner) {
        // What is held waits for others, but not for long.
        let waits = inner.waits();
        let (connected, lags) = (inner.wire.is_some(), self.lags());
        let as_before = if lags { waits >= LAG_BYTES / 2 } else { waits < LAG_BYTES };
        if (connected && !as_before) || (!connected && lags) {
            self.lags.store(!lags, Ordering::Relaxed);
            self.laggards.count(!lags);
            self.bell.ring();
        }
        if inner.waits() > MOST_BYTES {
            inner.make_room();
            if connected && !std::mem::replace(&mut inner.overflows, true) {
                self.bell.ring();
            }
        }
    }

    /// From now on the client is given no more than this; `None`: everything. What waits and is no more for it is
    /// forgotten.
    pub(super) fn restrict(&self, grant: Option<Arc<Grant>>) {
        let inner = &mut *self.inner.lock();
        inner.grant = grant.filter(|grant| !grant.reads_all());
        let Some(grant) = &inner.grant else { return };
        let may_not = |topic: &[u8]| !std::str::from_utf8(topic).is_ok_and(|topic| grant.may_read(topic));
        inner.missed.retain(|topic| !may_not(topic));
        inner.outbound.forget_all(may_not);
    }

    /// The shared filters that a client may not have.
    pub(super) fn shares_beyond(&self, grant: &Grant) -> Vec<String> {
        self.inner.lock().subscriptions.shares_where(|filter| !grant.may_subscribe(filter))
    }

    /// Whether the client is not what it was when it was let in.
    pub(super) fn is_dismissed(&self) -> bool {
        self.bell.is_dismissed()
    }

    /// Whether so much waits for the client that others should slow down.
    pub(in crate::broker) fn lags(&self) -> bool {
        self.lags.load(Ordering::Relaxed)
    }

    /// Writes what was put in, unless the socket is full: the session's task goes on then.
    pub(in crate::broker) fn flush(&self) {
        let inner = &mut *self.inner.lock();
        inner.listed = false;
        if inner.wire.as_ref().is_some_and(|wire| wire.stuck_since.is_none()) {
            let write = std::future::poll_fn(|cx| inner.pump(&self.laggards.metrics, cx));
            let _ = pin!(unconstrained(write)).poll(&mut Context::from_waker(Waker::noop()));
            self.look(inner);
            if inner.needs_its_task() {
                self.bell.ring();
            }
        }
    }

    /// See [`Subscriptions::add_exact`].
    pub(in crate::broker) fn add_exact(&self, filter: &Filter, wanted: Wanted, number: u64) -> Option<bool> {
        self.inner.lock().subscriptions.add_exact(filter, wanted, number)
    }

    /// See [`Subscriptions::change_wildcard`].
    pub(in crate::broker) fn change_wildcard(&self, id: WildcardId, wanted: Wanted) -> bool {
        self.inner.lock().subscriptions.change_wildcard(id, wanted)
    }

    /// See [`Subscriptions::add_wildcard`].
    pub(in crate::broker) fn add_wildcard(&self, id: WildcardId, filter: &Filter, wanted: Wanted, number: u64) {
        self.inner.lock().subscriptions.add_wildcard(id, filter, wanted, number);
    }

    /// See [`Subscriptions::add_shared`].
    pub(in crate::broker) fn add_shared(&self, filter: &Filter, wanted: Wanted) -> bool {
        self.inner.lock().subscriptions.add_shared(filter, wanted)
    }

    /// See [`Subscriptions::take_shared`].
    pub(in crate::broker) fn take_shared(&self, filters: Option<&[String]>) -> Vec<String> {
        self.inner.lock().subscriptions.take_shared(filters)
    }

    /// See [`Subscriptions::wanted`].
    pub(super) fn wanted(&self, filter: &Filter) -> Option<Wanted> {
        self.inner.lock().subscriptions.wanted(filter)
    }

    /// See [`Subscriptions::end`].
    pub(in crate::broker) fn end<'a>(
        &self,
        filters: impl Iterator<Item = (&'a str, Option<WildcardId>)>,
        number: u64,
    ) -> bool {
        self.inner.lock().subscriptions.end(filters, number)
    }

    /// See [`Subscriptions::take_out`].
    pub(in crate::broker) fn take_out(&self, all: bool) -> (Vec<String>, Vec<WildcardId>) {
        self.inner.lock().subscriptions.take_out(all)
    }

    pub(in crate::broker) fn filters(&self) -> usize {
        self.inner.lock().subscriptions.len()
    }

    /// What its filters take.
    pub(super) fn filter_bytes(&self) -> usize {
        self.inner.lock().subscriptions.bytes()
    }

    /// Whether it has this filter.
    pub(in crate::broker) fn has(&self, filter: &Filter, id: Option<WildcardId>) -> bool {
        self.inner.lock().subscriptions.has(filter, id)
    }

    pub(in crate::broker) fn is_full(&self) -> bool {
        self.inner.lock().subscriptions.is_full()
    }

    /// What comes behind message `number` waits for [`Outbox::release`].
    pub(in crate::broker) fn hold(&self, number: u64) {
        let inner = &mut *self.inner.lock();
        inner.held.get_or_insert(Held { after: number, ..Held::default() });
    }

    /// Whether anything would wait for [`Outbox::release`].
    pub(super) fn holds(&self) -> bool {
        self.inner.lock().held.is_some()
    }

    /// What waited follows, in order, up to message `number`.
    pub(super) fn release_up_to(&self, number: u64) {
        self.release_some(&mut self.inner.lock(), Some(number));
    }

    /// Nothing waits any more.
    pub(super) fn release(&self) {
        self.release_some(&mut self.inner.lock(), None);
    }

    fn release_some(&self, inner: &mut Inner, up_to: Option<u64>) {
        let Some(Held { mut waiting, .. }) = inner.held.take() else { return };
        waiting.make_contiguous().sort_by_key(|waiting| waiting.passed.number);
        inner.held = up_to.map(|after| Held { after, ..Held::default() });
        for Waiting { passed, terms } in waiting {
            self.take(inner, &passed, terms);
        }
        self.look(inner);
    }

    /// The client comes from there: its session does not end for others any more. A session that had to gives the reason.
    pub(super) fn comes(&self, who: &Who) -> Option<String> {
        let queued = &mut self.inner.lock().outbound.queued;
        queued.moves_to(who);
        queued.is_away(false);
        queued.ending().why().map(str::to_owned)
    }

    /// Told when others need the room that the session's messages take.
    pub(super) fn ending(&self) -> Arc<Ending> {
        self.inner.lock().outbound.queued.ending().clone()
    }

    /// What others do not do is to be done. Cancel-safe.
    pub(super) async fn news(&self) {
        self.bell.rung().await;
    }

    /// The client is there, and is spoken to like this.
    pub(super) fn connect(&self, half: WriteHalf<Box<dyn Stream>>, dialect: Dialect, meter: Arc<Meter>, out: BytesMut) {
        let inner = &mut *self.inner.lock();
        inner.outbound.resume(dialect.receive_maximum());
        inner.wire = Some(Wire { half, dialect, out, stuck_since: None, broken: None, meter });
        (inner.listed, inner.overflows, inner.full) = (false, false, None);
        inner.given.clear();
    }

    /// Gives the client what it missed of dmxd's own topics: `now` says what a topic's value is, `number` is that of the
    /// last message.
    pub(super) fn catch_up(&self, number: u64, now: impl Fn(&str) -> Option<(Bytes, QoS)>) {
        let inner = &mut *self.inner.lock();
        for topic in std::mem::take(&mut inner.missed) {
            let Ok(name) = std::str::from_utf8(&topic) else { continue };
            if !inner.may_read(&topic) {
                continue;
            }
            if let (Some((payload, qos)), Some(wanted)) = (now(name), inner.subscriptions.qos_of(name)) {
                inner.given.push((topic.clone(), number));
                inner.outbound.push(Letter::new(topic, payload, wanted.min(qos), false).published_retained());
            }
        }
    }

    /// The client is gone; gives the way to it, to say a last word, if nothing is half said. One that `stays`, by another connection, is given what
    /// comes meanwhile.
    pub(super) fn disconnect(
        &self,
        is_present_value: impl Fn(&[u8]) -> bool,
        stays: bool,
    ) -> Option<WriteHalf<Box<dyn Stream>>> {
        let inner = &mut *self.inner.lock();
        let wire = inner.wire.take()?;
        self.laggards.metrics.dropped.inc_by(inner.outbound.connection_lost());
        let missed = inner.outbound.take_out(is_present_value);
        inner.missed.extend(missed);
        let dropped = inner.outbound.trim();
        dropped.iter().for_each(|topic| inner.count(topic));
        self.release_some(inner, stays.then_some(0));
        if stays {
            inner.held.get_or_insert_default();
        }
        inner.outbound.queued.is_away(!stays);
        if !stays {
            inner.outbound.settle().iter().for_each(|topic| inner.count(topic));
        }
        self.look(inner);
        (wire.out.is_empty() && wire.broken.is_none()).then_some(wire.half)
    }

    /// Says something beside letters, which is written with them.
    pub(super) fn say(&self, words: &mut BytesMut) {
        if let Some(wire) = self.inner.lock().wire.as_mut().filter(|_| !words.is_empty()) {
            wire.out.extend_from_slice(words);
        }
        words.clear();
    }

    /// Goes on writing where the socket was full. Cancel-safe.
    pub(super) async fn written(&self) {
        std::future::poll_fn(|cx| {
            let inner = &mut *self.inner.lock();
            ready!(inner.pump(&self.laggards.metrics, cx));
            self.look(inner);
            Poll::Ready(())
        })
        .await;
    }

    /// Since when the socket takes nothing.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        self.inner.lock().wire.as_ref()?.stuck_since
    }

    /// Why the connection has to end.
    pub(super) fn broken(&self) -> Option<Broken> {
        let inner = &mut *self.inner.lock();
        let broken = inner.wire.as_mut()?.broken.take().map(Broken::Socket);
        broken.or_else(|| inner.overflows.then(|| inner.full.take().map_or(Broken::Overflow, Broken::Full)))
    }

    /// Bytes that the socket did not take yet.
    pub(super) fn unsent(&self) -> usize {
        self.inner.lock().wire.as_ref().map_or(0, |wire| wire.out.len())
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_written(&self) -> bool {
        let inner = self.inner.lock();
        inner.held.is_none()
            && inner.outbound.is_written()
            && inner.wire.as_ref().is_none_or(|wire| wire.out.is_empty())
    }

    /// Does something with what is on its way to the client.
    pub(super) fn outbound<T>(&self, act: impl FnOnce(&mut Outbound) -> T) -> T {
        let inner = &mut *self.inner.lock();
        let done = act(&mut inner.outbound);
        self.look(inner);
        done
    }

    /// See [`Subscriptions::filter_for`].
    pub(in crate::broker) fn filter_for(&self, topic: &str, meant: &[WildcardId]) -> Option<String> {
        self.inner.lock().subscriptions.filter_for(topic, meant).map(str::to_owned)
    }

    /// Letters that had to go since the last call, by topic; those of further topics have none.
    pub(super) fn take_dropped(&self) -> HashMap<Bytes, u64> {
        std::mem::take(&mut self.inner.lock().dropped)
    }

    /// These topics may be other ones than the client knows.
    pub(super) fn missed(&self, topics: Vec<Bytes>) {
        self.inner.lock().missed = topics;
    }

    /// Forgets everything but the filters, which the hub takes out.
    pub(super) fn clear(&self) {
        let inner = &mut *self.inner.lock();
        inner.outbound.clear();
        inner.missed.clear();
        inner.given.clear();
        inner.held = None;
        inner.dropped = HashMap::new();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if self.lags() {
            self.laggards.count(false);
        }
    }
}

/// Why a connection has to end.
pub(super) enum Broken {
    Socket(io::Error),
    /// The client is too slow.
    Overflow,
    /// The budget has no more for it.
    Full(Full),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::message::Message;
    use crate::broker::session::queued::Queued;
    use crate::metrics::Metrics;

    fn passed(number: u64, meant: &[WildcardId]) -> Arc<Passed> {
        let payload = number.to_string();
        let message = Message::ours("t/x", payload.as_bytes(), QoS::AtLeastOnce, false);
        Arc::new(Passed::new(number, &message, false, meant.to_vec()))
    }

    fn payloads(member: &Member) -> Vec<String> {
        let text = |payload: &Bytes| String::from_utf8_lossy(payload).into_owned();
        member.outbound(|outbound| outbound.own().iter().map(|(_, kept)| text(&kept.payload)).collect())
    }

    /// A connection for which too much waits ends; until then, and from then on, the oldest messages go.
    #[tokio::test]
    async fn a_queue_that_overflows_loses_the_oldest_and_none_from_the_middle() {
        const LAST: u64 = 160;
        let metrics = Metrics::new().unwrap().broker;
        let member =
            Member::new((1, Arc::default()), Outbound::new(1_000, Queued::of_tests()), 10, &Laggards::new(&metrics));
        member.keep(1);
        member.add_exact(&Filter::new("t/x").unwrap(), Wanted::plain(QoS::AtLeastOnce), 0);
        let (near, _far) = tokio::io::duplex(1);
        let (_, half) = tokio::io::split(Box::new(near) as Box<dyn Stream>);
        member.connect(half, Dialect::default(), Arc::default(), BytesMut::new());
        let give = |number: u64| {
            let payload = format!("{number:050000}");
            let message = Message::ours("t/x", payload.as_bytes(), QoS::AtLeastOnce, false);
            if member.put(&Arc::new(Passed::new(number, &message, false, Vec::new())), QoS::AtLeastOnce) {
                member.flush();
            }
        };
        // Some wait in the queue, some behind a subscription that is on its way.
        (1..20).for_each(give);
        member.hold(19);
        (20..110).for_each(give);
        member.release();
        (110..120).for_each(give);
        assert!(matches!(member.broken(), Some(Broken::Overflow)));
        member.disconnect(|_| false, false);
        (120..=LAST).for_each(give);
        let numbers: Vec<u64> = payloads(&member).iter().map(|payload| payload.parse().unwrap()).collect();
        // The first one is in flight: the client may have a part of it.
        let (flying, waiting) = numbers.split_first().unwrap();
        assert_eq!((*flying, waiting.len()), (1, (2 << 20) / 50_003));
        assert!(waiting.iter().copied().eq(waiting[0]..=LAST), "{waiting:?}");
        assert_eq!(member.take_dropped().values().sum::<u64>(), LAST - numbers.len() as u64);
    }

    /// `BufWriter` keeps small writes to itself, as TLS does while the socket takes nothing.
    #[tokio::test]
    async fn what_a_layer_below_took_is_pushed_on_also_when_the_socket_was_full_meanwhile() {
        let metrics = Metrics::new().unwrap().broker;
        let member =
            Member::new((1, Arc::default()), Outbound::new(10, Queued::of_tests()), 10, &Laggards::new(&metrics));
        member.add_exact(&Filter::new("t/x").unwrap(), Wanted::plain(QoS::AtMostOnce), 0);
        let (near, mut far) = tokio::io::duplex(4);
        let (_, half) = tokio::io::split(Box::new(tokio::io::BufWriter::new(near)) as Box<dyn Stream>);
        member.connect(half, Dialect::default(), Arc::default(), BytesMut::new());
        let message = Message::ours("t/x", b"0123456789", QoS::AtMostOnce, false);
        if member.put(&Arc::new(Passed::new(1, &message, false, Vec::new())), QoS::AtMostOnce) {
            member.flush();
        }
        assert!(member.stuck_since().is_some(), "its task has to go on");
        let mut bytes = [0; 17];
        let (read, ()) = tokio::join!(tokio::io::AsyncReadExt::read_exact(&mut far, &mut bytes), member.written());
        assert_eq!((read.unwrap(), &bytes[7..]), (17, &b"0123456789"[..]));
        assert!(member.stuck_since().is_none());
    }

    /// A message that went to the router before a SUBSCRIBE comes back after one that was given directly since.
    #[test]
    fn what_is_newer_waits_while_older_messages_are_on_another_way() {
        let metrics = Metrics::new().unwrap().broker;
        let filter = |text| Filter::new(text).unwrap();
        let member =
            Member::new((1, Arc::default()), Outbound::new(10, Queued::of_tests()), 10, &Laggards::new(&metrics));
        member.add_wildcard(2, &filter("t/+"), Wanted::plain(QoS::AtLeastOnce), 0);
        assert_eq!(member.add_exact(&filter("t/x"), Wanted::plain(QoS::AtLeastOnce), 5), Some(true));
        member.hold(5);
        member.put(&passed(6, &[2]), QoS::AtLeastOnce);
        member.put_by(2, &passed(4, &[2]));
        member.put_by(2, &passed(5, &[2]));
        member.put_by(2, &passed(6, &[2]));
        assert_eq!(payloads(&member), ["4", "5"]);
        member.put(&passed(7, &[2]), QoS::AtLeastOnce);
        member.release_up_to(6);
        assert_eq!(payloads(&member), ["6"]);
        member.put(&passed(8, &[2]), QoS::AtLeastOnce);
        member.release();
        assert_eq!(payloads(&member), ["7", "8"]);
    }
}
