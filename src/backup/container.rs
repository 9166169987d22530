//! How a bundle is stored in a vault: an age file, a Fernet token, or plain JSON followed by its checksum. Recognises each by
//! its first bytes, and refuses what is too large. Pure.

use super::bundle::{MOST, MOST_STORED};
use super::error::{BackupError, BackupErrorKind};
use super::seal::Keys;
use super::trailer;
use crate::wire::without_mark;

/// How every age file begins (age-encryption.org/v1).
const AGE: &[u8] = b"age-encryption.org/v1\n";

/// How every Fernet token begins: version 0x80 and the upper half of a 64-bit time, in base64url.
const FERNET: &[u8] = b"gAAAAA";

/// What a bundle turned out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Age,
    Fernet,
    Plain,
}

impl Keys {
    /// Packs a bundle, sealed if there is a key. `now_s` (Unix seconds) is written into Fernet tokens.
    ///
    /// # Errors
    /// It is too large.
    pub(super) fn seal(&self, plain: Vec<u8>, now_s: u64) -> Result<Vec<u8>, BackupError> {
        let refused = |message| BackupError::new(BackupErrorKind::Refused, message);
        if plain.len() > MOST {
            return Err(refused(format!(
                "the project has {} bytes, a backup at most {MOST}; delete scenes",
                plain.len()
            )));
        }
        match self.encrypt(&plain, now_s) {
            None => Ok(trailer::add(plain)),
            Some(sealed) => sealed.map_err(|error| refused(format!("sealing the backup: {error}"))),
        }
    }

    /// Opens a bundle with the first key that fits, verified to its end.
    ///
    /// # Errors
    /// Unreadable: no key fits, or it is damaged, too large, or something else.
    pub(super) fn open(&self, stored: &[u8]) -> Result<Vec<u8>, BackupError> {
        if stored.len() as u64 > MOST_STORED {
            return Err(BackupError::too_large(MOST));
        }
        match Kind::of(stored) {
            Some(Kind::Plain) if stored.len() > MOST + trailer::LENGTH => Err(BackupError::too_large(MOST)),
            Some(Kind::Plain) => trailer::check(stored)
                .map(<[u8]>::to_vec)
                .ok_or_else(|| BackupError::damaged("its bytes do not match the checksum at its end")),
            Some(Kind::Age) => self.open_age(stored),
            Some(Kind::Fernet) => self.open_fernet(stored),
            None => Err(BackupError::unreadable(
                "the backup is neither an age file, a Fernet token nor JSON: it is damaged, or something else",
            )),
        }
    }
}

impl Kind {
    fn of(stored: &[u8]) -> Option<Self> {
        if stored.starts_with(AGE) {
            Some(Self::Age)
        } else if stored.starts_with(FERNET) {
            Some(Self::Fernet)
        } else {
            without_mark(stored).trim_ascii_start().starts_with(b"{").then_some(Self::Plain)
        }
    }
}

