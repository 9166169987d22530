//! What clients can make the process hold: memory, drawn from one budget in bytes (`limits.memory`), and places, which are
//! counted. Of each kind one address has a part (`shares` has the rules). A holder keeps a [`Share`], which gives all of it
//! back.
//!
//! Full means: the newcomer is refused or another one goes for it, the board names the kind and the address, and nobody waits.

mod kind;
mod memory;
mod shares;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use prometheus::IntGauge;
use tokio::sync::Notify;

use self::kind::{Request, refusal, shown};
use self::memory::default_memory;
use self::shares::{Ended, Goes, Rank, Reached, Scope, Shares};
use super::health::Health;
use crate::config::Config;
use crate::metrics;

pub use self::kind::Kind;
pub use self::shares::Who;

/// Problems in `/readyz` while a kind is full, and for a while after: one that is measured, and one that is counted.
const MEMORY: &str = "MEMORY_FULL";
const PLACES: &str = "PLACES_FULL";

/// How long the board shows a full kind: long enough for somebody who looks once a minute.
const TOLD_FOR: Duration = Duration::from_secs(90);

/// The one budget. Clones share it.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    total: u64,
    health: Health,
    metrics: metrics::Memory,
    held: Mutex<Held>,
}

struct Held {
    /// Bytes of all kinds.
    all: u64,
    kinds: [Used; Kind::ALL.len()],
}

struct Used {
    shares: Shares<Option<Arc<Ending>>>,
    /// Of what is measured.
    gauge: Option<IntGauge>,
    full_at: Option<Instant>,
}

/// Why the budget gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Full {
    message: String,
    /// More was asked for than can ever be had.
    pub never: bool,
}

/// Tells a holder that its place went to another one. All of one connection has the same.
#[derive(Debug, Default)]
pub struct Ending {
    why: OnceLock<String>,
    told: Notify,
}

impl Ending {
    /// Ends when the place is gone, with the reason. For one that waits at a time; cancel-safe.
    pub async fn told(&self) -> &str {
        loop {
            if let Some(why) = self.why.get() {
                return why;
            }
            self.told.notified().await;
        }
    }

    /// The same, if it is gone already.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.why.get().map(String::as_str)
    }

    fn tell(&self, why: &str) {
        let _ = self.why.set(why.to_owned()); // Err: it knows already
        self.told.notify_one();
    }
}

const fn problem(kind: Kind) -> &'static str {
    if kind.is_counted() { PLACES } else { MEMORY }
}

/// A part of the budget, given back when it is dropped.
pub struct Share {
    budget: Budget,
    kind: Kind,
    who: Who,
    units: u64,
    place: Option<u64>,
    ending: Option<Arc<Ending>>,
}

impl Budget {
    /// As the settings say.
    #[must_use]
    pub fn new(config: &Config, health: Health, metrics: metrics::Memory) -> Self {
        let total = config.limits.memory.map_or_else(default_memory, |size| size.0);
        let used = |kind: Kind| {
            let per_address = (!kind.is_single()).then_some(config.limits.per_address);
            let gauge = (!kind.is_counted()).then(|| metrics.held.with_label_values(&[kind.name()]));
            Used { shares: Shares::new(kind.most(total, config), per_address, kind.goes()), gauge, full_at: None }
        };
        let held = Held { all: 0, kinds: Kind::ALL.map(used) };
        Self(Arc::new(Inner { total, health, metrics, held: Mutex::new(held) }))
    }

    /// An empty share that may grow.
    #[must_use]
    pub fn share(&self, kind: Kind, who: impl Into<Who>) -> Share {
        Share { budget: self.clone(), kind, who: who.into(), units: 0, place: None, ending: None }
    }

    /// A share of this many bytes, or places.
    ///
    /// # Errors
    /// This kind or address has no more.
    pub fn draw(&self, kind: Kind, who: impl Into<Who>, units: usize) -> Result<Share, Full> {
        let mut share = self.share(kind, who);
        share.grow_to(units)?;
        Ok(share)
    }

    /// A share of this many, whatever the limits say: for what is there already, and what is dmxd's own.
    #[must_use]
    pub fn hold(&self, kind: Kind, who: impl Into<Who>, units: usize) -> Share {
        let mut share = self.share(kind, who);
        share.hold(units);
        share
    }

    /// Counts what is nobody's, and so counts for all together only: `before` it was so much, and `now` it is.
    pub fn common(&self, kind: Kind, before: usize, now: usize) {
        self.change(kind, |shares| shares.common(before as u64, now as u64));
    }

