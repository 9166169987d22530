//! Reads the log of a SparkFun DMX shield's sketch: `DMX: read value from channel 1: 123`. Pure and incremental.

use crate::dmx::Channel;

/// No meaningful line is longer. A longer one counts as ignored each time it has grown by this much, so that noise without
/// line ends is seen.
const LONGEST: usize = 256;

const ESCAPE: u8 = 0x1B;

/// The meaning of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParsedLine {
    /// The level of a channel.
    Reading(Channel, u8),
    /// Anything else.
    Ignored,
}

/// Cuts bytes into lines and reads them. A line counts once it has ended: until then `12` may become `123`.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    /// The line was too long: the rest of it means nothing.
    overlong: bool,
    escape: Escape,
}

/// Where it is in an escape sequence (ECMA-48): ESP-IDF colours its log, `\x1b[0;32m`.
#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    Outside,
    /// After ESC.
    Begun,
    /// After `ESC [`, until the final byte.
    Control,
}

impl Parser {
    /// Takes bytes from the line, and gives the meaning of each line that has ended.
    pub fn take(&mut self, bytes: &[u8], mut heard: impl FnMut(ParsedLine)) {
        for &byte in bytes {
            if matches!(byte, b'\n' | b'\r') {
                if !self.line.is_empty() {
                    heard(if self.overlong { ParsedLine::Ignored } else { reading(&self.line) });
                }
                *self = Self { line: std::mem::take(&mut self.line), ..Self::default() };
                self.line.clear();
            } else if !self.escaped(byte) {
                self.line.push(byte);
                if self.line.len() > LONGEST {
                    self.line.clear();
                    self.overlong = true;
                    heard(ParsedLine::Ignored);
                }
            }
        }
    }

    /// Whether a byte belongs to an escape sequence, which means nothing.
    fn escaped(&mut self, byte: u8) -> bool {
        let (next, escaped) = match (self.escape, byte) {
            (_, ESCAPE) => (Escape::Begun, true),
            (Escape::Outside, _) => (Escape::Outside, false),
            (Escape::Begun, b'[') => (Escape::Control, true),
            (Escape::Begun, 0x20..=0x2F) => (Escape::Begun, true),
            (Escape::Control, 0x20..=0x3F) => (Escape::Control, true),
            (Escape::Begun, 0x30..=0x7E) | (Escape::Control, 0x40..=0x7E) => (Escape::Outside, true),
            (Escape::Begun | Escape::Control, _) => (Escape::Outside, false), // noise
        };
        self.escape = next;
        escaped
    }
}

fn reading(line: &[u8]) -> ParsedLine {
    let read = || {
        // the last one: anything before it is junk, or a line that lost its end
        let start = line.windows(3).rposition(|word| word.eq_ignore_ascii_case(b"dmx"))?;
        let mut rest = Words(line.get(start..)?);
        for word in ["dmx", ":", "read", "value", "from", "channel"] {
            rest.word(word)?;
        }
        let channel = Channel::new(rest.number()?)?;
        rest.word(":")?;
        let level = u8::try_from(rest.number()?).ok()?;
        rest.is_over().then_some(ParsedLine::Reading(channel, level))
    };
    read().unwrap_or(ParsedLine::Ignored)
}

