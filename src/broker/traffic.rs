//! What passes between clients and the broker, counted where it passes: bytes, packets, and the payloads of PUBLISH. It only
//! looks; what is malformed it stops counting, and the session says why it ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::inbox::Stream;

/// Packet types (MQTT 3.1.1, 2.2.1).
const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;

/// Totals since the start.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) received: Total,
    pub(super) sent: Total,
    /// Connections that were opened.
    pub(super) sockets: AtomicU64,
    /// CONNECT packets that came.
    pub(super) connects: AtomicU64,
}

/// Totals of one way.
#[derive(Debug, Default)]
pub(super) struct Total {
    bytes: AtomicU64,
    packets: AtomicU64,
    publishes: AtomicU64,
    payload: AtomicU64,
}

/// The same as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) bytes: u64,
    /// Whole packets of any type.
    pub(super) packets: u64,
    pub(super) publishes: u64,
    /// Bytes of their payloads.
    pub(super) payload: u64,
}

impl Total {
    pub(super) fn now(&self) -> Tally {
        let now = |total: &AtomicU64| total.load(Ordering::Relaxed);
        Tally {
            bytes: now(&self.bytes),
            packets: now(&self.packets),
            publishes: now(&self.publishes),
            payload: now(&self.payload),
        }
    }

    fn add(&self, some: Tally) {
        self.bytes.fetch_add(some.bytes, Ordering::Relaxed);
        if some.packets > 0 {
            self.packets.fetch_add(some.packets, Ordering::Relaxed);
        }
        if some.publishes > 0 {
            self.publishes.fetch_add(some.publishes, Ordering::Relaxed);
            self.payload.fetch_add(some.payload, Ordering::Relaxed);
        }
    }
}

/// Where in a packet a way is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Start,
    /// In the remaining length, behind so many of its bytes.
    Length(u32),
    /// In the protocol name's length, name or level of a CONNECT: its byte.
    Connect(u32),
    /// In the length of a PUBLISH's topic.
    Topic(u32),
    /// Behind that: topic and packet id, so many bytes.
    Behind(u32),
    /// In the length of its properties, behind so many bytes of that.
    Properties(u32),
    /// In what does not matter.
    Rest,
    /// It is no MQTT.
    Lost,
}

/// Follows the packets of one way.
#[derive(Debug, Default)]
struct Walker {
    at: At,
    /// The packet's first byte, what of it is left, and what of that is payload as far as is known.
    first: u8,
    left: u32,
    payload: u32,
    /// A number that comes in several bytes.
    number: u32,
}

impl Walker {
    /// What of these bytes there is to count; `version` is that of the connection, once its CONNECT has passed.
    fn walk(&mut self, bytes: &[u8], version: &mut u8, connects: &mut u64) -> Tally {
        let mut tally = Tally { bytes: bytes.len() as u64, ..Tally::default() };
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            match self.at {
                At::Lost => break,
                At::Behind(_) | At::Rest => {
                    let most = if let At::Behind(count) = self.at { count } else { self.left };
                    let here = most.min(u32::try_from(rest.len()).unwrap_or(u32::MAX));
                    rest = rest.get(here as usize..).unwrap_or_default();
                    self.skip(here, *version);
                }
                _ => {
                    rest = behind;
                    self.step(byte, version, connects);
                }
            }
            if self.left == 0 && !matches!(self.at, At::Start | At::Length(_) | At::Lost) {
                self.at = At::Start;
                tally.packets += 1;
                if self.first >> 4 == PUBLISH {
                    tally.publishes += 1;
                    tally.payload += u64::from(self.payload);
                }
            }
        }
        tally
    }

    /// So many bytes of no interest.
    fn skip(&mut self, bytes: u32, version: u8) {
        self.left -= bytes.min(self.left);
        if let At::Behind(count) = self.at {
            self.at = match count - bytes.min(count) {
                0 if version >= 5 => At::Properties(0),
                0 => At::Rest,
                count => At::Behind(count),
            };
        }
    }

    /// A byte that matters.
    fn step(&mut self, byte: u8, version: &mut u8, connects: &mut u64) {
        match self.at {
            At::Start => {
                // before CONNECT nothing is MQTT
                let is_first = *version == 0 && byte >> 4 != CONNECT;
                (self.first, self.number) = (byte, 0);
                self.at = if is_first { At::Lost } else { At::Length(0) };
            }
            At::Length(3) if byte > 0x7f => self.at = At::Lost,
            At::Length(count) => {
                self.number |= u32::from(byte & 0x7f) << (7 * count);
                if byte > 0x7f {
                    self.at = At::Length(count + 1);
                    return;
                }
                (self.left, self.payload) = (std::mem::take(&mut self.number), 0);
                self.at = match self.first >> 4 {
                    CONNECT if *version == 0 => At::Connect(0),
                    PUBLISH => At::Topic(0),
                    _ => At::Rest,
                };
            }
            At::Connect(count) => {
                self.left -= 1;
                // the name's length, the name, the level; the highest bit of that is a bridge's
                if count < 2 {
                    self.number = self.number << 8 | u32::from(byte);
                } else if count == self.number + 2 {
                    *version = (byte & 0x7f).max(1);
                    *connects += 1;
                }
                self.at = if *version > 0 { At::Rest } else { At::Connect(count + 1) };
            }
            At::Topic(count) => {
                self.left -= 1;
                self.number = self.number << 8 | u32::from(byte);
                self.at = if count == 0 { At::Topic(1) } else { self.behind_topic(*version) };
            }
            At::Properties(count) => {
                self.left -= 1;
                self.payload -= 1.min(self.payload);
                self.number |= u32::from(byte & 0x7f) << (7 * count.min(3));
                if byte > 0x7f && count < 3 {
                    self.at = At::Properties(count + 1);
                } else {
                    self.payload -= self.number.min(self.payload);
                    self.at = At::Rest;
                }
            }
            At::Behind(_) | At::Rest | At::Lost => {}
        }
    }

    /// The topic's length is known.
    fn behind_topic(&mut self, version: u8) -> At {
        let id = if self.first & 0x06 > 0 { 2 } else { 0 };
        let behind = std::mem::take(&mut self.number) + id;
        if behind > self.left {
            return At::Lost;
        }
        self.payload = self.left - behind;
        match behind {
            0 if version >= 5 => At::Properties(0),
            0 => At::Rest,
            behind => At::Behind(behind),
        }
    }
}

