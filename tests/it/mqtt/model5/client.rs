//! A client of any version, which answers as it is told, and checks what only one who counts packets sees.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::script::{Manner, Wants};
use crate::harness::five::{self, Connect5, Message5, Packet5, Property, Value, property};
use crate::harness::packet::{self, Message, Packet, binary, encode, text};

/// What was answered to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// All that belongs to it, or that it is received.
    Received,
    Nothing,
}

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Heard {
    pub message: Message5,
    pub answered: Answered,
    pub at: Instant,
}

pub struct Client {
    level: u8,
    /// How long it waits for the broker.
    patience: Duration,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Messages that the model has not seen yet.
    pub held: Vec<Heard>,
    pub manner: Manner,
    /// Receive Maximum.
    window: usize,
    /// Messages of this connection that count for it, in order, with their QoS.
    open: Vec<(u16, u8)>,
    /// Messages at QoS 2 that were answered with PUBREC and not completed; also of earlier connections.
    pub received: BTreeSet<u16>,
    /// Those of them that were released.
    released: BTreeSet<u16>,
    /// The broker's topic aliases, and how many it may have.
    names: BTreeMap<u16, String>,
    aliases: u16,
    /// This client's, and how many it may have.
    own_names: Vec<String>,
    own_aliases: usize,
    last_pkid: u16,
}

/// Fewer than any broker allows, so that they get another topic now and then.
const FEW: usize = 2;

/// Waits for one future, but not for ever.
async fn within<T>(patience: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(patience, Box::pin(future)).await;
    waited.unwrap_or_else(|_| panic!("after {patience:?} still waiting for {what}"))
}

/// CONNECT in the form of this version.
fn encoded(level: u8, connect: &Connect5) -> Vec<u8> {
    if level == 5 {
        return connect.encode();
    }
    let will = connect.will.as_ref().map_or(0, |will| 0x04 | will.qos << 3 | u8::from(will.retain) << 5);
    let mut body = text(if level & 0x7f == 3 { "MQIsdp" } else { "MQTT" });
    body.extend([level, u8::from(connect.clean) << 1 | will]);
    body.extend(connect.keep_alive.to_be_bytes());
    body.extend(text(&connect.id));
    if let Some(will) = &connect.will {
        body.extend(text(&will.topic));
        body.extend(binary(&will.payload));
    }
    encode::packet(0x10, &body)
}

/// A packet of an older version in the form of MQTT 5.
fn modern(packet: Packet) -> Packet5 {
    let ack = |kind, pkid| Packet5::Ack { kind, pkid, code: 0, properties: Vec::new() };
    match packet {
        Packet::ConnAck { session_present, code } => Packet5::ConnAck { session_present, code, properties: Vec::new() },
        Packet::Publish(Message { topic, payload, qos, retain, dup, pkid }) => {
            Packet5::Publish(Message5 { topic, payload, qos, retain, dup, pkid, properties: Vec::new() })
        }
        Packet::PubAck(pkid) => ack(0x40, pkid),
        Packet::PubRec(pkid) => ack(0x50, pkid),
        Packet::PubRel(pkid) => ack(0x60, pkid),
        Packet::PubComp(pkid) => ack(0x70, pkid),
        Packet::SubAck { pkid, codes } => Packet5::Filters { kind: 0x90, pkid, codes },
        Packet::UnsubAck(pkid) => Packet5::Filters { kind: 0xB0, pkid, codes: Vec::new() },
        Packet::PingResp => Packet5::PingResp,
    }
}

fn number(properties: &[Property], like: &Property) -> Option<usize> {
    match five::find(properties, like) {
        Some(Value::Two(number)) => Some(number.into()),
        _ => None,
    }
}

