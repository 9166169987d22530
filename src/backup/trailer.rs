//! The checksum at the end of a plain version: a line of 256 blanks and tabs, the bits of the SHA-256 of everything before
//! that line. Pure.
//!
//! The fields of a version are fixed (CONTRACT, section 6), and readers of plain versions must still understand it. JSON
//! lets blanks follow, so every reader skips them; editing or reformatting a version drops them.

use sha2::{Digest, Sha256};

/// Bits of a SHA-256.
const BITS: usize = 256;

/// Bytes of the line.
pub(super) const LENGTH: usize = 1 + BITS;

/// More blanks at the end than this are a damaged checksum: nobody else leaves as many.
const TOO_MANY: usize = BITS / 4;

/// Adds the checksum.
pub(super) fn add(mut plain: Vec<u8>) -> Vec<u8> {
    let line = line(&plain);
    plain.extend(line);
    plain
}

/// The version without its checksum, once checked; unchanged if it has none. `None`: it is damaged.
pub(super) fn check(stored: &[u8]) -> Option<&[u8]> {
    let bare = stored.trim_ascii_end();
    let blanks = stored.get(bare.len()..)?;
    if blanks.len() < TOO_MANY {
        return Some(stored);
    }
    // the checked part need not end in a brace: it may end in blanks of its own
    let (plain, found) = stored.split_at_checked(stored.len().checked_sub(LENGTH)?)?;
    line(plain).eq(found.iter().copied()).then_some(plain)
}

fn line(plain: &[u8]) -> impl Iterator<Item = u8> + use<> {
    let digest = <[u8; BITS / 8]>::from(Sha256::digest(plain));
    let bits = digest.into_iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    std::iter::once(b'\n').chain(bits.map(|bit| if bit == 1 { b'\t' } else { b' ' }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = br#"{"version":"1.2"}"#;

    #[test]
    fn any_json_reader_reads_it_and_none_is_needed() {
        let with = add(PLAIN.to_vec());
        assert_eq!(with.len(), PLAIN.len() + LENGTH);
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&with).unwrap()["version"], "1.2");
        assert_eq!(check(&with), Some(PLAIN));
        for without in [PLAIN, b"{}\n", b"{}\r\n  \n", b""] {
            assert_eq!(check(without), Some(without));
        }
        assert_eq!(check(&add(b"{}  \n".to_vec())), Some(&b"{}  \n"[..]));
    }

    #[test]
    fn every_flipped_bit_is_found_by_it_or_leaves_no_json() {
        let with = add(PLAIN.to_vec());
        for bit in 0..with.len() * 8 {
            let mut changed = with.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let read = check(&changed).is_some_and(|plain| serde_json::from_slice::<serde_json::Value>(plain).is_ok());
            assert!(!read, "bit {bit}");
        }
    }
}
