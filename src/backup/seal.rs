//! Encrypts and decrypts backups, with age or Fernet, whichever key is set. Pure; never shows a key, and gives out no byte
//! before everything is verified.

use std::io::{self, Read, Write};

use age::secrecy::SecretString;
use fernet::Fernet;

use super::bundle::MOST;
use super::error::{BackupError, BackupErrorKind};
use crate::config;
use crate::kit::secret::Secret;

/// Work factor of passphrases, as a power of two: 32 MiB and a third of a second on a Pi. The crate's own calibration on a
/// fast machine makes files that a Pi refuses.
const WORK: u8 = 15;

/// The most work done for a file made elsewhere: 256 MiB.
const MOST_WORK: u8 = 18;

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

impl Keys {
    /// Takes the keys of the settings.
    ///
    /// # Errors
    /// One has no known form.
    pub(super) fn new(settings: &config::Backup) -> Result<Self, BackupError> {
        let current = settings.encryption_key.as_ref().map(|key| Key::parse("backup.encryption_key", key));
        let old = settings.old_keys.iter().map(|key| Key::parse("backup.old_keys", key));
        Ok(Self { current: current.transpose()?, old: old.collect::<Result<_, _>>()? })
    }

    /// Whether bundles are sealed.
    pub(super) fn seals(&self) -> bool {
        self.current.is_some()
    }

    /// Encrypts with the current key; `None` without one. `now_s` (Unix seconds) is written into Fernet tokens.
    pub(super) fn encrypt(&self, plain: &[u8], now_s: u64) -> Option<io::Result<Vec<u8>>> {
        Some(match self.current.as_ref()? {
            Key::Fernet(key) => Ok(key.encrypt_at_time(plain, now_s).into_bytes()),
            Key::Age(identity) => sealed_for(&identity.to_public(), plain),
            Key::Passphrase(phrase) => sealed_by(phrase.clone(), plain),
        })
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        self.current.iter().chain(&self.old)
    }

    /// Decrypts a Fernet token with the first key that fits.
    pub(super) fn open_fernet(&self, stored: &[u8]) -> Result<Vec<u8>, BackupError> {
        let keys: Vec<_> = self.all().filter_map(Key::fernet).collect();
        let token =
            std::str::from_utf8(stored.trim_ascii_end()).map_err(|_| BackupError::damaged("not a Fernet token"))?;
        // The crate accepts a token without its padding, which no writer leaves out (Fernet Spec: base64url with padding).
        if token.len() % 4 != 0 {
            return Err(BackupError::damaged("its padding is missing"));
        }
        // given the end of time, it accepts tokens of any age: the clock of a Pi may be behind
        let open = |key: &&Fernet| key.decrypt_at_time(token, None, u64::MAX - 3600).ok();
        match keys.iter().find_map(open) {
            Some(plain) if plain.len() > MOST => Err(BackupError::too_large(MOST)),
            Some(plain) => Ok(plain),
            None => Err(no_key(keys.is_empty(), "a Fernet key")),
        }
    }

    /// Decrypts an age file with the first key that fits, verified to its end.
    pub(super) fn open_age(&self, stored: &[u8]) -> Result<Vec<u8>, BackupError> {
        let header = || age::Decryptor::new_buffered(stored).map_err(|error| BackupError::damaged(&error.to_string()));
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
                    return Err(BackupError::unreadable(format!(
                        "the backup was sealed with work factor {required}, which takes too much memory here \
                         (at most {MOST_WORK}); seal it anew elsewhere"
                    )));
                }
                Err(error) => return Err(BackupError::damaged(&error.to_string())),
            }
        }
        Err(no_key(identities.is_empty(), form))
    }
}

impl Key {
    fn parse(setting: &str, secret: &Secret) -> Result<Self, BackupError> {
        let text = secret.reveal();
        let key = if let Some(phrase) = text.strip_prefix("passphrase:").filter(|phrase| !phrase.is_empty()) {
            Some(Self::Passphrase(phrase.to_owned().into()))
        } else if text.starts_with("AGE-SECRET-KEY-1") {
            text.parse().ok().map(|identity| Self::Age(Box::new(identity)))
        } else {
            Fernet::new(&canonical(text)).map(Self::Fernet)
        };
        key.ok_or_else(|| BackupError::new(BackupErrorKind::Refused, format!("{setting} is not a backup key")))
    }

    fn fernet(&self) -> Option<&Fernet> {
        match self {
            Self::Fernet(key) => Some(key),
            Self::Age(_) | Self::Passphrase(_) => None,
        }
    }

    /// For an age file, whether sealed by a passphrase or not.
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

/// Encrypts with a passphrase that a person has just given.
pub(super) fn seal_with(passphrase: &str, plain: &[u8]) -> io::Result<Vec<u8>> {
    sealed_by(passphrase.to_owned().into(), plain)
}

/// Why a passphrase opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    /// It is another one, or the file was not sealed here with one.
    Another,
    /// Bytes are missing or wrong.
    Damaged,
}

/// Decrypts what [`seal_with`] made, verified to its end. What would take more work than that is not tried.
pub(super) fn open_with(passphrase: &str, stored: &[u8]) -> Result<Vec<u8>, Shut> {
    let sealed = age::Decryptor::new_buffered(stored).map_err(|_| Shut::Damaged)?;
    let mut identity = age::scrypt::Identity::new(passphrase.to_owned().into());
    identity.set_max_work_factor(WORK);
    match sealed.decrypt(std::iter::once(&identity as &dyn age::Identity)) {
        Ok(reader) => read_to_the_end(reader).map_err(|_| Shut::Damaged),
        Err(age::DecryptError::InvalidMac | age::DecryptError::InvalidHeader | age::DecryptError::Io(_)) => {
            Err(Shut::Damaged)
        }
        Err(_) => Err(Shut::Another),
    }
}

fn sealed_by(phrase: SecretString, plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut recipient = age::scrypt::Recipient::new(phrase);
    recipient.set_work_factor(WORK);
    sealed_for(&recipient, plain)
}

/// A Fernet key whose 43rd character has no bits beyond the 256th, which Python ignores and the crate does not.
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

fn sealed_for(recipient: &dyn age::Recipient, plain: &[u8]) -> io::Result<Vec<u8>> {
    let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient)).map_err(io::Error::other)?;
    let mut sealed = Vec::with_capacity(plain.len() + 4096);
    let mut writer = encryptor.wrap_output(&mut sealed)?;
    writer.write_all(plain)?;
    writer.finish()?;
    Ok(sealed)
}

fn read_to_the_end(reader: impl Read) -> Result<Vec<u8>, BackupError> {
    let mut plain = Vec::new();
    let length = reader
        .take(MOST as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| BackupError::damaged(&error.to_string()))?;
    if length > MOST { Err(BackupError::too_large(MOST)) } else { Ok(plain) }
}

fn no_key(none: bool, form: &str) -> BackupError {
    BackupError::unreadable(if none {
        format!("the backup is sealed, and no key of the form {form} is set; put it into backup.old_keys")
    } else {
        format!(
            "no key of the form {form} opens the backup: it was sealed with another one, which can be put into \
             backup.old_keys, or it is damaged"
        )
    })
}
