//! Opens a widget and writes frames to it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::super::driver::{Driver, OutputError, OutputErrorKind, Wire};
use super::packet::{ASK, Answers, FramePacket, LONGEST};
use super::search::{Auto, Search};
use crate::dmx::Frame;
use crate::kit::tty::{Line, OpenError};
use crate::kit::usb::{self, Device, Named};

/// How long a widget may take to answer (CONTRACT, section 8).
const ANSWER: Duration = Duration::from_millis(300);

/// A widget that opening resets (by DTR) is deaf for more than a second; after this long it is awake.
const AWAKE: Duration = Duration::from_secs(2);

/// How long a frame may take into the port's buffer, behind the one before it. A widget sends one in 22.7 ms; ten times that means that it is stuck.
const WRITE: Duration = Duration::from_millis(250);

/// Completes a message that a widget may be in the middle of, which it then discards.
const FILLER: [u8; LONGEST + 1] = [0; LONGEST + 1];

/// The message about a named port that is silent.
const SILENT: &str = "it does not answer like a DMX USB PRO and is used all the same; an Open DMX USB stays dark";

/// Finds and opens the one widget.
pub(super) struct Enttec {
    search: Search,
    baud: u32,
    /// A named port was silent when it was last opened, and that was reported.
    silence_told: bool,
    /// The last frame was sent only in part.
    torn: Arc<AtomicBool>,
}

/// An open widget.
pub(super) struct EnttecWire {
    line: Line,
    port: String,
    answered: bool,
    torn: Arc<AtomicBool>,
}

impl Enttec {
    pub(super) fn new(search: Search, baud: u32) -> Self {
        Self { search, baud, silence_told: false, torn: Arc::default() }
    }
}

impl Driver for Enttec {
    type Wire = EnttecWire;

    fn target(&self) -> String {
        match &self.search {
            Search::Named { port, .. } => port.path().to_owned(),
            Search::Auto(_) => "a DMX USB PRO at any port".to_owned(),
        }
    }

    fn look_again(&mut self) {
        self.search.look_again();
    }

    async fn has_strayed(&mut self, wire: &EnttecWire) -> bool {
        match &mut self.search {
            Search::Named { port, .. } => port.has_strayed(&wire.port).await,
            Search::Auto(_) => false,
        }
    }

    async fn open(&mut self) -> Result<EnttecWire, OutputError> {
        let devices = usb::devices().await;
        let torn = self.torn.load(Ordering::Relaxed);
        let (line, port, answered) = match &mut self.search {
            Search::Named { port: named, input } => {
                let (line, port, answered) = open_named(named, input, &devices, self.baud, torn).await?;
                if !answered && !self.silence_told {
                    tracing::warn!(%port, advice = SILENT, "usb_silent");
                }
                self.silence_told = !answered;
                (line, port, answered)
            }
            Search::Auto(auto) => {
                let (line, port) = open_found(auto, &devices, self.baud, torn).await?;
                (line, port, true)
            }
        };
        self.torn.store(false, Ordering::Relaxed);
        Ok(EnttecWire { line, port, answered, torn: self.torn.clone() })
    }
}

/// Opens what a person named; gives whether it answers.
async fn open_named(
    named: &mut Named,
    input: &str,
    devices: &[Device],
    baud: u32,
    torn: bool,
) -> Result<(Line, String, bool), OutputError> {
    let port = named.whereabouts(devices);
    let opened = Line::open(&port, baud).await;
    let mut line = opened.map_err(|error| fault(&error.unless_ours("input.port", input)))?;
    let answered = match ask(&mut line, torn).await {
        Ok(answered) => answered,
        Err(error) => {
            line.discard();
            return Err(gone(&port, &error));
        }
    };
    named.opened(&port, devices);
    Ok((line, port, answered))
}

