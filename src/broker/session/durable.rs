//! What survives the process of a kept session alone: its subscriptions, QoS 2 messages that were received and not released,
//! and letters that nobody shares with it. What it shares is in `lasting`.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::letter::Kept;
use crate::broker::codec::{Options, QoS, RetainHandling};
use crate::broker::hub::Hub;
use crate::broker::lasting;
use crate::broker::properties;
use crate::broker::topic::Filter;
use crate::broker::wanted::Wanted;
use crate::kit::clock::{self, CLOCK_WAS_SET};
use crate::store::{Batch, Store, Tree};

/// Format of a session. The first one had no number; the first two, which are still read, had the filters in them.
pub(super) const SESSION_FORMAT: u8 = 3;

/// Format of the other values. A letter that has properties has the next one, and begins with them; a filter that has options
/// of MQTT 5 has it, too.
pub(super) const FORMAT: u8 = 1;

/// Follows a client id, which has no such character ([MQTT-1.5.3-2]), so that no id is the beginning of another.
const END: u8 = 0;

/// Follows that: a letter's number, the id of a QoS 2 message, or a filter.
pub(super) const LETTER: u8 = 0;
pub(super) const TAKEN: u8 = 1;
/// Or this, and a filter whose retained messages are still to come.
pub(super) const REPLAY: u8 = 17;
const FILTER: u8 = 2;

/// Value of `Tree::Sessions`.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredSession {
    pub(super) v: u8,
    /// Under which it is named where messages are stored; 0 in the first format.
    #[serde(default)]
    pub(super) number: u32,
    /// Its client was connected when this was written.
    pub(super) connected: bool,
    /// When this was written, Unix milliseconds.
    pub(super) since: u64,
    /// Its client is a device that is known.
    #[serde(default)]
    device: bool,
    /// Seconds that it is kept without its client; `None`: as long as any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiry: Option<u32>,
    /// Whose it is; `None`: nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// Filter and QoS, in the first two formats.
    #[serde(default, skip_serializing)]
    filters: Vec<(String, u8)>,
}

impl StoredSession {
    /// `expiry`: seconds that it is kept without its client, `u32::MAX` for ever.
    pub(super) fn new(number: u32, connected: bool, device: bool, expiry: u32, owner: Option<&str>) -> Self {
        let (expiry, owner) = ((expiry != u32::MAX).then_some(expiry), owner.map(str::to_owned));
        Self {
            v: SESSION_FORMAT,
            number,
            connected,
            since: clock::system_ms(),
            device,
            expiry,
            owner,
            filters: Vec::new(),
        }
    }
}

/// A session of an earlier run.
pub(in crate::broker) struct Record {
    pub(super) id: String,
    pub(in crate::broker) number: u32,
    pub(super) filters: Vec<(Filter, Wanted)>,
    /// Seconds that it is kept without its client.
    pub(super) expiry: u32,
    /// How long its client has been away; `None`: unknown.
    pub(super) away: Option<Duration>,
    /// It is stored in an earlier format.
    pub(super) is_old: bool,
    pub(in crate::broker) is_device: bool,
    /// Whose it is.
    pub(in crate::broker) owner: Option<String>,
}

impl Record {
    pub(in crate::broker) fn id(&self) -> &str {
        &self.id
    }
}

/// Every session that the store holds, and whether all could be read.
pub(in crate::broker) fn records(store: &Store) -> (Vec<Record>, bool) {
    let now = clock::system_ms();
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let format = serde_json::from_slice(&value).map_or(SESSION_FORMAT, |StoredSession { v, .. }| v);
        let stored: StoredSession = store.parse(Tree::Sessions, &key, &value, format.clamp(1, SESSION_FORMAT))?;
        let id = String::from_utf8(key).ok()?;
        let filter = |(text, qos): (String, u8)| Some((Filter::new(&text)?, Wanted::plain(QoS::new(qos)?)));
        // one that was connected has been away since the process ended, an unknown time ago
        let known = !stored.connected && stored.since >= CLOCK_WAS_SET && now >= stored.since;
        let away = known.then(|| Duration::from_millis(now - stored.since));
        let filters = stored.filters.into_iter().filter_map(filter).chain(filters(store, &id)).collect();
        let StoredSession { v, number, device, expiry, owner, .. } = stored;
        let expiry = expiry.unwrap_or(u32::MAX);
        Some(Record { id, number, filters, expiry, away, is_old: v < SESSION_FORMAT, is_device: device, owner })
    };
    let stored = store.scan(Tree::Sessions, b"");
    let count = stored.len();
    let records: Vec<_> = stored.into_iter().filter_map(read).collect();
    let all = records.len() == count;
    (records, all)
}

