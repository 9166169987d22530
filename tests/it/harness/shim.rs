//! Power cuts, wrong clocks and failing cards under the unchanged binary: `powercut/shim.c` between it and libc.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use tempfile::TempDir;

use super::Home;

/// The state of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Card {
    /// It works.
    Sound = 0,
    /// No space left.
    Full = 1,
    /// Read-only.
    ReadOnly = 2,
    /// Syncs do not return.
    Hanging = 3,
}

/// The shim of one test; it outlives the appliance's restarts.
pub struct Shim {
    folder: TempDir,
    control: File,
}

impl Shim {
    /// Compiles the shim; the card is sound, the clock right, the boot id its own.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/powercut/shim.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.path().join("shim.so")).arg(source).arg("-ldl");
        assert!(cc.status().expect("cc is installed").success());
        for name in ["files", "dirs"] {
            fs::create_dir_all(folder.path().join("shadow").join(name)).unwrap();
        }
        fs::write(folder.path().join("control"), [0; 16]).unwrap();
        let control = File::options().write(true).open(folder.path().join("control")).unwrap();
        let shim = Self { folder, control };
        shim.new_boot();
        shim
    }

    /// Puts the appliance of this home on the card.
    pub fn under(&self, home: Home) -> Home {
        let data = home.data();
        // The folder exists beforehand, as /data does on the image: its own name survives every cut.
        fs::create_dir_all(&data).unwrap();
        let path = |name| self.folder.path().join(name);
        home.set("LD_PRELOAD", path("shim.so"))
            .set("SHIM_ROOT", data)
            .set("SHIM_SHADOW", path("shadow"))
            .set("SHIM_BOOT_ID", path("boot_id"))
            .set("SHIM_CONTROL", path("control"))
    }

    /// The state of the card from now on.
    pub fn card(&self, card: Card) {
        self.control.write_all_at(&(card as i64).to_ne_bytes(), 8).unwrap();
    }

    /// Seconds that the clock is ahead (or, negative, behind) from now on.
    pub fn shift_clock(&self, seconds: i64) {
        self.control.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }

    /// The machine was restarted.
    pub fn new_boot(&self) {
        let id = format!("{:032x}", ulid::Ulid::generate().0);
        fs::write(self.folder.path().join("boot_id"), format!("{id}\n")).unwrap();
    }

    /// After kill -9: the power was cut at that moment. The home's data folder becomes what the card still holds.
    pub fn cut_power(&self, home: &Home) {
        let data = home.data();
        let lost = home.beside(&format!("before-the-cut-{}", ulid::Ulid::generate()));
        let root = key(&data);
        fs::rename(&data, &lost).unwrap();
        fs::create_dir(&data).unwrap();
        self.restore(&root, &data);
        fs::remove_dir_all(lost).unwrap();
        // keys of the new files are new: the next cut leaves what the next run syncs, plus what is there now
        self.adopt(&data);
        self.new_boot();
    }

    fn shadow(&self, kind: &str, key: &str) -> PathBuf {
        self.folder.path().join("shadow").join(kind).join(key)
    }

    /// Fills a folder with the names and contents that were synced.
    fn restore(&self, key: &str, to: &Path) {
        let listing = match fs::read_to_string(self.shadow("dirs", key)) {
            Ok(listing) => listing,
            Err(error) if error.kind() == ErrorKind::NotFound => return, // no name in it was ever synced
            Err(error) => panic!("{error}"),
        };
        for line in listing.lines() {
            let [child, kind, name] = line.splitn(3, ' ').collect::<Vec<_>>().try_into().expect("key, kind, name");
            if kind == "d" {
                fs::create_dir(to.join(name)).unwrap();
                self.restore(child, &to.join(name));
                continue;
            }
            match fs::copy(self.shadow("files", child), to.join(name)) {
                Ok(_) => {}
                // The name was synced, the content never.
                Err(error) if error.kind() == ErrorKind::NotFound => drop(File::create(to.join(name)).unwrap()),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Makes everything in a folder durable as it is.
    fn adopt(&self, folder: &Path) {
        let mut listing = String::new();
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let kind = if path.is_dir() { 'd' } else { 'f' };
            listing += &format!("{} {kind} {}\n", key(&path), entry.file_name().to_str().expect("plain names"));
            if path.is_dir() {
                self.adopt(&path);
            } else {
                fs::copy(&path, self.shadow("files", &key(&path))).unwrap();
            }
        }
        fs::write(self.shadow("dirs", &key(folder)), listing).unwrap();
    }
}

/// The shim's name of a file: inode numbers are reused, birth times are not.
fn key(path: &Path) -> String {
    let metadata = fs::metadata(path).unwrap();
    // on a file system without birth times the shim writes zeros too
    let born = metadata.created().map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default()).unwrap_or_default();
    format!("{}-{}-{}", metadata.ino(), born.as_secs(), born.subsec_nanos())
}
