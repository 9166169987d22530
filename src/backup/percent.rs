//! Labels in HTTP headers: plain ASCII as it is, anything else percent-encoded (RFC 3986).

use std::fmt::Write;

/// S3 takes 2 kB of metadata in all; 200 characters of four bytes would be more.
const MOST: usize = 1500;

/// The text for a header. One that would be too long is cut at a character.
pub(super) fn encode(label: &str) -> String {
    let plain = label.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'%') && label.trim() == label;
    if plain {
        return label.to_owned();
    }
    let mut out = String::new();
    for c in label.chars() {
        let mut encoded = String::new();
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                encoded.push(char::from(byte));
            } else {
                let _ = write!(encoded, "%{byte:02X}"); // writing to a String cannot fail
            }
        }
        if out.len() + encoded.len() > MOST {
            break;
        }
        out.push_str(&encoded);
    }
    out
}

/// Decodes it; a text that was never encoded stays as it is.
pub(super) fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = (byte == b'%').then(|| after.first_chunk::<2>()).flatten().and_then(|digits| {
            let hex = std::str::from_utf8(digits).ok().filter(|hex| !hex.starts_with('+'))?;
            u8::from_str_radix(hex, 16).ok()
        });
        match code {
            Some(code) => {
                out.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_labels_stay_readable() {
        assert_eq!(encode("before the premiere (2)"), "before the premiere (2)");
        assert_eq!(encode("světla 100%"), "sv%C4%9Btla%20100%25");
        assert_eq!(decode("100% ok"), "100% ok");
    }

    #[test]
    fn the_longest_label_fits_into_a_header() {
        assert!(encode(&"😀".repeat(200)).len() <= MOST);
        assert_eq!(decode(&encode(&"ž".repeat(200))), "ž".repeat(200));
    }

    proptest! {
        #[test]
        fn labels_come_back(label in ".{0,100}") {
            let encoded = encode(&label);
            prop_assert!(encoded.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(decode(&encoded), label);
        }
    }
}
