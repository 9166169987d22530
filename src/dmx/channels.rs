//! A set of channels of one universe, written as people write it: `1-3,7`.

use std::fmt;
use std::str::FromStr;

use super::{CHANNELS, Channel};

/// Channels with their levels, 0..=255.
pub type Levels = Vec<(Channel, u8)>;

/// Channels of one universe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChannelSet([u64; CHANNELS / 64]);

impl ChannelSet {
    /// None of them.
    pub const NONE: Self = Self([0; CHANNELS / 64]);

    /// All 512.
    pub const ALL: Self = Self([u64::MAX; CHANNELS / 64]);

    /// Whether this channel is in it.
    #[must_use]
    pub fn has(&self, channel: Channel) -> bool {
        let index = channel.index();
        self.0.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    /// Adds a channel.
    pub fn add(&mut self, channel: Channel) {
        let index = channel.index();
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    /// Adds all channels of another set.
    pub fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// Removes all channels of another set.
    pub fn remove_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine &= !theirs);
    }

    /// The channels in order.
    pub fn iter(&self) -> impl Iterator<Item = Channel> + '_ {
        (0..CHANNELS).filter_map(Channel::at).filter(|&channel| self.has(channel))
    }
}

impl FromIterator<Channel> for ChannelSet {
    fn from_iter<I: IntoIterator<Item = Channel>>(channels: I) -> Self {
        let mut set = Self::NONE;
        for channel in channels {
            set.add(channel);
        }
        set
    }
}

/// `1-3,7`; nothing for an empty set.
impl fmt::Display for ChannelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for channel in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == channel.number() => *last += 1,
                _ => ranges.push((channel.number(), channel.number())),
            }
        }
        for (n, (first, last)) in ranges.into_iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            if first == last { write!(f, "{comma}{first}") } else { write!(f, "{comma}{first}-{last}") }?;
        }
        Ok(())
    }
}

impl fmt::Debug for ChannelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// Why a text is not a set of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be channels 1 to 512, such as 1-24,30")]
pub struct NotChannels;

impl FromStr for ChannelSet {
    type Err = NotChannels;

    fn from_str(text: &str) -> Result<Self, NotChannels> {
        let mut set = Self::NONE;
        for range in text.split(',').map(str::trim).filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let number = |text: &str| {
                let number = text.trim().parse().ok().and_then(Channel::new);
                number.map(Channel::number).ok_or(NotChannels)
            };
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(NotChannels);
            }
            (first..=last).filter_map(Channel::new).for_each(|channel| set.add(channel));
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_reads_back_from_what_it_is_written_as(numbers in prop::collection::btree_set(1u16..=512, 0..80)) {
            let set: ChannelSet = numbers.iter().filter_map(|&n| Channel::new(n)).collect();
            prop_assert_eq!(set.iter().map(Channel::number).collect::<Vec<_>>(), numbers.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(set.to_string().parse(), Ok(set));
        }
    }

    #[test]
    fn people_write_ranges() {
        let set: ChannelSet = "1-3, 7,6".parse().unwrap();
        assert_eq!(set.to_string(), "1-3,6-7");
        assert_eq!(ChannelSet::ALL.to_string(), "1-512");
        assert_eq!("".parse(), Ok(ChannelSet::NONE));
        for wrong in ["0", "513", "3-1", "a", "1-", "-3"] {
            assert_eq!(wrong.parse::<ChannelSet>(), Err(NotChannels), "{wrong}");
        }
    }
}
