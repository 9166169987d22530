//! Who holds how much of one kind of thing, pure: what there is, what one address may have of it, and who goes when it is full.
//!
//! An address has a part, so that nobody takes everything. Some of each kind is left to devices that are known and to this
//! machine, however many strangers come. Towards a limit of strangers only strangers count, towards one of devices all but
//! this machine. A newcomer never needs more from others than it asks for, and who is refused has ended nobody.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Who holds something.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// `None`: not known, since it came in an earlier run. It counts for no address then.
    address: Option<IpAddr>,
    /// Whether it is a device that is known; told while it holds something.
    known: Option<Arc<AtomicBool>>,
}

/// Who goes before whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Anybody.
    Stranger,
    /// A device that presence knows.
    Known,
    /// This machine.
    Here,
}

impl From<IpAddr> for Who {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let address = if address.is_loopback() { Ipv4Addr::LOCALHOST.into() } else { address };
        Self { address: Some(address), known: None }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => address.fmt(f),
            None => f.write_str("somebody of before the start"),
        }
    }
}

impl Who {
    /// Its address, if it is known.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The same, which is a device as long as this says so.
    #[must_use]
    pub fn known_by(self, known: Arc<AtomicBool>) -> Self {
        Self { known: Some(known), ..self }
    }

    /// Its rank now.
    pub(super) fn rank(&self) -> Rank {
        if self.address.is_some_and(|address| address.is_loopback()) {
            Rank::Here
        } else if self.known.as_ref().is_some_and(|known| known.load(Ordering::Relaxed)) {
            Rank::Known
        } else {
            Rank::Stranger
        }
    }

    /// The /64 network of an IPv6 address, which one machine may fill.
    fn network(&self) -> Option<u64> {
        match self.address {
            Some(IpAddr::V6(address)) => u64::try_from(address.to_bits() >> 64).ok(),
            _ => None,
        }
    }

    /// Whether it counts towards this limit of another one, whatever their ranks.
    fn is_in(&self, scope: Scope, of: &Self) -> bool {
        match scope {
            Scope::Address => self.address == of.address,
            Scope::Network => self.network() == of.network(),
            Scope::Kind | Scope::All => true,
        }
    }
}

/// Who goes when a kind is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    /// Nobody: the newcomer is refused.
    Nobody,
    /// The newest of whoever has most.
    Newest,
    /// The one that has been idle longest, and for so long at least, of whoever has most.
    Idle(Duration),
    /// A stranger that is idle, for a device or this machine, or for another one whose address would still have no more. For
    /// a device or this machine also one that is not, if its address has a sixteenth of the whole. Nobody for a stranger
    /// whose address has its part.
    Stranger,
}

/// What was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// What one address may have.
    Address,
    /// What one IPv6 network may have.
    Network,
    /// All that there is.
    Kind,
    /// All that there is of everything.
    All,
}

/// A limit that was reached.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    /// Which one.
    pub(super) scope: Scope,
    /// What is held of it.
    pub(super) held: u64,
    /// What may be.
    pub(super) most: u64,
}

/// One that had to go.
#[derive(Debug)]
pub(super) struct Ended<T> {
    /// Whose it was.
    pub(super) who: Who,
    /// What its address held, this included.
    pub(super) held: u64,
    /// What came with it.
    pub(super) with: T,
}

#[derive(Debug)]
struct Holder<T> {
    who: Who,
    units: u64,
    idle_since: Option<Instant>,
    with: T,
}

/// A place that is taken from its holder, and what the holder's address held.
type Gone<T> = (u64, Holder<T>, u64);

/// The holders of one kind. `T` comes with a holder, for whoever ends it.
#[derive(Debug)]
pub(super) struct Shares<T> {
    most: u64,
    /// What one address may hold, in percent; `None`: all of it.
    per_address: Option<u64>,
    goes: Goes,
    used: u64,
    addresses: HashMap<IpAddr, u64>,
    networks: HashMap<u64, u64>,
    /// By age. Empty where nobody ever goes.
    holders: BTreeMap<u64, Holder<T>>,
    last: u64,
}