/// The filters of a session, each with a record of its own: with thousands of them a further one is cheap.
fn filters(store: &Store, id: &str) -> Vec<(Filter, Wanted)> {
    let read = |(found, value): (Vec<u8>, Vec<u8>)| {
        let has_options = value.first() == Some(&(FORMAT + 1));
        let value = store.behind_format(Tree::Letters, &found, &value, FORMAT + u8::from(has_options))?;
        let (qos, rest) = value.split_first()?;
        let text = std::str::from_utf8(found.get(id.len() + 2..)?).ok()?;
        let wanted = Wanted::plain(QoS::new(*qos)?);
        Some((Filter::new(text)?, if has_options { with_options(wanted, rest)? } else { wanted }))
    };
    store.scan(Tree::Letters, &key(id, FILTER, b"")).into_iter().filter_map(read).collect()
}

/// Bits of a filter's options.
const NO_LOCAL: u8 = 1;
const RETAIN_AS_PUBLISHED: u8 = 2;

fn with_options(plain: Wanted, bytes: &[u8]) -> Option<Wanted> {
    let (bits, id) = bytes.split_first()?;
    let (no_local, retain_as_published) = (bits & NO_LOCAL != 0, bits & RETAIN_AS_PUBLISHED != 0);
    let options = Options { no_local, retain_as_published, ..plain.options };
    Some(Wanted { options, id: u32::from_be_bytes(id.try_into().ok()?) })
}

/// Notes a filter. Which retained messages it brings was settled when it was subscribed to.
pub(super) fn subscribed(batch: &mut Batch, id: &str, filter: &Filter, wanted: Wanted) {
    let Options { qos, no_local, retain_as_published, .. } = wanted.options;
    let plain = Options { retained: RetainHandling::Always, ..wanted.options } == Options::plain(qos) && wanted.id == 0;
    let mut value = vec![if plain { FORMAT } else { FORMAT + 1 }, qos.bits()];
    if !plain {
        value.push(if no_local { NO_LOCAL } else { 0 } | if retain_as_published { RETAIN_AS_PUBLISHED } else { 0 });
        value.extend(wanted.id.to_be_bytes());
    }
    batch.put(Tree::Letters, key(id, FILTER, filter.as_str().as_bytes()), value);
}

/// Notes that a filter has ended.
pub(super) fn unsubscribed(batch: &mut Batch, id: &str, filter: &str) {
    batch.delete(Tree::Letters, key(id, FILTER, filter.as_bytes()));
}

pub(super) fn key(id: &str, kind: u8, number: &[u8]) -> Vec<u8> {
    [id.as_bytes(), &[END, kind], number].concat()
}

/// Deletes a session; ends once that is written.
pub(in crate::broker) async fn purge(hub: &Hub, id: &str, number: u32) {
    let store = &hub.store;
    let mut batch = Batch::default();
    batch.delete(Tree::Sessions, id.as_bytes());
    for kind in [LETTER, TAKEN, FILTER, REPLAY] {
        for (key, _) in store.scan(Tree::Letters, &key(id, kind, b"")) {
            batch.delete(Tree::Letters, key);
        }
    }
    lasting::forget_session(store, number, &mut batch);
    store.write(batch).await;
}

/// Records that a QoS 2 message was received.
pub(super) fn taken(id: &str, pkid: u16) -> Batch {
    let mut batch = Batch::default();
    batch.put(Tree::Letters, key(id, TAKEN, &pkid.to_be_bytes()), [FORMAT]);
    batch
}

/// Records that it was released.
pub(super) fn released(id: &str, pkid: u16) -> Batch {
    let mut batch = Batch::default();
    batch.delete(Tree::Letters, key(id, TAKEN, &pkid.to_be_bytes()));
    batch
}

