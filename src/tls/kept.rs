//! The authority's file, for whoever carries it to a new card. The text is the key itself: it is never logged, nor answered
//! unless sealed.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::authority::{Authority, FILE, Fault};
use crate::kit::secret::Secret;
use crate::kit::shelf;

/// The file. Clones share it.
#[derive(Clone)]
pub struct KeptAuthority {
    path: PathBuf,
    /// Rises when the file was replaced.
    replaced: Arc<watch::Sender<u64>>,
}

impl KeptAuthority {
    /// The one of this data folder, which need not be there.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE), replaced: Arc::default() }
    }

    pub(super) fn replaced(&self) -> watch::Receiver<u64> {
        self.replaced.subscribe()
    }

    /// Key and certificate; `None`: there is no authority.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> Result<Option<Secret>, Fault> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Fault::File { doing: "reading", path: self.path.clone(), source }),
        }
    }

    /// Whether a text is an authority; the words say what is wrong, never what it holds.
    ///
    /// # Errors
    /// It is none.
    pub fn check(text: &Secret) -> Result<(), String> {
        Authority::read(text.reveal()).map(drop)
    }

    /// Puts another authority in the place of the one that is there; certificates are of that one at once.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn replace(&self, text: &Secret) -> Result<(), Fault> {
        let kept = shelf::keep(&self.path, |mut file| file.write_all(text.reveal().as_bytes()));
        kept.map_err(|source| Fault::File { doing: "writing", path: self.path.clone(), source })?;
        self.replaced.send_modify(|times| *times += 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_authority_goes_from_one_card_to_another_and_stays_secret() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (KeptAuthority::of(old.path()), KeptAuthority::of(new.path()));
        assert!(from.read().unwrap().is_none());
        let made = Authority::open(old.path(), "dmx", 1_780_000_000).unwrap().fingerprint();
        Authority::open(new.path(), "dmx", 1_780_000_000).unwrap();
        let text = from.read().unwrap().unwrap();
        KeptAuthority::check(&text).unwrap();
        let mut seen = to.replaced();
        to.replace(&text).unwrap();
        assert!(seen.has_changed().unwrap() && *seen.borrow_and_update() == 1);
        assert_eq!(Authority::open(new.path(), "dmx", 1_780_000_000).unwrap().fingerprint(), made);
        assert_eq!(fs::metadata(new.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        let half = Secret::new(&text.reveal()[..text.reveal().len() / 2]);
        assert!(KeptAuthority::check(&half).unwrap_err().starts_with("no"));
    }
}
