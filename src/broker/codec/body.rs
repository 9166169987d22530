//! The body of a packet as the standard's data types (section 1.5 of MQTT 5). Never reads beyond its end.

use bytes::{Buf, Bytes};

use super::Malformed;

/// The rest of a packet's body.
pub(super) struct Body(pub(super) Bytes);

impl Body {
    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| SHORT)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.0.try_get_u16().map_err(|_| SHORT)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| SHORT)
    }

    /// A variable byte integer (section 1.5.5).
    pub(super) fn varint(&mut self) -> Result<u32, Malformed> {
        let Some(Varint { value, bytes, is_shortest }) = Varint::read(&self.0) else {
            return Err(if self.0.len() < 4 { SHORT } else { LONG });
        };
        self.0.advance(bytes);
        if is_shortest { Ok(value as u32) } else { Err(LONG) } // 28 bits at most
    }

    pub(super) fn pkid(&mut self) -> Result<u16, Malformed> {
        match self.u16()? {
            0 => Err(Malformed::Broken("packet id 0")), // [MQTT-2.3.1-1]
            pkid => Ok(pkid),
        }
    }

    /// So many bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<Bytes, Malformed> {
        if length > self.0.len() { Err(SHORT) } else { Ok(self.0.split_to(length)) }
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let length = self.u16()?;
        self.take(length.into())
    }

    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.bytes()?;
        Ok(checked(&bytes)?.to_owned())
    }

    /// Checks a text that nobody here reads.
    pub(super) fn skip_text(&mut self) -> Result<(), Malformed> {
        let bytes = self.bytes()?;
        checked(&bytes).map(drop)
    }

    /// The name of a topic that messages can go to ([MQTT-3.3.2-2], [MQTT-4.7.3-1]).
    pub(super) fn topic(&mut self) -> Result<String, Malformed> {
        let topic = self.text()?;
        if topic.is_empty() || topic.contains(['+', '#']) { Err(NO_TOPIC) } else { Ok(topic) }
    }

    /// The rest as items, at least one ([MQTT-3.8.3-3], [MQTT-3.10.3-2]).
    pub(super) fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let mut items = Vec::new();
        while !self.0.is_empty() {
            items.push(item(self)?);
        }
        if items.is_empty() { Err(Malformed::Protocol("a list of filters without filters")) } else { Ok(items) }
    }
}

/// A variable byte integer: up to 28 bits, seven in each byte.
pub(super) struct Varint {
    pub(super) value: usize,
    pub(super) bytes: usize,
    /// MQTT 5 takes no other form ([MQTT-1.5.5-1]); the others do not say.
    pub(super) is_shortest: bool,
}

impl Varint {
    /// `None`: it goes on, perhaps beyond what is allowed.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut value = 0;
        for (at, &byte) in bytes.iter().take(4).enumerate() {
            value |= usize::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Some(Self { value, bytes: at + 1, is_shortest: at == 0 || byte != 0 });
            }
        }
        None
    }
}

/// Bytes as text ([MQTT-1.5.3-1] and [-2] of 3.1.1, [MQTT-1.5.4-1] and [-2] of 5).
fn checked(bytes: &[u8]) -> Result<&str, Malformed> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Malformed::Broken("a text that is not UTF-8 or has NUL in it")),
    }
}

const SHORT: Malformed = Malformed::Broken("a packet that ends too early");
pub(super) const LONG: Malformed = Malformed::Broken("an integer that has more bytes than it needs");
pub(super) const NO_TOPIC: Malformed = Malformed::Broken("a topic that is empty or has wildcards");
