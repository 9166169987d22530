//! The least MQTT client that measures: blocking, one packet at a time, no buffers of its own between call and wire.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// What came in.
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
        let mut body = b"\0\x04MQTT\x04\x02\0\0".to_vec();
        text(&mut body, id);
        client.send(0x10, &body)?;
        client.packet()?;
        Ok(client)
    }

    pub(crate) fn subscribe(&mut self, topic: &str) -> io::Result<()> {
        let mut body = vec![0, 1];
        text(&mut body, topic);
        body.push(1);
        self.send(0x82, &body)?;
        self.packet().map(drop)
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8]) -> io::Result<()> {
        self.last_pkid = self.last_pkid.checked_add(1).unwrap_or(1);
        let mut body = Vec::with_capacity(4 + topic.len() + payload.len());
        text(&mut body, topic);
        body.extend(self.last_pkid.to_be_bytes());
        body.extend(payload);
        self.send(0x32, &body)
    }

    /// The next packet; a message is acknowledged.
    pub(crate) fn packet(&mut self) -> io::Result<Packet> {
        loop {
            if let Some((first, body)) = self.whole() {
                let packet = parse(first, body);
                if let Packet::Publish { qos: 1, pkid, .. } = packet {
                    self.send(0x40, &pkid.to_be_bytes())?;
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
        let (mut length, mut at) = (0usize, 1);
        loop {
            let byte = *self.read.get(at)?;
            length |= usize::from(byte & 0x7f) << (7 * (at - 1));
            at += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        if self.read.len() < at + length {
            return None;
        }
        let packet: Vec<u8> = self.read.drain(..at + length).collect();
        Some((packet[0], packet[at..].to_vec()))
    }

    fn send(&mut self, first: u8, body: &[u8]) -> io::Result<()> {
        let mut packet = vec![first];
        let mut length = body.len();
        while length >= 128 {
            packet.push((length % 128) as u8 | 0x80);
            length /= 128;
        }
        packet.push(length as u8);
        packet.extend(body);
        self.stream.write_all(&packet)
    }
}

fn parse(first: u8, body: Vec<u8>) -> Packet {
    match first >> 4 {
        3 => {
            let qos = (first >> 1) & 3;
            let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            let (pkid, start) =
                if qos == 0 { (0, topic) } else { (u16::from_be_bytes([body[topic], body[topic + 1]]), topic + 2) };
            Packet::Publish { payload: body[start..].to_vec(), qos, pkid }
        }
        4 => Packet::PubAck,
        _ => Packet::Other,
    }
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as u16).to_be_bytes());
    body.extend(text.as_bytes());
}
