//! The serial input's parser: any bytes in any pieces, never a panic, and pieces make no difference.

#![no_main]

use dmxd::input::parser::{ParsedLine, Parser};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut parser, mut all) = (Parser::default(), Vec::<ParsedLine>::new());
        pieces.for_each(|piece| parser.take(piece, |heard| all.push(heard)));
        all
    };
    let whole = read(&mut std::iter::once(bytes));
    assert_eq!(read(&mut bytes.chunks(usize::from(piece).max(1))), whole);
    assert!(whole.len() <= bytes.len());
});
