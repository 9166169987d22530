//! One MQTT connection, packet by packet.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::packet::{Connect, Message, Packet, decode, encode};
use super::patiently;

/// What a client answers on its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    Nothing,
    /// Messages at QoS 1.
    Qos1,
    /// Those, and messages at QoS 2, whose handshakes it completes.
    All,
}

/// A client that does exactly as told. QoS 1 messages are acknowledged as they are read, unless told otherwise.
pub struct Link {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Messages that came while waiting for something else.
    held: VecDeque<Message>,
    last_pkid: u16,
    answers: Answers,
    /// QoS 2 messages received and not released yet.
    taken: BTreeSet<u16>,
}

impl Link {
    /// Only the TCP connection.
    pub async fn open(broker: SocketAddr) -> Self {
        let stream = patiently("a TCP connection", TcpStream::connect(broker)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (buffer, held, taken) = (Vec::new(), VecDeque::new(), BTreeSet::new());
        Self { stream, buffer, held, last_pkid: 0, answers: Answers::Qos1, taken }
    }

    /// The same from this address of the machine.
    pub async fn open_from(from: IpAddr, broker: SocketAddr) -> Self {
        let stream = stream_from(from, broker).await;
        let (buffer, held, taken) = (Vec::new(), VecDeque::new(), BTreeSet::new());
        Self { stream, buffer, held, last_pkid: 0, answers: Answers::Qos1, taken }
    }

    /// CONNECT; gives whether a session was present, or the code of the refusal.
    pub async fn connect(broker: SocketAddr, connect: &Connect) -> (Self, Result<bool, u8>) {
        Self::open(broker).await.connects(connect).await
    }

    /// The same from this address of the machine.
    pub async fn connect_from(from: IpAddr, broker: SocketAddr, connect: &Connect) -> (Self, Result<bool, u8>) {
        Self::open_from(from, broker).await.connects(connect).await
    }

    async fn connects(mut self, connect: &Connect) -> (Self, Result<bool, u8>) {
        self.send(&connect.encode()).await;
        match self.next().await {
            Packet::ConnAck { session_present, code: 0 } => (self, Ok(session_present)),
            Packet::ConnAck { code, session_present } => {
                assert!(!session_present, "a refusal has no session [MQTT-3.2.2-4]");
                (self, Err(code))
            }
            other => panic!("the first packet must be CONNACK [MQTT-3.2.0-1]: {other:?}"),
        }
    }

    /// CONNECT that must be accepted.
    pub async fn join(broker: SocketAddr, connect: &Connect) -> Self {
        let (link, answer) = Self::connect(broker, connect).await;
        assert!(answer.is_ok(), "CONNACK {answer:?} for {connect:?}");
        link
    }

    /// Starts or stops acknowledging on its own.
    pub fn acknowledge(&mut self, on: bool) {
        self.answers = if on { Answers::Qos1 } else { Answers::Nothing };
    }

    /// From now on it also completes the handshakes of QoS 2 messages.
    pub fn answer_all(&mut self) {
        self.answers = Answers::All;
    }

    /// Bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        patiently("the broker to read", self.stream.write_all(bytes)).await.unwrap();
    }

    /// Bytes to a broker that may already have closed.
    pub async fn send_into_the_void(&mut self, bytes: &[u8]) {
        let _ = patiently("the broker to read or close", self.stream.write_all(bytes)).await;
    }

