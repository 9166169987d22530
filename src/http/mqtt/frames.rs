//! WebSocket frames (RFC 6455, 5.2) as MQTT uses them: a stream of bytes in binary frames. Pure; holds at most a header and
//! the content of one control frame, whatever the length of a frame: its content goes on as it comes.

/// Close codes (RFC 6455, 7.4.1).
pub(super) const GOING_AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;
const UNSUPPORTED: u16 = 1003;

/// The longest header of a client: two bytes, eight of length, four of mask.
const LONGEST_HEADER: usize = 14;

/// The most that a control frame may carry (RFC 6455, 5.5).
const LONGEST_CONTROL: usize = 125;

/// Opcodes (RFC 6455, 11.8).
const CONTINUED: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Bytes that fit one control frame, or the header of a frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    bytes: Vec<u8>,
    /// Those already written.
    written: usize,
}

impl Words {
    pub(super) fn left(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
    }

    pub(super) fn is_begun(&self) -> bool {
        self.written > 0
    }

    pub(super) fn is_done(&self) -> bool {
        self.left().is_empty()
    }

    /// A close frame of this code; 0: without one.
    pub(super) fn close(code: u16) -> Self {
        let code = code.to_be_bytes();
        Self::control(CLOSE, if code == [0, 0] { &[] } else { &code })
    }

    fn pong(content: &[u8]) -> Self {
        Self::control(PONG, content)
    }

    fn control(opcode: u8, content: &[u8]) -> Self {
        let mut bytes = header(opcode, content.len()).bytes;
        bytes.extend_from_slice(content);
        Self { bytes, written: 0 }
    }
}

/// The header of a binary frame with so much content.
pub(super) fn binary(length: usize) -> Words {
    header(BINARY, length)
}

/// Of a frame that is a whole message; a server's has no mask.
fn header(opcode: u8, length: usize) -> Words {
    let mut bytes = Vec::with_capacity(LONGEST_HEADER);
    bytes.push(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length), _) if length < 126 => bytes.push(length),
        (_, Ok(length)) => {
            bytes.push(126);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    Words { bytes, written: 0 }
}

/// Why nothing more comes from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It said goodbye, with this code; 0: without one.
    Closed(u16),
    /// What it sent is not for us, or no WebSocket.
    Refused { code: u16, why: &'static str },
}

const fn broken(why: &'static str) -> Over {
    Over::Refused { code: PROTOCOL_ERROR, why }
}

/// What some bytes were.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// How many bytes of content are now in front.
    pub(super) content: usize,
    /// The answer to the last ping among them; only that one has to be answered (RFC 6455, 5.5.3).
    pub(super) pong: Option<Words>,
    pub(super) over: Option<Over>,
}

/// What is done with the content of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Message,
    Control(u8),
}

/// Takes a client's frames apart as their bytes come.
#[derive(Debug, Default)]
pub(super) struct Unframer {
    /// A header that is not whole, or the content of a control frame that is not.
    held: Vec<u8>,
    /// The frame whose content comes now, what of it is left, and the mask of its next byte.
    frame: Option<(Content, u64, [u8; 4])>,
    /// A message has begun, and its last frame has not.
    goes_on: bool,
}

impl Unframer {
    /// Takes all of these bytes, and leaves the content of messages among them in front.
    pub(super) fn take(&mut self, bytes: &mut [u8]) -> Taken {
        let (mut at, mut taken) = (0, Taken::default());
        while at < bytes.len() && taken.over.is_none() {
            let Some((content, left, mask)) = &mut self.frame else {
                at += 1;
                let byte = bytes.get(at - 1).copied().unwrap_or_default();
                taken.over = self.header(byte).err();
                self.finish(&mut taken);
                continue;
            };
            let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
            *left -= here as u64;
            match content {
                Content::Message => {
                    bytes.copy_within(at..at + here, taken.content);
                    unmask(bytes.get_mut(taken.content..taken.content + here).unwrap_or_default(), mask);
                    taken.content += here;
                }
                Content::Control(_) => {
                    let begins = self.held.len();
                    self.held.extend_from_slice(bytes.get(at..at + here).unwrap_or_default());
                    unmask(self.held.get_mut(begins..).unwrap_or_default(), mask);
                }
            }
            at += here;
            self.finish(&mut taken);
        }
        taken
    }

