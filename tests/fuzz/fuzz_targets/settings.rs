//! The configuration file: any text is a configuration or a list of faults, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(faults) = dmxd::config::parse(text, [("DMX_PORT", "1")]) {
        assert!(!faults.to_string().is_empty());
    }
});
