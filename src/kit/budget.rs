//! What clients can make the process hold, drawn from one budget in bytes (`limits.memory`): each kind of thing has a share
//! of it, and in each kind one address has a part of that. A holder keeps a [`Share`], which gives the bytes back.
//!
//! Full means: the newcomer is refused, the board names the kind and the address, and nobody waits.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::health::Health;
use crate::metrics;

/// Problem in `/readyz` while a kind is full, and for a while after.
const PROBLEM: &str = "MEMORY_FULL";

/// How long the board shows it: long enough for somebody who looks once a minute.
const TOLD_FOR: Duration = Duration::from_secs(90);

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// MQTT packets that have arrived only in part.
    Packets,
    /// Bodies of requests, and of large answers on their way.
    Bodies,
    /// Documents while they are read and stored. One at a time, so no address has a part of its own.
    Documents,
    /// WebSockets, and their messages that wait their turn.
    Sockets,
    /// Backups and restores at work. One at a time, too.
    Backups,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Packets, Self::Bodies, Self::Documents, Self::Sockets, Self::Backups];

    /// Its name in metrics and on the board.
    const fn name(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Bodies => "bodies",
            Self::Documents => "documents",
            Self::Sockets => "sockets",
            Self::Backups => "backups",
        }
    }

    /// Its name for people.
    const fn words(self) -> &'static str {
        match self {
            Self::Packets => "MQTT packets that are still arriving",
            Self::Bodies => "request bodies and large answers",
            Self::Documents => "documents that are being read and stored",
            Self::Sockets => "WebSockets and their messages that wait their turn",
            Self::Backups => "backups and restores",
        }
    }

    /// Its share, in sixteenths of the whole. The shares add up to more than the whole, since not all are full at once; a full
    /// one leaves the others what they need.
    const fn sixteenths(self) -> u64 {
        match self {
            Self::Packets | Self::Bodies | Self::Sockets | Self::Backups => 4,
            Self::Documents => 8,
        }
    }

    const fn is_single(self) -> bool {
        matches!(self, Self::Documents | Self::Backups)
    }
}

/// The one budget. Clones share it.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    total: u64,
    /// What one address may hold of a kind's share, in percent.
    per_address: u64,
    health: Health,
    metrics: metrics::Memory,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    all: u64,
    kinds: [Used; Kind::ALL.len()],
}

#[derive(Default)]
struct Used {
    bytes: u64,
    by: HashMap<Holder, u64>,
    refused_at: Option<Instant>,
}

/// Who counts as one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    /// This machine. It may hold a whole share, and an eighth of it is reserved for it.
    Loopback,
    /// An IPv4 address, however it is written; an IPv6 /64 network, which one machine may fill; a link-local address.
    Address(IpAddr),
}

impl From<IpAddr> for Holder {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Loopback,
            IpAddr::V6(address) if !address.is_unicast_link_local() => {
                Self::Address(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into())
            }
            address => Self::Address(address),
        }
    }
}

/// Why the budget gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Full {
    message: String,
    /// More was asked for than can ever be had.
    pub never: bool,
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReachedLimit {
    /// The limit of the address.
    Address,
    /// The limit of the kind.
    Kind,
    /// The limit of everything together.
    All,
}

/// Bytes, for people.
fn shown(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} kB", bytes.div_ceil(1 << 10)),
        _ => format!("{} MB", bytes.div_ceil(1 << 20)),
    }
}

/// A part of the budget, given back when it is dropped.
pub struct Share {
    budget: Budget,
    kind: Kind,
    address: IpAddr,
    bytes: u64,
}

impl Budget {
    /// `memory` bytes in all; `per_address` percent of a kind's share for one address.
    #[must_use]
    pub fn new(memory: u64, per_address: u64, health: Health, metrics: metrics::Memory) -> Self {
        Self(Arc::new(Inner { total: memory, per_address, health, metrics, held: Mutex::default() }))
    }

    /// An empty share that may grow.
    #[must_use]
    pub fn share(&self, kind: Kind, address: IpAddr) -> Share {
        Share { budget: self.clone(), kind, address, bytes: 0 }
    }

    /// A share of this many bytes.
    ///
    /// # Errors
    /// This kind or address has no more.
    pub fn draw(&self, kind: Kind, address: IpAddr, bytes: usize) -> Result<Share, Full> {
        let mut share = self.share(kind, address);
        share.grow_to(bytes)?;
        Ok(share)
    }

    /// The most that one address may hold of a kind.
    #[must_use]
    pub fn most(&self, kind: Kind, address: IpAddr) -> u64 {
        let share = self.of_kind(kind);
        match Holder::from(address) {
            _ if kind.is_single() => share,
            Holder::Loopback => share,
            Holder::Address(_) => share * self.0.per_address / 100,
        }
    }

    fn of_kind(&self, kind: Kind) -> u64 {
        self.0.total / 16 * kind.sixteenths()
    }

