//! Archives of GDTF: a description of any bytes, and damage to an archive at any place, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

/// The head of a file that is stored as it is, up to its length.
fn stored(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    let name = b"description.xml";
    let mut file = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    for part in [&length[..], &length, &[15, 0, 0, 0], name, text] {
        file.extend(part);
    }
    let start = u32::try_from(file.len()).unwrap_or(u32::MAX).to_le_bytes();
    file.extend(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0");
    for part in [&length[..], &length, &[15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], name] {
        file.extend(part);
    }
    file.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x3d\0\0\0");
    file.extend(start);
    file.extend([0, 0]);
    file
}

fuzz_target!(|bytes: &[u8]| {
    let mut raw = b"PK\x03\x04".to_vec();
    raw.extend(bytes);
    let _ = dmxd::fixtures::read(&raw);
    let _ = dmxd::fixtures::read(&stored(bytes));
});