/// Opens the first candidate that answers like a widget.
async fn open_found(auto: &mut Auto, devices: &[Device], baud: u32, torn: bool) -> Result<(Line, String), OutputError> {
    let (mut failed, mut silent) = (None, Vec::new());
    for device in auto.candidates(devices, Instant::now()) {
        let mut line = match Line::open(&device.port, baud).await {
            Ok(line) => line,
            Err(error) => {
                failed.get_or_insert(fault(&error)); // the likeliest candidate comes first
                continue;
            }
        };
        let opened = Instant::now();
        match ask(&mut line, torn && auto.is_last(&device)).await {
            Ok(true) => return Ok(claim(auto, device, line)),
            Ok(false) => silent.push((device, line, opened)),
            // nothing is known of it yet: the next search asks it
            Err(error) => {
                failed.get_or_insert(gone(&device.port, &error));
                line.discard();
            }
        }
    }
    // Here, too, the likeliest that answers comes first.
    let awake =
        silent.into_iter().map(async |(device, mut line, opened)| (ask_on(&mut line, opened).await, device, line));
    let mut found = None;
    for (answers, device, line) in join_all(awake).await {
        match answers {
            Ok(true) if found.is_none() => {
                found = Some((device, line));
                continue;
            }
            Ok(_) => auto.silent(&device, Instant::now()),
            Err(error) => {
                failed.get_or_insert(gone(&device.port, &error));
            }
        }
        line.discard();
    }
    match found {
        Some((device, line)) => Ok(claim(auto, device, line)),
        None => Err(failed.unwrap_or_else(|| nothing_found(auto))),
    }
}

fn claim(auto: &mut Auto, device: Device, line: Line) -> (Line, String) {
    let port = device.port.clone();
    auto.claimed(device);
    (line, port)
}