    /// `whole` is what the caller will hold in total.
    fn take(&self, kind: Kind, address: IpAddr, more: u64, whole: u64) -> Result<(), Full> {
        let holder = Holder::from(address);
        let mut held = self.0.held.lock();
        let all = held.all;
        let Some(used) = held.kinds.get_mut(kind as usize) else { return Ok(()) };
        let own = used.by.get(&holder).copied().unwrap_or(0);
        let kept = |of: u64| if holder == Holder::Loopback || kind.is_single() { of } else { of - of / 8 };
        let (most, of_kind, total) = (self.most(kind, address), kept(self.of_kind(kind)), kept(self.0.total));
        let limits = [
            (own, most, ReachedLimit::Address),
            (used.bytes, of_kind, ReachedLimit::Kind),
            (all, total, ReachedLimit::All),
        ];
        if let Some((bytes, most, whose)) = limits.into_iter().find(|(bytes, most, _)| bytes + more > *most) {
            used.refused_at = Some(Instant::now());
            drop(held);
            let never = whole > most;
            let (what, uses, limit) = (kind.words(), shown(bytes), shown(most));
            let needs = shown(if never { whole } else { more });
            let settings = match whose {
                ReachedLimit::Address if most < self.of_kind(kind) => "limits.memory, limits.per_address",
                _ => "limits.memory",
            };
            let message = match whose {
                _ if never => format!("{address} needs {needs} for {what}, more than the {limit} allowed ({settings})"),
                ReachedLimit::Address => {
                    format!(
                        "{address} already uses {uses} of the {limit} allowed for {what} and needs {needs} more ({settings})"
                    )
                }
                ReachedLimit::Kind => format!(
                    "all clients together already use {uses} of the {limit} allowed for {what}, and {address} needs {needs} \
                     more ({settings})"
                ),
                ReachedLimit::All => format!(
                    "all clients together already use {uses} of {limit} of memory, and {address} needs {needs} more for {what} \
                     ({settings})"
                ),
            };
            let full = Full { message, never };
            self.0.metrics.refused.with_label_values(&[kind.name()]).inc();
            if self.0.health.raise_for(PROBLEM, kind.name(), full.to_string()) {
                tracing::warn!(kind = kind.name(), %address, %full, "memory_full");
            }
            return Err(full);
        }
        used.bytes += more;
        *used.by.entry(holder).or_default() += more;
        self.0.metrics.held.with_label_values(&[kind.name()]).set(i64::try_from(used.bytes).unwrap_or(i64::MAX));
        held.all += more;
        Ok(())
    }

    fn give_back(&self, kind: Kind, address: IpAddr, bytes: u64) {
        let holder = Holder::from(address);
        let mut held = self.0.held.lock();
        held.all = held.all.saturating_sub(bytes);
        let Some(used) = held.kinds.get_mut(kind as usize) else { return };
        used.bytes = used.bytes.saturating_sub(bytes);
        if let Some(own) = used.by.get_mut(&holder) {
            *own = own.saturating_sub(bytes);
            if *own == 0 {
                used.by.remove(&holder);
            }
        }
        self.0.metrics.held.with_label_values(&[kind.name()]).set(i64::try_from(used.bytes).unwrap_or(i64::MAX));
    }

    /// Clears problems that are over, before the board is read.
    pub fn review(&self) {
        let mut held = self.0.held.lock();
        for kind in Kind::ALL {
            let Some(used) = held.kinds.get_mut(kind as usize) else { continue };
            if used.refused_at.is_some_and(|at| at.elapsed() > TOLD_FOR) {
                used.refused_at = None;
                self.0.health.clear_for(PROBLEM, kind.name());
            }
        }
    }
}

impl Share {
    /// Grows the share to this size, if it is smaller.
    ///
    /// # Errors
    /// There is not that much; the share stays as it was.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Full> {
        let bytes = bytes as u64;
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) {
            self.budget.take(self.kind, self.address, more, bytes)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Gives all of it back.
    pub fn clear(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes > 0 {
            self.budget.give_back(self.kind, self.address, bytes);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The default budget: 40 % of the machine, at most 512 MB.
#[must_use]
pub fn default_memory() -> u64 {
    let machine = machine_memory().unwrap_or(1 << 30);
    (machine / 5 * 2).clamp(16 << 20, 512 << 20)
}

/// Memory that this process may have, in bytes: the machine's, or its container's or unit's where that is less.
fn machine_memory() -> Option<u64> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(number(line.trim().strip_suffix("kB")?)? << 10)
    });
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let groups = [
        format!("/sys/fs/cgroup{}/memory.max", own.trim_end_matches('/')),
        "/sys/fs/cgroup/memory.max".to_owned(),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned(), // cgroup v1
    ];
    // "max" is not a number
    let groups = groups.iter().filter_map(|path| number(&fs::read_to_string(path).ok()?));
    groups.chain(machine).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    const MB: usize = 1 << 20;

    fn budget(total: usize) -> (Budget, Health) {
        let health = Health::default();
        (Budget::new(total as u64, 25, health.clone(), Metrics::new().unwrap().memory), health)
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
    }

    #[test]
    fn an_ipv6_network_counts_as_one_and_link_local_machines_do_not() {
        let (budget, _) = budget(16 * MB);
        let _one = budget.draw(Kind::Packets, at("2001:db8::1"), MB).unwrap();
        assert!(budget.draw(Kind::Packets, at("2001:db8::ffff:1"), 1).is_err());
        assert!(budget.draw(Kind::Packets, at("2001:db8:0:1::1"), 1).is_ok());
        let _one = budget.draw(Kind::Packets, at("fe80::1"), MB).unwrap();
        assert!(budget.draw(Kind::Packets, at("fe80::2"), 1).is_ok());
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
        assert!(budget.0.held.lock().kinds.iter().all(|used| used.bytes == 0 && used.by.is_empty()));
    }
}
