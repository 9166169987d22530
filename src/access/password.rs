//! PINs and passwords, kept as Argon2id. Working one out takes 19 MiB and a moment; who may ask for that is not decided here.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::digest::{hex, random, unhex};

/// Memory in KiB, passes, lanes: the OWASP Password Storage Cheat Sheet's first choice for Argon2id.
const COST: Cost = Cost { m: 19_456, t: 2, p: 1 };

/// What one evaluation takes of the memory.
pub(super) const BYTES: usize = COST.m as usize * 1024;

const LENGTH: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cost {
    m: u32,
    t: u32,
    p: u32,
}

/// A PIN or password as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Password {
    #[serde(flatten)]
    cost: Cost,
    salt: String,
    hash: String,
}

/// It cannot be worked out: no random bytes, or a stored value that no Argon2 has.
#[derive(Debug, thiserror::Error)]
#[error("working out a password: {0}")]
pub struct NoPassword(String);

impl From<getrandom::Error> for NoPassword {
    fn from(error: getrandom::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<argon2::Error> for NoPassword {
    fn from(error: argon2::Error) -> Self {
        Self(error.to_string())
    }
}

impl Password {
    /// Takes a moment of a processor.
    pub(super) fn new(secret: &[u8]) -> Result<Self, NoPassword> {
        let salt = random::<16>()?;
        Ok(Self { cost: COST, salt: hex(&salt), hash: hex(&work_out(COST, &salt, secret)?) })
    }

    /// Whether a login with it takes no more than one with those made here.
    pub(super) fn is_workable(&self) -> bool {
        self.cost.m <= COST.m && self.cost.t <= COST.t && self.cost.p <= COST.p
    }

    /// Takes a moment of a processor.
    pub(super) fn is(&self, secret: &[u8]) -> Result<bool, NoPassword> {
        let salt = unhex(&self.salt).ok_or_else(|| NoPassword("its salt is damaged".into()))?;
        Ok(hex(&work_out(self.cost, &salt, secret)?).as_bytes().ct_eq(self.hash.as_bytes()).into())
    }
}

fn work_out(cost: Cost, salt: &[u8], secret: &[u8]) -> Result<[u8; LENGTH], NoPassword> {
    let params = Params::new(cost.m, cost.t, cost.p, Some(LENGTH))?;
    let mut out = [0; LENGTH];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(secret, salt, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_from_the_store_and_no_other_is() {
        let kept = Password::new(b"294817").unwrap();
        let text = serde_json::to_string(&kept).unwrap();
        assert!(!text.contains("294817"));
        let kept: Password = serde_json::from_str(&text).unwrap();
        assert!(kept.is(b"294817").unwrap());
        assert!(!kept.is(b"294818").unwrap() && !kept.is(b"").unwrap());
        assert_ne!(Password::new(b"294817").unwrap(), kept, "each has a salt of its own");
    }

    #[test]
    fn it_is_argon2id_as_others_compute_it() {
        // RFC 9106 has no vector without key and data; this one is of the reference implementation's test.c
        let params = Cost { m: 65_536, t: 2, p: 1 };
        let out = work_out(params, b"somesalt", b"password").unwrap();
        assert_eq!(hex(&out), "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }
}
