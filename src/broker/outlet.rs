//! What every message passes, under one lock that its owner has: so all see messages in one order.
//!
//! Who has the topic as an exact filter is given the message here; for wildcards the router is handed a reference, and its
//! taps come back with it (`hand_out`).

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::codec::{QoS, Reason, RetainHandling};
use super::lasting::{Recipient, Stored};
use super::levels::WildcardId;
use super::message::Message;
use super::owed::Owed;
use super::passed::Passed;
use super::retained::RetainedMessages;
use super::router::{MOST_TOPICS, News, Order, Publisher, RouterGone, TAPS};
use super::session::Member;
use super::shares::Shares;
use super::subscribers::{Members, Subscribers};
use super::topic::Filter;
use super::wanted::Wanted;

/// Bytes that the router may owe before clients' next messages wait, as they do while it is dead. All of it may come for one
/// client at once, and must not be too much for it (`session::outbox`).
const MOST: usize = 2 << 20;

/// What one that is owed takes beside topic and payload.
const ENTRY: usize = 256;

/// What has come by a tap for the members of a wildcard.
pub(super) struct Delivery {
    pub(super) id: WildcardId,
    pub(super) passed: Arc<Passed>,
    pub(super) members: Members<Member>,
}

/// From when on a subscription gets messages live; what is older comes as retained or, to a new one, not at all.
pub(super) enum Start {
    After(u64),
    /// After the number that comes here, when the router has answered.
    Answer(oneshot::Receiver<u64>),
}

/// What became of a SUBSCRIBE.
#[derive(Default)]
pub(super) struct Subscribed {
    /// Each filter's grant in the order they were asked for.
    pub(super) granted: Vec<Result<QoS, Reason>>,
    pub(super) starts: Vec<Started>,
    /// Ends when the router owes nothing from before: the session holds what is newer until then.
    pub(super) fence: Option<oneshot::Receiver<()>>,
}

/// A filter that a session has from now on.
pub(super) struct Started {
    pub(super) filter: Filter,
    pub(super) wanted: Wanted,
    /// What is retained comes first.
    pub(super) replays: bool,
    pub(super) start: Start,
}

/// Another router on its way in.
struct Moving {
    publisher: Publisher,
    /// Subscriptions that it has not answered yet.
    unanswered: usize,
    why: &'static str,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    /// Nobody wanted it.
    Nobody,
    /// All have it.
    Given,
    /// The router owes it to some.
    Owed,
}

/// A member of a group whose turn it is.
struct Chosen {
    member: Member,
    wanted: Wanted,
    /// It is one of those that the message is stored for.
    is_stored: bool,
}

pub(super) struct Outlet {
    /// Of the last message.
    pub(super) number: u64,
    pub(super) retained: RetainedMessages,
    pub(super) subscribers: Subscribers<Member>,
    shares: Shares<Member>,
    owed: Owed<Arc<Passed>>,
    /// `None` while one router takes the place of another.
    publisher: Option<Publisher>,
    moving: Option<Moving>,
    orders: [Vec<Order>; TAPS],
    /// Who waits for the router's answer.
    asked: HashMap<WildcardId, Vec<oneshot::Sender<u64>>>,
    /// Who waits until all up to a number has come, in order of that.
    fences: VecDeque<(u64, oneshot::Sender<()>)>,
    /// Who waits until the router owes less.
    crowd: Vec<oneshot::Sender<()>>,
    /// The guardian hears here that the router can be handed no new topic any more.
    full: Arc<Notify>,
}

/// The router of this generation failed.
pub(super) type Gone = (usize, RouterGone);

impl Outlet {
    /// `full` is told when the router can be handed no new topic any more.
    pub(super) fn new(retained: RetainedMessages, publisher: Publisher, full: Arc<Notify>) -> Self {
        Self {
            number: 0,
            retained,
            subscribers: Subscribers::default(),
            shares: Shares::default(),
            owed: Owed::default(),
            publisher: Some(publisher),
            moving: None,
            orders: Default::default(),
            asked: HashMap::new(),
            fences: VecDeque::new(),
            crowd: Vec::new(),
            full,
        }
    }