    /// The most that all may hold of a kind together.
    #[must_use]
    pub fn most_of_all(&self, kind: Kind) -> u64 {
        self.0.held.lock().used(kind).shares.most()
    }

    /// Whether so much more could be had now, of others if need be. Counts as a refusal if not.
    ///
    /// # Errors
    /// This kind or address has no more.
    pub fn ask(&self, kind: Kind, who: &Who, more: usize) -> Result<(), Full> {
        let more = more as u64;
        let request = Request { kind, who, more, whole: more };
        let mut held = self.0.held.lock();
        let reached = held.used(kind).shares.ask(who, more, Instant::now()).err();
        match reached.or_else(|| self.reached_all(&held, &request)) {
            Some(reached) => Err(self.refuse(held, &request, &reached)),
            None => Ok(()),
        }
    }

    /// Whether a kind has no room for anybody.
    #[must_use]
    pub fn is_full(&self, kind: Kind) -> bool {
        let mut held = self.0.held.lock();
        let shares = &held.used(kind).shares;
        shares.used() >= shares.most()
    }

    /// Units held of a kind.
    #[must_use]
    pub fn held(&self, kind: Kind) -> u64 {
        self.0.held.lock().used(kind).shares.used()
    }

    /// The most that one address may hold of a kind.
    #[must_use]
    pub fn most(&self, kind: Kind, who: impl Into<Who>) -> u64 {
        self.0.held.lock().used(kind).shares.of_address(who.into().rank())
    }

    /// The limit of everything together, if it is reached.
    fn reached_all(&self, held: &Held, request: &Request<'_>) -> Option<Reached> {
        let total = match request.who.rank() {
            _ if request.kind.is_single() => self.0.total,
            Rank::Stranger => self.0.total - self.0.total / 8,
            Rank::Known => self.0.total - self.0.total / 16,
            Rank::Here => self.0.total,
        };
        let is_reached = !request.kind.is_counted() && held.all + request.more > total;
        is_reached.then_some(Reached { scope: Scope::All, held: held.all, most: total })
    }

    /// Gives a share so much more; the number of others that had to go for it.
    fn take(&self, share: &mut Share, more: u64) -> Result<usize, Full> {
        let whole = share.units + more;
        let request = Request { kind: share.kind, who: &share.who, more, whole };
        let mut held = self.0.held.lock();
        let used = held.used(share.kind);
        if let Some(place) = share.place.filter(|place| !used.shares.holds(*place)) {
            drop(held);
            let message = format!("the place {place} of {} went to another one", share.who);
            return Err(Full { message, never: false });
        }
        if used.shares.reached(&share.who, more).is_none()
            && let Some(reached) = self.reached_all(&held, &request)
        {
            return Err(self.refuse(held, &request, &reached));
        }
        let (ending, used) = (share.ending.clone(), held.used(share.kind));
        let before = used.shares.used();
        let taken = used.shares.take(&mut share.place, &share.who, more, Instant::now(), || ending);
        let after = used.shares.used();
        held.count(share.kind, before, after);
        match taken {
            Ok(ended) => {
                if !ended.is_empty() {
                    held.used(share.kind).full_at = Some(Instant::now());
                    self.end(&request, &ended);
                }
                Ok(ended.len())
            }
            Err(reached) => Err(self.refuse(held, &request, &reached)),
        }
    }

    /// See [`Share::settle`].
    fn settle(&self, share: &Share) -> u64 {
        let Share { kind, who, place, units, .. } = share;
        let mut held = self.0.held.lock();
        let used = held.used(*kind);
        let before = used.shares.used();
        let settled = used.shares.settle(*place, who, *units, Instant::now());
        let after = used.shares.used();
        held.count(*kind, before, after);
        let request = |more| Request { kind: *kind, who, more, whole: *units };
        match settled {
            Ok(ended) => {
                if !ended.is_empty() {
                    held.used(*kind).full_at = Some(Instant::now());
                    self.end(&request(0), &ended);
                }
                0
            }
            Err((over, reached)) => {
                self.refuse(held, &request(over), &reached);
                over
            }
        }
    }

    /// Does something with the holders of a kind, and counts what has changed.
    fn change(&self, kind: Kind, act: impl FnOnce(&mut Shares<Option<Arc<Ending>>>)) {
        let mut held = self.0.held.lock();
        let shares = &mut held.used(kind).shares;
        let before = shares.used();
        act(shares);
        let after = shares.used();
        held.count(kind, before, after);
    }

