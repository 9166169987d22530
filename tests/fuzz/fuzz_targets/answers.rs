//! The reader of a DMX USB PRO's answers: any bytes, never a panic, and a good answer after them is found.

#![no_main]

use dmxd::output::enttec::packet::Answers;
use libfuzzer_sys::fuzz_target;

const ANSWER: [u8; 10] = [0x7E, 3, 5, 0, 44, 1, 9, 1, 40, 0xE7];

fuzz_target!(|bytes: &[u8]| {
    let mut answers = Answers::default();
    if answers.take(bytes) {
        return;
    }
    // Junk may look like the start of a message of at most 605 bytes: after as many bytes that cannot begin one, that is over.
    let found = answers.take(&[0; 605]) || answers.take(&ANSWER);
    assert!(found);
});
