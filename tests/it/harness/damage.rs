//! What a dying card does to files.

use std::path::{Path, PathBuf};

use super::Random;

/// A page of a file system and of flash, in bytes.
const PAGE: usize = 4096;

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One bit somewhere.
    BitFlip,
    /// One bit in every 64 bytes.
    ManyFlips,
    /// The first page is zeros.
    FirstPage,
    /// One page somewhere is zeros.
    AnyPage,
    /// The second half is missing.
    HalfLength,
    /// Everything is missing but the name.
    Empty,
    /// The length is right, the content is NUL.
    AllNul,
}

impl Damage {
    /// Whether it must have hit something that is still needed.
    pub fn is_total(self) -> bool {
        matches!(self, Self::ManyFlips | Self::Empty | Self::AllNul)
    }

    /// Does the damage.
    pub fn apply(self, path: &Path, random: &mut Random) {
        let mut bytes = std::fs::read(path).unwrap();
        let length = bytes.len();
        let before = bytes.clone();
        match self {
            Self::BitFlip => {
                let at = random.below(length as u64) as usize;
                bytes[at] ^= 1 << random.below(8);
            }
            Self::ManyFlips => bytes.iter_mut().step_by(64).for_each(|byte| *byte ^= 1 << random.below(8)),
            Self::FirstPage => bytes[..PAGE.min(length)].fill(0),
            Self::AnyPage => {
                let start = random.below(length.div_ceil(PAGE) as u64) as usize * PAGE;
                bytes[start..(start + PAGE).min(length)].fill(0);
            }
            Self::HalfLength => bytes.truncate(length / 2),
            Self::Empty => bytes.clear(),
            Self::AllNul => bytes.fill(0),
        }
        println!("{self:?} of {} ({length} bytes), changed: {}", path.display(), bytes != before);
        std::fs::write(path, bytes).unwrap();
    }
}

/// Every non-empty file of a data folder, by its path inside the folder, except locks, whose content means nothing.
pub fn data_files(data: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    // a kill may come before there is a folder
    let mut folders: Vec<_> = data.exists().then(|| data.to_owned()).into_iter().collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                // needed by nobody: a lock, and the spare of the journal
            } else if !["lock", "spare-"]
                .iter()
                .any(|name| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(name)))
                && std::fs::read(&path).unwrap().iter().any(|&b| b != 0)
            {
                files.push(path.strip_prefix(data).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}