    /// Tells those that had to go, and the board.
    fn end(&self, request: &Request<'_>, ended: &[Ended<Option<Arc<Ending>>>]) {
        let Request { kind, who, .. } = *request;
        let (what, setting) = (kind.words(), kind.setting());
        for Ended { who: whose, held, with } in ended {
            let has = shown(kind, *held);
            let message = match kind.goes() {
                Goes::Newest => {
                    format!("{whose} has {has} {what}, and the newest of them made room for {who} ({setting})")
                }
                _ if kind == Kind::Packets => {
                    format!("{whose} uses {has} for {what}, and one that stood still made room for {who} ({setting})")
                }
                Goes::Stranger => {
                    format!("{whose} has {has} of {what}, and one of its sessions made room for {who} ({setting})")
                }
                _ => format!("{whose} has {has} {what}, and the one away longest made room for {who} ({setting})"),
            };
            with.iter().for_each(|ending| ending.tell(&message));
            self.tell(kind, who, &message);
        }
    }

    /// Refuses, in words for people.
    fn refuse(&self, mut held: MutexGuard<'_, Held>, request: &Request<'_>, reached: &Reached) -> Full {
        let Request { kind, who, whole, .. } = *request;
        let used = held.used(kind);
        used.full_at = Some(Instant::now());
        let (greediest, of_kind) = (used.shares.greediest(), used.shares.most());
        drop(held);
        let never = whole > reached.most;
        let full = Full { message: refusal(request, reached, greediest, of_kind), never };
        self.0.metrics.refused.with_label_values(&[kind.name()]).inc();
        self.tell(kind, who, &full.message);
        full
    }

    /// Shows on the board that there was more of a kind than may be.
    pub fn tell_full(&self, kind: Kind, message: &str) {
        self.0.held.lock().used(kind).full_at = Some(Instant::now());
        self.0.health.raise_for(problem(kind), kind.name(), message);
    }

    fn tell(&self, kind: Kind, who: &Who, message: &str) {
        if self.0.health.raise_for(problem(kind), kind.name(), message) {
            tracing::warn!(kind = kind.name(), address = %who, full = message, "{}", problem(kind).to_lowercase());
        }
    }

    /// Clears problems that are over, before the board is read.
    pub fn review(&self) {
        let mut held = self.0.held.lock();
        for kind in Kind::ALL {
            let used = held.used(kind);
            if used.full_at.is_some_and(|at| at.elapsed() > TOLD_FOR) {
                used.full_at = None;
                self.0.health.clear_for(problem(kind), kind.name());
            }
        }
    }
}

impl Held {
    #[expect(clippy::indexing_slicing, reason = "it has one for each kind")]
    fn used(&mut self, kind: Kind) -> &mut Used {
        &mut self.kinds[kind as usize]
    }

    /// So many units of a kind were held before, and are now.
    fn count(&mut self, kind: Kind, before: u64, after: u64) {
        if before != after
            && let Some(gauge) = &self.used(kind).gauge
        {
            gauge.set(i64::try_from(after).unwrap_or(i64::MAX));
            self.all = (self.all + after).saturating_sub(before);
        }
    }
}

impl Share {
    /// The same, whose holder is told when its place went to another one.
    #[must_use]
    pub fn until(mut self, ending: &Arc<Ending>) -> Self {
        self.ending = Some(ending.clone());
        self
    }

    /// Another one is told from now on.
    pub fn tells(&mut self, ending: &Arc<Ending>) {
        self.ending = Some(ending.clone());
    }

    /// Grows the share to this size, if it is smaller; the number of others that had to go for it.
    ///
    /// # Errors
    /// There is not that much; the share stays as it was.
    pub fn grow_to(&mut self, units: usize) -> Result<usize, Full> {
        let units = units as u64;
        let Some(more) = units.checked_sub(self.units).filter(|more| *more > 0) else { return Ok(0) };
        let budget = self.budget.clone();
        let ended = budget.take(self, more)?;
        self.units = units;
        Ok(ended)
    }

    /// Grows the share by so much; the number of others that had to go for it.
    ///
    /// # Errors
    /// There is not that much; the share stays as it was.
    pub fn grow_by(&mut self, units: usize) -> Result<usize, Full> {
        self.grow_to(usize::try_from(self.units).unwrap_or(usize::MAX).saturating_add(units))
    }

    /// Makes the share this large, whatever the limits say.
    pub fn hold(&mut self, units: usize) {
        let (units, before) = (units as u64, self.units);
        let Self { budget, kind, who, place, ending, .. } = self;
        match units.checked_sub(before) {
            Some(0) => {}
            Some(more) => budget.change(*kind, |shares| {
                // what went to another one is not counted any more
                if before == 0 || place.is_none_or(|place| shares.holds(place)) {
                    shares.put(place, who, more, Instant::now(), || ending.clone());
                }
            }),
            None => budget.change(*kind, |shares| shares.give_back(*place, who, before - units)),
        }
        self.units = units;
    }

