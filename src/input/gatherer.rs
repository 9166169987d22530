//! Makes one colour of readings that belong together, and tells it only when the console has changed it. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::dmx::{Channel, Frame, Levels, Rgb};

/// How long readings are collected: a sketch writes three channels in 7 ms at 115,200 baud (38 bytes each), and one by
/// one they would flash colours that nobody asked for.
const TOGETHER: Duration = Duration::from_millis(10);

/// What the console says, and what of it was told already.
#[derive(Debug)]
pub(super) struct Gatherer {
    channels: Vec<Reading>,
    /// When what was read is told, also when it is not complete.
    due: Option<Instant>,
    /// The reading before: when, and of which channel.
    last: Option<(Instant, Channel)>,
    /// This colour followed the one before it without a pause.
    close_behind: bool,
}

#[derive(Debug)]
struct Reading {
    channel: Channel,
    /// The newest level since the port was opened.
    level: Option<u8>,
    /// The level that was told last.
    told: Option<u8>,
    /// Read since the last colour was told.
    fresh: bool,
}

impl Gatherer {
    /// Reads so many channels, at most 3.
    pub(super) fn new(channels: u16) -> Self {
        let channels = Rgb::CHANNELS.into_iter().take(channels.into());
        let unread = |channel| Reading { channel, level: None, told: None, fresh: false };
        Self { channels: channels.map(unread).collect(), due: None, last: None, close_behind: false }
    }

    /// Whether a reading of this channel begins the next colour, so that what was read before has to be told first. In a
    /// stream without pauses the channels rise within a colour; behind a pause they may come in any order.
    pub(super) fn ends_before(&self, channel: Channel) -> bool {
        let known = self.channels.iter().any(|reading| reading.channel == channel);
        known && self.due.is_some() && self.close_behind && self.last.is_some_and(|(_, last)| channel <= last)
    }

    /// A level was read; true when the colour is complete and need not wait.
    pub(super) fn read(&mut self, channel: Channel, level: u8, now: Instant) -> bool {
        let Some(reading) = self.channels.iter_mut().find(|reading| reading.channel == channel) else { return false };
        (reading.level, reading.fresh) = (Some(level), true);
        if self.due.is_none() {
            self.close_behind = self.last.is_some_and(|(last, _)| now < last + TOGETHER);
            self.due = Some(now + TOGETHER);
        }
        self.last = Some((now, channel));
        self.channels.iter().all(|reading| reading.fresh)
    }

    /// When [`Self::tell`] is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The levels read so far, if the console has changed one of them. A channel is held against `light` when it is
    /// told for the first time, later against itself: a console that stands still takes nothing back.
    pub(super) fn tell(&mut self, light: &Frame) -> Option<Levels> {
        self.due = None;
        let mut changed = false;
        let mut levels = Levels::new();
        for reading in &mut self.channels {
            reading.fresh = false;
            if let Some(level) = reading.level {
                let before = *reading.told.get_or_insert(light.get(reading.channel));
                changed |= before != level;
                levels.push((reading.channel, level));
            }
        }
        changed.then_some(levels)
    }

    /// What was told was taken.
    pub(super) fn taken(&mut self) {
        self.channels.iter_mut().for_each(|reading| reading.told = reading.level.or(reading.told));
    }

