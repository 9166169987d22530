//! The head of a generation: enough to be right about the light whatever happened to earlier files.

use super::overlay::{Layers, Light, Overlay, encode_value};
use super::wire::{Reader, put_bytes, put_number};

/// The first record of a generation: boot id, how far the database has come, the light, and everything newer than the
/// database if earlier generations do not hold it.
///
/// `owed`: the start after a power cut found that `seq` has to jump; the first batch of that run settles it.
pub(super) fn head(boot: &str, through: u64, layers: &Layers, with_overlay: bool, owed: bool) -> Vec<u8> {
    let mut head = Vec::new();
    put_bytes(&mut head, boot.as_bytes());
    put_number(&mut head, through);
    let mut light = Vec::new();
    for (key, value) in &layers.light {
        encode_value(&mut light, key, Some(value));
    }
    put_bytes(&mut head, &light);
    head.push(u8::from(owed));
    head.push(u8::from(with_overlay));
    if with_overlay {
        layers.whole().encode(&mut head);
    }
    head
}

/// A head as read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) boot: String,
    /// Number of the last batch that the database held.
    pub(super) through: u64,
    pub(super) light: Light,
    /// A jump of `seq` is necessary and not made yet.
    pub(super) owed: bool,
    /// Everything newer than the database: earlier generations are not needed.
    pub(super) overlay: Option<Overlay>,
}

/// Reads what `head` wrote; `None` when it is malformed.
pub(super) fn read_head(bytes: &[u8]) -> Option<Head> {
    let mut reader = Reader(bytes);
    let boot = String::from_utf8(reader.bytes()?.to_vec()).ok()?;
    let through = reader.number()?;
    let light = Overlay::decode(reader.bytes()?)?.values;
    let light = light.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let owed = reader.byte()? != 0;
    let overlay = match reader.byte()? {
        0 => None,
        _ => Some(Overlay::decode(reader.0)?),
    };
    Some(Head { boot, through, light, owed, overlay })
}
