//! Seals bundles and opens them, by their content: age, Fernet or plain JSON, whichever key is set. Pure; never shows a
//! key, and gives out no byte of a bundle that was not verified to its end.

use std::io::{Read, Write};

use age::secrecy::SecretString;
use fernet::Fernet;

use super::bundle::{MOST, MOST_STORED};
use super::fault::{Fault, FaultKind};
use super::trailer;
use crate::config;
use crate::kit::secret::Secret;
use crate::wire::without_mark;

/// Work factor of passphrases, as a power of two: 32 MiB and a third of a second on a Pi. The crate's own calibration
/// makes files on a fast machine that a Pi refuses.
const WORK: u8 = 15;

/// The most work that is done for a file that was made elsewhere: 256 MiB.
const MOST_WORK: u8 = 18;

/// How every age file begins (age-encryption.org/v1).
const AGE: &[u8] = b"age-encryption.org/v1\n";

/// How every Fernet token begins: version 0x80 and the upper half of a 64-bit time, in base64url.
const FERNET: &[u8] = b"gAAAAA";

/// A key, by its form.
enum Key {
    Age(Box<age::x25519::Identity>),
    Passphrase(SecretString),
    Fernet(Fernet),
}

/// The key that seals and those that still open.
pub(super) struct Keys {
    current: Option<Key>,
    old: Vec<Key>,
}

/// What a bundle turned out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Age,
    Fernet,
    Plain,
}

impl Keys {
    /// Takes the keys of the settings.
    ///
    /// # Errors
    /// One is of no known form.
    pub(super) fn new(settings: &config::Backup) -> Result<Self, Fault> {
        let current = settings.encryption_key.as_ref().map(|key| Key::parse("backup.encryption_key", key));
        let old = settings.old_keys.iter().map(|key| Key::parse("backup.old_keys", key));
        Ok(Self { current: current.transpose()?, old: old.collect::<Result<_, _>>()? })
    }

    /// Whether bundles are sealed.
    pub(super) fn seals(&self) -> bool {
        self.current.is_some()
    }

    /// Seals a bundle, if there is a key. `now_s` (Unix seconds) is written into Fernet tokens.
    ///
    /// # Errors
    /// It is too large.
    pub(super) fn seal(&self, plain: Vec<u8>, now_s: u64) -> Result<Vec<u8>, Fault> {
        if plain.len() > MOST {
            let message = format!("the project has {} bytes, a backup at most {MOST}; delete scenes", plain.len());
            return Err(Fault::new(FaultKind::Refused, message));
        }
        let sealed = match &self.current {
            None => return Ok(trailer::add(plain)),
            Some(Key::Fernet(key)) => return Ok(key.encrypt_at_time(&plain, now_s).into_bytes()),
            Some(Key::Age(identity)) => sealed_for(&identity.to_public(), &plain),
            Some(Key::Passphrase(phrase)) => {
                let mut recipient = age::scrypt::Recipient::new(phrase.clone());
                recipient.set_work_factor(WORK);
                sealed_for(&recipient, &plain)
            }
        };
        sealed.map_err(|error| Fault::new(FaultKind::Refused, format!("sealing the backup: {error}")))
    }

    /// Opens a bundle with the first key that fits, verified to its end.
    ///
    /// # Errors
    /// Unreadable: no key fits, it is damaged, too large, or nothing that we know.
    pub(super) fn open(&self, stored: &[u8]) -> Result<Vec<u8>, Fault> {
        if stored.len() as u64 > MOST_STORED {
            return Err(too_large());
        }
        match Kind::of(stored) {
            Some(Kind::Plain) if stored.len() > MOST + trailer::LENGTH => Err(too_large()),
            Some(Kind::Plain) => trailer::check(stored)
                .map(<[u8]>::to_vec)
                .ok_or_else(|| damaged("its bytes do not match the checksum at its end")),
            Some(Kind::Age) => self.open_age(stored),
            Some(Kind::Fernet) => self.open_fernet(stored),
            None => Err(Fault::unreadable(
                "the backup is neither an age file, a Fernet token nor JSON: it is damaged, or something else",
            )),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        self.current.iter().chain(&self.old)
    }

    fn open_fernet(&self, stored: &[u8]) -> Result<Vec<u8>, Fault> {
        let keys: Vec<_> = self.all().filter_map(Key::fernet).collect();
        let token = std::str::from_utf8(stored.trim_ascii_end()).map_err(|_| damaged("not a Fernet token"))?;
        // The crate reads one whose padding was cut off, which no writer of tokens leaves out (Fernet Spec: base64url with padding).
        if token.len() % 4 != 0 {
            return Err(damaged("its padding is missing"));
        }
        // Told the end of time, it takes tokens of any age: ours may be older than the clock of a Pi says.
        let open = |key: &&Fernet| key.decrypt_at_time(token, None, u64::MAX - 3600).ok();
        match keys.iter().find_map(open) {
            Some(plain) if plain.len() > MOST => Err(too_large()),
            Some(plain) => Ok(plain),
            None => Err(no_key(keys.is_empty(), "a Fernet key")),
        }
    }

    fn open_age(&self, stored: &[u8]) -> Result<Vec<u8>, Fault> {
        let header = || age::Decryptor::new_buffered(stored).map_err(|error| damaged(&error.to_string()));
        let by_passphrase = header()?.is_scrypt();
        let identities: Vec<Box<dyn age::Identity + '_>> =
            self.all().filter_map(|key| key.identity(by_passphrase)).collect();
        let form = if by_passphrase { "passphrase:…" } else { "AGE-SECRET-KEY-1…" };
        for identity in &identities {
            match header()?.decrypt(std::iter::once(&**identity)) {
                Ok(reader) => return read_to_the_end(reader),
                Err(age::DecryptError::NoMatchingKeys | age::DecryptError::DecryptionFailed) => {}
                Err(age::DecryptError::KeyDecryptionFailed) => {}
                Err(age::DecryptError::ExcessiveWork { required, .. }) => {
                    return Err(Fault::unreadable(format!(
                        "the backup was sealed with work factor {required}, which takes too much memory here \
                         (at most {MOST_WORK}); seal it anew elsewhere"
                    )));
                }
                Err(error) => return Err(damaged(&error.to_string())),
            }
        }
        Err(no_key(identities.is_empty(), form))
    }
}

impl Key {
    fn parse(setting: &str, secret: &Secret) -> Result<Self, Fault> {
        let text = secret.reveal();
        let key = if let Some(phrase) = text.strip_prefix("passphrase:").filter(|phrase| !phrase.is_empty()) {
            Some(Self::Passphrase(phrase.to_owned().into()))
        } else if text.starts_with("AGE-SECRET-KEY-1") {
            text.parse().ok().map(|identity| Self::Age(Box::new(identity)))
        } else {
            Fernet::new(&canonical(text)).map(Self::Fernet)
        };
        key.ok_or_else(|| Fault::new(FaultKind::Refused, format!("{setting} is not a backup key")))
    }