    /// What was told was not taken: it is told again, or what is read meanwhile.
    pub(super) fn refused(&mut self, now: Instant) {
        self.due = Some(now + TOGETHER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn channel(number: u16) -> Channel {
        Channel::new(number).unwrap()
    }

    fn levels(levels: &[(u16, u8)]) -> Option<Levels> {
        Some(levels.iter().map(|&(number, level)| (channel(number), level)).collect())
    }

    fn light(rgb: [u8; 3]) -> Frame {
        let mut frame = Frame::DARK;
        frame.set(&Rgb { r: rgb[0], g: rgb[1], b: rgb[2] }.levels());
        frame
    }

    #[test]
    fn a_colour_is_told_when_it_is_complete_or_after_ten_milliseconds() {
        let (mut gatherer, now) = (Gatherer::new(3), Instant::now());
        assert!(!gatherer.read(channel(3), 30, now));
        assert!(!gatherer.read(channel(1), 10, now + Duration::from_millis(3)));
        assert_eq!(gatherer.due(), Some(now + TOGETHER));
        assert!(gatherer.read(channel(2), 20, now + Duration::from_millis(6)));
        assert_eq!(gatherer.tell(&Frame::DARK), levels(&[(1, 10), (2, 20), (3, 30)]));
        assert_eq!(gatherer.due(), None);
        gatherer.taken();
        assert!(!gatherer.read(channel(2), 21, now));
        assert_eq!(gatherer.tell(&Frame::DARK), levels(&[(1, 10), (2, 21), (3, 30)]));
    }

    #[test]
    fn a_stream_without_pauses_that_is_joined_in_the_middle_falls_into_step() {
        let (mut gatherer, mut now) = (Gatherer::new(3), Instant::now());
        let mut told = Vec::new();
        let stream = [0, 0, 0, 255, 255, 255].into_iter().cycle().zip([1, 2, 3].into_iter().cycle()).skip(1);
        for (level, number) in stream.take(62) {
            now += Duration::from_micros(3_300);
            if gatherer.ends_before(channel(number)) {
                told.extend(gatherer.tell(&Frame::DARK));
                gatherer.taken();
            }
            if gatherer.read(channel(number), level, now) {
                told.extend(gatherer.tell(&Frame::DARK));
                gatherer.taken();
            }
        }
        let mixed = |levels: &Levels| levels.windows(2).any(|pair| pair[0].1 != pair[1].1);
        assert!(told.iter().rposition(mixed) <= Some(1) && told.len() > 15, "{told:?}");
    }

    #[test]
    fn what_was_refused_is_told_again_and_takes_nothing_else_back() {
        let (mut gatherer, now) = (Gatherer::new(1), Instant::now());
        assert!(gatherer.read(channel(1), 5, now));
        assert_eq!(gatherer.tell(&Frame::DARK), levels(&[(1, 5)]));
        gatherer.refused(now);
        assert_eq!(gatherer.due(), Some(now + TOGETHER));
        assert_eq!(gatherer.tell(&light([9, 9, 9])), levels(&[(1, 5)]));
        gatherer.taken();
        gatherer.read(channel(1), 5, now);
        assert_eq!(gatherer.tell(&light([9, 9, 9])), None);
    }

    #[test]
    fn a_channel_that_was_not_read_keeps_its_light_and_one_that_is_not_mapped_is_nothing() {
        let (mut gatherer, now) = (Gatherer::new(2), Instant::now());
        gatherer.read(channel(1), 5, now);
        assert_eq!(gatherer.tell(&light([1, 2, 3])), levels(&[(1, 5)]));
        gatherer.taken();
        assert!(!gatherer.read(channel(3), 9, now) && !gatherer.read(channel(4), 9, now));
        assert_eq!((gatherer.due(), gatherer.tell(&Frame::DARK)), (None, None));
    }

    #[test]
    fn a_console_that_stands_still_takes_nothing_back() {
        let (mut gatherer, now) = (Gatherer::new(3), Instant::now());
        let stands = |gatherer: &mut Gatherer, lamp| {
            for number in 1..=3 {
                gatherer.read(channel(number), 50, now);
            }
            gatherer.tell(&light(lamp))
        };
        assert_eq!(stands(&mut gatherer, [50, 50, 50]), None, "the lamp has that colour already");
        assert_eq!(stands(&mut gatherer, [200, 0, 0]), None, "a tablet has changed it meanwhile");
    }

    proptest! {
        #[test]
        fn what_was_read_last_is_told_last_and_nothing_twice(
            script in prop::collection::vec((1u16..=3, 0u8..3, any::<bool>()), 1..60),
            lamp: [u8; 3],
        ) {
            let (mut gatherer, now, mut frame) = (Gatherer::new(3), Instant::now(), light(lamp));
            let mut console = [None; 3];
            for (number, level, told) in script {
                console[usize::from(number) - 1] = Some(level);
                if gatherer.read(channel(number), level, now) || told {
                    let before = frame.clone();
                    let told = gatherer.tell(&frame);
                    gatherer.taken();
                    frame.set(&told.clone().unwrap_or_default());
                    prop_assert_eq!(told.is_some(), frame != before, "told when and only when it changes something");
                }
            }
            let told = gatherer.tell(&frame);
            frame.set(&told.unwrap_or_default());
            for (n, level) in console.iter().enumerate() {
                prop_assert_eq!(frame.levels()[n], level.unwrap_or(lamp[n]));
            }
        }
    }
}