impl<T> Shares<T> {
    /// So many units in all.
    pub(super) fn new(most: u64, per_address: Option<u64>, goes: Goes) -> Self {
        let (addresses, networks, holders) = (HashMap::new(), HashMap::new(), BTreeMap::new());
        Self { most, per_address, goes, used: 0, addresses, networks, holders, last: 0 }
    }

    /// Units in all.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// Units held.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// What all of a rank may hold together: an eighth is left to devices and this machine, half of that to this machine.
    pub(super) fn of_kind(&self, rank: Rank) -> u64 {
        match rank {
            _ if self.per_address.is_none() => self.most,
            Rank::Stranger => self.most - self.most / 8,
            Rank::Known => self.most - self.most / 16,
            Rank::Here => self.most,
        }
    }

    /// What one address of a rank may hold. Many lamps may stand behind one router, so devices may hold twice as much.
    pub(super) fn of_address(&self, rank: Rank) -> u64 {
        self.times(match rank {
            Rank::Stranger => Some(1),
            Rank::Known => Some(2),
            Rank::Here => None,
        })
    }

    /// The same for one IPv6 network.
    fn of_network(&self, rank: Rank) -> u64 {
        self.times(match rank {
            Rank::Stranger => Some(2),
            Rank::Known => Some(3),
            Rank::Here => None,
        })
    }

    fn times(&self, times: Option<u64>) -> u64 {
        match (self.per_address, times) {
            (Some(percent), Some(times)) => {
                (self.most / 100 * percent + self.most % 100 * percent / 100).max(1) * times
            }
            _ => self.most,
        }
    }

    /// What the address of somebody holds.
    fn held_by(&self, who: &Who) -> u64 {
        who.address.and_then(|address| self.addresses.get(&address)).copied().unwrap_or_default()
    }

    /// The address that holds most, and how much.
    pub(super) fn greediest(&self) -> Option<(IpAddr, u64)> {
        self.addresses.iter().map(|(address, held)| (*address, *held)).max_by_key(|(address, held)| (*held, *address))
    }

    /// The limits of somebody who wants so much more, and what counts towards them.
    fn limits(&self, who: &Who, more: u64) -> [Option<Reached>; 4] {
        let rank = who.rank();
        let limit = |scope, all: u64, most| {
            let all_count = matches!(self.goes, Goes::Nobody | Goes::Stranger);
            let is_exact = all_count || all.saturating_add(more) <= most;
            Reached { scope, held: if is_exact { all } else { self.up_to(rank, who, scope) }, most }
        };
        let network = |network| self.networks.get(&network).copied().unwrap_or_default();
        [
            who.address.map(|_| limit(Scope::Address, self.held_by(who), self.of_address(rank))),
            who.network().map(|of| limit(Scope::Network, network(of), self.of_network(rank))),
            Some(limit(Scope::Kind, self.used, self.of_kind(rank))),
            Some(Reached { scope: Scope::Kind, held: self.used, most: self.most }),
        ]
    }

    /// What all up to a rank hold. Where nobody ever goes it is not known which ranks hold what, so all count there; and
    /// where a part is nobody's.
    fn up_to(&self, rank: Rank, who: &Who, scope: Scope) -> u64 {
        let holders = self.holders.values();
        let counted = holders.filter(|holder| holder.who.rank() <= rank && holder.who.is_in(scope, who));
        counted.map(|holder| holder.units).sum()
    }

    /// The limit that somebody would reach with so much more, if nobody goes.
    pub(super) fn reached(&self, who: &Who, more: u64) -> Option<Reached> {
        let mut limits = self.limits(who, more).into_iter().flatten();
        limits.find(|limit| limit.held.saturating_add(more) > limit.most)
    }

    /// Gives somebody so much more: `place` is what they hold already, and what they hold afterwards. Others may have to go
    /// for it, but of those above a limit already no more than is asked for.
    ///
    /// # Errors
    /// A limit was reached, and not enough goes for the newcomer: nobody had to go.
    pub(super) fn take(
        &mut self,
        place: &mut Option<u64>,
        who: &Who,
        more: u64,
        now: Instant,
        with: impl FnOnce() -> T,
    ) -> Result<Vec<Ended<T>>, Reached> {
        let gone = self.make_room(*place, who, more, now)?;
        self.put(place, who, more, now, with);
        Ok(ended(gone))
    }