    /// What was given whatever the limits say is asked for like anything else; gives how much has to go.
    #[must_use]
    pub fn settle(&self) -> usize {
        usize::try_from(self.budget.settle(self)).unwrap_or(usize::MAX)
    }

    /// It is somebody else's now, or the same one's at another address.
    pub fn moves_to(&mut self, who: &Who) {
        let (place, units) = (self.place, self.units);
        self.budget.change(self.kind, |shares| shares.moved(place, &self.who, who, units));
        self.who = who.clone();
    }

    /// Its holder is idle from now on, or is not any more.
    pub fn idle(&self, idle: bool) {
        let Some(place) = self.place else { return };
        self.budget.change(self.kind, |shares| shares.idle(place, idle.then(Instant::now)));
    }

    /// Whose it is.
    #[must_use]
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units == 0
    }

    /// Gives all of it back.
    pub fn clear(&mut self) {
        self.hold(0);
        self.place = None;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
impl Default for Budget {
    fn default() -> Self {
        let metrics = metrics::Metrics::new().map(|metrics| metrics.memory);
        Self::new(&Config::default(), Health::default(), metrics.unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    use crate::config;
    use crate::metrics::Metrics;

    const MB: usize = 1 << 20;

    fn budget(total: usize) -> (Budget, Health) {
        let (mut config, health) = (Config::default(), Health::default());
        config.limits.memory = Some(config::Size(total as u64));
        (Budget::new(&config, health.clone(), Metrics::new().unwrap().memory), health)
    }

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_gets_a_quarter_and_the_board_names_it() {
        let (budget, health) = budget(16 * MB);
        let lamp = at("192.168.1.7");
        let mut held = budget.draw(Kind::Packets, lamp, MB).unwrap();
        let full = budget.draw(Kind::Packets, lamp, 1).err().unwrap();
        assert!(!full.never);
        let problems = health.problems();
        assert_eq!(problems[0].code, "MEMORY_FULL");
        assert_eq!(
            problems[0].message,
            "192.168.1.7 already uses 1 MB of the 1 MB allowed for MQTT packets that are still arriving and needs \
             1 kB more (limits.memory, limits.per_address)"
        );
        let never = budget.draw(Kind::Packets, lamp, 5 * MB).err().unwrap();
        assert!(never.never && never.to_string().contains("needs 5 MB for MQTT packets"), "{never}");
        assert!(held.grow_to(MB + 1).err().unwrap().never, "what it holds already counts");
        assert!(budget.draw(Kind::Bodies, lamp, MB).is_ok(), "another kind has its own share");
        assert!(budget.draw(Kind::Packets, at("::ffff:192.168.1.7"), 1).is_err(), "the same address");
        assert!(budget.draw(Kind::Packets, at("192.168.1.8"), MB).is_ok());
        held.clear();
        assert!(budget.draw(Kind::Packets, lamp, MB).is_ok(), "given back");
        budget.review();
        assert_eq!(health.problems().len(), 1, "it is told for a while");
        budget.0.held.lock().used(Kind::Packets).full_at = Instant::now().checked_sub(TOLD_FOR * 2);
        budget.review();
        assert_eq!(health.problems().len(), 0);
    }

    #[test]
    fn an_ipv6_address_gets_a_quarter_and_its_network_half() {
        let (budget, health) = budget(16 * MB);
        let _one = budget.draw(Kind::Packets, at("2001:db8::1"), MB).unwrap();
        assert!(budget.draw(Kind::Packets, at("2001:db8::1"), 1).is_err());
        let _two = budget.draw(Kind::Packets, at("2001:db8::2"), MB).unwrap();
        let full = budget.draw(Kind::Packets, at("2001:db8::3"), 1).err().unwrap();
        assert!(full.to_string().starts_with("the network of 2001:db8::3 already uses 2 MB of the 2 MB"), "{full}");
        assert!(budget.draw(Kind::Packets, at("2001:db8:0:1::1"), 1).is_ok());
        assert!(budget.draw(Kind::Packets, at("10.0.0.1"), 1).is_ok());
        assert_eq!(health.problems().len(), 1);
    }

    #[test]
    fn however_many_come_there_is_some_left_for_this_machine() {
        let (budget, _) = budget(16 * MB);
        let held: Vec<_> =
            (0..100).filter_map(|n| budget.draw(Kind::Bodies, at(&format!("10.0.0.{n}")), MB / 4).ok()).collect();
        assert_eq!(held.len(), 14, "four megabytes less an eighth");
        assert!(budget.draw(Kind::Bodies, at("127.0.0.1"), MB / 4).is_ok());
        assert!(budget.draw(Kind::Documents, at("10.0.0.1"), 8 * MB).is_ok(), "one at a time may have all of it");
        drop(held);
        assert_eq!(budget.0.held.lock().all, 0);
        assert!(Kind::ALL.into_iter().all(|kind| budget.held(kind) == 0));
    }

    /// The shares of kinds add up to more than there is.
    #[test]
    fn all_kinds_together_have_no_more_than_there_is() {
        let (budget, _) = budget(16 * MB);
        let here = at("127.0.0.1");
        let mut held = budget.draw(Kind::Documents, here, 8 * MB).unwrap();
        let _others = [Kind::Backups, Kind::Bodies].map(|kind| budget.draw(kind, here, 4 * MB).unwrap());
        let full = budget.draw(Kind::Packets, here, 1).err().unwrap();
        assert_eq!(
            full.to_string(),
            "all clients together already use 16 MB of 16 MB of memory, and 127.0.0.1 needs 1 kB more for MQTT packets \
             that are still arriving (limits.memory)"
        );
        held.hold(6 * MB);
        assert!(budget.draw(Kind::Packets, at("10.0.0.1"), MB).is_err(), "an eighth is not for strangers");
        assert!(budget.draw(Kind::Packets, here, MB).is_ok(), "given back");
    }

    #[tokio::test]
    async fn one_that_made_room_is_told_why_and_has_nothing_to_give_back() {
        let (budget, health) = budget(16 * MB);
        let take = |from: &str, ending: &Arc<Ending>| {
            let mut share = budget.share(Kind::Connections, at(from)).until(ending);
            share.grow_to(1).map(|_| share)
        };
        let endings: Vec<Arc<Ending>> = (0..875).map(|_| Arc::default()).collect();
        let held: Vec<_> = (0..875).map(|n| take(&format!("10.0.0.{}", n % 4), &endings[n]).unwrap()).collect();
        assert!(take("10.0.0.1", &Arc::default()).is_err(), "it has as many as the others");
        let late = take("10.0.0.9", &Arc::default()).unwrap();
        let told = endings.iter().filter_map(|ending| ending.why()).collect::<Vec<_>>();
        assert_eq!(
            told,
            ["10.0.0.2 has 219 MQTT connections, and the newest of them made room for 10.0.0.9 (mqtt.max_connections)"]
        );
        assert_eq!(endings[874].told().await, told[0]);
        assert_eq!((health.problems()[0].code, health.problems().len()), ("PLACES_FULL", 1));
        assert_eq!(budget.held(Kind::Connections), 875);
        drop((held, late));
        assert_eq!(budget.held(Kind::Connections), 0);
    }

    #[test]
    fn what_is_held_without_a_place_is_nobodys() {
        let (budget, _) = budget(16 * MB);
        let mut gone = budget.hold(Kind::Queued, at("10.0.0.1"), MB);
        gone.idle(true);
        let here = budget.draw(Kind::Queued, at("127.0.0.1"), 4 * MB).unwrap();
        gone.hold(2 * MB);
        assert_eq!(budget.held(Kind::Queued), 4 * MB as u64, "its place is not there");
        gone.clear();
        gone.hold(MB);
        assert_eq!(budget.held(Kind::Queued), 5 * MB as u64, "a new one");
        drop((gone, here));
        assert_eq!(budget.held(Kind::Queued), 0);
    }

    #[test]
    fn words_name_the_limit_that_refused() {
        let (budget, _) = budget(16 * MB);
        let held = |kind, from, units| budget.hold(kind, at(from), units);
        let refused = |kind, from| budget.draw(kind, at(from), 1).err().unwrap().to_string();
        let _held = held(Kind::Connections, "10.0.0.1", 250);
        assert_eq!(
            refused(Kind::Connections, "10.0.0.1"),
            "10.0.0.1 already has 250 of the 250 MQTT connections allowed for one address (mqtt.max_connections, \
             limits.per_address)"
        );
        let _held = held(Kind::Sessions, "127.0.0.1", 2_000);
        assert_eq!(
            refused(Kind::Sessions, "10.0.0.1"),
            "all clients together already have 2000 of the 2000 MQTT sessions allowed (2000 of that 127.0.0.1), and \
             10.0.0.1 needs one more (mqtt.max_sessions)"
        );
    }
}