    /// The next packet; `None` when the broker has closed.
    pub async fn read(&mut self) -> Option<Packet> {
        loop {
            if let Some((packet, length)) = decode(&self.buffer) {
                self.buffer.drain(..length);
                if let Some(answer) = self.answer_to(&packet) {
                    let _ = self.stream.write_all(&answer).await; // a closed link shows at the next read
                }
                if self.answers == Answers::All && matches!(packet, Packet::PubRel(_)) {
                    continue;
                }
                return Some(packet);
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// So many bytes as they come.
    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            let mut chunk = [0; 1024];
            let read = patiently("bytes of the broker", self.stream.read(&mut chunk)).await.unwrap();
            assert!(read > 0, "closed before {count} bytes came");
            self.buffer.extend_from_slice(&chunk[..read]);
        }
        self.buffer.drain(..count).collect()
    }

    /// What the client answers to a packet on its own.
    fn answer_to(&mut self, packet: &Packet) -> Option<Vec<u8>> {
        match packet {
            Packet::Publish(message) if message.qos == 1 && self.answers != Answers::Nothing => {
                Some(encode::puback(message.pkid))
            }
            Packet::Publish(message) if message.qos == 2 && self.answers == Answers::All => {
                assert!(self.taken.insert(message.pkid), "a packet id in use is not used again [MQTT-2.3.1-4]");
                Some(encode::pubrec(message.pkid))
            }
            Packet::PubRel(pkid) if self.answers == Answers::All => {
                assert!(self.taken.remove(pkid), "PUBREL {pkid} is for a message that was received");
                Some(encode::pubcomp(*pkid))
            }
            _ => None,
        }
    }

    /// The next packet of an open connection.
    pub async fn next(&mut self) -> Packet {
        patiently("a packet", self.read()).await.expect("the connection stays open")
    }

    /// The next packet that is not a message; messages before it are kept.
    pub async fn answer(&mut self) -> Packet {
        loop {
            match self.next().await {
                Packet::Publish(message) => self.held.push_back(message),
                other => return other,
            }
        }
    }

    /// The next message.
    pub async fn message(&mut self) -> Message {
        if let Some(held) = self.held.pop_front() {
            return held;
        }
        match self.next().await {
            Packet::Publish(message) => message,
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// The next message, in spite of acknowledgements before it.
    pub async fn message_beside_acknowledgements(&mut self) -> Message {
        if let Some(held) = self.held.pop_front() {
            return held;
        }
        loop {
            match self.next().await {
                Packet::Publish(message) => return message,
                Packet::PubAck(_) => {}
                other => panic!("expected a message or a PUBACK, got {other:?}"),
            }
        }
    }

    /// All messages before the one on `topic`: before a marker that was sent last.
    pub async fn until(&mut self, topic: &str) -> Vec<Message> {
        let mut before = Vec::new();
        loop {
            let message = self.message().await;
            if message.topic == topic {
                return before;
            }
            before.push(message);
        }
    }

    /// SUBSCRIBE to one filter; gives the SUBACK code.
    pub async fn subscribe(&mut self, filter: &str, qos: u8) -> u8 {
        self.subscribe_all(&[(filter, qos)]).await[0]
    }

    /// SUBSCRIBE to several filters.
    pub async fn subscribe_all(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        let sent = self.pkid();
        self.send(&encode::subscribe(sent, filters)).await;
        match self.answer().await {
            Packet::SubAck { pkid, codes } if pkid == sent && codes.len() == filters.len() => codes,
            other => panic!("expected SUBACK {sent} with {} codes, got {other:?}", filters.len()),
        }
    }

    /// UNSUBSCRIBE and its answer.
    pub async fn unsubscribe(&mut self, filter: &str) {
        let sent = self.pkid();
        self.send(&encode::unsubscribe(sent, &[filter])).await;
        assert_eq!(self.answer().await, Packet::UnsubAck(sent));
    }

    /// Publishes at any QoS, to the end of the handshake.
    pub async fn publish_at(&mut self, topic: &str, payload: &[u8], qos: u8, retain: bool) {
        let pkid = if qos > 0 { self.pkid() } else { 0 };
        let message = Message { topic: topic.into(), payload: payload.into(), qos, retain, dup: false, pkid };
        self.send(&encode::publish(&message)).await;
        match qos {
            0 => {}
            1 => assert_eq!(self.answer().await, Packet::PubAck(pkid)),
            _ => {
                assert_eq!(self.answer().await, Packet::PubRec(pkid));
                self.send(&encode::pubrel(pkid)).await;
                assert_eq!(self.answer().await, Packet::PubComp(pkid));
            }
        }
    }

    /// Publishes at QoS 1 and waits for the PUBACK.
    pub async fn publish(&mut self, topic: &str, payload: &[u8]) {
        self.publish_as(topic, payload, false).await;
    }

    /// Publishes retained at QoS 1 and waits for the PUBACK.
    pub async fn retain(&mut self, topic: &str, payload: &[u8]) {
        self.publish_as(topic, payload, true).await;
    }

    async fn publish_as(&mut self, topic: &str, payload: &[u8], retain: bool) {
        let sent = self.send_publish(topic, payload, retain).await;
        assert_eq!(self.answer().await, Packet::PubAck(sent), "the PUBACK of a publish to {topic}");
    }

    /// Sends a PUBLISH at QoS 1 without waiting; gives its packet id.
    pub async fn send_publish(&mut self, topic: &str, payload: &[u8], retain: bool) -> u16 {
        let pkid = self.pkid();
        let message = Message { topic: topic.into(), payload: payload.into(), qos: 1, retain, dup: false, pkid };
        self.send(&encode::publish(&message)).await;
        pkid
    }

    /// Sends a PUBLISH at QoS 1 to a broker that may have been killed.
    pub async fn offer_publish(&mut self, topic: &str, payload: &[u8]) -> u16 {
        let pkid = self.pkid();
        let message = Message { topic: topic.into(), payload: payload.into(), qos: 1, retain: false, dup: false, pkid };
        self.send_into_the_void(&encode::publish(&message)).await;
        pkid
    }

    /// PINGREQ and its answer: the connection is alive.
    pub async fn ping(&mut self) {
        self.send(&encode::PING).await;
        assert_eq!(self.answer().await, Packet::PingResp);
    }

    /// The messages that came up to the answer to a PINGREQ.
    pub async fn messages(&mut self) -> Vec<Message> {
        self.ping().await;
        self.held.drain(..).collect()
    }

    /// Reads on until the broker closes.
    pub async fn closed(&mut self) {
        patiently("the broker to close", async { while self.read().await.is_some() {} }).await;
    }

    /// DISCONNECT; waits until the broker has closed, so that it has noticed.
    pub async fn leave(mut self) {
        self.send(&encode::DISCONNECT).await;
        self.closed().await;
    }

    /// Ends with a TCP reset, like a device that loses power and comes back.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn pkid(&mut self) -> u16 {
        self.last_pkid = self.last_pkid % u16::MAX + 1;
        self.last_pkid
    }
}

/// A TCP connection from this address of the machine.
pub async fn stream_from(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    let stream = patiently("a TCP connection", socket.connect(to)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
