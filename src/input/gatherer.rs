//! Makes one colour of readings that belong together, and gives it only when the console has changed it. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::dmx::{Channel, Frame, Levels, Rgb};

/// How long readings are collected: a sketch writes three channels in 7 ms at 115,200 baud (38 bytes each), and one by
/// one they would flash colours that nobody asked for.
const TOGETHER: Duration = Duration::from_millis(10);

/// A level that has not changed for this long is where the fader came to rest; it is sent whatever the dead band.
const REST: Duration = Duration::from_millis(200);

/// What the console shows, and what of it was sent.
#[derive(Debug)]
pub(super) struct Gatherer {
    channels: Vec<Reading>,
    /// A fader that moves by this much or less is noisy, and is sent only where it comes to rest.
    dead_band: u8,
    /// When to send what was read, even if it is not complete.
    due: Option<Instant>,
    /// The previous reading: when, and of which channel.
    last: Option<(Instant, Channel)>,
    /// This colour followed the previous one without a pause.
    close_behind: bool,
}

#[derive(Debug)]
struct Reading {
    channel: Channel,
    /// The newest level since the port was opened, and since when it has been that.
    level: Option<(u8, Instant)>,
    /// The level that was sent last.
    told: Option<u8>,
    /// Read since the last colour was sent.
    fresh: bool,
}

impl Gatherer {
    /// Reads this many channels, at most 3.
    pub(super) fn new(channels: u16, dead_band: u8) -> Self {
        let channels = Rgb::CHANNELS.into_iter().take(channels.into());
        let unread = |channel| Reading { channel, level: None, told: None, fresh: false };
        Self { channels: channels.map(unread).collect(), dead_band, due: None, last: None, close_behind: false }
    }

    /// Whether a reading of this channel begins the next colour, so that the present one must be sent first. In a stream
    /// without pauses the channels rise within a colour; after a pause they may come in any order.
    pub(super) fn ends_before(&self, channel: Channel) -> bool {
        let known = self.channels.iter().any(|reading| reading.channel == channel);
        known && self.due.is_some() && self.close_behind && self.last.is_some_and(|(_, last)| channel <= last)
    }

    /// Takes a level; true when the colour is complete and need not wait.
    pub(super) fn read(&mut self, channel: Channel, level: u8, now: Instant) -> bool {
        let Some(reading) = self.channels.iter_mut().find(|reading| reading.channel == channel) else { return false };
        reading.level = reading.level.filter(|(before, _)| *before == level).or(Some((level, now)));
        reading.fresh = true;
        if self.due.is_none() {
            self.close_behind = self.last.is_some_and(|(last, _)| now < last + TOGETHER);
            self.due = Some(now + TOGETHER);
        }
        self.last = Some((now, channel));
        self.channels.iter().all(|reading| reading.fresh)
    }

    /// When [`Self::tell`] is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.or_else(|| self.channels.iter().filter_map(Reading::rests_at).min())
    }

    /// The levels that the console has changed, and no others: whoever else has moved a channel keeps it. A channel is compared
    /// with `light` when it is sent for the first time, later with itself: a console that stands still takes nothing
    /// back.
    pub(super) fn tell(&mut self, light: &Frame, now: Instant) -> Option<Levels> {
        self.due = None;
        let mut levels = Levels::new();
        for reading in &mut self.channels {
            reading.fresh = false;
            let Some((level, _)) = reading.level else { continue };
            let told = *reading.told.get_or_insert(light.get(reading.channel));
            if level.abs_diff(told) > self.dead_band || reading.rests_at().is_some_and(|then| then <= now) {
                levels.push((reading.channel, level));
            }
        }
        (!levels.is_empty()).then_some(levels)
    }

    /// What was sent was accepted.
    pub(super) fn taken(&mut self, levels: &Levels) {
        for &(channel, level) in levels {
            let told = self.channels.iter_mut().find(|reading| reading.channel == channel);
            told.into_iter().for_each(|reading| reading.told = Some(level));
        }
    }

    /// What was sent was refused: it is sent again, or what is read meanwhile.
    pub(super) fn refused(&mut self, now: Instant) {
        self.due = Some(now + TOGETHER);
    }
}

