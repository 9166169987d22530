//! A SparkFun DMX shield: it writes lines into the serial input.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::pty::{Pty, link, unlink};

/// A shield, and the path that it is plugged in under.
pub struct Shield {
    path: PathBuf,
    pty: Option<Pty>,
}

impl Shield {
    /// A path with nothing there.
    pub fn absent(path: PathBuf) -> Self {
        Self { path, pty: None }
    }

    /// One that is plugged in.
    pub fn plugged_in(path: PathBuf) -> Self {
        let mut shield = Self::absent(path);
        shield.plug();
        shield
    }

    /// Where it is plugged in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Plugs it in.
    pub fn plug(&mut self) {
        let pty = Pty::new();
        link(pty.path(), &self.path);
        self.pty = Some(pty);
    }

    /// Unplugs it.
    pub fn unplug(&mut self) {
        unlink(&self.path);
        self.pty = None;
    }

    /// Writes text as it is, in one piece.
    pub fn say(&self, text: &str) {
        let mut far = &self.pty.as_ref().expect("it is plugged in").far;
        far.write_all(text.as_bytes()).unwrap();
    }

    /// Writes one line for each channel from 1 on, all in one piece.
    pub fn levels(&self, levels: &[u8]) {
        let line = |(n, level)| format!("DMX: read value from channel {}: {level}\r\n", n + 1);
        self.say(&levels.iter().enumerate().map(line).collect::<String>());
    }
}