    /// Whether a newcomer would be given so much now.
    ///
    /// # Errors
    /// As when it takes it.
    pub(super) fn ask(&mut self, who: &Who, more: u64, now: Instant) -> Result<(), Reached> {
        let gone = self.make_room(None, who, more, now)?;
        self.undo(gone);
        Ok(())
    }

    /// What somebody holds of these units beyond the limits is asked for anew; others may have to go for it.
    ///
    /// # Errors
    /// So much is not there, since a limit was reached.
    pub(super) fn settle(
        &mut self,
        place: Option<u64>,
        who: &Who,
        units: u64,
        now: Instant,
    ) -> Result<Vec<Ended<T>>, (u64, Reached)> {
        let over = self.excess(who).min(units);
        if over == 0 {
            return Ok(Vec::new());
        }
        self.count(who, over, false);
        let gone = self.make_room(place, who, over, now);
        self.count(who, over, true);
        gone.map(ended).map_err(|reached| (over, reached))
    }

    /// What is held beyond the limits of somebody. Towards one of strangers, or of devices, only those count.
    fn excess(&self, who: &Who) -> u64 {
        let limits = self.limits(who, 0).into_iter().flatten().filter(|limit| limit.held > limit.most);
        let over = limits.map(|Reached { scope, held, most }| {
            let held = if most < self.most { self.up_to(who.rank(), who, scope) } else { held };
            held.saturating_sub(most)
        });
        over.max().unwrap_or_default()
    }

    fn make_room(&mut self, own: Option<u64>, who: &Who, more: u64, now: Instant) -> Result<Vec<Gone<T>>, Reached> {
        let (mut gone, before) = (Vec::new(), self.limits(who, more));
        loop {
            let limits = before.iter().flatten().zip(self.limits(who, more).into_iter().flatten());
            let mut reached =
                limits.filter(|(before, limit)| limit.held.saturating_add(more) > limit.most.max(before.held));
            let Some((_, reached)) = reached.next() else { return Ok(gone) };
            let Some(next) = self.goes_for(who, own, more, &reached, now).and_then(|place| self.end(place)) else {
                self.undo(gone);
                return Err(reached);
            };
            gone.push(next);
        }
    }

    /// The same without any limit.
    pub(super) fn put(
        &mut self,
        place: &mut Option<u64>,
        who: &Who,
        more: u64,
        now: Instant,
        with: impl FnOnce() -> T,
    ) {
        self.count(who, more, true);
        if self.goes == Goes::Nobody {
            return;
        }
        match place.and_then(|place| self.holders.get_mut(&place)) {
            Some(holder) => holder.units += more,
            None => {
                self.last += 1;
                *place = Some(self.last);
                let holder = Holder { who: who.clone(), units: more, idle_since: None, with: with() };
                self.holders.insert(self.last, holder);
            }
        }
        if let (Goes::Idle(after), Some(place)) = (self.goes, *place)
            && !after.is_zero()
        {
            self.idle(place, Some(now));
        }
    }

    /// Takes so much back.
    pub(super) fn give_back(&mut self, place: Option<u64>, who: &Who, units: u64) {
        if self.goes == Goes::Nobody {
            return self.count(who, units, false);
        }
        let Some(holder) = place.and_then(|place| self.holders.get_mut(&place)) else { return };
        let units = units.min(holder.units);
        holder.units -= units;
        if holder.units == 0
            && let Some(place) = place
        {
            self.holders.remove(&place);
        }
        self.count(who, units, false);
    }

    /// Counts something that is nobody's.
    pub(super) fn common(&mut self, before: u64, now: u64) {
        self.used = (self.used + now).saturating_sub(before);
    }

    /// Whether a place is still held.
    pub(super) fn holds(&self, place: u64) -> bool {
        self.goes == Goes::Nobody || self.holders.contains_key(&place)
    }

