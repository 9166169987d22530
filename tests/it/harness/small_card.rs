//! A card with little space: a file system of its own in a mount namespace that outlives the appliance's restarts.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Home;

/// Mounts the card on $0, of $1 KiB, reports it, and stays until its stdin is closed.
const HOLD: &str = r#"mount -t tmpfs -o "size=$1k" card "$0" && echo mounted && exec cat"#;

/// The card of one home. Dropping it discards the card.
pub struct SmallCard {
    holder: Child,
    data: PathBuf,
}

impl SmallCard {
    /// Puts the data folder of this home on a card of this many KiB.
    pub fn under(home: Home, kib: u64) -> (Self, Home) {
        let data = home.data();
        fs::create_dir_all(&data).unwrap();
        let root = rustix::process::geteuid().is_root();
        let mut command = Command::new("unshare");
        command.arg(if root { "-m" } else { "-Urm" }).args(["sh", "-c", HOLD]).arg(&data).arg(kib.to_string());
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare is installed");
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "mounted\n", "this machine mounts nothing in a namespace, which these tests need");
        let mut words: Vec<OsString> = vec!["nsenter".into(), "-t".into(), holder.id().to_string().into(), "-m".into()];
        if !root {
            words.extend(["-U".into(), "--preserve-credentials".into()]);
        }
        words.push("--".into());
        (Self { holder, data }, home.started_by(words))
    }

    /// A path in the data folder, as seen from outside.
    pub fn path(&self, name: &str) -> PathBuf {
        let inside = self.data.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside).join(name)
    }

    /// Fills the card except for this many KiB.
    pub fn fill(&self, but_kib: usize) {
        let path = self.path("a-film");
        let mut film = File::options().create(true).append(true).open(&path).unwrap();
        let block = [0xAA; 64 << 10];
        loop {
            match film.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
        let length = film.metadata().unwrap().len();
        film.set_len(length.checked_sub(but_kib as u64 * 1024).expect("there is so much space")).unwrap();
    }

    /// Makes space.
    pub fn empty(&self) {
        fs::remove_file(self.path("a-film")).unwrap();
    }
}

impl Drop for SmallCard {
    fn drop(&mut self) {
        drop(self.holder.stdin.take()); // `cat` ends, and with it the namespace
        let _ = self.holder.wait();
    }
}