/// A client's stream, counted.
pub(super) struct Metered<S> {
    below: S,
    traffic: Arc<Traffic>,
    /// The protocol level of its CONNECT; 0: that has not come.
    version: u8,
    received: Walker,
    sent: Walker,
}

impl<S: Stream> Metered<S> {
    pub(super) fn new(below: S, traffic: &Arc<Traffic>) -> Self {
        traffic.sockets.fetch_add(1, Ordering::Relaxed);
        Self { below, traffic: traffic.clone(), version: 0, received: Walker::default(), sent: Walker::default() }
    }
}

impl<S: Stream> AsyncRead for Metered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.below).poll_read(cx, buf))?;
        let came = buf.filled().get(before..).unwrap_or_default();
        let mut connects = 0;
        this.traffic.received.add(this.received.walk(came, &mut this.version, &mut connects));
        if connects > 0 {
            this.traffic.connects.fetch_add(connects, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = ready!(Pin::new(&mut this.below).poll_write(cx, buf))?;
        let went = buf.get(..wrote).unwrap_or_default();
        let mut version = this.version;
        let tally = match version {
            0 => Tally { bytes: wrote as u64, ..Tally::default() }, // to one who came by mistake
            _ => this.sent.walk(went, &mut version, &mut 0),
        };
        this.traffic.sent.add(tally);
        Poll::Ready(Ok(wrote))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().below).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().below).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn packet(first: u8, body: &[u8]) -> Vec<u8> {
        let (mut bytes, mut rest) = (vec![first], body.len());
        loop {
            let more = if rest > 127 { 0x80 } else { 0 };
            bytes.push((rest % 128) as u8 | more);
            rest /= 128;
            if rest == 0 {
                break;
            }
        }
        bytes.extend_from_slice(body);
        bytes
    }

    fn connect(level: u8) -> Vec<u8> {
        let name: &[u8] = if level & 0x7f == 3 { b"\0\x06MQIsdp" } else { b"\0\x04MQTT" };
        packet(0x10, &[name, &[level, 2, 0, 60], &[0, 1, b'x'][..]].concat())
    }

    fn publish(version: u8, qos: u8, topic: usize, properties: usize, payload: usize) -> Vec<u8> {
        let mut body = vec![(topic >> 8) as u8, topic as u8];
        body.extend(vec![b't'; topic]);
        body.extend(vec![1; if qos > 0 { 2 } else { 0 }]);
        if version == 5 {
            body.extend(&packet(0, &vec![9; properties])[1..]);
        }
        body.extend(vec![b'p'; payload]);
        packet(0x30 | qos << 1, &body)
    }

    fn walked(bytes: &[u8], cuts: &[usize]) -> (Tally, u8, u64) {
        let (mut walker, mut version, mut connects, mut all) = (Walker::default(), 0, 0, Tally::default());
        let (mut rest, mut cuts) = (bytes, cuts.iter().cycle());
        while !rest.is_empty() {
            let (some, later) = rest.split_at((*cuts.next().unwrap()).clamp(1, rest.len()));
            let Tally { bytes, packets, publishes, payload } = walker.walk(some, &mut version, &mut connects);
            all.bytes += bytes;
            all.packets += packets;
            all.publishes += publishes;
            all.payload += payload;
            rest = later;
        }
        (all, version, connects)
    }

    proptest! {
        #[test]
        fn packets_are_counted_however_they_are_cut(
            level in prop_oneof![Just(3_u8), Just(4), Just(5), Just(0x83), Just(0x84)],
            messages in vec((0..3_u8, 0..300_usize, 0..200_usize, 0..20_000_usize), 0..8),
            cuts in vec(1..5_000_usize, 1..6),
        ) {
            let version = level & 0x7f;
            let mut bytes = connect(level);
            for (qos, topic, properties, payload) in &messages {
                bytes.extend(publish(version, *qos, *topic, *properties, *payload));
                bytes.extend(packet(0xc0, &[]));
            }
            let (publishes, payload) = (messages.len() as u64, messages.iter().map(|(.., payload)| *payload as u64).sum());
            let expected = Tally { bytes: bytes.len() as u64, packets: 1 + 2 * publishes, publishes, payload };
            prop_assert_eq!(walked(&bytes, &cuts), (expected, version, 1));
        }

        #[test]
        fn no_bytes_do_harm(level in 3..6_u8, bytes in vec(any::<u8>(), 0..400), cuts in vec(1..50_usize, 1..4)) {
            let all = [connect(level), bytes].concat();
            prop_assert_eq!(walked(&all, &cuts).0.bytes, all.len() as u64);
        }
    }

    #[test]
    fn what_is_no_mqtt_has_no_packets() {
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\xc0\0\xc0\0", b"\x10\xff\xff\xff\xff\x01"] {
            let (tally, version, connects) = walked(bytes, &[3]);
            assert_eq!((tally.packets, tally.bytes, version, connects), (0, bytes.len() as u64, 0, 0), "{bytes:?}");
        }
    }
}