    /// Gives a message, the last one, to all who subscribed, or makes the router owe it; `touched` gets who is to be
    /// written to. Before anybody is given it, `keep` stores it for those who are named, and is told whether the router
    /// will owe it.
    pub(super) fn pass(
        &mut self,
        message: &Message<'_>,
        is_present_value: bool,
        touched: &mut Vec<Member>,
        keep: impl FnOnce(Vec<Recipient>, bool) -> Option<Arc<Stored>>,
    ) -> Result<Passing, Gone> {
        let exact = self.subscribers.exact(message.topic);
        let (coming, meant) = self.subscribers.matching(message.topic);
        let exact = exact.as_deref().map_or(&[][..], Vec::as_slice);
        let readiness = |member: &Member, wanted: Wanted| member.readiness(wanted.options.qos.min(message.qos));
        let chosen = self.shares.pick(message.topic, readiness);
        if exact.is_empty() && meant.is_empty() && chosen.is_empty() {
            keep(Vec::new(), false);
            return Ok(Passing::Nobody);
        }
        let mut passed = Passed::new(self.number, message, is_present_value, meant);
        let (recipients, chosen) = self.recipients(exact, chosen, &passed);
        passed.stored = keep(recipients, !passed.meant.is_empty());
        let passed = Arc::new(passed);
        for (member, wanted) in exact {
            if member.put(&passed, wanted.options.qos) {
                touched.push(member.clone());
            }
        }
        for Chosen { member, wanted, is_stored } in chosen {
            if member.put_shared(&passed, wanted, is_stored) {
                touched.push(member);
            }
        }
        if passed.meant.is_empty() {
            return Ok(Passing::Given);
        }
        let bytes = ENTRY + passed.size();
        self.owed.push(self.number, passed, (Publisher::size(message.topic.as_bytes()), bytes), &coming);
        self.hand_on().map(|()| Passing::Owed)
    }

    /// Gives a message, the last one, to one more member of a group: the one that it was chosen for is no more. `keep` stores
    /// it for those who are named.
    pub(super) fn pass_to_group(
        &mut self,
        group: &str,
        message: &Message<'_>,
        touched: &mut Vec<Member>,
        keep: impl FnOnce(Vec<Recipient>) -> Option<Arc<Stored>>,
    ) {
        let readiness = |member: &Member, wanted: Wanted| member.readiness(wanted.options.qos.min(message.qos));
        let picked = self.shares.pick_from(group, readiness);
        let mut passed = Passed::new(self.number, message, false, Vec::new());
        let (recipients, chosen) = self.recipients(&[], picked.into_iter().collect(), &passed);
        passed.stored = keep(recipients);
        let passed = Arc::new(passed);
        for Chosen { member, wanted, is_stored } in chosen {
            if member.put_shared(&passed, wanted, is_stored) {
                touched.push(member);
            }
        }
    }

    /// The kept sessions that it has to be stored for. Nobody needs more than the present value of dmxd's own topics. A
    /// session stands there once: the copy of who is also chosen from a group lasts only as long as its connection.
    fn recipients(
        &self,
        exact: &[(Member, Wanted)],
        picked: Vec<(Member, Wanted)>,
        passed: &Passed,
    ) -> (Vec<Recipient>, Vec<Chosen>) {
        let chosen = |(member, wanted)| Chosen { member, wanted, is_stored: false };
        if passed.qos == QoS::AtMostOnce || passed.is_present_value {
            return (Vec::new(), picked.into_iter().map(chosen).collect());
        }
        let exact = exact.iter().filter_map(|(member, wanted)| member.recipient(passed, wanted.options.qos));
        let members = |id| self.subscribers.members(id).into_iter().flat_map(|members| members.iter());
        let wildcards = passed.meant.iter().flat_map(|id| members(*id).map(|member| (*id, member)));
        let mut all: Vec<_> =
            exact.chain(wildcards.filter_map(|(id, member)| member.recipient_by(id, passed))).collect();
        let mut chosen: Vec<_> = picked.into_iter().map(chosen).collect();
        let mut known: HashSet<u32> = match chosen.as_slice() {
            [] => HashSet::new(),
            _ => all.iter().map(|recipient| recipient.session).collect(),
        };
        for Chosen { member, wanted, is_stored } in &mut chosen {
            if let Some(recipient) = member.recipient_shared(wanted.options.qos.min(passed.qos))
                && known.insert(recipient.session)
            {
                all.push(recipient);
                *is_stored = true;
            }
        }
        (all, chosen)
    }

