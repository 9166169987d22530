//! Last wills in the store, by client id. One that was not fired when the process ended is fired by a later start, unless its
//! client comes back in time. It is there before the client is let in, and goes after it was handed on, or before the
//! connection of a client that has said DISCONNECT is closed.

use std::time::Duration;

use bytes::Bytes;

use super::codec::{Carried, Connect, Publish, QoS};
use crate::kit::budget::{Budget, Full, Kind, Share, Who};
use crate::kit::clock::{self, CLOCK_WAS_SET};
use crate::store::{Batch, Store, Tree};

/// Format of a stored will: this byte, flags (QoS, retain), keep-alive (2), length of the topic (2), topic, payload.
const FORMAT: u8 = 1;

/// The same of MQTT 5: behind this byte stand first the delay (4), flags (1), if its client has gone when that was (8), the
/// expiry (4), length of the properties that are passed on (4), and those.
const FORMAT_5: u8 = 2;

/// Where those flags are, and their bits.
const FLAGS_5: usize = 5;
const EXPIRES: u8 = 1;
const GONE: u8 = 2;

/// Bit of the flags beside the QoS.
const RETAIN: u8 = 4;

/// In front of the client ids: no client id begins with this character ([MQTT-1.5.3-2]), so it stands for no session; and
/// then the kind, which must never get another meaning.
const PREFIX: [u8; 2] = [0, 16];

/// How long a client has to come back, at least (CONTRACT, section 10).
const LEAST: Duration = Duration::from_secs(10);

/// A client of an earlier run whose will was not fired.
pub(super) struct Pending {
    pub(super) client: String,
    pub(super) left: Left,
}

/// What is known of a will that is in the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// How long its client has to come back.
    pub(super) patience: Duration,
    /// It had gone before the end: only the delay of its will is waited for.
    pub(super) gone: bool,
    bytes: usize,
}

impl Left {
    /// What it holds of the budget, whatever the limits say: it is there.
    pub(super) fn held(&self, budget: &Budget) -> Share {
        budget.hold(Kind::Wills, Who::default(), self.bytes)
    }
}

/// What the will of a client holds of the budget. One that takes over has in any case what the will `before` it took, whose
/// room is free a moment later.
///
/// # Errors
/// There is no room for it.
pub(super) fn room(budget: &Budget, who: &Who, connect: &Connect, before: usize) -> Result<Option<Share>, Full> {
    let bytes = bytes(connect);
    if bytes == 0 {
        return Ok(None);
    }
    let mut room = budget.hold(Kind::Wills, who.clone(), bytes.min(before));
    room.grow_to(bytes)?;
    Ok(Some(room))
}

/// What the will of a client takes.
pub(super) fn bytes(connect: &Connect) -> usize {
    connect.will.as_ref().map_or(0, Publish::size)
}

fn key(client: &str) -> Vec<u8> {
    [&PREFIX, client.as_bytes()].concat()
}

/// Keeps the will of a client, if it has one.
pub(super) fn put(batch: &mut Batch, connect: &Connect) {
    let Some(will) = &connect.will else { return };
    let delay = connect.will_delay.min(connect.session_expiry); // whichever ends first
    let plain = delay == 0 && will.expiry.is_none() && will.carried.bytes().is_empty();
    let mut value = vec![if plain { FORMAT } else { FORMAT_5 }];
    if !plain {
        let carried = will.carried.bytes();
        value.extend(delay.to_be_bytes());
        value.push(if will.expiry.is_some() { EXPIRES } else { 0 });
        value.extend(will.expiry.unwrap_or(0).to_be_bytes());
        value.extend((carried.len() as u32).to_be_bytes()); // a packet has 28 bits of length
        value.extend_from_slice(carried);
    }
    value.push(will.qos.bits() | if will.retain { RETAIN } else { 0 });
    value.extend(connect.keep_alive.to_be_bytes());
    value.extend((will.topic.len() as u16).to_be_bytes()); // topics have 16-bit lengths in MQTT
    value.extend_from_slice(will.topic.as_bytes());
    value.extend_from_slice(&will.payload);
    batch.put(Tree::Letters, key(&connect.client_id), value);
}

/// Notes that the client of a will that has a delay has gone now: only that delay is left.
pub(super) fn note_end(store: &Store, batch: &mut Batch, client: &str) {
    let Some(mut value) = store.get(Tree::Letters, &key(client)) else { return };
    if value.first() == Some(&FORMAT_5)
        && let Some(flags) = value.get_mut(FLAGS_5).filter(|flags| **flags & GONE == 0)
    {
        *flags |= GONE;
        value.splice(FLAGS_5 + 1..FLAGS_5 + 1, clock::system_ms().to_be_bytes());
        batch.put(Tree::Letters, key(client), value);
    }
}

pub(super) fn delete(batch: &mut Batch, client: &str) {
    batch.delete(Tree::Letters, key(client));
}

/// All that earlier runs left.
pub(super) fn pending(store: &Store) -> Vec<Pending> {
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let client = String::from_utf8(key.get(PREFIX.len()..)?.to_vec()).ok()?;
        let StoredWill { keep_alive, delay, gone, will } = decode(store, &key, &value)?;
        let delay = Duration::from_secs(delay.into());
        let patience = match gone {
            None => patience(keep_alive) + delay,
            // a clock that was not set, or went back, says nothing
            Some(since) if since < CLOCK_WAS_SET => delay,
            Some(since) => delay.saturating_sub(Duration::from_millis(clock::system_ms().saturating_sub(since))),
        };
        Some(Pending { client, left: Left { patience, gone: gone.is_some(), bytes: will.size() } })
    };
    store.scan(Tree::Letters, &PREFIX).into_iter().filter_map(read).collect()
}

