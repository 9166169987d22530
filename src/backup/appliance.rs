//! The appliance's own backup: what a new card needs so that no lamp must be flashed again. One JSON document with a format
//! number, sealed with a passphrase that a person keeps; nothing of it is ever written to the card, nor logged.

use std::io;

use serde::{Deserialize, Serialize};

use super::seal::{Shut, open_with, seal_with};
use crate::access::Carried;
use crate::dmx::FixtureType;
use crate::kit::secret::Secret;

/// Format of the document.
const FORMAT: u64 = 1;

/// Fewest and most characters of a passphrase.
pub const PASSPHRASE: (usize, usize) = (12, 256);

/// Memory that sealing and opening take: scrypt at the work factor of `seal`, 128 bytes × 8 × 2¹⁵ (RFC 7914, 2).
pub const SEALING_BYTES: usize = 32 << 20;

/// What opens a backup.
#[derive(Clone)]
pub struct Passphrase(Secret);

/// What is carried to a new card.
pub struct ApplianceBackup {
    /// Users, lamps, panels, the lock.
    pub access: Carried,
    /// Key and certificate of the authority, if there is one.
    pub authority: Option<Secret>,
    /// The text of the settings, as far as there is one.
    pub settings: Option<Secret>,
    /// Fixture types that people have brought.
    pub types: Vec<FixtureType>,
}

/// Why a backup was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// It is another one's, or another file altogether.
    #[error(
        "this passphrase does not open the backup, or the file is none that an appliance has made; nothing was changed"
    )]
    Closed,
    /// Bytes are missing or wrong.
    #[error("the backup is damaged or cut short; nothing was changed")]
    Damaged,
    /// Another dmxd has made it.
    #[error(
        "the backup has format {0}, and this dmxd knows {FORMAT}: install the newer one first; nothing was changed"
    )]
    Newer(u64),
}

/// The document, as it is sealed.
#[derive(Serialize, Deserialize)]
struct Document {
    format: u64,
    /// Which dmxd has made it, and when by its clock: for people who look inside.
    #[serde(default)]
    dmxd: String,
    #[serde(default)]
    made: u64,
    access: Carried,
    #[serde(default)]
    authority: Option<String>,
    #[serde(default)]
    settings: Option<String>,
    #[serde(default, rename = "fixtureTypes")]
    types: Vec<FixtureType>,
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl Passphrase {
    /// ASCII only: whatever types it next year sends the same bytes.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let (fewest, most) = PASSPHRASE;
        let text = std::str::from_utf8(text).ok().filter(|text| (fewest..=most).contains(&text.len()))?;
        text.bytes().all(|byte| (b' '..=b'~').contains(&byte)).then(|| Self(Secret::new(text)))
    }
}

impl ApplianceBackup {
    /// The bytes of a file. Takes a moment of a processor, and [`SEALING_BYTES`].
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub fn seal(&self, passphrase: &Passphrase, now_ms: u64) -> io::Result<Vec<u8>> {
        let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.reveal().to_owned());
        let document = Document {
            format: FORMAT,
            dmxd: env!("CARGO_PKG_VERSION").to_owned(),
            made: now_ms,
            access: self.access.clone(),
            authority: text(&self.authority),
            settings: text(&self.settings),
            types: self.types.clone(),
        };
        let plain = serde_json::to_vec(&document)?;
        seal_with(passphrase.0.reveal(), &plain)
    }

    /// What a file holds. As dear as [`Self::seal`].
    ///
    /// # Errors
    /// Another passphrase, a damaged file, or one of a newer dmxd.
    pub fn open(stored: &[u8], passphrase: &Passphrase) -> Result<Self, NotOpened> {
        let plain = open_with(passphrase.0.reveal(), stored).map_err(|shut| match shut {
            Shut::Another => NotOpened::Closed,
            Shut::Damaged => NotOpened::Damaged,
        })?;
        match serde_json::from_slice(&plain) {
            Ok(Format { format: FORMAT }) => {}
            Ok(Format { format }) if format > FORMAT => return Err(NotOpened::Newer(format)),
            _ => return Err(NotOpened::Damaged),
        }
        let Document { access, authority, settings, types, .. } =
            serde_json::from_slice(&plain).map_err(|_| NotOpened::Damaged)?;
        Ok(Self { access, authority: authority.map(Secret::new), settings: settings.map(Secret::new), types })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: &[u8] = b"correct horse battery";

    fn passphrase() -> Passphrase {
        Passphrase::new(WORDS).unwrap()
    }

    fn access() -> Carried {
        serde_json::from_value(serde_json::json!({"users": [], "panels": [], "locked": true})).unwrap()
    }

    /// Seals any document.
    fn sealed(document: &serde_json::Value) -> Vec<u8> {
        seal_with(std::str::from_utf8(WORDS).unwrap(), document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_sealed_comes_back_whole_and_no_byte_of_it_can_be_changed() {
        let made = ApplianceBackup {
            access: access(),
            authority: Some(Secret::new("the key")),
            settings: None,
            types: Vec::new(),
        };
        let stored = made.seal(&passphrase(), 1).unwrap();
        let Ok(back) = ApplianceBackup::open(&stored, &passphrase()) else { panic!("it does not open") };
        assert!(back.access == access() && back.settings.is_none());
        assert_eq!(back.authority.unwrap().reveal(), "the key");
        let other = Passphrase::new(b"another horse battery").unwrap();
        assert_eq!(ApplianceBackup::open(&stored, &other).err(), Some(NotOpened::Closed));
        for at in [0, stored.len() / 3, stored.len() / 2, stored.len() - 1] {
            let mut broken = stored.clone();
            broken[at] ^= 1;
            assert!(ApplianceBackup::open(&broken, &passphrase()).is_err(), "byte {at}");
            assert!(ApplianceBackup::open(&stored[..at], &passphrase()).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_newer_format_is_named_and_an_unknown_field_of_this_one_is_no_fault() {
        let open = |format: u64| {
            let access = serde_json::json!({"users": [], "panels": [], "locked": false});
            let document = serde_json::json!({"format": format, "access": access, "lamps": 3});
            ApplianceBackup::open(&sealed(&document), &passphrase()).err()
        };
        assert_eq!([open(1), open(2), open(0)], [None, Some(NotOpened::Newer(2)), Some(NotOpened::Damaged)]);
        assert_eq!(
            ApplianceBackup::open(&sealed(&serde_json::json!({"format": 1})), &passphrase()).err(),
            Some(NotOpened::Damaged)
        );
    }

    proptest! {
        #[test]
        fn a_passphrase_is_twelve_characters_of_ascii_or_more(text in "[ -~]{0,300}", other in "\\PC{12,20}") {
            prop_assert_eq!(Passphrase::new(text.as_bytes()).is_some(), (12..=256).contains(&text.len()));
            prop_assert_eq!(Passphrase::new(other.as_bytes()).is_some(), other.is_ascii());
        }
    }
}
