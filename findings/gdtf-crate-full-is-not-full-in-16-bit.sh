#!/usr/bin/env bash
# gdtf 0.3.0 (crate): `255/1` on a 16-bit channel becomes 65280, although its documentation, and GDTF, say 65535.
#
# What runs: `DmxValue` of the crate, made from one byte with and without the flag for shifting, and converted to one, two, three and four bytes.
# Expected: GDTF (DIN SPEC 15800), attribute value type DMXValue, and the documentation of the crate: without the suffix `s`, "bytes in the
#   value are mirrored to the new size. For example `255/1` in a 16 bit channel will result in `65535`"; with it, they are shifted:
#   "`255/1s` in a 16 bit channel will result in `65280`".
# Seen: the loop that copies the bytes begins at the place where they are already, so the last copy is missing: mirroring to two bytes
#   does the same as shifting.
# Output seen:
#   255/1 -> 255 65280 16776960 4294967040
#   255/1s -> 255 65280 16711680 4278190080
#   128/1 -> 128 32768 8421376 2155905024
# Affected: Rust programs that take highlights, defaults and ranges of 16-bit channels by this crate: a highlight of `255/1` does not reach full,
#   and with `DMXFrom="128/1"` a range begins 128 steps too early. Multiply by 257 (by 65793, by 16843009) yourself.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "judge"
version = "0.0.0"
edition = "2021"

[dependencies]
gdtf = "=0.3.0"

[profile.dev]
debug = false
TOML
cat > src/main.rs <<'RS'
use gdtf::values::DmxValue;

fn main() {
    for (text, byte, shifting) in [("255/1", 255, false), ("255/1s", 255, true), ("128/1", 128, false)] {
        let value = DmxValue::new_u8(byte, shifting);
        println!("{text} -> {} {} {} {}", value.to(1), value.to_u16(), value.to(3), value.to_u32());
    }
}
RS
CARGO_TARGET_DIR="$tmp/target" cargo run --quiet | tee seen
diff - seen <<'EXPECTED'
255/1 -> 255 65280 16776960 4294967040
255/1s -> 255 65280 16711680 4278190080
128/1 -> 128 32768 8421376 2155905024
EXPECTED