/// Keeps asking until a widget that opening has reset must be awake.
async fn ask_on(line: &mut Line, opened: Instant) -> io::Result<bool> {
    while opened.elapsed() < AWAKE {
        if ask(line, false).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a widget answers; an error if the port is gone. `torn`: it may still wait for the rest of a frame.
async fn ask(line: &mut Line, torn: bool) -> io::Result<bool> {
    let answered = async {
        if torn {
            line.write_all(&FILLER).await?;
        }
        line.write_all(&ASK).await?;
        let (mut answers, mut buffer) = (Answers::default(), [0; 256]);
        loop {
            let read = line.read(&mut buffer).await?;
            if answers.take(buffer.get(..read).unwrap_or_default()) {
                return Ok::<_, io::Error>(true);
            }
        }
    };
    timeout(ANSWER, answered).await.unwrap_or(Ok(false))
}

fn gone(port: &str, error: &io::Error) -> OutputError {
    OutputError::new(
        OutputErrorKind::Open,
        format!("asking {port} whether it is a DMX USB PRO: {error} (was it unplugged?)"),
    )
}

fn nothing_found(auto: &Auto) -> OutputError {
    let strangers: Vec<_> = auto.strangers().map(|device| device.port.as_str()).collect();
    let message = if strangers.is_empty() {
        "looking for a DMX USB PRO: none is plugged in (GET /usb/devices lists what is; other ids go into \
         usb.vendor_ids and usb.product_ids, a port into usb.port)"
            .to_owned()
    } else {
        format!(
            "looking for a DMX USB PRO: {} does not answer like one and is asked again within a minute, or at once by \
             POST /usb/refresh (an Open DMX USB does not work here; if it is a widget all the same, name it in usb.port)",
            strangers.join(", ")
        )
    };
    OutputError::new(OutputErrorKind::Absent, message)
}

fn fault(error: &OpenError) -> OutputError {
    let kind = if error.is_absent() { OutputErrorKind::Absent } else { OutputErrorKind::Open };
    OutputError::new(kind, error.to_string())
}

impl Wire for EnttecWire {
    fn target(&self) -> String {
        self.port.clone()
    }

    fn doubt(&self) -> Option<&'static str> {
        if self.answered { None } else { Some(SILENT) }
    }

    async fn send(&mut self, frame: &Frame) -> Result<(), OutputError> {
        let packet = FramePacket::new(frame);
        let write = async {
            // frames queued in the kernel would be shown late, one after the other
            self.line.drained().await;
            self.line.write_all(packet.bytes()).await
        };
        let (kind, why) = match timeout(WRITE, write).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => (OutputErrorKind::Write, format!("{error} (was it unplugged?)")),
            Err(_) => {
                let limit = WRITE.as_millis();
                (
                    OutputErrorKind::Timeout,
                    format!("it took no whole frame within {limit} ms (unplug it and plug it in again)"),
                )
            }
        };
        // how far the widget is in its frame is now unknown
        self.torn.store(true, Ordering::Relaxed);
        self.line.discard();
        Err(OutputError::new(kind, format!("sending to {}: {why}", self.port)))
    }

    async fn close(self) {
        self.line.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use serialport::{SerialPort, TTYPort};
    use std::io::{Read, Write};

    /// A widget's far end and the path of the near one.
    fn widget() -> (TTYPort, String) {
        let (mut far, near) = TTYPort::pair().unwrap();
        far.set_timeout(Duration::from_secs(20)).unwrap();
        let path = near.name().unwrap();
        drop(near);
        (far, path)
    }

    fn named(path: &str) -> Enttec {
        let usb = config::Usb { port: path.to_owned(), ..config::Usb::default() };
        Enttec::new(Search::new(&usb, &config::Input::default()), usb.baudrate)
    }

    #[tokio::test]
    async fn a_torn_frame_is_completed_with_zeros_before_the_widget_is_asked_again() {
        let (mut far, path) = widget();
        let mut driver = named(&path);
        let mut wire = driver.open().await.unwrap(); // silent, and used
        while wire.send(&Frame::DARK).await.is_ok() {} // nobody reads: the buffer fills
        drop(wire);
        far.clear(serialport::ClearBuffer::All).unwrap();
        let reader = std::thread::spawn(move || {
            let (mut bytes, mut buffer) = (Vec::new(), [0; 1024]);
            while bytes.len() < FILLER.len() + ASK.len() {
                // Err: the near end is not open yet.
                let read = far.read(&mut buffer).unwrap_or(0);
                bytes.extend_from_slice(&buffer[..read]);
            }
            far.write_all(&[0x7E, 3, 5, 0, 44, 1, 9, 1, 40, 0xE7]).unwrap();
            (far, bytes)
        });
        let wire = driver.open().await.unwrap();
        let (_far, bytes) = reader.join().unwrap();
        assert_eq!(bytes[FILLER.len()..], ASK);
        assert!(bytes[..FILLER.len()].iter().all(|&byte| byte == 0));
        assert!(!driver.silence_told && !driver.torn.load(Ordering::Relaxed));
        wire.close().await;
    }

    #[tokio::test]
    async fn a_port_that_has_gone_is_not_asked_again_and_not_called_silent() {
        let (far, path) = widget();
        let mut line = Line::open(&path, 57_600).await.unwrap();
        drop(far);
        let asked = Instant::now();
        assert!(ask_on(&mut line, asked).await.is_err());
        assert!(asked.elapsed() < AWAKE / 5, "{:?}", asked.elapsed());
        line.discard();

        let (mut far, path) = widget();
        let unplugged = std::thread::spawn(move || {
            // Err: the near end is not open yet.
            while far.read(&mut [0; ASK.len()]).is_err() {}
        });
        let fault = named(&path).open().await.err().unwrap();
        unplugged.join().unwrap();
        assert_eq!(fault.kind, OutputErrorKind::Open);
        assert!(fault.message.contains("was it unplugged?"), "{fault}");
    }

    #[tokio::test]
    async fn a_named_port_that_is_not_there_is_absent_and_one_that_is_held_cannot_be_opened() {
        let fault = named("/dev/ttyNone").open().await.err().unwrap();
        assert_eq!(fault.kind, OutputErrorKind::Absent);
        let (_far, path) = widget();
        let _held = Line::open(&path, 57_600).await.unwrap();
        let fault = named(&path).open().await.err().unwrap();
        assert_eq!(fault.kind, OutputErrorKind::Open);
        assert!(fault.message.contains("another program uses it"), "{fault}");
    }
}
