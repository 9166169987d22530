//! Values that several channels carry together, coarse first.

use std::sync::Arc;

use super::Channel;

/// Such channels: two or three.
pub(super) type Wide = Arc<[Channel]>;

/// A value as this many levels, coarse first.
pub(super) fn bytes(value: u32, channels: usize) -> impl Iterator<Item = u8> {
    value.to_be_bytes().into_iter().skip(4_usize.saturating_sub(channels))
}

/// The value of levels, coarse first.
pub(super) fn value(levels: impl IntoIterator<Item = u8>) -> u32 {
    levels.into_iter().fold(0, |value, level| value << 8 | u32::from(level))
}
