//! Keys and tokens: made here, and kept as their SHA-256 alone. They have 128 bits of chance, so nobody guesses what has a
//! digest, and to look one up takes as long whatever is right of it.

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a key, token or a panel's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of what somebody has presented.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Its first 8 hexadecimal digits: enough to tell keys apart, too little to guess one.
    #[must_use]
    pub fn short(&self) -> String {
        hex(self.0.iter().take(4))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        hex(&digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        unhex(&text).and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or("no SHA-256 in hexadecimal")
    }
}

/// Random bytes.
///
/// # Errors
/// The kernel gives none.
pub(super) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A new key, token or secret of 128 bits; letters and digits only, so that it can stand in an address and in a sketch.
///
/// # Errors
/// The kernel gives no random bytes.
pub(super) fn new_key() -> Result<String, getrandom::Error> {
    random::<16>().map(|bytes| hex(&bytes))
}

/// A code that people type off a screen: 50 bits, without letters that look like digits.
///
/// # Errors
/// The kernel gives no random bytes.
pub(super) fn new_code() -> Result<String, getrandom::Error> {
    let letter = |byte: u8| LETTERS.get(usize::from(byte % 32)).map_or('7', |letter| char::from(*letter));
    random::<CODE>().map(|bytes| bytes.into_iter().map(letter).collect())
}

/// Whether a text has the form of such a code.
pub(super) fn is_code(text: &str) -> bool {
    text.len() == CODE && text.bytes().all(|letter| LETTERS.contains(&letter))
}

const LETTERS: &[u8; 32] = b"23456789abcdefghjkmnpqrstuvwxyz7";

/// Letters of a code.
const CODE: usize = 10;

pub(super) fn hex<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> String {
    bytes.into_iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_sha_256_and_survives_the_store() {
        // FIPS 180-4: the digest of "abc"
        let digest = Digest::of(b"abc");
        assert_eq!(digest.short(), "ba7816bf");
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&text).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"ba78\"").is_err());
        assert!(serde_json::from_str::<Digest>("\"zz\"").is_err());
    }

    #[test]
    fn keys_and_codes_never_repeat_and_are_easy_to_carry() {
        let keys: std::collections::HashSet<_> = (0..1000).map(|_| new_key().unwrap()).collect();
        assert!(keys.len() == 1000 && keys.iter().all(|key| key.len() == 32));
        let codes: std::collections::HashSet<_> = (0..1000).map(|_| new_code().unwrap()).collect();
        assert!(
            codes.len() == 1000
                && codes.iter().all(|code| code.len() == 10 && !code.contains(['0', 'o', '1', 'l', 'i']))
        );
    }
}