    /// Says since when a place is idle; `None`: it is not.
    pub(super) fn idle(&mut self, place: u64, since: Option<Instant>) {
        if let Some(holder) = self.holders.get_mut(&place) {
            holder.idle_since = since;
        }
    }

    /// Somebody is at another address, or known in another way, with whatever they hold.
    pub(super) fn moved(&mut self, place: Option<u64>, from: &Who, to: &Who, units: u64) {
        let holder = place.and_then(|place| self.holders.get_mut(&place));
        if self.goes == Goes::Nobody || holder.is_some() {
            if let Some(holder) = holder {
                holder.who = to.clone();
            }
            self.count(from, units, false);
            self.count(to, units, true);
        }
    }

    fn count(&mut self, who: &Who, units: u64, more: bool) {
        self.used = if more { self.used + units } else { self.used.saturating_sub(units) };
        who.address.inspect(|address| tally(&mut self.addresses, *address, units, more));
        who.network().inspect(|network| tally(&mut self.networks, *network, units, more));
    }

    fn end(&mut self, place: u64) -> Option<Gone<T>> {
        let holder = self.holders.remove(&place)?;
        let held = self.held_by(&holder.who);
        self.count(&holder.who, holder.units, false);
        Some((place, holder, held))
    }

    fn undo(&mut self, gone: Vec<Gone<T>>) {
        for (place, holder, _) in gone {
            self.count(&holder.who, holder.units, true);
            self.holders.insert(place, holder);
        }
    }

    /// Who goes for a newcomer that has reached a limit. A device or this machine takes a stranger's place, and that of one
    /// of their own kind only where it is idle. A stranger takes the place of one whose address has more strangers, or of
    /// one that is idle.
    fn goes_for(&self, who: &Who, own: Option<u64>, more: u64, limit: &Reached, now: Instant) -> Option<u64> {
        let (rank, scope) = (who.rank(), limit.scope);
        let is_alone = match self.goes {
            Goes::Newest => scope == Scope::Address, // its own newest is itself
            Goes::Stranger => scope != Scope::Kind,
            Goes::Nobody | Goes::Idle(_) => false,
        };
        if is_alone && rank == Rank::Stranger {
            return None;
        }
        let is_stranger = |holder: &Holder<T>| holder.who.rank() == Rank::Stranger;
        let mut strangers = HashMap::new();
        for holder in self.holders.values().filter(|holder| is_stranger(holder)) {
            holder.who.address.inspect(|address| tally(&mut strangers, *address, holder.units, true));
        }
        let strangers =
            |who: &Who| who.address.and_then(|address| strangers.get(&address)).copied().unwrap_or_default();
        let held = |holder: &Holder<T>| {
            let held = if is_stranger(holder) { strangers(&holder.who) } else { self.held_by(&holder.who) };
            held.max(holder.units)
        };
        let counts = |holder: &Holder<T>| holder.who.rank() <= rank || limit.most == self.most;
        let others = self
            .holders
            .iter()
            .filter(|(place, holder)| own != Some(**place) && holder.who.is_in(scope, who) && counts(holder));
        match self.goes {
            Goes::Nobody => None,
            Goes::Newest => {
                let wants = strangers(who) + more;
                let may = |holder: &Holder<T>| rank > Rank::Stranger || held(holder) - holder.units >= wants;
                others
                    .filter(|(_, holder)| is_stranger(holder) && may(holder))
                    .max_by_key(|(place, holder)| (held(holder), **place))
                    .map(|(place, _)| *place)
            }
            Goes::Idle(after) => {
                let idle = others.filter_map(|(place, holder)| Some((holder.idle_since?, place, holder)));
                idle.filter(|(since, ..)| now.saturating_duration_since(*since) >= after)
                    .filter(|(.., holder)| rank > Rank::Stranger || is_stranger(holder))
                    .min_by_key(|(since, _, holder)| (!is_stranger(holder), Reverse(held(holder)), *since))
                    .map(|(_, place, _)| *place)
            }
            Goes::Stranger => {
                let wants = strangers(who) + more;
                let may = |holder: &Holder<T>| {
                    let (is_idle, held) = (holder.idle_since.is_some(), held(holder));
                    if rank == Rank::Stranger { is_idle && held >= wants } else { is_idle || held >= self.most / 16 }
                };
                others
                    .filter(|(_, holder)| is_stranger(holder) && may(holder))
                    .min_by_key(|(_, holder)| (holder.idle_since.is_none(), Reverse(held(holder)), holder.idle_since))
                    .map(|(place, _)| *place)
            }
        }
    }
}

