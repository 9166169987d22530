//! Messages of the DMX USB PRO (Enttec's API 1.44): `7E label length-low length-high data E7`.

use crate::dmx::{CHANNELS, Frame};

const START: u8 = 0x7E;
const END: u8 = 0xE7;

/// Start, label, length.
const HEAD: usize = 4;

/// The longest data of a message.
pub(super) const LONGEST: usize = 600;

/// "Send DMX packet": DMX start code 0 and all 512 channels; there is no reply.
const SEND: u8 = 6;

/// "Get widget parameters", which every widget answers under the same label.
const PARAMETERS: u8 = 3;

/// Asks for the parameters; no user bytes are wanted.
pub(super) const ASK: [u8; 7] = [START, PARAMETERS, 2, 0, 0, 0, END];

/// Firmware (2 bytes), break, mark after break, rate.
const PARAMETERS_DATA: usize = 5;

/// Start code and channels.
const SLOTS: usize = 1 + CHANNELS;

/// A frame in the widget's form.
#[derive(Debug)]
pub(super) struct FramePacket([u8; HEAD + SLOTS + 1]);

impl FramePacket {
    /// Always all channels: some widgets show nothing if there are fewer.
    pub(super) fn new(frame: &Frame) -> Self {
        let mut packet = [0; HEAD + SLOTS + 1];
        let [start, label, low, high, _code, levels @ .., end] = &mut packet;
        [*low, *high] = (SLOTS as u16).to_le_bytes();
        (*start, *label, *end) = (START, SEND, END);
        levels.copy_from_slice(frame.levels());
        Self(packet)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Finds a widget's answer on the line, whatever surrounds it.
#[derive(Debug, Default)]
pub struct Answers {
    buffer: Vec<u8>,
}

impl Answers {
    /// Takes more bytes; true once the answer to `ASK` is complete.
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        self.buffer.extend_from_slice(bytes);
        loop {
            match self.next() {
                Next::Message { label: PARAMETERS, length: PARAMETERS_DATA.. } => return true,
                Next::Message { .. } => {}
                Next::More => return false,
            }
        }
    }

    /// Takes out the next whole message, and all junk before it.
    fn next(&mut self) -> Next {
        let mut junk = 0;
        let next = loop {
            let rest = self.buffer.get(junk..).unwrap_or_default();
            let Some(start) = rest.iter().position(|&byte| byte == START) else {
                junk = self.buffer.len();
                break Next::More;
            };
            junk += start;
            let &[_, label, low, high, ref tail @ ..] = rest.get(start..).unwrap_or_default() else { break Next::More };
            let length = usize::from(u16::from_le_bytes([low, high]));
            match tail.get(length) {
                Some(&END) if length <= LONGEST => {
                    junk += HEAD + length + 1;
                    break Next::Message { label, length };
                }
                None if length <= LONGEST => break Next::More,
                _ => junk += 1, // it only looked like a start
            }
        };
        self.buffer.drain(..junk);
        next
    }
}

enum Next {
    Message { label: u8, length: usize },
    More,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: [u8; 10] = [0x7E, 3, 5, 0, 44, 1, 9, 1, 40, 0xE7];

    #[test]
    fn a_frame_is_518_bytes_with_start_code_and_every_channel() {
        let mut levels = [0; CHANNELS];
        (levels[0], levels[511]) = (7, 9);
        let packet = FramePacket::new(&Frame::from(levels));
        assert_eq!(packet.bytes().len(), 518);
        assert_eq!(packet.bytes()[..7], [0x7E, 6, 0x01, 0x02, 0, 7, 0]);
        assert_eq!(packet.bytes()[516..], [9, 0xE7]);
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_none() {
        let echo = ASK;
        let short = [0x7E, 3, 2, 0, 1, 2, 0xE7];
        let other = [0x7E, 10, 5, 0, 1, 2, 3, 4, 5, 0xE7];
        let mut endless = ANSWER;
        endless[9] = 0;
        for wrong in [&echo[..], &short, &other, &endless, b"hello\r\n", &[0x7E; 64], &[0xFF; 2000]] {
            assert!(!Answers::default().take(wrong), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn an_answer_is_found_behind_any_junk_and_in_any_pieces(
            junk in prop::collection::vec(any::<u8>().prop_filter("no start", |&b| b != START), 0..40),
            // Lengths that no message has, and no start within, which would be one of a message that has not ended.
            false_starts in prop::collection::vec((0u8..START, 3u8..START), 0..4),
            piece in 1usize..20,
        ) {
            let mut bytes = junk;
            for (label, high) in false_starts {
                bytes.extend([START, label, 0, high]);
            }
            bytes.extend(ANSWER);
            let mut answers = Answers::default();
            let found: Vec<bool> = bytes.chunks(piece).map(|piece| answers.take(piece)).collect();
            prop_assert_eq!(found.iter().filter(|found| **found).count(), 1);
            prop_assert_eq!(found.last(), Some(&true), "with its last byte");
        }

        #[test]
        fn no_bytes_make_it_keep_more_than_one_message(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let mut answers = Answers::default();
            for piece in pieces {
                answers.take(&piece);
                prop_assert!(answers.buffer.len() <= HEAD + LONGEST + 1);
            }
        }
    }
}
