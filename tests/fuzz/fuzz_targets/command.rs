//! The command reader of all doors: any bytes give a command or a refusal that can be told, never a panic.

#![no_main]

use dmxd::dmx::{Command, Refusal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    check(body, Command::from_json(body));
    check(body, Command::from_set_message(body));
});

fn check(body: &[u8], read: Result<Command, Refusal>) {
    match read {
        Ok(command) => {
            assert!(serde_json::from_slice::<serde_json::Value>(body).is_ok(), "a command is JSON");
            assert_eq!(command.id.as_str().len(), 26);
            assert_eq!(command.patch.levels.len(), 3, "a lamp command sets three channels");
        }
        Err(refusal) => {
            assert!(!refusal.errors.is_empty(), "a refusal says why");
            for error in &refusal.errors {
                assert!(error.path.is_empty() || error.path.starts_with('/'), "a JSON pointer: {}", error.path);
            }
        }
    }
}