/// The rest of a line.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn word(&mut self, word: &str) -> Option<()> {
        let (start, rest) = self.0.trim_ascii_start().split_at_checked(word.len())?;
        self.0 = rest;
        start.eq_ignore_ascii_case(word.as_bytes()).then_some(())
    }

    /// Up to 65,535.
    fn number(&mut self) -> Option<u16> {
        let text = self.0.trim_ascii_start();
        let (digits, rest) = text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count());
        self.0 = rest;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn is_over(&self) -> bool {
        self.0.trim_ascii().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<ParsedLine> {
        let (mut parser, mut all) = (Parser::default(), Vec::new());
        pieces.iter().for_each(|piece| parser.take(piece, |heard| all.push(heard)));
        all
    }

    fn level(channel: u16, level: u8) -> ParsedLine {
        ParsedLine::Reading(Channel::new(channel).unwrap(), level)
    }

    #[test]
    fn a_line_is_read_in_any_case_spacing_and_line_end_and_behind_junk() {
        for line in [
            "DMX: read value from channel 1: 123\n",
            "DMX: read value from channel 1: 123\r\n",
            "dmx:READ  value\tfrom channel  1 :123  \r",
            "DMX:readvaluefromchannel1:123\n",
            "\u{0}\u{7f}ets Jan  8 2013,rst cause DMX: read value from channel 1: 123\n",
            "DMX: read value from chanDMX: read value from channel 001: 0123\n",
            "\u{1b}[0;32mI (5312) dmx: DMX: read value from channel 1: 123\u{1b}[0m\r\n",
            "DMX: read value from \u{1b}[1;33mchannel\u{1b}(B\u{1b}[m 1: 12\u{1b}c3\u{1b}[K\n",
        ] {
            assert_eq!(all(&[line.as_bytes()]), [level(1, 123)], "{line:?}");
        }
    }

    #[test]
    fn what_says_no_level_of_a_channel_is_ignored() {
        for line in [
            "Starting SparkFun DMX shield",
            "DMX: read value from channel 0: 1",
            "DMX: read value from channel 513: 1",
            "DMX: read value from channel 1: 256",
            "DMX: read value from channel 1: 99999999999999999999",
            "DMX: read value from channel 1: -1",
            "DMX: read value from channel 1: 12.5",
            "DMX: read value from channel 1: 12 34",
            "DMX: read value from channel 1:",
            "DMX: read value from channel : 1",
            "alue from channel 1: 123",
            "dmx",
        ] {
            assert_eq!(all(&[line.as_bytes(), b"\n"]), [ParsedLine::Ignored], "{line:?}");
        }
        assert_eq!(all(&[b"\r\n\r\n\n"]), []);
    }

    #[test]
    fn an_endless_line_is_counted_and_thrown_away_and_the_next_one_is_read() {
        for length in [LONGEST, 4 * LONGEST, 100_000] {
            let mut line = vec![b'x'; length];
            line.extend(b"DMX: read value from channel 1: 1\nDMX: read value from channel 2: 2\n");
            let all = all(&[&line]);
            let (last, ignored) = all.split_last().unwrap();
            assert_eq!(*last, level(2, 2));
            assert!(ignored.iter().all(|heard| *heard == ParsedLine::Ignored), "{ignored:?}");
            assert_eq!(ignored.len(), (length + 33) / (LONGEST + 1) + 1);
        }
    }

    #[test]
    fn an_escape_sequence_that_noise_has_begun_ends_with_the_line() {
        assert_eq!(all(&[b"\x1b[12\nDMX: read value from channel 1: 1\n"]), [level(1, 1)]);
    }

    #[test]
    fn a_level_is_not_taken_before_its_line_has_ended() {
        assert_eq!(all(&[b"DMX: read value from channel 1: 12"]), []);
        assert_eq!(all(&[b"DMX: read value from channel 1: 12", b"3", b"\r", b"\n"]), [level(1, 123)]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            readings in prop::collection::vec((1u16..=512, any::<u8>()), 1..10),
            junk in "[^\r\n]{0,300}",
            piece in 1usize..40,
        ) {
            let mut bytes = Vec::new();
            for (channel, level) in &readings {
                bytes.extend(format!("{junk}\nDMX: read value from channel {channel}: {level}\r\n").into_bytes());
            }
            let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
            let levels: Vec<_> = all(&pieces).into_iter().filter(|heard| *heard != ParsedLine::Ignored).collect();
            let expected: Vec<_> = readings.iter().map(|&(channel, value)| level(channel, value)).collect();
            prop_assert_eq!(levels, expected);
        }
    }
}