    /// The next byte of a header.
    fn header(&mut self, byte: u8) -> Result<(), Over> {
        self.held.push(byte);
        let (Some(&first), Some(&second)) = (self.held.first(), self.held.get(1)) else { return Ok(()) };
        if self.held.len() == 2 {
            self.check(first, second)?;
        }
        let more = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((length, mask)) = self.held.get(2..).and_then(|rest| rest.split_at_checked(more)) else {
            return Ok(());
        };
        let Ok(mask) = <[u8; 4]>::try_from(mask) else { return Ok(()) };
        let length = match more {
            0 => u64::from(second & 0x7f),
            _ => length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        if length > u64::MAX >> 1 {
            return Err(broken("a frame's length is out of range"));
        }
        self.held.clear();
        let (opcode, is_last) = (first & 0x0f, first & 0x80 != 0);
        let content = if opcode >= CLOSE { Content::Control(opcode) } else { Content::Message };
        if content == Content::Message {
            self.goes_on = !is_last;
        }
        self.frame = Some((content, length, mask));
        Ok(())
    }

    /// Whether a frame may begin like this.
    fn check(&self, first: u8, second: u8) -> Result<(), Over> {
        if first & 0x70 != 0 {
            return Err(broken("a frame uses an extension that was not agreed on"));
        }
        if second & 0x80 == 0 {
            return Err(broken("a frame of a client has no mask"));
        }
        match first & 0x0f {
            CONTINUED if self.goes_on => Ok(()),
            CONTINUED => Err(broken("a frame continues nothing")),
            TEXT | BINARY if self.goes_on => Err(broken("a message begins within another one")),
            // MQTT 3.1.1, 6 [MQTT-6.0.0-1]
            TEXT => Err(Over::Refused { code: UNSUPPORTED, why: "a text frame came, and MQTT needs binary ones" }),
            BINARY => Ok(()),
            CLOSE | PING | PONG if first & 0x80 == 0 || second & 0x7f > LONGEST_CONTROL as u8 => {
                Err(broken("a control frame is in parts or too long"))
            }
            CLOSE | PING | PONG => Ok(()),
            _ => Err(broken("a frame is of an unknown kind")),
        }
    }

    /// Ends a frame that is whole.
    fn finish(&mut self, taken: &mut Taken) {
        let Some((content, 0, _)) = self.frame else { return };
        self.frame = None;
        let held = std::mem::take(&mut self.held); // an idle client holds nothing
        match content {
            Content::Control(PING) => taken.pong = Some(Words::pong(&held)),
            Content::Control(CLOSE) => taken.over = Some(goodbye(&held)),
            Content::Control(_) | Content::Message => {}
        }
    }
}

/// What a close frame says.
fn goodbye(content: &[u8]) -> Over {
    match content {
        [] => Over::Closed(0),
        [high, low, ..] => match u16::from_be_bytes([*high, *low]) {
            code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Over::Closed(code),
            _ => broken("a close frame has a code that must not be sent"),
        },
        [_] => broken("a close frame has half a code"),
    }
}

/// Takes the mask off; `mask` is that of the next byte before and after.
fn unmask(bytes: &mut [u8], mask: &mut [u8; 4]) {
    let (fours, rest) = bytes.as_chunks_mut::<4>();
    for four in fours {
        four.iter_mut().zip(*mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    rest.iter_mut().zip(*mask).for_each(|(byte, mask)| *byte ^= mask);
    mask.rotate_left(rest.len());
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const LAST: u8 = 0x80;

    /// A client's frame.
    fn frame(first: u8, mask: [u8; 4], content: &[u8]) -> Vec<u8> {
        let mut bytes = header(0, content.len()).bytes;
        bytes[0] = first;
        bytes[1] |= 0x80;
        bytes.extend(mask);
        bytes.extend(content.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
        bytes
    }

    /// Takes bytes in pieces of these lengths; gives the content, the last pong, and the end.
    fn taken(bytes: &[u8], pieces: &[usize]) -> (Vec<u8>, Option<Vec<u8>>, Option<Over>) {
        let (mut unframer, mut content, mut pong) = (Unframer::default(), Vec::new(), None);
        let (mut rest, mut lengths) = (bytes, pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((*lengths.next().unwrap()).clamp(1, rest.len()));
            let mut piece = piece.to_vec();
            let taken = unframer.take(&mut piece);
            content.extend_from_slice(&piece[..taken.content]);
            pong = taken.pong.map(|words| words.left().to_vec()).or(pong);
            if taken.over.is_some() {
                return (content, pong, taken.over);
            }
            assert!(unframer.held.len() <= LONGEST_CONTROL, "nothing but a header or a control frame is held");
            rest = later;
        }
        (content, pong, None)
    }

    proptest! {
        #[test]
        fn content_comes_out_however_it_was_cut(
            messages in vec((vec(any::<u8>(), 0..400), any::<[u8; 4]>(), vec(0..400_usize, 0..4), any::<bool>()), 0..6),
            pieces in vec(1..300_usize, 1..8),
        ) {
            let (mut bytes, mut said, mut last_ping) = (Vec::new(), Vec::new(), None);
            for (number, (content, mask, cuts, pings)) in messages.iter().enumerate() {
                let mut cuts: Vec<_> = cuts.iter().map(|cut| *cut.min(&content.len())).collect();
                cuts.sort_unstable();
                cuts.push(content.len());
                let mut begins = 0;
                for (at, ends) in cuts.iter().enumerate() {
                    let first = if at == 0 { BINARY } else { CONTINUED };
                    let last = if at + 1 == cuts.len() { LAST } else { 0 };
                    bytes.extend(frame(first | last, *mask, &content[begins..*ends]));
                    begins = *ends;
                    if *pings {
                        bytes.extend(frame(PING | LAST, *mask, &[number as u8]));
                        last_ping = Some(vec![LAST | PONG, 1, number as u8]);
                    }
                }
                said.extend_from_slice(content);
            }
            prop_assert_eq!(taken(&bytes, &pieces), (said, last_ping, None));
        }

        #[test]
        fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..600), pieces in vec(1..40_usize, 1..4)) {
            let (content, _, _) = taken(&bytes, &pieces);
            prop_assert!(content.len() <= bytes.len());
        }
    }

    #[test]
    fn what_came_before_an_end_counts() {
        let mut bytes = frame(BINARY | LAST, [1, 2, 3, 4], b"before");
        bytes.extend(frame(CLOSE | LAST, [9; 4], &1000_u16.to_be_bytes()));
        bytes.extend(frame(BINARY | LAST, [0; 4], b"behind"));
        assert_eq!(taken(&bytes, &[usize::MAX]), (b"before".to_vec(), None, Some(Over::Closed(1000))));
    }

    #[test]
    fn what_is_not_for_us_or_no_websocket_is_refused_by_its_code() {
        let goes_on = |then: Vec<u8>| [frame(BINARY, [0; 4], b"x"), then].concat();
        let plain = |first: u8, content: &[u8]| frame(first, [7; 4], content);
        for (bytes, code) in [
            (plain(TEXT | LAST, b"{}"), UNSUPPORTED),
            (plain(TEXT, b""), UNSUPPORTED),
            (goes_on(plain(TEXT | LAST, b"")), PROTOCOL_ERROR),
            (goes_on(plain(BINARY | LAST, b"")), PROTOCOL_ERROR),
            (plain(CONTINUED | LAST, b""), PROTOCOL_ERROR),
            (plain(3 | LAST, b""), PROTOCOL_ERROR),
            (plain(11 | LAST, b""), PROTOCOL_ERROR),
            (plain(PING, b""), PROTOCOL_ERROR),
            (plain(PING | LAST, &[0; 126]), PROTOCOL_ERROR),
            (plain(BINARY | LAST | 0x40, b"x"), PROTOCOL_ERROR),
            (plain(CLOSE | LAST, b"x"), PROTOCOL_ERROR),
            (plain(CLOSE | LAST, &1005_u16.to_be_bytes()), PROTOCOL_ERROR),
            (vec![BINARY | LAST, 1, 0], PROTOCOL_ERROR),
            (vec![BINARY | LAST, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], PROTOCOL_ERROR),
        ] {
            let (content, _, over) = taken(&bytes, &[1]);
            assert!(matches!(over, Some(Over::Refused { code: c, .. }) if c == code), "{bytes:?}: {over:?}");
            assert!(content.len() <= 1);
        }
    }

    #[test]
    fn headers_are_as_short_as_they_can_be() {
        for (length, expected) in [
            (0, vec![0x82, 0]),
            (125, vec![0x82, 125]),
            (126, vec![0x82, 126, 0, 126]),
            (65_535, vec![0x82, 126, 0xff, 0xff]),
            (65_536, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            assert_eq!(binary(length).left(), expected);
        }
        assert_eq!((Words::close(0).left(), Words::close(1001).left()), (&[0x88, 0][..], &[0x88, 2, 3, 0xe9][..]));
    }
}
