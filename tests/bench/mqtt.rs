//! The smallest MQTT client that can measure: blocking, one packet at a time, no buffers of its own between call and wire.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::OnceLock;

/// A received packet.
pub(crate) enum Packet {
    Publish { payload: Vec<u8>, qos: u8, pkid: u16 },
    PubAck,
    Other,
}

pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
    last_pkid: u16,
}

impl Client {
    pub(crate) fn connect(port: u16, id: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, read: Vec::new(), last_pkid: 0 };
        client.stream.write_all(&connect(id))?;
        client.packet()?;
        Ok(client)
    }

    pub(crate) fn subscribe(&mut self, topic: &str) -> io::Result<()> {
        self.stream.write_all(&subscribe(topic))?;
        self.packet().map(drop)
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8]) -> io::Result<()> {
        self.last_pkid = self.last_pkid.checked_add(1).unwrap_or(1);
        self.stream.write_all(&publish(topic, self.last_pkid, payload))
    }

    /// The next packet; messages are acknowledged.
    pub(crate) fn packet(&mut self) -> io::Result<Packet> {
        loop {
            if let Some((first, body)) = self.whole() {
                let packet = parse(first, body);
                if let Packet::Publish { qos: 1, pkid, .. } = packet {
                    self.stream.write_all(&puback(pkid))?;
                }
                return Ok(packet);
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => self.read.extend(&chunk[..n]),
            }
        }
    }

    fn whole(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, body) = whole(&self.read)?;
        let packet: Vec<u8> = self.read.drain(..body.end).collect();
        Some((first, packet[body].to_vec()))
    }
}

/// Whether clients speak MQTT 5 (`BENCH_MQTT=5`), and not 3.1.1: every packet then has properties, of which there are none.
fn is_five() -> bool {
    static FIVE: OnceLock<bool> = OnceLock::new();
    *FIVE.get_or_init(|| std::env::var_os("BENCH_MQTT").is_some_and(|version| version == "5"))
}

/// The length of no properties.
fn none(body: &mut Vec<u8>) {
    body.extend(is_five().then_some(0));
}

/// CONNECT, clean and without keep-alive.
pub(crate) fn connect(id: &str) -> Vec<u8> {
    let mut body = b"\0\x04MQTT\x04\x02\0\0".to_vec();
    if is_five() {
        body[6] = 5;
    }
    none(&mut body);
    text(&mut body, id);
    packet(0x10, &body)
}

/// SUBSCRIBE at QoS 1.
pub(crate) fn subscribe(topic: &str) -> Vec<u8> {
    let mut body = vec![0, 1];
    none(&mut body);
    text(&mut body, topic);
    body.push(1);
    packet(0x82, &body)
}

/// PUBLISH at QoS 1.
pub(crate) fn publish(topic: &str, pkid: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(4 + topic.len() + payload.len());
    text(&mut body, topic);
    body.extend(pkid.to_be_bytes());
    none(&mut body);
    body.extend(payload);
    packet(0x32, &body)
}

pub(crate) fn puback(pkid: u16) -> [u8; 4] {
    let [high, low] = pkid.to_be_bytes();
    [0x40, 2, high, low]
}

/// The first byte of the first packet in there and where its body is, once it is complete.
pub(crate) fn whole(read: &[u8]) -> Option<(u8, Range<usize>)> {
    let (mut length, mut at) = (0usize, 1);
    loop {
        let byte = *read.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (read.len() >= at + length).then(|| (read[0], at..at + length))
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    while length >= 128 {
        packet.push((length % 128) as u8 | 0x80);
        length /= 128;
    }
    packet.push(length as u8);
    packet.extend(body);
    packet
}

/// Where what follows the properties begins: fewer than 128 bytes of them, since nobody here sends any.
pub(crate) fn behind_properties(body: &[u8], at: usize) -> usize {
    if is_five() { at + 1 + usize::from(body[at]) } else { at }
}

fn parse(first: u8, body: Vec<u8>) -> Packet {
    match first >> 4 {
        3 => {
            let qos = (first >> 1) & 3;
            let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            let (pkid, start) =
                if qos == 0 { (0, topic) } else { (u16::from_be_bytes([body[topic], body[topic + 1]]), topic + 2) };
            Packet::Publish { payload: body[behind_properties(&body, start)..].to_vec(), qos, pkid }
        }
        4 => Packet::PubAck,
        _ => Packet::Other,
    }
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as u16).to_be_bytes());
    body.extend(text.as_bytes());
}
