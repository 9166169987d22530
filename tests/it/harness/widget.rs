//! An Enttec DMX USB PRO: the far end of a pty that speaks its protocol and records what it receives.

use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;

use super::eventually;
use super::pty::{Pty, link, unlink};

const START: u8 = 0x7E;
const END: u8 = 0xE7;
const GET_PARAMETERS: u8 = 3;
const SEND_DMX: u8 = 6;
const GET_SERIAL: u8 = 10;

/// The protocol's largest message.
const LARGEST: usize = 600;

/// How it answers a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As a DMX USB PRO.
    Answers,
    /// Not at all, like an Open DMX USB.
    Mute,
    /// With something else, like a modem.
    Babbles,
    /// With a well-formed message that answers another question.
    WrongLabel,
    /// With what it was sent, like a loop-back plug.
    Echoes,
    /// As a DMX USB PRO, but opening it resets it: what comes within this time is lost.
    Resets(Duration),
}

/// One complete frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedFrame {
    /// When its first byte was read.
    pub at: Instant,
    /// Channels 1..=512.
    pub levels: Vec<u8>,
}

impl ReceivedFrame {
    /// The lamp.
    pub fn rgb(&self) -> [u8; 3] {
        [self.levels[0], self.levels[1], self.levels[2]]
    }
}

/// What it has received since it was made; unplugging does not erase it.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// Every frame, in order.
    pub frames: Vec<ReceivedFrame>,
    /// Every byte, in order.
    pub bytes: Vec<u8>,
    /// What broke the framing.
    pub faults: Vec<String>,
    /// NULs between messages, which a widget ignores.
    pub fillers: usize,
    /// How often it was asked for its parameters; once per open.
    pub asked: usize,
    /// How often the other side closed the line.
    pub closes: usize,
}

struct Behaviour {
    manner: Manner,
    /// Bytes that it still accepts; `None` = all.
    appetite: Option<usize>,
    plugged: bool,
    serial: [u8; 4],
    tape: Tape,
}

/// A widget, and the path that it is plugged in under.
pub struct Widget {
    path: PathBuf,
    behaviour: Arc<Mutex<Behaviour>>,
    running: Option<(JoinHandle<()>, PipeWriter)>,
}

impl Widget {
    /// A path with nothing there.
    pub fn absent(path: PathBuf) -> Self {
        let behaviour = Behaviour {
            manner: Manner::Answers,
            appetite: None,
            plugged: false,
            serial: [0x78, 0x56, 0x34, 0x12],
            tape: Tape::default(),
        };
        Self { path, behaviour: Arc::new(Mutex::new(behaviour)), running: None }
    }

    /// One that is plugged in and answers.
    pub fn plugged_in(path: PathBuf) -> Self {
        let mut widget = Self::absent(path);
        widget.plug();
        widget
    }

    /// One that answers like this.
    #[must_use]
    pub fn with(self, manner: Manner) -> Self {
        self.set_manner(manner);
        self
    }

    /// From now on it answers like this.
    pub fn set_manner(&self, manner: Manner) {
        self.behave(|behaviour| behaviour.manner = manner);
    }

    /// Another serial number; two digits per byte, the last two first.
    #[must_use]
    pub fn with_serial(self, serial: [u8; 4]) -> Self {
        self.behave(|behaviour| behaviour.serial = serial);
        self
    }