    /// All messages up to this one have been given to all.
    pub(super) fn settled(&self) -> u64 {
        self.owed.first().map_or(self.number, |first| first - 1)
    }

    /// Hands the router what its logs have room for.
    fn hand_on(&mut self) -> Result<(), Gone> {
        let now = Instant::now();
        while let Some((number, passed)) = self.owed.next()
            && let Some(publisher) = &mut self.publisher
        {
            if publisher.topics() >= 2 * MOST_TOPICS && publisher.is_new(&passed.topic) {
                self.full.notify_one();
                break;
            }
            publisher.publish(&passed.topic, number).map_err(|error| (publisher.generation(), error))?;
            self.subscribers.noted(passed.topic());
            self.owed.hand(now);
        }
        Ok(())
    }

    /// What taps brought, before it is given to anybody; whether another router has answered for everything now.
    pub(super) fn read(&mut self, news: &[News]) -> (Vec<Delivery>, bool) {
        let mut deliveries = Vec::new();
        for news in news {
            match *news {
                News::Came(id, number) => {
                    if let Some(passed) = self.owed.came(id, number)
                        && passed.meant.contains(&id)
                        && let Some(members) = self.subscribers.members(id)
                    {
                        deliveries.push(Delivery { id, passed: passed.clone(), members: members.clone() });
                    }
                }
                News::Answered { id, again } => {
                    if again && let Some(moving) = &mut self.moving {
                        moving.unanswered -= 1;
                    }
                    self.answered(id);
                }
            }
        }
        (deliveries, self.moving.as_ref().is_some_and(|moving| moving.unanswered == 0))
    }

    fn answered(&mut self, id: WildcardId) {
        let waiting = self.asked.remove(&id).unwrap_or_default();
        if self.subscribers.answered(id)
            && let Some(filter) = self.subscribers.filter(id)
        {
            self.owed.begin(id, |passed| filter.matches_in_router(passed.topic()));
        }
        for waits in waiting {
            let _ = waits.send(self.number); // Err: it is gone
        }
    }

    /// What taps brought was given: the router may be handed more, and who waited for it goes on.
    pub(super) fn settle(&mut self, news: &[News]) -> Result<(), Gone> {
        for news in news {
            if let News::Came(id, number) = *news {
                self.owed.settle(id, number);
            }
        }
        self.open_fences();
        self.hand_on()
    }

    fn open_fences(&mut self) {
        if self.owed.bytes() < MOST / 2 {
            self.crowd.clear(); // they hear of it
        }
        let first = self.owed.first();
        while self.fences.front().is_some_and(|(number, _)| first.is_none_or(|first| *number < first))
            && let Some((_, waits)) = self.fences.pop_front()
        {
            let _ = waits.send(()); // Err: it is gone
        }
    }

    /// Whether anybody subscribes to this topic.
    pub(super) fn is_heard(&self, topic: &str) -> bool {
        self.subscribers.is_heard(topic) || self.shares.has(topic)
    }

    /// Whether a message of this topic is for a session that lags.
    pub(super) fn lags(&self, topic: &str) -> bool {
        let exact = self.subscribers.exact(topic);
        let wildcards = self.subscribers.matching(topic).1;
        exact.iter().flat_map(|members| members.iter()).any(|(member, _)| member.lags())
            || wildcards.iter().filter_map(|id| self.subscribers.members(*id)).flat_map(|m| m.iter()).any(|m| m.lags())
            || self.shares.lags(topic, |member, wanted| member.readiness(wanted.options.qos))
    }

