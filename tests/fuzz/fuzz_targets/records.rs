//! The journal's reader: any bytes are replayed, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let records = dmxd::store::fuzz_records(bytes, 1);
    assert!(records <= bytes.len(), "a record has bytes");
});