fn ended<T>(gone: Vec<Gone<T>>) -> Vec<Ended<T>> {
    gone.into_iter().map(|(_, Holder { who, with, .. }, held)| Ended { who, held, with }).collect()
}

/// Counts units of one, who stays in the table as long as there are some.
fn tally<K: Eq + Hash>(table: &mut HashMap<K, u64>, key: K, units: u64, more: bool) {
    match table.entry(key) {
        Entry::Occupied(held) if !more && *held.get() <= units => drop(held.remove()),
        Entry::Occupied(mut held) if !more => *held.get_mut() -= units,
        held if more && units > 0 => *held.or_default() += units,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn who(address: &str, known: bool) -> Who {
        Who::from(address.parse::<IpAddr>().unwrap()).known_by(Arc::new(AtomicBool::new(known)))
    }

    const NOBODY: [u32; 0] = [];

    /// Takes one place; gives its number, and those of the ones that had to go.
    fn enter(shares: &mut Shares<u32>, who: &Who, name: u32) -> Option<(u64, Vec<u32>)> {
        let mut place = None;
        let ended = shares.take(&mut place, who, 1, Instant::now(), || name).ok()?;
        Some((place?, ended.into_iter().map(|ended| ended.with).collect()))
    }

    #[test]
    fn a_device_takes_the_place_of_the_newest_of_whoever_has_most() {
        let mut shares = Shares::new(16, Some(25), Goes::Newest);
        for name in 0..14 {
            assert_eq!(enter(&mut shares, &who(&format!("10.0.0.{}", name % 4), false), name).unwrap().1, NOBODY);
        }
        let lamp = who("10.0.0.9", true);
        assert_eq!(enter(&mut shares, &lamp, 20).unwrap().1, NOBODY, "some are left for devices");
        assert_eq!(enter(&mut shares, &lamp, 21).unwrap().1, [13], "4 of 10.0.0.1, the newest of them");
        assert_eq!(enter(&mut shares, &who("127.0.0.1", false), 22).unwrap().1, NOBODY, "and one for this machine");
        assert_eq!(enter(&mut shares, &who("127.0.0.1", false), 23).unwrap().1, [12]);
        assert!(enter(&mut shares, &who("10.0.0.0", false), 24).is_none(), "strangers take no device's place");
    }

    #[test]
    fn a_device_behind_the_address_of_a_flood_takes_a_place_of_the_flood() {
        let mut shares = Shares::new(16, Some(25), Goes::Newest);
        for name in 0..4 {
            assert!(enter(&mut shares, &who("10.0.0.1", false), name).is_some());
        }
        assert!(enter(&mut shares, &who("10.0.0.1", false), 4).is_none());
        let lamp = who("10.0.0.1", true);
        let gone: Vec<_> =
            (10..18).filter_map(|name| enter(&mut shares, &lamp, name)).flat_map(|(_, gone)| gone).collect();
        assert_eq!((gone, shares.used()), (vec![3, 2, 1, 0], 8), "half of all for the devices of one address");
        assert!(enter(&mut shares, &lamp, 18).is_none());
    }

    #[test]
    fn strangers_that_are_away_go_before_devices_and_the_one_longest_away_first() {
        let mut shares = Shares::new(6, Some(25), Goes::Idle(Duration::ZERO));
        let mut places = Vec::new();
        for (name, known) in [(0, true), (1, false), (2, false), (3, true), (4, false)] {
            let (place, gone) = enter(&mut shares, &who(&format!("10.0.0.{name}"), known), name).unwrap();
            assert_eq!(gone, NOBODY);
            places.push(place);
        }
        let start = Instant::now();
        for (at, which) in [(1, 0), (3, 1), (2, 2)] {
            shares.idle(places[which], Some(start + Duration::from_millis(at)));
        }
        let here = who("127.0.0.1", false);
        let order: Vec<_> = (10..14).map(|name| enter(&mut shares, &here, name).map(|(_, gone)| gone)).collect();
        assert_eq!(order, [Some(vec![]), Some(vec![2]), Some(vec![1]), Some(vec![0])]);
        assert!(enter(&mut shares, &here, 14).is_none(), "who is there does not go");
    }

    /// Takes one place each for so many at addresses of their own.
    fn crowd(shares: &mut Shares<u32>, net: u8, names: std::ops::Range<u32>, known: bool) -> Vec<u64> {
        let from = |name: u32| who(&format!("10.{net}.{}.{}", name / 250, name % 250), known);
        names
            .map(|name| {
                enter(shares, &from(name), name).map(|(place, gone)| (place, assert!(gone.is_empty())).0).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_newcomer_swaps_one_for_one_however_many_devices_there_are() {
        let mut shares = Shares::new(2_000, Some(25), Goes::Idle(Duration::ZERO));
        for place in crowd(&mut shares, 0, 0..1_750, false) {
            shares.idle(place, Some(Instant::now()));
        }
        for name in 0..250 {
            shares.put(&mut None, &who("10.9.0.1", true), 1, Instant::now(), || 10_000 + name);
        }
        for (from, known) in [("10.8.0.1", false), ("10.9.0.1", true), ("127.0.0.1", false)] {
            assert_eq!(enter(&mut shares, &who(from, known), 20_000).unwrap().1.len(), 1, "{from}");
            assert_eq!(shares.used(), 2_000);
        }
    }

    #[test]
    fn a_stranger_gets_what_strangers_may_have_though_devices_have_much() {
        let mut shares = Shares::new(1_000, Some(25), Goes::Newest);
        crowd(&mut shares, 0, 0..725, false);
        let (lamps, new_lamp) = (who("10.9.0.1", true), who("10.9.0.1", false));
        for name in 0..250 {
            shares.put(&mut None, &lamps, 1, Instant::now(), || 1_000 + name);
        }
        for name in 2_000..2_025 {
            assert_eq!(enter(&mut shares, &who("10.8.0.1", false), name).unwrap().1, NOBODY, "25 are free");
        }
        assert_eq!(enter(&mut shares, &new_lamp, 2_100).unwrap().1, [2_024], "the lamps there are no part of its own");
        assert_eq!(enter(&mut shares, &lamps, 2_101).unwrap().1, [2_023]);
        assert!(enter(&mut shares, &who("10.8.0.1", false), 2_102).is_none(), "nobody has more strangers");
        assert_eq!(shares.used(), 1_000);
    }

    #[test]
    fn a_refusal_ends_nobody() {
        let mut shares = Shares::new(100, Some(25), Goes::Idle(Duration::ZERO));
        let places = crowd(&mut shares, 0, 0..88, false);
        places[..3].iter().for_each(|place| shares.idle(*place, Some(Instant::now())));
        let newcomer = who("10.8.0.1", false);
        assert!(shares.take(&mut None, &newcomer, 5, Instant::now(), || 500).is_err(), "three are not enough");
        assert!(places.iter().all(|place| shares.holds(*place)));
        assert_eq!((shares.used(), shares.held_by(&who("10.0.0.0", false))), (88, 1));
        assert!(shares.ask(&newcomer, 3, Instant::now()).is_ok() && shares.holds(places[0]), "to ask is not to take");
        assert_eq!(shares.take(&mut None, &newcomer, 3, Instant::now(), || 500).unwrap().len(), 3);
    }

    #[test]
    fn a_stranger_goes_for_a_device_or_for_one_that_has_less_and_no_device_ever_goes() {
        let mut shares = Shares::new(1_000, Some(25), Goes::Stranger);
        let take = |shares: &mut Shares<u32>, who: &Who, units, name| {
            let mut place = None;
            let taken = shares.take(&mut place, who, units, Instant::now(), || name);
            taken.map(|gone| (place.unwrap(), gone.into_iter().map(|gone| gone.with).collect::<Vec<_>>()))
        };
        let stranger = |n: u32| who(&format!("10.0.0.{n}"), false);
        let start = Instant::now();
        for (name, n, units) in [(0, 1, 150), (1, 1, 100), (2, 2, 200), (3, 3, 200)] {
            let (place, gone) = take(&mut shares, &stranger(n), units, name).unwrap();
            assert_eq!(gone, NOBODY);
            shares.idle(place, (name != 3).then(|| start + Duration::from_millis(9 - u64::from(name))));
        }
        shares.common(0, 225); // what is nobody's is part of the whole
        assert_eq!(take(&mut shares, &stranger(1), 1, 9).unwrap_err().scope, Scope::Address, "it takes from nobody");
        assert_eq!(take(&mut shares, &stranger(4), 100, 10).unwrap().1, [1], "of whoever has most, the longest idle");
        assert_eq!(
            take(&mut shares, &stranger(4), 101, 11).unwrap_err().scope,
            Scope::Kind,
            "nobody has more than that"
        );
        let lamp = who("10.0.0.9", true);
        assert_eq!(take(&mut shares, &lamp, 400, 12).unwrap().1, [2, 0], "those that are idle first");
        assert_eq!(take(&mut shares, &lamp, 100, 13).unwrap().1, [3]);
        let here = who("127.0.0.1", false);
        assert_eq!(take(&mut shares, &here, 150, 14).unwrap().1, NOBODY);
        assert_eq!(take(&mut shares, &here, 100, 15).unwrap().1, [10]);
        assert!(take(&mut shares, &here, 1_000, 16).is_err() && shares.used() == 975, "no device goes");
        shares.common(225, 0);
        assert_eq!(shares.used(), 750);
    }

    /// What a client does.
    #[derive(Clone, Debug)]
    enum Step {
        Comes { address: u8, known: bool, units: u64 },
        Grows { which: usize, units: u64 },
        Leaves { which: usize },
        Idles { which: usize, idle: bool },
        Moves { which: usize, address: u8 },
        IsKnown { which: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..8u8, any::<bool>(), 1..4u64).prop_map(|(address, known, units)| Step::Comes { address, known, units }),
            2 => (any::<usize>(), 1..4u64).prop_map(|(which, units)| Step::Grows { which, units }),
            2 => any::<usize>().prop_map(|which| Step::Leaves { which }),
            2 => (any::<usize>(), any::<bool>()).prop_map(|(which, idle)| Step::Idles { which, idle }),
            1 => (any::<usize>(), 0..8u8).prop_map(|(which, address)| Step::Moves { which, address }),
            1 => any::<usize>().prop_map(|which| Step::IsKnown { which }),
        ]
    }

    /// IPv4 (one of them in two forms), this machine, and machines of one IPv6 network.
    fn address(n: u8) -> &'static str {
        [
            "10.0.0.1",
            "::ffff:10.0.0.1",
            "10.0.0.2",
            "10.0.0.3",
            "127.0.0.1",
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8::3",
        ][usize::from(n)]
    }

    struct Client {
        who: Who,
        known: Arc<AtomicBool>,
        place: Option<u64>,
        units: u64,
        idle: bool,
    }

    impl Client {
        fn new(n: u8, known: bool) -> Self {
            let known = Arc::new(AtomicBool::new(known));
            let who = Who::from(address(n).parse::<IpAddr>().unwrap()).known_by(known.clone());
            Self { who, known, place: None, units: 0, idle: false }
        }

        /// Takes some; those that have to go leave the list. Gives what is left of it.
        fn takes(mut self, units: u64, mut others: Vec<Self>, shares: &mut Shares<()>, goes: Goes) -> Vec<Self> {
            let (rank, all, used) = (self.who.rank(), others.len(), shares.used());
            let before = shares.limits(&self.who, units);
            let taken = shares.take(&mut self.place, &self.who, units, Instant::now(), || ());
            let (here, gone): (Vec<_>, Vec<_>) =
                others.into_iter().partition(|other| other.place.is_none_or(|place| shares.holds(place)));
            others = here;
            match &taken {
                Ok(ended) => {
                    self.units += units;
                    // never above a limit, nor further above one that was passed in another way
                    let limits = before.iter().flatten().zip(shares.limits(&self.who, 0).into_iter().flatten());
                    for (before, limit) in limits {
                        assert!(limit.held <= limit.most.max(before.held), "{before:?} {limit:?}");
                    }
                    // no more has to go than is asked for: without one of those it would not be enough
                    let of = || gone.iter().map(|other| other.units);
                    assert!(gone.is_empty() || of().sum::<u64>() - of().max().unwrap_or_default() < units);
                    assert!(ended.len() == gone.len() && (goes != Goes::Nobody || gone.is_empty()));
                }
                Err(reached) => {
                    // a refusal ends nobody, and no device is refused while strangers have what it needs
                    assert!((shares.used(), others.len()) == (used, all));
                    let may_go = |other: &&Self| {
                        other.who.is_in(reached.scope, &self.who)
                            && other.who.rank() == Rank::Stranger
                            && (goes == Goes::Newest || goes != Goes::Nobody && other.idle)
                    };
                    let there_is = others.iter().filter(may_go).map(|other| other.units).sum::<u64>();
                    assert!(rank == Rank::Stranger || there_is < units);
                }
            }
            if self.units > 0 {
                others.push(self);
            }
            others
        }
    }

    proptest! {
        /// Whoever comes, grows, goes and moves.
        #[test]
        fn nobody_holds_more_than_its_share_and_all_is_given_back(
            most in 1..60u64,
            percent in 1..=25u64,
            goes in prop::sample::select(vec![Goes::Nobody, Goes::Newest, Goes::Idle(Duration::ZERO), Goes::Stranger]),
            steps in prop::collection::vec(step(), 0..120),
        ) {
            let mut shares = Shares::new(most, Some(percent), goes);
            let mut clients: Vec<Client> = Vec::new();
            for step in steps {
                let at = |which: usize| (!clients.is_empty()).then(|| which % clients.len());
                match step {
                    Step::Comes { address, known, units } => {
                        clients = Client::new(address, known).takes(units, clients, &mut shares, goes);
                    }
                    Step::Grows { which, units } => if let Some(at) = at(which) {
                        let client = clients.remove(at);
                        clients = client.takes(units, clients, &mut shares, goes);
                    },
                    Step::Leaves { which } => if let Some(at) = at(which) {
                        let Client { who, place, units, .. } = clients.remove(at);
                        shares.give_back(place, &who, units);
                    },
                    Step::Idles { which, idle } => if let Some(at) = at(which) {
                        clients[at].idle = idle;
                        clients[at].place.inspect(|place| shares.idle(*place, idle.then(Instant::now)));
                    },
                    Step::Moves { which, address: n } => if let Some(at) = at(which) {
                        let client = &mut clients[at];
                        let to = Client::new(n, false).who.known_by(client.known.clone());
                        shares.moved(client.place, &client.who, &to, client.units);
                        client.who = to;
                    },
                    Step::IsKnown { which } => if let Some(at) = at(which) {
                        clients[at].known.store(true, Ordering::Relaxed);
                    },
                }
                prop_assert_eq!(shares.used(), clients.iter().map(|client| client.units).sum::<u64>());
                for client in &clients {
                    let of = clients.iter().filter(|other| other.who.address == client.who.address);
                    prop_assert_eq!(shares.held_by(&client.who), of.map(|client| client.units).sum::<u64>());
                }
            }
            for Client { who, place, units, .. } in clients {
                shares.give_back(place, &who, units);
            }
            prop_assert_eq!(shares.used(), 0);
            prop_assert!(shares.addresses.is_empty() && shares.networks.is_empty() && shares.holders.is_empty());
        }
    }
}
