//! A serial device made by the test: a pty, plugged into a socket that is a symbolic link.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// The far end of a serial line. Dropping it pulls the plug.
///
/// Not `serialport`'s pair: the appliance would inherit its far end, and could then never lose it.
pub struct Pty {
    /// What the device reads and writes.
    pub far: File,
    near: PathBuf,
}

impl Pty {
    /// A line that is raw from the start: nothing is echoed before somebody opens it.
    pub fn new() -> Self {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&far).unwrap();
        unlockpt(&far).unwrap();
        let near = ptsname(&far, Vec::new()).unwrap();
        let pty = Self { far: far.into(), near: std::ffi::OsString::from_vec(near.into_bytes()).into() };
        let line = pty.open_near().unwrap();
        let mut termios = tcgetattr(&line).unwrap();
        termios.make_raw();
        tcsetattr(&line, OptionalActions::Now, &termios).unwrap();
        pty
    }

    /// Opens the near end beside the appliance.
    pub fn open_near(&self) -> std::io::Result<File> {
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        OpenOptions::new().read(true).write(true).custom_flags(flags.bits().cast_signed()).open(&self.near)
    }

    /// The path of its near end.
    pub fn path(&self) -> &Path {
        &self.near
    }
}

/// Makes a line appear under a chosen path, at once and complete.
pub fn link(near: &Path, path: &Path) {
    let new = path.with_extension("new");
    std::os::unix::fs::symlink(near, &new).unwrap();
    fs::rename(new, path).unwrap();
}

/// Removes a path, if it is there.
pub fn unlink(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{}: {error}", path.display()),
        _ => {}
    }
}