impl Reading {
    /// When a level that was held back will have come to rest.
    fn rests_at(&self) -> Option<Instant> {
        let ((level, since), told) = (self.level?, self.told?);
        (level != told).then(|| since + REST)
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

    /// What is sent at a moment, and accepted.
    fn told(gatherer: &mut Gatherer, lamp: &Frame, now: Instant) -> Option<Levels> {
        let told = gatherer.tell(lamp, now);
        told.iter().for_each(|levels| gatherer.taken(levels));
        told
    }

    #[test]
    fn a_colour_is_told_when_it_is_complete_or_after_ten_milliseconds() {
        let (mut gatherer, now) = (Gatherer::new(3, 0), Instant::now());
        assert!(!gatherer.read(channel(3), 30, now));
        assert!(!gatherer.read(channel(1), 10, now + Duration::from_millis(3)));
        assert_eq!(gatherer.due(), Some(now + TOGETHER));
        assert!(gatherer.read(channel(2), 20, now + Duration::from_millis(6)));
        assert_eq!(told(&mut gatherer, &Frame::DARK, now), levels(&[(1, 10), (2, 20), (3, 30)]));
        assert_eq!(gatherer.due(), None);
        assert!(!gatherer.read(channel(2), 21, now));
        assert_eq!(told(&mut gatherer, &Frame::DARK, now), levels(&[(2, 21)]), "the one that moved");
    }

    #[test]
    fn a_stream_without_pauses_that_is_joined_in_the_middle_falls_into_step() {
        let (mut gatherer, mut now) = (Gatherer::new(3, 0), Instant::now());
        let mut all = Vec::new();
        let stream = [0, 0, 0, 255, 255, 255].into_iter().cycle().zip([1, 2, 3].into_iter().cycle()).skip(1);
        for (level, number) in stream.take(62) {
            now += Duration::from_micros(3_300);
            if gatherer.ends_before(channel(number)) {
                all.extend(told(&mut gatherer, &Frame::DARK, now));
            }
            if gatherer.read(channel(number), level, now) {
                all.extend(told(&mut gatherer, &Frame::DARK, now));
            }
        }
        let mixed = |levels: &Levels| levels.windows(2).any(|pair| pair[0].1 != pair[1].1);
        assert!(all.iter().rposition(mixed) <= Some(1) && all.len() > 15, "{all:?}");
        assert!(all.iter().skip(2).all(|levels| levels.len() == 3), "{all:?}");
    }

    #[test]
    fn what_was_refused_is_told_again_and_takes_nothing_else_back() {
        let (mut gatherer, now) = (Gatherer::new(1, 0), Instant::now());
        assert!(gatherer.read(channel(1), 5, now));
        assert_eq!(gatherer.tell(&Frame::DARK, now), levels(&[(1, 5)]));
        gatherer.refused(now);
        assert_eq!(gatherer.due(), Some(now + TOGETHER));
        assert_eq!(told(&mut gatherer, &light([9, 9, 9]), now), levels(&[(1, 5)]));
        gatherer.read(channel(1), 5, now);
        assert_eq!(gatherer.tell(&light([9, 9, 9]), now), None);
    }

    #[test]
    fn a_channel_that_was_not_read_keeps_its_light_and_one_that_is_not_mapped_is_nothing() {
        let (mut gatherer, now) = (Gatherer::new(2, 0), Instant::now());
        gatherer.read(channel(1), 5, now);
        assert_eq!(told(&mut gatherer, &light([1, 2, 3]), now), levels(&[(1, 5)]));
        assert!(!gatherer.read(channel(3), 9, now) && !gatherer.read(channel(4), 9, now));
        assert_eq!((gatherer.due(), gatherer.tell(&Frame::DARK, now)), (None, None));
    }

    #[test]
    fn a_console_that_stands_still_takes_nothing_back() {
        let (mut gatherer, now) = (Gatherer::new(3, 0), Instant::now());
        let stands = |gatherer: &mut Gatherer, lamp| {
            for number in 1..=3 {
                gatherer.read(channel(number), 50, now);
            }
            gatherer.tell(&light(lamp), now + 2 * REST)
        };
        assert_eq!(stands(&mut gatherer, [50, 50, 50]), None, "the lamp has that colour already");
        assert_eq!(stands(&mut gatherer, [200, 0, 0]), None, "a tablet has changed it meanwhile");
    }

    #[test]
    fn within_the_dead_band_only_rest_is_told() {
        let (mut gatherer, mut now) = (Gatherer::new(1, 2), Instant::now());
        let mut read = |gatherer: &mut Gatherer, level, ms| {
            now += Duration::from_millis(ms);
            gatherer.read(channel(1), level, now);
            (told(gatherer, &Frame::DARK, now), now)
        };
        assert_eq!(read(&mut gatherer, 100, 0).0, levels(&[(1, 100)]), "a move");
        for level in [101, 99, 102, 98, 100, 102].repeat(20) {
            assert_eq!(read(&mut gatherer, level, 150).0, None, "noise");
        }
        assert_eq!(read(&mut gatherer, 103, 10).0, levels(&[(1, 103)]), "a move by 3");
        let (nothing, since) = read(&mut gatherer, 104, 10);
        assert_eq!((nothing, gatherer.due()), (None, Some(since + REST)));
        assert_eq!(read(&mut gatherer, 104, 199).0, None);
        assert_eq!(read(&mut gatherer, 104, 1).0, levels(&[(1, 104)]), "it has come to rest");
        assert_eq!(gatherer.due(), None);
        // Refused, it waits its turn instead of spinning.
        read(&mut gatherer, 105, 10);
        assert_eq!(gatherer.tell(&Frame::DARK, now + REST), levels(&[(1, 105)]));
        gatherer.refused(now + REST);
        assert_eq!(gatherer.due(), Some(now + REST + TOGETHER));
    }

    proptest! {
        #[test]
        fn what_was_read_last_is_told_last_and_nothing_twice(
            script in prop::collection::vec((1u16..=3, 0u8..6, any::<bool>()), 1..60),
            lamp: [u8; 3],
            dead_band in 0u8..3,
        ) {
            let (mut gatherer, now, mut frame) = (Gatherer::new(3, dead_band), Instant::now(), light(lamp));
            let mut console = [None; 3];
            for (number, level, ask) in script {
                console[usize::from(number) - 1] = Some(level);
                if gatherer.read(channel(number), level, now) || ask {
                    let before = frame.clone();
                    let told = told(&mut gatherer, &frame, now).unwrap_or_default();
                    for &(channel, level) in &told {
                        prop_assert!(level.abs_diff(before.get(channel)) > dead_band, "told only when it moved");
                    }
                    frame.set(&told);
                }
            }
            let told = told(&mut gatherer, &frame, now + REST);
            frame.set(&told.unwrap_or_default());
            for (n, level) in console.iter().enumerate() {
                prop_assert_eq!(frame.levels()[n], level.unwrap_or(lamp[n]), "at rest it is what the console says");
            }
        }
    }
}