/// The will of a client, if the store has it.
pub(super) fn read(store: &Store, client: &str) -> Option<Publish> {
    let key = key(client);
    let value = store.get(Tree::Letters, &key)?;
    Some(decode(store, &key, &value)?.will)
}

fn patience(keep_alive: u16) -> Duration {
    (Duration::from_millis(1500) * u32::from(keep_alive)).max(LEAST)
}

struct StoredWill {
    keep_alive: u16,
    /// Seconds.
    delay: u32,
    /// When its client had gone, Unix milliseconds.
    gone: Option<u64>,
    will: Publish,
}

fn decode(store: &Store, key: &[u8], value: &[u8]) -> Option<StoredWill> {
    let is_5 = value.first() == Some(&FORMAT_5);
    let mut rest = store.behind_format(Tree::Letters, key, value, if is_5 { FORMAT_5 } else { FORMAT })?;
    let (mut delay, mut gone, mut expiry, mut carried) = (0, None, None, Carried::default());
    if is_5 {
        let seconds;
        (delay, rest) = rest.split_first_chunk().map(|(delay, rest)| (u32::from_be_bytes(*delay), rest))?;
        let (flags, mut behind) = rest.split_first()?;
        if flags & GONE != 0 {
            let since;
            (since, behind) = behind.split_first_chunk()?;
            gone = Some(u64::from_be_bytes(*since));
        }
        (seconds, rest) = behind.split_first_chunk().map(|(seconds, rest)| (u32::from_be_bytes(*seconds), rest))?;
        expiry = (flags & EXPIRES != 0).then_some(seconds);
        let (length, behind) = rest.split_first_chunk()?;
        let (properties, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        (carried, rest) = (Carried::stored(Bytes::copy_from_slice(properties)), behind);
    }
    let (flags, rest) = rest.split_first()?;
    let (keep_alive, rest) = rest.split_first_chunk::<2>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (topic, payload) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (topic, payload) = (String::from_utf8(topic.to_vec()).ok()?, Bytes::copy_from_slice(payload));
    let (qos, retain) = (QoS::new(flags & !RETAIN)?, flags & RETAIN > 0);
    let will = Publish { expiry, carried, ..Publish::new(topic, payload, qos, retain) };
    Some(StoredWill { keep_alive: u16::from_be_bytes(*keep_alive), delay, gone, will })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::kit::health::Health;
    use crate::metrics::Metrics;

    fn connect(client: &str, keep_alive: u16, qos: QoS, retain: bool) -> Connect {
        let will = Publish::new("é/t".into(), "gone".into(), qos, retain);
        Connect { clean: true, keep_alive, will: Some(will), ..Connect::new(client) }
    }

    #[test]
    fn a_client_has_one_and_a_half_keep_alives_and_at_least_ten_seconds() {
        for (keep_alive, seconds) in [(0, 10), (1, 10), (6, 10), (7, 10), (60, 90), (u16::MAX, 98_302)] {
            assert_eq!(patience(keep_alive).as_secs(), seconds, "{keep_alive}");
        }
        assert_eq!(patience(7), Duration::from_millis(10_500));
    }

    #[tokio::test]
    async fn a_will_comes_back_as_it_was_and_one_of_tomorrows_format_is_named() {
        let (dir, health) = (tempfile::tempdir().unwrap(), Health::default());
        let storage = config::Storage { data_dir: dir.path().into(), ..config::Storage::default() };
        let store = Store::open(&storage, &health, &Metrics::new().unwrap()).unwrap().store;
        let mut five = Connect { will_delay: 7, ..connect("five", 20, QoS::AtLeastOnce, true) };
        let carried = Carried::stored(b"\x26\0\x01k\0\x01v"[..].into());
        five.will = five.will.map(|will| Publish { expiry: Some(0), carried, ..will });
        let all = [connect("a", 60, QoS::ExactlyOnce, true), connect("a\u{1}", 0, QoS::AtMostOnce, false), five];
        let mut batch = Batch::default();
        all.iter().for_each(|connect| put(&mut batch, connect));
        put(&mut batch, &Connect { will: None, ..connect("none", 1, QoS::AtMostOnce, false) });
        store.write(batch).await;
        for connect in &all {
            assert_eq!(read(&store, &connect.client_id), connect.will);
        }
        let found: Vec<_> =
            pending(&store).into_iter().map(|will| (will.client, will.left.patience.as_secs())).collect();
        assert_eq!(found, [("a".to_owned(), 90), ("a\u{1}".to_owned(), 10), ("five".to_owned(), 37)]);
        let mut batch = Batch::default();
        delete(&mut batch, "a");
        batch.put(Tree::Letters, key("b"), [FORMAT + 2, 0]);
        batch.put(Tree::Letters, key("c"), [FORMAT, 0, 0, 1, 0, 9, b't']);
        store.write(batch).await;
        assert_eq!((read(&store, "a"), read(&store, "c")), (None, None));
        assert_eq!(pending(&store).len(), 2);
        assert!(health.problems()[0].message.contains("format 3"), "{:?}", health.problems());
        store.close().await;
    }
}