/// Whether bytes are a sealed bundle, by their beginning.
pub(super) fn is_sealed(beginning: &[u8]) -> bool {
    matches!(Kind::of(beginning), Some(Kind::Age | Kind::Fernet))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config;
    use crate::kit::secret::Secret;

    pub(crate) const FERNET_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const OTHER_FERNET: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
    const PLAIN: &[u8] = br#"{"version":"1.2","state":{"r":1,"g":2,"b":3}}"#;

    fn identity() -> String {
        use age::secrecy::ExposeSecret;
        age::x25519::Identity::generate().to_string().expose_secret().to_owned()
    }

    fn keys(current: Option<&str>, old: &[&str]) -> Keys {
        let settings = config::Backup {
            encryption_key: current.map(Secret::new),
            old_keys: old.iter().map(|key| Secret::new(*key)).collect(),
            ..config::Backup::default()
        };
        Keys::new(&settings).unwrap()
    }

    fn of_every_form() -> [String; 3] {
        [identity(), FERNET_KEY.to_owned(), "passphrase:correct horse".to_owned()]
    }

    #[test]
    fn what_one_key_seals_it_opens_also_as_an_old_one_and_no_other_does() {
        for key in of_every_form() {
            let sealed = keys(Some(&key), &[]).seal(PLAIN.to_vec(), 7).unwrap();
            assert!(is_sealed(&sealed));
            let [age, fernet] = [identity(), OTHER_FERNET.to_owned()];
            let others = [age.as_str(), &fernet, "passphrase:wrong horse"];
            assert_eq!(keys(None, &[&others[..], &[&key]].concat()).open(&sealed).unwrap(), PLAIN);
            let told = keys(Some(others[0]), &others[1..]).open(&sealed).unwrap_err();
            assert_eq!(told.kind, BackupErrorKind::Unreadable);
            assert!(told.message.starts_with("no key of the form "), "{told}");
            let told = keys(None, &[]).open(&sealed).unwrap_err();
            assert!(told.message.contains("is sealed, and no key"), "{told}");
            assert!(!told.message.contains(&key));
        }
    }

    #[test]
    fn a_key_that_python_takes_is_taken() {
        // The four differ in bits that are no longer the key's.
        let sealed = keys(Some(FERNET_KEY), &[]).seal(PLAIN.to_vec(), 7).unwrap();
        for last in ["Y", "Z", "a", "b"] {
            let key = format!("{}{last}=", FERNET_KEY.strip_suffix("Y=").unwrap());
            assert_eq!(keys(Some(&key), &[]).open(&sealed).unwrap(), PLAIN);
        }
    }

    #[test]
    fn plain_bundles_are_opened_whatever_key_is_set() {
        for key in of_every_form() {
            assert_eq!(keys(Some(&key), &[]).open(PLAIN).unwrap(), PLAIN);
        }
        let sealed = keys(None, &[]).seal(PLAIN.to_vec(), 7).unwrap();
        assert!(sealed.starts_with(PLAIN) && !is_sealed(&sealed));
        assert_eq!(keys(None, &[]).open(&sealed).unwrap(), PLAIN);
    }

    #[test]
    fn a_token_of_the_future_is_opened_since_a_pi_wakes_up_in_the_past() {
        let keys = keys(Some(FERNET_KEY), &[]);
        for made_at in [0, 4_102_444_800] {
            let sealed = keys.seal(PLAIN.to_vec(), made_at).unwrap();
            assert_eq!(keys.open(&sealed).unwrap(), PLAIN);
        }
    }

    /// A passphrase's header is checked by the same code behind a slow function: a few places of it are enough.
    #[test]
    fn every_changed_byte_and_every_cut_is_refused() {
        for (key, step) in of_every_form().iter().zip([1, 1, 97]) {
            let keys = keys(Some(key), &[]);
            let sealed = keys.seal(PLAIN.to_vec(), 7).unwrap();
            for at in (0..sealed.len()).step_by(step) {
                for flip in [1, 0x80] {
                    let mut changed = sealed.clone();
                    changed[at] ^= flip;
                    assert_ne!(keys.open(&changed).ok().as_deref(), Some(PLAIN), "byte {at} of {}", sealed.len());
                    assert!(keys.open(&changed).is_err(), "byte {at} of {}", sealed.len());
                }
                assert!(keys.open(&sealed[..at]).is_err(), "cut at {at} of {}", sealed.len());
            }
            assert!(keys.open(&[&sealed[..], b"x"].concat()).is_err());
        }
    }

    #[test]
    fn a_passphrase_that_asks_for_too_much_work_is_refused_before_it_is_done() {
        let sealed = keys(Some("passphrase:a"), &[]).seal(PLAIN.to_vec(), 7).unwrap();
        let text: Vec<u8> = sealed.clone();
        let at = text.windows(4).position(|window| window == b" 15\n").unwrap();
        let mut heavy = sealed;
        heavy[at + 1..at + 3].copy_from_slice(b"30");
        let told = keys(Some("passphrase:a"), &[]).open(&heavy).unwrap_err();
        assert!(told.message.contains("work factor 30"), "{told}");
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        for bytes in [&b""[..], b"x", b"\0\0\0\0", b"[]", b"gAAAAA", AGE, b"age-encryption.org/v2\n"] {
            assert_eq!(keys(Some(FERNET_KEY), &[]).open(bytes).unwrap_err().kind, BackupErrorKind::Unreadable);
        }
    }

    #[test]
    fn what_is_too_large_is_refused_on_both_ways() {
        let keys = keys(None, &[]);
        assert_eq!(keys.seal(vec![b'{'; MOST + 1], 7).unwrap_err().kind, BackupErrorKind::Refused);
        assert_eq!(keys.open(&vec![b'{'; MOST + 1000]).unwrap_err().kind, BackupErrorKind::Unreadable);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_come_back(plain in prop::collection::vec(any::<u8>(), 0..200_000), age: bool) {
            let key = if age { identity() } else { FERNET_KEY.to_owned() };
            let keys = keys(Some(&key), &[]);
            let sealed = keys.seal(plain.clone(), 7).unwrap();
            prop_assert_eq!(keys.open(&sealed).unwrap(), plain);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, beginning in prop::sample::select(vec![&b""[..], AGE, FERNET])) {
            let keys = keys(Some(&identity()), &[FERNET_KEY]);
            let _ = keys.open(&[beginning, &bytes].concat());
        }
    }
}