    fn fernet(&self) -> Option<&Fernet> {
        match self {
            Self::Fernet(key) => Some(key),
            Self::Age(_) | Self::Passphrase(_) => None,
        }
    }

    /// For an age file that was sealed by a passphrase or not.
    fn identity(&self, by_passphrase: bool) -> Option<Box<dyn age::Identity + '_>> {
        match self {
            Self::Age(identity) if !by_passphrase => Some(Box::new((**identity).clone())),
            Self::Passphrase(phrase) if by_passphrase => {
                let mut identity = age::scrypt::Identity::new(phrase.clone());
                identity.set_max_work_factor(MOST_WORK);
                Some(Box::new(identity))
            }
            Self::Age(_) | Self::Passphrase(_) | Self::Fernet(_) => None,
        }
    }
}

/// A Fernet key whose 43rd character has no bits beyond the 256th. Python does not look at those, the crate does.
fn canonical(key: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let whole =
        key.strip_suffix('=').and_then(|data| data.char_indices().next_back().map(|(at, last)| (data, at, last)));
    let canonical = whole.and_then(|(data, at, last)| {
        let last = ALPHABET.chars().nth(ALPHABET.find(last)? & !3)?;
        Some(format!("{}{last}=", data.get(..at)?))
    });
    canonical.unwrap_or_else(|| key.to_owned())
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

/// Whether bytes are of a sealed bundle, by their beginning.
pub(super) fn is_sealed(beginning: &[u8]) -> bool {
    matches!(Kind::of(beginning), Some(Kind::Age | Kind::Fernet))
}

fn sealed_for(recipient: &dyn age::Recipient, plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient)).map_err(std::io::Error::other)?;
    let mut sealed = Vec::with_capacity(plain.len() + 4096);
    let mut writer = encryptor.wrap_output(&mut sealed)?;
    writer.write_all(plain)?;
    writer.finish()?;
    Ok(sealed)
}

fn read_to_the_end(reader: impl Read) -> Result<Vec<u8>, Fault> {
    let mut plain = Vec::new();
    let length = reader.take(MOST as u64 + 1).read_to_end(&mut plain).map_err(|error| damaged(&error.to_string()))?;
    if length > MOST { Err(too_large()) } else { Ok(plain) }
}

fn damaged(why: &str) -> Fault {
    Fault::unreadable(format!("the backup is damaged or cut short ({why}); restore another version"))
}

fn too_large() -> Fault {
    Fault::unreadable(format!("the backup is larger than {MOST} bytes: it is none of a project"))
}

fn no_key(none: bool, form: &str) -> Fault {
    Fault::unreadable(if none {
        format!("the backup is sealed, and no key of the form {form} is set; put it into backup.old_keys")
    } else {
        format!(
            "no key of the form {form} opens the backup: it was sealed with another one, which can be put into \
             backup.old_keys, or it is damaged"
        )
    })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

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
            assert_eq!(told.kind, FaultKind::Unreadable);
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
            assert_eq!(keys(Some(FERNET_KEY), &[]).open(bytes).unwrap_err().kind, FaultKind::Unreadable);
        }
    }

    #[test]
    fn what_is_too_large_is_refused_on_both_ways() {
        let keys = keys(None, &[]);
        assert_eq!(keys.seal(vec![b'{'; MOST + 1], 7).unwrap_err().kind, FaultKind::Refused);
        assert_eq!(keys.open(&vec![b'{'; MOST + 1000]).unwrap_err().kind, FaultKind::Unreadable);
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
