//! What a message has beside topic, payload and QoS (MQTT 5): properties for whoever gets it, and when nobody wants it any
//! more. Most messages have none of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::codec::{Carried, Publish};
use crate::kit::clock::{self, CLOCK_WAS_SET};
use crate::store::{Reader, Store, Tree, put_bytes, put_number};

/// Shared by all who are given the message.
pub(super) type Extra = Option<Arc<Properties>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    pub(super) carried: Carried,
    pub(super) expires: Option<Instant>,
}

/// Those of a client's message, which has come now.
pub(super) fn of(publish: &Publish) -> Extra {
    let expires = publish.expiry.map(in_seconds);
    let none = expires.is_none() && publish.carried.bytes().is_empty();
    (!none).then(|| Arc::new(Properties { carried: publish.carried.clone(), expires }))
}

/// 0 counts as 1: whoever is there gets it, as from Mosquitto.
fn in_seconds(seconds: u32) -> Instant {
    Instant::now() + Duration::from_secs(seconds.max(1).into())
}

/// When nobody wants a message any more.
pub(super) fn expires(extra: &Extra) -> Option<Instant> {
    extra.as_ref()?.expires
}

/// The same, but expiring then.
pub(super) fn expiring(extra: Extra, expires: Option<Instant>) -> Extra {
    match extra {
        Some(properties) if properties.expires != expires => {
            Some(Arc::new(Properties { expires, carried: properties.carried.clone() }))
        }
        same => same,
    }
}

/// Bytes of the properties that are passed on.
pub(super) fn size(extra: &Extra) -> usize {
    extra.as_ref().map_or(0, |properties| properties.carried.bytes().len())
}

/// Whole seconds until then, of which a part counts: a message that has not waited keeps its own (section 3.3.2.3.3).
pub(super) fn seconds_left(expires: Instant, now: Instant) -> u32 {
    let left = expires.saturating_duration_since(now);
    u32::try_from(left.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

/// Bits of the flags: it was published with the retain flag; it expires; it is given from the retained store.
pub(super) const RETAIN: u8 = 1;
const EXPIRES: u8 = 2;
pub(super) const RETAINED: u8 = 4;

/// Begins a stored value: with `format`, or with the next one and properties. `flags`: [`RETAIN`] and [`RETAINED`], where they
/// matter.
pub(super) fn begin(format: u8, extra: &Extra, flags: u8) -> Vec<u8> {
    if extra.is_none() && flags == 0 {
        return vec![format];
    }
    let expires = expires(extra);
    let flags = flags | if expires.is_some() { EXPIRES } else { 0 };
    let mut value = vec![format + 1, flags];
    if let Some(expires) = expires {
        let left = seconds_left(expires, Instant::now());
        put_number(&mut value, left.into());
        put_number(&mut value, clock::system_ms() + u64::from(left) * 1000);
    }
    put_bytes(&mut value, extra.as_ref().map_or(&[][..], |properties| properties.carried.bytes()));
    value
}

/// What [`begin`] has begun: the properties, the flags, and the rest. `None`: it cannot be read, which is reported.
pub(super) fn open<'a>(
    store: &Store,
    (tree, key): (Tree, &[u8]),
    value: &'a [u8],
    format: u8,
) -> Option<(Extra, u8, &'a [u8])> {
    if value.first() != Some(&(format + 1)) {
        return Some((None, 0, store.behind_format(tree, key, value, format)?));
    }
    let rest = store.behind_format(tree, key, value, format + 1)?;
    let read = decode(rest, clock::system_ms());
    if read.is_none() {
        store.damaged(tree, key, "cannot be read");
    }
    read
}

/// A clock that went back, or that was not set when this was written, makes no message live longer than it had to live then.
fn decode(bytes: &[u8], now_ms: u64) -> Option<(Extra, u8, &[u8])> {
    let (flags, rest) = bytes.split_first()?;
    let mut reader = Reader(rest);
    let mut expires = None;
    if flags & EXPIRES != 0 {
        let (left, until) = (u32::try_from(reader.number()?).ok()?, reader.number()?);
        let known = until.saturating_sub(now_ms).div_ceil(1000);
        let left =
            if until < CLOCK_WAS_SET { left } else { u32::try_from(known).map_or(left, |known| known.min(left)) };
        expires = Some(Instant::now() + Duration::from_secs(left.into()));
    }
    let carried = Carried::stored(reader.bytes()?.to_vec().into());
    let none = expires.is_none() && carried.bytes().is_empty();
    let extra = (!none).then(|| Arc::new(Properties { carried, expires }));
    Some((extra, flags & !EXPIRES, reader.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extra(seconds: Option<u32>, carried: &[u8]) -> Extra {
        let carried = Carried::stored(carried.to_vec().into());
        Some(Arc::new(Properties { carried, expires: seconds.map(in_seconds) }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_has_its_own_seconds_until_one_has_passed() {
        let expires = in_seconds(10);
        for (waited, left) in [(0, 10), (1, 10), (999, 10), (1000, 9), (9_001, 1), (10_000, 0), (60_000, 0)] {
            assert_eq!(seconds_left(expires, Instant::now() + Duration::from_millis(waited)), left, "{waited}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_goes_on_over_the_end_of_the_process_by_the_clock_as_far_as_that_can_be_believed() {
        let now = clock::system_ms();
        let value = begin(1, &extra(Some(100), b""), 0);
        let left = |value: &[u8], now_ms| {
            let (extra, ..) = decode(&value[1..], now_ms).unwrap();
            seconds_left(expires(&extra).unwrap(), Instant::now())
        };
        assert!((99..=100).contains(&left(&value, now)));
        assert!((40..60).contains(&left(&value, now + 60_000)), "as much later as it was written");
        assert_eq!((left(&value, now + 200_000), left(&value, 1)), (0, 100), "late, and a clock that went back");
        let mut unset = vec![0, EXPIRES];
        put_number(&mut unset, 100);
        put_number(&mut unset, 100_001); // written in 1970
        put_bytes(&mut unset, b"");
        assert_eq!(left(&unset, now), 100);
    }

    proptest! {
        #[test]
        fn a_value_comes_back_as_it_was(carried: Vec<u8>, flags in prop::sample::select(vec![0, RETAIN, RETAINED]), rest: Vec<u8>) {
            let extra = (!carried.is_empty()).then(|| extra(None, &carried)).flatten();
            let mut value = begin(1, &extra, flags);
            value.extend(&rest);
            if extra.is_none() && flags == 0 {
                prop_assert_eq!(value, [&[1], &rest[..]].concat());
            } else {
                prop_assert_eq!(value[0], 2);
                prop_assert_eq!(decode(&value[1..], 0), Some((extra, flags, &rest[..])));
            }
        }

        #[test]
        fn nothing_else_is_read_with_a_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes, 0);
        }
    }
}