/// format (and properties), what the client still has to answer, packet id (2), QoS, length of the topic (2), topic, payload
pub(super) fn encode(kept: &Kept) -> Vec<u8> {
    let Kept { topic, payload, qos, extra, flags, awaited, pkid } = kept;
    let mut bytes = properties::begin(FORMAT, extra, *flags);
    bytes.push(*awaited);
    bytes.extend(pkid.to_be_bytes());
    bytes.push(qos.bits());
    bytes.extend((topic.len() as u16).to_be_bytes()); // topics have 16-bit lengths in MQTT
    bytes.extend_from_slice(topic);
    bytes.extend_from_slice(payload);
    bytes
}

/// Reads what is stored under a key.
pub(super) fn letter(store: &Store, key: &[u8], value: &[u8]) -> Option<Kept> {
    let (extra, flags, rest) = properties::open(store, (Tree::Letters, key), value, FORMAT)?;
    decode(rest).map(|kept| Kept { extra, flags, ..kept })
}

/// Reads the part behind the format and the properties.
fn decode(bytes: &[u8]) -> Option<Kept> {
    let (awaited, pkid) = bytes.split_first()?;
    let (pkid, rest) = pkid.split_first_chunk::<2>()?;
    let (qos, rest) = rest.split_first()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (topic, payload) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let copy = Bytes::copy_from_slice;
    let (topic, payload, qos) = (copy(topic), copy(payload), QoS::new(*qos)?);
    let (awaited, pkid) = (*awaited, u16::from_be_bytes(*pkid));
    Some(Kept { topic, payload, qos, extra: None, flags: 0, awaited, pkid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::kit::health::Health;
    use crate::metrics::Metrics;

    #[test]
    fn a_letter_comes_back_as_it_was_and_nothing_else_is_read_as_one() {
        let kept = Kept {
            topic: "é/t".into(),
            payload: "payload".into(),
            qos: QoS::ExactlyOnce,
            extra: None,
            flags: 0,
            awaited: 2,
            pkid: 513,
        };
        let bytes = encode(&kept);
        let bytes = &bytes[1..];
        assert_eq!(decode(bytes), Some(kept));
        for cut in 0..10 {
            assert_eq!(decode(&bytes[..cut]), None, "{cut}");
        }
        assert_eq!(decode(&[9; 40]), None);
    }

    #[tokio::test]
    async fn a_session_of_tomorrows_format_is_named_and_not_read() {
        let (dir, health) = (tempfile::tempdir().unwrap(), Health::default());
        let storage = config::Storage { data_dir: dir.path().into(), ..config::Storage::default() };
        let store = Store::open(&storage, &health, &Metrics::new().unwrap()).unwrap().store;
        let mut batch = Batch::default();
        // What the earlier formats looked like.
        let first = r#"{"v":1,"filters":[["x/#",1]],"connected":false,"since":0}"#;
        let second = r#"{"v":2,"number":7,"filters":[["x/#",1]],"connected":false,"since":0}"#;
        for (id, v) in [("a", 3), ("b", 4)] {
            let session = StoredSession { v, ..StoredSession::new(7, false, true, u32::MAX, Some("01J")) };
            batch.put(Tree::Sessions, id, serde_json::to_vec(&session).unwrap());
            let filter = |text| Filter::new(text).unwrap();
            subscribed(&mut batch, id, &filter("y/+"), Wanted::plain(QoS::AtLeastOnce));
            subscribed(&mut batch, id, &filter("y"), Wanted::plain(QoS::AtLeastOnce));
            unsubscribed(&mut batch, id, "y");
        }
        batch.put(Tree::Sessions, "first", first);
        batch.put(Tree::Sessions, "second", second);
        store.commit(batch, Box::new(|| {})).await;
        let read: Vec<_> = records(&store).0.into_iter().map(|r| (r.id, r.filters[0].0.clone(), r.is_old)).collect();
        let filter = |text| Filter::new(text).unwrap();
        let old = |id: &str| (id.to_owned(), filter("x/#"), true);
        assert_eq!(read, [("a".into(), filter("y/+"), false), old("first"), old("second")]);
        assert!(health.problems()[0].message.starts_with("b has format 4,"));
        let (topic, payload, qos) = ("t".into(), "".into(), QoS::AtMostOnce);
        let mut stored = encode(&Kept { topic, payload, qos, extra: None, flags: 0, awaited: 0, pkid: 1 });
        assert!(letter(&store, b"c", &stored).is_some());
        stored[0] = FORMAT + 2;
        assert!(letter(&store, b"c", &stored).is_none());
        assert!(health.problems()[1].message.starts_with("c has format 3,"));
        store.close().await;
    }
}