    /// Where it is plugged in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Plugs it in.
    pub fn plug(&mut self) {
        assert!(self.running.is_none(), "it is plugged in");
        self.behave(|behaviour| behaviour.plugged = true);
        let pty = Pty::new();
        // what was ready to be read may have been flushed by the other side before it was
        rustix::fs::fcntl_setfl(&pty.far, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
        let (heard, bell) = std::io::pipe().unwrap();
        let near = pty.path().to_owned();
        let firmware =
            Firmware { near: pty.open_near().ok(), pty, message: Vec::new(), begun: None, lost: false, opened: None };
        let behaviour = self.behaviour.clone();
        let thread = std::thread::spawn(move || firmware.run(&behaviour, heard));
        link(&near, &self.path);
        self.running = Some((thread, bell));
    }

    /// Unplugs it; afterwards neither its path nor its line is there.
    pub fn unplug(&mut self) {
        unlink(&self.path);
        self.behave(|behaviour| behaviour.plugged = false);
        if let Some((thread, _)) = self.running.take() {
            thread.join().unwrap();
        }
    }

    /// Unplugs it and plugs it in under another path.
    pub fn move_to(&mut self, path: PathBuf) {
        self.unplug();
        self.path = path;
        self.plug();
    }

    /// Stops reading after this many bytes: what is sent stays in the line's buffers until they are full.
    pub fn stall_after(&self, bytes: usize) {
        self.behave(|behaviour| behaviour.appetite = Some(bytes));
    }

    /// Reads on.
    pub fn go_on(&self) {
        self.behave(|behaviour| behaviour.appetite = None);
    }

    /// What it has been sent.
    pub fn tape(&self) -> Tape {
        self.lock().tape.clone()
    }

    /// Every frame.
    pub fn frames(&self) -> Vec<ReceivedFrame> {
        self.tape().frames
    }

    /// Waits until the lamp of the newest frame is this.
    pub async fn shows(&self, rgb: [u8; 3]) {
        let what = format!("the colour {rgb:?} on {}", self.path.display());
        self.wait(&what, |tape| tape.frames.last().is_some_and(|frame| frame.rgb() == rgb)).await;
    }

    /// Waits until it has received this many frames since it was made.
    pub async fn taken(&self, count: usize) -> Vec<ReceivedFrame> {
        self.wait(&format!("{count} frames"), |tape| tape.frames.len() >= count).await.frames
    }

    /// Waits until the other side has closed the line this often; by then all of its bytes were read.
    pub async fn closed(&self, times: usize) -> Tape {
        self.wait("the line to be closed", |tape| tape.closes >= times).await
    }

    /// Waits for something on the tape.
    async fn wait(&self, what: &str, look: impl Fn(&Tape) -> bool) -> Tape {
        eventually(what, async || {
            let behaviour = self.lock();
            look(&behaviour.tape).then(|| behaviour.tape.clone())
        })
        .await
    }

    /// Checks that every byte made sense.
    pub fn assert_well_framed(&self) {
        let faults = self.tape().faults;
        assert!(faults.is_empty(), "{faults:?}");
    }

    fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.lock());
        if let Some((_, bell)) = &self.running {
            let mut bell = bell;
            let _ = bell.write_all(&[0]); // Err: the thread has ended
        }
    }

    fn lock(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap()
    }
}

impl Drop for Widget {
    fn drop(&mut self) {
        self.unplug();
        if std::thread::panicking() {
            let Tape { frames, bytes, faults, asked, closes, .. } = self.tape();
            let lamps: Vec<_> = frames.iter().rev().take(5).map(ReceivedFrame::rgb).collect();
            let path = self.path.display();
            eprintln!(
                "--- {path}: asked {asked}×, closed {closes}×, {} bytes, {} frames, the last {lamps:?}, faults {faults:?}",
                bytes.len(),
                frames.len()
            );
        }
    }
}

/// The widget's own loop, on its own thread.
struct Firmware {
    pty: Pty,
    /// Held while nobody else has the line open: a line without a near end cannot be waited for.
    near: Option<std::fs::File>,
    message: Vec<u8>,
    begun: Option<Instant>,
    /// Whether it looks for the next start of a message.
    lost: bool,
    /// When the first bytes came since it was opened.
    opened: Option<Instant>,
}

impl Firmware {
    fn run(mut self, behaviour: &Mutex<Behaviour>, mut heard: PipeReader) {
        loop {
            let limit = {
                let behaviour = behaviour.lock().unwrap();
                if !behaviour.plugged {
                    return;
                }
                behaviour.appetite.unwrap_or(LARGEST)
            };
            let mut ready = vec![PollFd::new(&heard, PollFlags::IN)];
            if limit > 0 {
                ready.push(PollFd::new(&self.pty.far, PollFlags::IN));
            }
            poll(&mut ready, None).unwrap();
            let [rung, sent] = [0, 1].map(|n| ready.get(n).is_some_and(|fd| !fd.revents().is_empty()));
            if rung {
                heard.read_exact(&mut [0]).unwrap();
            } else if sent && !self.read(limit, behaviour) {
                return;
            }
        }
    }

