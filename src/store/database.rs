//! Opening the database: made in a new folder, rebuilt from the snapshot when it is damaged.

use std::path::Path;

use super::base::{BaseError, Mark, Sled};
use super::checksums::{self, Compared};
use super::overlay::Light;
use super::snapshot::{Loaded, Snapshot};
use super::{folder, journal, reserve};
use crate::kit::health::Health;

/// Problem: the database was damaged, renamed and rebuilt.
const SET_ASIDE: &str = "DATABASE_SET_ASIDE";

/// An open database.
pub(super) struct Database {
    pub(super) sled: Sled,
    pub(super) light: Light,
    pub(super) mark: Mark,
    pub(super) rebuilt: bool,
}

/// Opens the database of a folder; makes it in a new folder, and rebuilds a damaged one from the snapshot.
///
/// # Errors
/// It can be neither opened nor made: the folder takes no writes.
pub(super) fn open(dir: &Path, health: &Health, loaded: Loaded) -> Result<Database, BaseError> {
    reserve::room_to_open(dir)?;
    let there = dir.join("db");
    let why = if there.exists() {
        match checksums::compare(dir).map_err(BaseError::from).and_then(|compared| open_sled(&there, compared, &loaded))
        {
            Ok(database) => return Ok(database),
            Err(error) if !folder::is_writable(dir) => return Err(error),
            Err(error) => error.to_string(),
        }
    } else if journal::list(dir).is_empty() && matches!(loaded, Loaded::None) {
        Sled::create(dir, "db", &Default::default(), Mark { through: 0, first_needed: 1 })?;
        return open_sled(&there, Compared::Same, &loaded);
    } else {
        "it is missing".to_owned()
    };
    let kept = if there.exists() { folder::set_aside(dir, "db", "db")? } else { "nothing".to_owned() };
    let Snapshot { content, mark } = match loaded {
        Loaded::Good(snapshot) => snapshot,
        Loaded::None | Loaded::Damaged => Snapshot::default(),
    };
    Sled::create(dir, "db", &content, mark)?;
    let message = format!(
        "the database was damaged ({why}) and rebuilt from the last snapshot and the journal; the damaged one was kept as \
         {kept}: check scenes and retained messages, and the card"
    );
    health.raise(SET_ASIDE, message);
    tracing::error!(why, kept, "database_set_aside");
    Ok(Database { rebuilt: true, ..open_sled(&there, Compared::Same, &Loaded::None)? })
}

fn open_sled(dir: &Path, compared: Compared, loaded: &Loaded) -> Result<Database, BaseError> {
    if compared == Compared::Changed {
        return Err(BaseError::Changed);
    }
    let (sled, light) = Sled::open(dir)?;
    let mark = sled.mark()?;
    // a snapshot only holds what is on the medium already
    if matches!(loaded, Loaded::Good(snapshot) if snapshot.mark.through > mark.through) {
        return Err(BaseError::Behind);
    }
    Ok(Database { sled, light, mark, rebuilt: false })
}
