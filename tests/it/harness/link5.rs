//! One MQTT 5 connection, packet by packet.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::five::{self, Connect5, Message5, Packet5, Property, property};
use super::packet::encode;
use super::patiently;

/// What CONNACK said.
#[derive(Clone, Debug)]
pub struct Welcome5 {
    pub session_present: bool,
    pub code: u8,
    pub properties: Vec<Property>,
}

/// A client that does exactly as told. Messages are acknowledged as they are read, unless told otherwise.
pub struct Link5 {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Messages that came while waiting for something else.
    held: VecDeque<Message5>,
    last_pkid: u16,
    acknowledges: bool,
}

impl Link5 {
    /// Only the TCP connection.
    pub async fn open(broker: SocketAddr) -> Self {
        let stream = patiently("a TCP connection", TcpStream::connect(broker)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), held: VecDeque::new(), last_pkid: 0, acknowledges: true }
    }

    /// CONNECT and its answer, whatever it is.
    pub async fn connect(broker: SocketAddr, connect: &Connect5) -> (Self, Welcome5) {
        let mut link = Self::open(broker).await;
        link.send(&connect.encode()).await;
        match link.next().await {
            Packet5::ConnAck { session_present, code, properties } => {
                assert!(code == 0 || !session_present, "a refusal has no session [MQTT-3.2.2-6]");
                (link, Welcome5 { session_present, code, properties })
            }
            other => panic!("the first packet must be CONNACK [MQTT-3.2.0-1]: {other:?}"),
        }
    }

    /// CONNECT that must be accepted.
    pub async fn join(broker: SocketAddr, connect: &Connect5) -> Self {
        let (link, welcome) = Self::connect(broker, connect).await;
        assert_eq!(welcome.code, 0, "CONNACK {welcome:?} for {connect:?}");
        link
    }

    /// The same; whether there was a session.
    pub async fn resume(broker: SocketAddr, connect: &Connect5) -> (Self, bool) {
        let (link, welcome) = Self::connect(broker, connect).await;
        assert_eq!(welcome.code, 0, "CONNACK {welcome:?} for {connect:?}");
        (link, welcome.session_present)
    }

    /// Starts or stops acknowledging on its own.
    pub fn acknowledge(&mut self, on: bool) {
        self.acknowledges = on;
    }

    /// Bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        patiently("the broker to read", self.stream.write_all(bytes)).await.unwrap();
    }

    /// The next packet; `None` when the broker has closed.
    pub async fn read(&mut self) -> Option<Packet5> {
        loop {
            if let Some((packet, length)) = five::decode(&self.buffer) {
                self.buffer.drain(..length);
                if self.acknowledges {
                    self.answer_to(&packet).await;
                    if matches!(packet, Packet5::Ack { kind: 0x60, .. }) {
                        continue;
                    }
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

    async fn answer_to(&mut self, packet: &Packet5) {
        let answer = match packet {
            Packet5::Publish(Message5 { qos: 1, pkid, .. }) => encode::puback(*pkid),
            Packet5::Publish(Message5 { qos: 2, pkid, .. }) => encode::pubrec(*pkid),
            Packet5::Ack { kind: 0x60, pkid, .. } => encode::pubcomp(*pkid),
            _ => return,
        };
        let _ = self.stream.write_all(&answer).await; // a closed link shows at the next read
    }

    /// The next packet of an open connection.
    pub async fn next(&mut self) -> Packet5 {
        patiently("a packet", self.read()).await.expect("the connection stays open")
    }

    /// The next packet that is not a message; messages before it are kept.
    pub async fn answer(&mut self) -> Packet5 {
        loop {
            match self.next().await {
                Packet5::Publish(message) => self.held.push_back(message),
                other => return other,
            }
        }
    }

    /// The next message.
    pub async fn message(&mut self) -> Message5 {
        if let Some(held) = self.held.pop_front() {
            return held;
        }
        match self.next().await {
            Packet5::Publish(message) => message,
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// The next message, in spite of acknowledgements before it.
    pub async fn message_beside_acks(&mut self) -> Message5 {
        loop {
            match self.next().await {
                Packet5::Publish(message) => return message,
                Packet5::Ack { .. } => {}
                other => panic!("expected a message or an acknowledgement, got {other:?}"),
            }
        }
    }

    /// The messages that came up to the answer to a PINGREQ.
    pub async fn messages(&mut self) -> Vec<Message5> {
        self.send(&encode::PING).await;
        assert_eq!(self.answer().await, Packet5::PingResp);
        self.held.drain(..).collect()
    }

    /// Their payloads.
    pub async fn texts(&mut self) -> Vec<String> {
        self.messages().await.iter().map(Message5::text).collect()
    }

    /// SUBSCRIBE to one filter with its options; gives the SUBACK code.
    pub async fn subscribe(&mut self, filter: &str, options: u8) -> u8 {
        self.subscribe_all(&[(filter, options)], &[]).await[0]
    }

    /// The same with a subscription identifier.
    pub async fn subscribe_as(&mut self, filter: &str, options: u8, id: u32) {
        let codes = self.subscribe_all(&[(filter, options)], &[property::subscription_id(id)]).await;
        assert_eq!(codes, [options & 3]);
    }

    /// SUBSCRIBE to several filters; gives the SUBACK codes.
    pub async fn subscribe_all(&mut self, filters: &[(&str, u8)], properties: &[Property]) -> Vec<u8> {
        let sent = self.pkid();
        self.send(&five::subscribe(sent, filters, properties)).await;
        match self.answer().await {
            Packet5::Filters { kind: 0x90, pkid, codes } if pkid == sent && codes.len() == filters.len() => codes,
            other => panic!("expected SUBACK {sent} with {} codes, got {other:?}", filters.len()),
        }
    }

    /// UNSUBSCRIBE; gives the codes of its answer.
    pub async fn unsubscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let sent = self.pkid();
        self.send(&five::unsubscribe(sent, filters)).await;
        match self.answer().await {
            Packet5::Filters { kind: 0xB0, pkid, codes } if pkid == sent => codes,
            other => panic!("expected UNSUBACK {sent}, got {other:?}"),
        }
    }

    /// Publishes, to the end of the handshake; gives the code of PUBACK or PUBREC, and the reason string with it.
    pub async fn publish(&mut self, message: &Message5) -> (u8, Option<String>) {
        let pkid = if message.qos > 0 { self.pkid() } else { 0 };
        self.send(&Message5 { pkid, ..message.clone() }.encode()).await;
        if message.qos == 0 {
            return (0, None);
        }
        let (code, properties) = self.acked(if message.qos == 1 { 0x40 } else { 0x50 }, pkid).await;
        if message.qos == 2 && code < 0x80 {
            self.send(&encode::pubrel(pkid)).await;
            assert_eq!(self.acked(0x70, pkid).await.0, 0);
        }
        (code, five::why(&properties))
    }

    /// An acknowledgement of this kind and id; gives its code and properties.
    pub async fn acked(&mut self, wanted: u8, of: u16) -> (u8, Vec<Property>) {
        match self.answer().await {
            Packet5::Ack { kind, pkid, code, properties } if (kind, pkid) == (wanted, of) => (code, properties),
            other => panic!("expected {wanted:#x} of {of}, got {other:?}"),
        }
    }

    /// Publishes at QoS 1 a message that has to be taken.
    pub async fn say(&mut self, topic: &str, payload: &str) {
        assert!(self.publish(&Message5::new(topic, payload)).await.0 < 0x80);
    }

    /// Reads on until the broker closes; gives code and reason string of its DISCONNECT.
    pub async fn end(&mut self) -> Option<(u8, Option<String>)> {
        let mut said = None;
        while let Some(packet) = patiently("the broker to close", self.read()).await {
            assert!(said.is_none(), "nothing follows DISCONNECT [MQTT-3.14.4-1]: {packet:?}");
            if let Packet5::Disconnect { code, properties } = packet {
                said = Some((code, five::why(&properties)));
            }
        }
        said
    }

    /// DISCONNECT; waits until the broker has closed, so that it has noticed.
    pub async fn leave(self) {
        self.leave_with(0, &[]).await;
    }

    /// The same with a reason and properties.
    pub async fn leave_with(mut self, code: u8, properties: &[Property]) {
        self.send(&five::disconnect(code, properties)).await;
        assert_eq!(self.end().await, None, "who leaves is told nothing more");
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
