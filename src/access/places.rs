//! What `dmxd setup` and `dmxd users reset` share with the running appliance: files of the data folder.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::digest;
use crate::kit::shelf;

fn place(data_dir: &Path, name: &str) -> PathBuf {
    data_dir.join("access").join(name)
}

fn keep(path: &Path, text: &str) -> io::Result<()> {
    shelf::keep(path, |mut file| file.write_all(text.as_bytes()))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The code that makes the first admin; made by whoever asks first, the import from the card or the appliance.
///
/// # Errors
/// As the system reports.
pub fn first_code(data_dir: &Path) -> io::Result<String> {
    let path = place(data_dir, "first-code");
    let kept = std::fs::read(&path).map(|bytes| String::from_utf8(bytes).ok().filter(|code| digest::is_code(code)));
    match kept {
        Ok(Some(code)) => return Ok(code),
        // whoever guesses what a damaged card makes of it must not get in
        Ok(None) => tracing::warn!(path = %path.display(), "first_code_damaged"),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let code = digest::new_code().map_err(io::Error::other)?;
    keep(&path, &code)?;
    Ok(code)
}

/// Forgets the code.
fn forget_code(data_dir: &Path) -> io::Result<()> {
    remove(&place(data_dir, "first-code"))
}

/// What locks the appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockedBy {
    /// `auth.mode`.
    Settings,
    /// Somebody in the app, or an owner: the store knows.
    People,
}

/// Whether the appliance was locked when it last said so, and by what.
#[must_use]
pub fn was_locked(data_dir: &Path) -> Option<LockedBy> {
    let by = std::fs::read_to_string(place(data_dir, "locked")).ok()?;
    Some(if by == PEOPLE { LockedBy::People } else { LockedBy::Settings })
}

const PEOPLE: &str = "people";

/// Says whether it is locked.
pub(super) fn say_locked(data_dir: &Path, by: Option<LockedBy>) -> io::Result<()> {
    let path = place(data_dir, "locked");
    match by {
        by if by == was_locked(data_dir) => Ok(()),
        None => remove(&path),
        Some(LockedBy::People) => keep(&path, PEOPLE),
        Some(LockedBy::Settings) => keep(&path, "settings"),
    }
}

/// Has the next start forget every admin. The card is written before that, so it is to have a new code and no lock by now.
///
/// # Errors
/// As the system reports.
pub fn ask_for_reset(data_dir: &Path) -> io::Result<()> {
    forget_code(data_dir)?;
    say_locked(data_dir, None)?;
    keep(&place(data_dir, "reset"), "")
}

/// Whether that was asked for.
pub(super) fn is_reset_asked_for(data_dir: &Path) -> bool {
    place(data_dir, "reset").exists()
}

/// It is done.
pub(super) fn reset_done(data_dir: &Path) -> io::Result<()> {
    remove(&place(data_dir, "reset"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_code_stays_until_it_is_forgotten_and_is_its_owners_alone() {
        let data = tempfile::tempdir().unwrap();
        let code = first_code(data.path()).unwrap();
        assert_eq!(first_code(data.path()).unwrap(), code);
        let mode = std::fs::metadata(place(data.path(), "first-code")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        forget_code(data.path()).unwrap();
        assert_ne!(first_code(data.path()).unwrap(), code);
        for damaged in [&b""[..], &[0; 10], b"\xff\xfe", b"short", b"0000000000"] {
            std::fs::write(place(data.path(), "first-code"), damaged).unwrap();
            assert!(digest::is_code(&first_code(data.path()).unwrap()), "{damaged:?}");
        }
    }

    #[test]
    fn marks_come_and_go() {
        let data = tempfile::tempdir().unwrap();
        assert!(was_locked(data.path()).is_none() && !is_reset_asked_for(data.path()));
        say_locked(data.path(), Some(LockedBy::Settings)).unwrap();
        say_locked(data.path(), Some(LockedBy::People)).unwrap();
        assert_eq!(was_locked(data.path()), Some(LockedBy::People));
        ask_for_reset(data.path()).unwrap();
        assert!(was_locked(data.path()).is_none() && is_reset_asked_for(data.path()));
        reset_done(data.path()).unwrap();
        assert!(was_locked(data.path()).is_none() && !is_reset_asked_for(data.path()));
    }
}