    /// Ends when a client's next message may come; `None`: it may now.
    pub(super) fn room(&mut self) -> Option<oneshot::Receiver<()>> {
        if self.owed.bytes() < MOST {
            return None;
        }
        let (waits, room) = oneshot::channel();
        self.crowd.push(waits);
        Some(room)
    }

    /// Whether the router owes nothing up to this message.
    pub(super) fn is_settled(&self, number: u64) -> bool {
        self.owed.first().is_none_or(|first| number < first)
    }

    /// Whether the router has not brought what it was handed so long ago.
    pub(super) fn is_late(&self, patience: Duration) -> bool {
        self.owed.is_late(Instant::now(), patience)
    }

    /// Tells somebody when the router owes nothing up to a message.
    pub(super) fn tell(&mut self, number: u64, waits: oneshot::Sender<()>) {
        if self.is_settled(number) {
            let _ = waits.send(()); // Err: it is gone
        } else {
            let at = self.fences.partition_point(|(known, _)| *known <= number);
            self.fences.insert(at, (number, waits));
        }
    }

    /// Ends when the router owes nothing up to now; `None`: it owes nothing.
    pub(super) fn fence(&mut self) -> Option<oneshot::Receiver<()>> {
        if self.is_settled(self.number) {
            return None;
        }
        let (waits, fence) = oneshot::channel();
        self.tell(self.number, waits);
        Some(fence)
    }

    /// Gives a session the filters that may be given. What is newer waits in it until it is released: older messages may
    /// still be on another way, and retained ones are to come first.
    pub(super) fn subscribe(
        &mut self,
        member: &Member,
        wanted: impl Iterator<Item = Result<(Filter, Wanted), Reason>>,
        subscribed: &mut Subscribed,
    ) -> [bool; TAPS] {
        let (mut ordered, mut changed) = ([false; TAPS], false);
        for wanted in wanted {
            let granted = wanted.and_then(|(filter, wanted)| {
                let is_new = !member.has(&filter, self.subscribers.id_of(filter.as_str()));
                let start = if filter.shared().is_some() {
                    member.add_shared(&filter, wanted).then(|| {
                        self.shares.enter(&filter, member.clone(), wanted);
                        Start::After(self.number)
                    })
                } else if filter.is_exact() {
                    member.add_exact(&filter, wanted, self.number).map(|other_way| {
                        changed |= other_way;
                        self.subscribers.add_exact(filter.as_str(), member.clone(), wanted);
                        Start::After(self.number)
                    })
                } else {
                    self.enter(member, &filter, wanted, &mut ordered)
                };
                let replays = match wanted.options.retained {
                    _ if filter.shared().is_some() => false, // section 4.8.2
                    RetainHandling::Always => true,
                    RetainHandling::IfNew => is_new,
                    RetainHandling::Never => false,
                };
                let start = start.ok_or(Reason::QuotaExceeded)?;
                subscribed.starts.push(Started { filter, wanted, replays, start });
                Ok(wanted.options.qos)
            });
            subscribed.granted.push(granted);
        }
        if changed && let Some(fence) = self.fence() {
            subscribed.fence = Some(fence); // it opens after those of the filters before
        }
        member.hold(self.number);
        ordered
    }

    fn enter(&mut self, member: &Member, filter: &Filter, wanted: Wanted, ordered: &mut [bool; TAPS]) -> Option<Start> {
        if let Some(id) = self.subscribers.id_of(filter.as_str())
            && member.change_wildcard(id, wanted)
        {
            return Some(self.start(id, self.subscribers.is_live(id)));
        }
        if member.is_full() {
            return None;
        }
        let entered = self.subscribers.enter(filter, member.clone());
        member.add_wildcard(entered.id, filter, wanted, self.number);
        if entered.new {
            let tap = entered.id % TAPS;
            let order = Order::Subscribe { id: entered.id, filter: filter.clone(), again: false };
            self.orders.get_mut(tap)?.push(order);
            *ordered.get_mut(tap)? = true;
        }
        Some(self.start(entered.id, entered.live))
    }

