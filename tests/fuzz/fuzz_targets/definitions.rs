//! Definitions of QLC+ and descriptions of GDTF: any bytes are a type or a reason, never a panic, and a type is one that can be kept.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match dmxd::fixtures::read(bytes) {
        Err(why) => assert!(!why.to_string().is_empty()),
        Ok(read) => {
            for mode in &read.modes {
                let mut places: Vec<u16> = mode.parameters.iter().flat_map(|one| one.places.clone()).collect();
                let all = places.len();
                places.sort_unstable();
                places.dedup();
                assert!(all == places.len() && all <= mode.channels.len() && mode.channels.len() <= 512);
            }
        }
    }
});
