//! Who holds how much of one kind of thing, pure: what there is, what one address may have of it, and who goes when it is full.
//!
//! An address has a part, so that nobody takes everything. Some of each kind is left to devices that are known and to this
//! machine, however many strangers come.

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

    /// The limit that somebody would reach with so much more.
    pub(super) fn reached(&self, who: &Who, more: u64) -> Option<Reached> {
        let rank = who.rank();
        let address = who.address.map(|_| (Scope::Address, self.held_by(who), self.of_address(rank)));
        let network = who.network().map(|network| {
            (Scope::Network, self.networks.get(&network).copied().unwrap_or_default(), self.of_network(rank))
        });
        let kind = Some((Scope::Kind, self.used, self.of_kind(rank)));
        let limits = [address, network, kind].into_iter().flatten();
        let mut reached = limits.filter(|(_, held, most)| held.saturating_add(more) > *most);
        reached.next().map(|(scope, held, most)| Reached { scope, held, most })
    }

    /// Gives somebody so much more: `place` is what they hold already, and what they hold afterwards. Others may have to go
    /// for it, even when it is refused in the end.
    ///
    /// # Errors
    /// A limit was reached, and nobody goes for the newcomer.
    pub(super) fn take(
        &mut self,
        place: &mut Option<u64>,
        who: &Who,
        more: u64,
        now: Instant,
        with: impl FnOnce() -> T,
    ) -> (Vec<Ended<T>>, Result<(), Reached>) {
        let mut ended = Vec::new();
        while let Some(reached) = self.reached(who, more) {
            let Some(gone) = self.goes_for(who, *place, more, reached.scope, now) else { return (ended, Err(reached)) };
            ended.extend(self.end(gone));
        }
        self.put(place, who, more, now, with);
        (ended, Ok(()))
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

    fn end(&mut self, place: u64) -> Option<Ended<T>> {
        let Holder { who, units, with, .. } = self.holders.remove(&place)?;
        let held = self.held_by(&who);
        self.count(&who, units, false);
        Some(Ended { who, held, with })
    }

    /// Who goes for a newcomer that has reached a limit. A device or this machine takes a stranger's place, and that of one
    /// of their own kind only where it is idle. A stranger takes the place of one whose address has more, or of one that is
    /// idle.
    fn goes_for(&self, who: &Who, own: Option<u64>, more: u64, scope: Scope, now: Instant) -> Option<u64> {
        let (rank, wants) = (who.rank(), self.held_by(who) + more);
        if self.goes == Goes::Newest && rank == Rank::Stranger && scope == Scope::Address {
            return None; // its own newest is itself
        }
        let held = |holder: &Holder<T>| self.held_by(&holder.who).max(holder.units);
        let others = self.holders.iter().filter(|(place, holder)| {
            own != Some(**place)
                && match scope {
                    Scope::Address => holder.who.address == who.address,
                    Scope::Network => holder.who.network() == who.network(),
                    Scope::Kind | Scope::All => true,
                }
        });
        match self.goes {
            Goes::Nobody => None,
            Goes::Newest => {
                let strangers = others.filter(|(_, holder)| holder.who.rank() == Rank::Stranger);
                let may = |holder: &Holder<T>| rank > Rank::Stranger || held(holder) - holder.units >= wants;
                strangers
                    .filter(|(_, holder)| may(holder))
                    .max_by_key(|(place, holder)| (held(holder), **place))
                    .map(|(place, _)| *place)
            }
            Goes::Idle(after) => {
                let is_stranger = |holder: &Holder<T>| holder.who.rank() == Rank::Stranger;
                let idle = others.filter_map(|(place, holder)| Some((holder.idle_since?, place, holder)));
                idle.filter(|(since, ..)| now.saturating_duration_since(*since) >= after)
                    .filter(|(.., holder)| rank > Rank::Stranger || is_stranger(holder))
                    .min_by_key(|(since, _, holder)| (!is_stranger(holder), Reverse(held(holder)), *since))
                    .map(|(_, place, _)| *place)
            }
        }
    }
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
        let (ended, taken) = shares.take(&mut place, who, 1, Instant::now(), || name);
        taken.ok()?;
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
            let rank = self.who.rank();
            let before = shares.used();
            let (ended, taken) = shares.take(&mut self.place, &self.who, units, Instant::now(), || ());
            others.retain(|other| other.place.is_none_or(|place| shares.holds(place)));
            match &taken {
                Ok(()) => {
                    self.units += units;
                    // never above the share
                    assert!(
                        shares.used() <= shares.of_kind(rank) && shares.held_by(&self.who) <= shares.of_address(rank)
                    );
                    assert!(shares.reached(&self.who, 0).is_none());
                }
                Err(reached) => {
                    // no device is refused while a stranger has what it needs
                    let in_reach = |other: &Self| match reached.scope {
                        Scope::Address => other.who.address == self.who.address,
                        Scope::Network => other.who.network() == self.who.network(),
                        Scope::Kind | Scope::All => true,
                    };
                    let may_go = |other: &Self| {
                        in_reach(other)
                            && other.who.rank() == Rank::Stranger
                            && (goes == Goes::Newest || goes != Goes::Nobody && other.idle)
                    };
                    assert!(rank == Rank::Stranger || !others.iter().any(may_go));
                    assert!(shares.used() <= before);
                }
            }
            assert!(goes != Goes::Nobody || ended.is_empty());
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
            goes in prop::sample::select(vec![Goes::Nobody, Goes::Newest, Goes::Idle(Duration::ZERO)]),
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
