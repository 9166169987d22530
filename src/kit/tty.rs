//! A serial line that never blocks: opened exclusively, read and written with the runtime's readiness.
//!
//! `serialport` sets up and locks the line, but its own reads and writes block a thread: for ever when a device does not
//! take its bytes. So the bytes go through a second, non-blocking descriptor of the same device.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use rustix::fs::OFlags;
use serialport::{ClearBuffer, SerialPort, TTYPort};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::usb::same_file;

/// Why a line could not be opened, in words that say what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such device.
    #[error("opening {path}: there is no such device (is it plugged in?)")]
    Absent {
        /// The device.
        path: String,
    },
    /// The user may not open it.
    #[error("opening {path}: permission denied (add the user to group dialout)")]
    Denied {
        /// The device.
        path: String,
    },
    /// Another program has it.
    #[error(
        "opening {path}: another program uses it (end that one: olad's usbpro plugin and ModemManager are usual \
         suspects; a port that hung may take half a minute to close)"
    )]
    Busy {
        /// The device.
        path: String,
    },
    /// dmxd itself has it.
    #[error(
        "opening {path}: {other} leads to the same device and has it (dmxd itself, by another name); name \
         two different devices in usb.port and input.port"
    )]
    Ours {
        /// The device.
        path: String,
        /// The setting that names the same device.
        other: &'static str,
    },
    /// Opening it does not return.
    #[error("opening {path}: nothing happens for {OPEN:?} (unplug it and plug it in again)")]
    Hung {
        /// The device.
        path: String,
    },
    /// Anything else.
    #[error("opening {path}: {source} (unplug it and plug it in again; dmesg may say more)")]
    Other {
        /// The device.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    /// The same, but the other program may be this one: `setting` names a device too.
    #[must_use]
    pub fn unless_ours(self, setting: &'static str, named: &str) -> Self {
        match self {
            Self::Busy { path } if !named.is_empty() && same_file(&path, named) => Self::Ours { path, other: setting },
            other => other,
        }
    }

    /// Whether the device is missing, rather than present but unusable.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }
}

/// How long opening may take. Drivers open in some milliseconds; one that hangs does so for ever.
const OPEN: Duration = Duration::from_secs(2);

/// How often to ask whether everything is sent; a frame takes 23 ms.
const LOOK: Duration = Duration::from_millis(1);

/// An open serial line, 8N1, raw, ours alone.
///
/// Closing waits for the device, up to half a minute if that is stuck (`closing_wait` of the kernel's drivers), so it is
/// always done off the runtime, also on drop.
#[derive(Debug)]
pub struct Line(Option<Open>);

#[derive(Debug)]
struct Open {
    bytes: AsyncFd<File>,
    /// Holds the settings and the locks.
    port: TTYPort,
}

impl Line {
    /// Opens a line exclusively, within 2 s.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(path: &str, baud: u32) -> Result<Self, OpenError> {
        let path = path.to_owned();
        let asked = path.clone();
        // opening may take a while: a driver may wait for its device
        let opened = spawn_blocking(move || {
            let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
            let file =
                OpenOptions::new().read(true).write(true).custom_flags(flags.bits().cast_signed()).open(&asked)?;
            let port = TTYPort::open(&serialport::new(&asked, baud)).map_err(locked)?;
            Ok((file, port))
        });
        let Ok(opened) = timeout(OPEN, opened).await else { return Err(OpenError::Hung { path }) };
        let opened = opened.unwrap_or_else(|e| Err(io::Error::other(e)));
        let ready = opened.and_then(|(file, port)| Ok(Self(Some(Open { bytes: watched(file)?, port }))));
        ready.map_err(|source| because(path, source))
    }

    fn bytes(&mut self) -> io::Result<&mut AsyncFd<File>> {
        self.0.as_mut().map(|open| &mut open.bytes).ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Waits until the device has taken what was written. Cancel-safe.
    pub async fn drained(&self) {
        while self.0.as_ref().is_some_and(|open| open.port.bytes_to_write().is_ok_and(|left| left > 0)) {
            sleep(LOOK).await;
        }
    }

    /// Writes all of it. If cut short (by a time-out, say), an unknown part is on its way: call [`Line::discard`] then.
    ///
    /// # Errors
    /// The device is gone or broken.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.bytes()?.async_io_mut(Interest::WRITABLE, |file| file.write(bytes)).await? {
                0 => return Err(ErrorKind::WriteZero.into()),
                written => bytes = bytes.get(written..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Reads what has arrived, at least one byte. Cancel-safe.
    ///
    /// # Errors
    /// The device is gone or broken.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.bytes()?.async_io_mut(Interest::READABLE, |file| file.read(buffer)).await? {
            0 => Err(ErrorKind::BrokenPipe.into()),
            read => Ok(read),
        }
    }

    /// Discards what the device has not taken yet, as far as its driver can.
    pub fn discard(&self) {
        if let Some(open) = &self.0 {
            let _ = open.port.clear(ClearBuffer::All); // Err: the device is gone, and with it its buffers
        }
    }

    /// Closes the line once the device has taken what was written.
    pub async fn close(mut self) {
        let open = self.0.take();
        let _ = spawn_blocking(move || drop(open)).await; // Err: the runtime is ending, and closes the line too
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(open) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(open));
        }
    }
}

