//! The MQTT packet reader: any bytes give packets, a request for more or an error, never a panic.

#![no_main]

use bytes::BytesMut;
use dmxd::broker::codec::{Malformed, decode};
use libfuzzer_sys::fuzz_target;

const MAX: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    let mut stream = BytesMut::from(bytes);
    loop {
        let before = stream.len();
        match decode(&mut stream, MAX) {
            Ok(Some(_)) => assert!(stream.len() < before, "a packet is taken out"),
            Ok(None) => return assert_eq!(stream.len(), before, "nothing is lost while waiting"),
            Err(Malformed::TooLarge(length)) => return assert!(length > MAX),
            Err(_) => return,
        }
    }
});