    /// Reads no further than the end of the present message. False if the line cannot be had again.
    fn read(&mut self, limit: usize, behaviour: &Mutex<Behaviour>) -> bool {
        let mut buffer = [0; LARGEST];
        let wanted = self.missing().min(limit).min(LARGEST);
        match self.pty.far.read(&mut buffer[..wanted]) {
            Ok(read) if read > 0 => {
                self.near = None;
                let behaviour = &mut behaviour.lock().unwrap();
                if let Some(bytes) = &mut behaviour.appetite {
                    *bytes -= read;
                }
                behaviour.tape.bytes.extend(&buffer[..read]);
                let opened = *self.opened.get_or_insert_with(Instant::now);
                if let Manner::Resets(deaf) = behaviour.manner
                    && opened.elapsed() < deaf
                {
                    return true;
                }
                for &byte in &buffer[..read] {
                    self.take(byte, behaviour);
                }
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
            // EIO: nobody has the line open any more.
            Ok(_) | Err(_) => {
                // a widget does not notice: it still waits for the rest of its message
                behaviour.lock().unwrap().tape.closes += 1;
                self.opened = None;
                // Refused to a user other than root if the other side died without releasing its claim: as good as
                // unplugged. Tests that kill the appliance plug the widget in anew.
                self.near = self.pty.open_near().ok();
                self.near.is_some()
            }
        }
    }

    /// Bytes until more is known of the present message: its length, then its end.
    fn missing(&self) -> usize {
        match self.message.as_slice() {
            [_, _, low, high, rest @ ..] => usize::from(u16::from_le_bytes([*low, *high])) + 1 - rest.len(),
            begun => 4 - begun.len(),
        }
    }

    fn take(&mut self, byte: u8, behaviour: &mut Behaviour) {
        if self.message.is_empty() {
            if byte != START {
                if byte == 0 {
                    behaviour.tape.fillers += 1;
                } else if !self.lost {
                    behaviour.tape.faults.push(format!("{byte:02X} where a message begins"));
                }
                self.lost |= byte != 0;
                return;
            }
            self.lost = false;
            self.begun = Some(Instant::now());
        }
        self.message.push(byte);
        if let [_, label, low, high, data @ .., end] = self.message.as_slice() {
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            if length > LARGEST {
                return self.give_up(format!("a message of {length} bytes"), behaviour);
            }
            if data.len() < length {
                return;
            }
            if *end != END {
                return self.give_up(format!("a message that ends in {end:02X}"), behaviour);
            }
            let (label, data) = (*label, data.to_vec());
            self.message.clear();
            self.handle(label, data, behaviour);
        }
    }

    fn give_up(&mut self, why: String, behaviour: &mut Behaviour) {
        behaviour.tape.faults.push(why);
        self.message.clear();
        self.lost = true;
    }

    fn handle(&mut self, label: u8, data: Vec<u8>, behaviour: &mut Behaviour) {
        match label {
            SEND_DMX => match data.split_first() {
                Some((0, levels)) if levels.len() == 512 => {
                    let at = self.begun.expect("a message has begun");
                    behaviour.tape.frames.push(ReceivedFrame { at, levels: levels.to_vec() });
                }
                _ => behaviour.tape.faults.push(format!(
                    "a frame of {} bytes that begins {:?}",
                    data.len(),
                    data.first()
                )),
            },
            GET_PARAMETERS => {
                behaviour.tape.asked += 1;
                self.answer(label, &data, &[0x44, 0x01, 9, 1, 40], behaviour.manner);
            }
            GET_SERIAL => self.answer(label, &data, &behaviour.serial, behaviour.manner),
            _ => {}
        }
    }

    fn answer(&mut self, label: u8, asked: &[u8], data: &[u8], manner: Manner) {
        let bytes = match manner {
            Manner::Answers | Manner::Resets(_) => message(label, data),
            Manner::Mute => return,
            Manner::Babbles => b"\r\nERROR\r\n~~ \x7E\x03 no carrier \xE7\r\n".to_vec(),
            Manner::WrongLabel => message(label + 1, data),
            Manner::Echoes => message(label, asked),
        };
        let _ = self.pty.far.write_all(&bytes); // Err: nobody has the line open any more
    }
}

/// One message of the protocol.
fn message(label: u8, data: &[u8]) -> Vec<u8> {
    let [low, high] = u16::try_from(data.len()).unwrap().to_le_bytes();
    [&[START, label, low, high], data, &[END]].concat()
}