impl Client {
    /// `received`: what it has answered with PUBREC before. Gives whether a session is present.
    pub async fn connect(
        (broker, patience): (SocketAddr, Duration),
        level: u8,
        connect: &Connect5,
        (manner, received): (Manner, BTreeSet<u16>),
    ) -> (Self, bool) {
        let stream = within(patience, "a TCP connection", TcpStream::connect(broker)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let window = number(&connect.properties, &property::receive_maximum(0)).unwrap_or(usize::MAX);
        let aliases = number(&connect.properties, &property::topic_alias_maximum(0)).unwrap_or(0) as u16;
        let (buffer, held, open, own_names) = Default::default();
        let (released, names, own_aliases, last_pkid) = Default::default();
        let mut client = Self {
            level,
            patience,
            stream,
            buffer,
            held,
            manner,
            window,
            open,
            received,
            released,
            names,
            aliases,
            own_names,
            own_aliases,
            last_pkid,
        };
        client.send(&encoded(level, connect)).await;
        match client.next().await {
            Packet5::ConnAck { session_present, code: 0, properties } => {
                client.own_aliases = number(&properties, &property::topic_alias_maximum(0)).unwrap_or(0).min(FEW);
                if !session_present && level & 0x7f != 3 {
                    client.received.clear();
                }
                (client, session_present)
            }
            other => panic!("the first packet must be CONNACK [MQTT-3.2.0-1]: {other:?}"),
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        within(self.patience, "the broker to read", self.stream.write_all(bytes)).await.unwrap();
    }

    fn decoded(&self) -> Option<(Packet5, usize)> {
        if self.level == 5 {
            return five::decode(&self.buffer);
        }
        packet::decode(&self.buffer).map(|(packet, length)| (modern(packet), length))
    }

    async fn read(&mut self) -> Option<Packet5> {
        loop {
            if let Some((packet, length)) = self.decoded() {
                self.buffer.drain(..length);
                return Some(packet);
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            }
        }
    }

    async fn next(&mut self) -> Packet5 {
        within(self.patience, "a packet", self.read()).await.expect("the connection stays open")
    }

    /// The next packet that belongs to no message of the broker's.
    async fn answer(&mut self) -> Packet5 {
        loop {
            match self.next().await {
                Packet5::Publish(message) => self.take(message).await,
                Packet5::Ack { kind: 0x60, pkid, code: 0, .. } => self.release(pkid).await,
                other => return other,
            }
        }
    }

    async fn take(&mut self, mut message: Message5) {
        let at = Instant::now();
        self.name(&mut message);
        let foreign = message.topic.starts_with("v1/") || message.topic.starts_with("dmx/");
        let manner = if foreign { Manner::Whole } else { self.manner };
        if message.qos > 0 {
            let id = message.pkid;
            assert!(self.open.iter().all(|(open, _)| *open != id), "packet id {id} is in use [MQTT-2.2.1-4]");
            self.open.push((id, message.qos));
            let (open, most) = (&self.open, self.window);
            assert!(open.len() <= most, "{open:?} are unanswered, not {most} [MQTT-3.3.4-7]: {message:?}");
        }
        if manner != Manner::Nothing {
            self.receive(message.pkid, message.qos).await;
        }
        if !foreign {
            let nothing = manner == Manner::Nothing && message.qos > 0;
            let answered = if nothing { Answered::Nothing } else { Answered::Received };
            self.held.push(Heard { message, answered, at });
        }
    }

    /// The first answer to a message.
    async fn receive(&mut self, pkid: u16, qos: u8) {
        match qos {
            0 => {}
            1 => {
                self.open.retain(|(open, _)| *open != pkid);
                self.send(&encode::puback(pkid)).await;
            }
            _ => {
                self.received.insert(pkid);
                self.send(&encode::pubrec(pkid)).await;
            }
        }
    }

    async fn release(&mut self, pkid: u16) {
        assert!(self.received.contains(&pkid), "PUBREL {pkid} is for a message that was received");
        self.released.insert(pkid);
        if self.manner == Manner::Whole {
            self.complete(pkid).await;
        }
    }

    async fn complete(&mut self, pkid: u16) {
        self.open.retain(|(open, _)| *open != pkid);
        self.received.remove(&pkid);
        self.released.remove(&pkid);
        self.send(&encode::pubcomp(pkid)).await;
    }

    /// The topic of a message that may have an alias.
    fn name(&mut self, message: &mut Message5) {
        let Some(alias) = number(&message.properties, &property::topic_alias(0)) else {
            assert!(!message.topic.is_empty(), "a topic or an alias [MQTT-3.3.2-8]");
            return;
        };
        let alias = alias as u16;
        assert!((1..=self.aliases).contains(&alias), "alias {alias} is one of {} [MQTT-3.3.2-9]", self.aliases);
        if message.topic.is_empty() {
            message.topic = self.names.get(&alias).expect("an alias that was given").clone();
        }
        self.names.insert(alias, message.topic.clone());
    }

    /// Answers messages otherwise from now on, those that wait included.
    pub async fn behave(&mut self, manner: Manner) {
        self.manner = manner;
        if manner == Manner::Nothing {
            return;
        }
        for (pkid, qos) in self.open.clone() {
            if !self.received.contains(&pkid) {
                self.receive(pkid, qos).await;
            }
        }
        if manner == Manner::Whole {
            for pkid in self.released.clone() {
                self.complete(pkid).await;
            }
        }
    }

    /// Messages that wait for an answer of the client; of earlier connections, too.
    pub fn unanswered(&self) -> usize {
        let open: BTreeSet<_> = self.open.iter().map(|(pkid, _)| *pkid).collect();
        open.union(&self.received).count()
    }

    /// Whether all that it has received was released [MQTT-4.3.3-8].
    pub fn is_released(&self) -> bool {
        self.received.is_subset(&self.released)
    }

    pub async fn ping(&mut self) {
        self.send(&encode::PING).await;
        assert_eq!(self.answer().await, Packet5::PingResp);
    }

    /// Gives the code of SUBACK.
    pub async fn subscribe(&mut self, filter: &str, wants: Wants) -> u8 {
        let sent = self.pkid();
        let Wants { qos, id, no_local, as_published, handling } = wants;
        let bytes = if self.level == 5 {
            let options = qos | u8::from(no_local) << 2 | u8::from(as_published) << 3 | handling << 4;
            let properties: Vec<_> = (id > 0).then(|| property::subscription_id(id)).into_iter().collect();
            five::subscribe(sent, &[(filter, options)], &properties)
        } else {
            encode::subscribe(sent, &[(filter, qos)])
        };
        self.send(&bytes).await;
        match self.answer().await {
            Packet5::Filters { kind: 0x90, pkid, codes } if pkid == sent && codes.len() == 1 => codes[0],
            other => panic!("expected SUBACK {sent} with one code, got {other:?}"),
        }
    }

    /// Gives the codes of UNSUBACK.
    pub async fn unsubscribe(&mut self, filter: &str) -> Vec<u8> {
        let sent = self.pkid();
        let modern = self.level == 5;
        let bytes = if modern { five::unsubscribe(sent, &[filter]) } else { encode::unsubscribe(sent, &[filter]) };
        self.send(&bytes).await;
        match self.answer().await {
            Packet5::Filters { kind: 0xB0, pkid, codes } if pkid == sent => codes,
            other => panic!("expected UNSUBACK {sent}, got {other:?}"),
        }
    }

    /// Publishes these at once, to the end of each handshake; gives the code of each that has one. `again`: those at QoS 2 are
    /// sent once more before they are released. A message comes with whether an alias may stand for its topic.
    pub async fn publish(&mut self, messages: Vec<(Message5, bool)>, again: bool) -> Vec<Option<u8>> {
        let mut open = BTreeMap::new();
        let mut codes = vec![None; messages.len()];
        for (at, (mut message, alias)) in messages.into_iter().enumerate() {
            message.pkid = if message.qos > 0 { self.pkid() } else { 0 };
            let bytes = self.published(message.clone(), alias);
            self.send(&bytes).await;
            if message.qos > 0 {
                let twice = (message.qos == 2 && again).then(|| Message5 { dup: true, ..message.clone() });
                open.insert(message.pkid, (at, twice));
            }
        }
        while !open.is_empty() {
            let Packet5::Ack { kind, pkid, code, .. } = self.answer().await else { panic!("no answers to {open:?}") };
            let (at, twice) = open.get_mut(&pkid).unwrap_or_else(|| panic!("{kind:#x} of {pkid}"));
            match kind {
                0x40 | 0x50 => codes[*at] = codes[*at].or((self.level == 5).then_some(code)),
                _ => assert_eq!((kind, code), (0x70, 0)),
            }
            let next = match (kind, twice.take()) {
                // under its own name: others may have taken the alias since
                (0x50, Some(twice)) => self.published(twice, false),
                (0x50, None) => encode::pubrel(pkid),
                _ => {
                    open.remove(&pkid);
                    continue;
                }
            };
            self.send(&next).await;
        }
        codes
    }

    /// PUBLISH in the form of this version.
    fn published(&mut self, message: Message5, alias: bool) -> Vec<u8> {
        if self.level == 5 {
            return if alias { self.aliased(message) } else { message }.encode();
        }
        let Message5 { topic, payload, qos, retain, dup, pkid, .. } = message;
        encode::publish(&Message { topic, payload, qos, retain, dup, pkid })
    }

    /// With an alias: a known one, a new one, or one that stood for another topic.
    fn aliased(&mut self, message: Message5) -> Message5 {
        if self.own_aliases == 0 {
            return message;
        }
        if let Some(at) = self.own_names.iter().position(|name| *name == message.topic) {
            return Message5 { topic: String::new(), ..message.with(property::topic_alias(at as u16 + 1)) };
        }
        let at =
            if self.own_names.len() < self.own_aliases { self.own_names.len() } else { message.payload.len() % FEW };
        self.own_names.truncate(self.own_aliases);
        if at == self.own_names.len() {
            self.own_names.push(message.topic.clone());
        } else {
            self.own_names[at].clone_from(&message.topic);
        }
        message.with(property::topic_alias(at as u16 + 1))
    }

    /// Reads on until the broker closes; gives the reason of its DISCONNECT.
    pub async fn closed(&mut self) -> Option<u8> {
        let mut said = None;
        while let Some(packet) = within(self.patience, "the broker to close", self.read()).await {
            assert_eq!(said, None, "nothing follows DISCONNECT [MQTT-3.14.4-1]: {packet:?}");
            if let Packet5::Disconnect { code, .. } = packet {
                said = Some(code);
            }
        }
        said
    }

    /// DISCONNECT; waits until the broker has closed, so that it has noticed.
    pub async fn leave(mut self, with_will: bool, expiry: Option<u32>) {
        if self.level == 5 {
            let properties: Vec<_> = expiry.map(property::session_expiry).into_iter().collect();
            self.send(&five::disconnect(if with_will { 4 } else { 0 }, &properties)).await;
        } else {
            self.send(&encode::DISCONNECT).await;
        }
        assert_eq!(self.closed().await, None, "who leaves is told nothing more");
    }

    /// Ends with a TCP reset, like a device that loses power.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn pkid(&mut self) -> u16 {
        self.last_pkid = self.last_pkid % u16::MAX + 1;
        self.last_pkid
    }
}