#[expect(deprecated, reason = "its successor is unsafe for types that change their descriptor; a File never does")]
fn watched(file: File) -> io::Result<AsyncFd<File>> {
    AsyncFd::new(file)
}

/// `serialport` says "no device" when another program holds it; our own opening has shown that it is there.
fn locked(error: serialport::Error) -> io::Error {
    match error.kind() {
        serialport::ErrorKind::NoDevice => ErrorKind::ResourceBusy.into(),
        _ => error.into(),
    }
}

/// What an error on opening means.
fn because(path: String, source: io::Error) -> OpenError {
    // EBUSY: another program has set TIOCEXCL. ENXIO, ENODEV: the device is being unplugged.
    match source.kind() {
        ErrorKind::NotFound => OpenError::Absent { path },
        ErrorKind::PermissionDenied => OpenError::Denied { path },
        ErrorKind::ResourceBusy => OpenError::Busy { path },
        _ if gone(&source) => OpenError::Absent { path },
        _ => OpenError::Other { path, source },
    }
}

fn gone(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [rustix::io::Errno::NXIO, rustix::io::Errno::NODEV].iter().any(|errno| code == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The far end of a new pty, and the path of the near one.
    fn device() -> (TTYPort, String) {
        let (far, near) = TTYPort::pair().unwrap();
        let path = near.name().unwrap();
        drop(near);
        (far, path)
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_an_unplugged_device_is_an_error() {
        let (mut far, path) = device();
        let mut line = Line::open(&path, 57_600).await.unwrap();
        line.write_all(b"to the widget").await.unwrap();
        let mut buffer = [0; 64];
        assert_eq!(far.read(&mut buffer).unwrap(), 13);
        far.write_all(b"and back").unwrap();
        assert_eq!(line.read(&mut buffer).await.unwrap(), 8);
        drop(far);
        assert!(line.read(&mut buffer).await.is_err());
        assert!(line.write_all(b"x").await.is_err());
    }

    #[tokio::test]
    async fn a_line_that_somebody_holds_is_busy_and_one_that_is_not_there_is_absent() {
        let (_far, path) = device();
        let first = Line::open(&path, 57_600).await.unwrap();
        assert!(matches!(Line::open(&path, 57_600).await, Err(OpenError::Busy { .. })));
        first.close().await;
        Line::open(&path, 57_600).await.unwrap();
        assert!(matches!(Line::open("/dev/ttyNone", 57_600).await, Err(OpenError::Absent { .. })));
    }

    #[tokio::test]
    async fn a_device_that_takes_nothing_blocks_nobody_and_is_closed_at_once() {
        let (_far, path) = device();
        let mut line = Line::open(&path, 57_600).await.unwrap();
        let patience = std::time::Duration::from_millis(20);
        while tokio::time::timeout(patience, line.write_all(&[0; 4096])).await.is_ok() {}
        line.discard();
        line.close().await;
    }
}