    fn start(&mut self, id: WildcardId, live: bool) -> Start {
        if live {
            return Start::After(self.number);
        }
        let (answer, answered) = oneshot::channel();
        self.asked.entry(id).or_default().push(answer);
        Start::Answer(answered)
    }

    /// Ends filters of a session as of now. What is older still comes to it until the fence opens, then they are to be
    /// taken out; without one they may be at once.
    pub(super) fn end(&mut self, member: &Member, filters: &[String]) -> Option<oneshot::Receiver<()>> {
        member.take_shared(Some(filters)).iter().for_each(|filter| self.shares.leave(filter, member));
        let ended = filters.iter().map(|filter| (filter.as_str(), self.subscribers.id_of(filter)));
        let fence = if member.end(ended, self.number) { self.fence() } else { None };
        if fence.is_some() {
            member.hold(self.number);
        }
        fence
    }

    /// Takes the filters that have ended out of a session, or all of them; gives their number.
    pub(super) fn take_out(&mut self, member: &Member, all: bool) -> (usize, [bool; TAPS]) {
        let (exact, wildcards) = member.take_out(all);
        let shared = if all { member.take_shared(None) } else { Vec::new() };
        shared.iter().for_each(|filter| self.shares.leave(filter, member));
        let (gone, mut ordered) = (exact.len() + wildcards.len() + shared.len(), [false; TAPS]);
        exact.iter().for_each(|topic| self.subscribers.remove_exact(topic, member));
        let mut ended = Vec::new();
        for id in wildcards {
            if let Some(filter) = self.subscribers.leave(id, member) {
                ended.push(id);
                self.asked.remove(&id);
                if let (Some(orders), Some(ordered)) = (self.orders.get_mut(id % TAPS), ordered.get_mut(id % TAPS)) {
                    orders.push(Order::Unsubscribe(filter));
                    *ordered = true;
                }
            }
        }
        self.owed.end(ended);
        self.open_fences();
        (gone, ordered)
    }

    /// What a tap is to do.
    pub(super) fn take_orders(&mut self, tap: usize) -> Vec<Order> {
        self.orders.get_mut(tap).map(std::mem::take).unwrap_or_default()
    }

    /// Nothing more goes to the old router, whose taps have ended: the new one is asked for every filter.
    pub(super) fn move_to(&mut self, publisher: Publisher, why: &'static str) {
        self.publisher = None;
        self.orders = Default::default();
        let mut unanswered = 0;
        for (id, filter, again) in self.subscribers.move_over() {
            unanswered += usize::from(again);
            if let Some(orders) = self.orders.get_mut(id % TAPS) {
                orders.push(Order::Subscribe { id, filter, again });
            }
        }
        self.moving = Some(Moving { publisher, unanswered, why });
    }

    /// The new router has answered for everything that is owed: it goes on where the old one stood. Says why it came.
    pub(super) fn go_on(&mut self) -> Option<&'static str> {
        let Moving { publisher, why, .. } = self.moving.take_if(|moving| moving.unanswered == 0)?;
        self.publisher = Some(publisher);
        let subscribers = &self.subscribers;
        self.owed.hand_again(|passed| subscribers.matching(passed.topic()).0);
        Some(why)
    }

    /// The guardian's message; false while there is no router to send it to.
    pub(super) fn probe(&mut self) -> Result<bool, RouterGone> {
        self.publisher.as_mut().map_or(Ok(false), |publisher| publisher.probe().map(|()| true))
    }

    /// Topics and filters that the router was given and never forgets.
    pub(super) fn router_knows(&self) -> (usize, usize) {
        (self.publisher.as_ref().map_or(0, Publisher::topics), self.subscribers.known())
    }
}

/// Gives what has come to the members; gives who is to be written to.
pub(super) fn hand_out(deliveries: &[Delivery]) -> Vec<Member> {
    let mut touched = Vec::new();
    for Delivery { id, passed, members } in deliveries {
        touched.extend(members.iter().filter(|member| member.put_by(*id, passed)).cloned());
    }
    touched
}
