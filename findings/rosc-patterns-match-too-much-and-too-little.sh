#!/usr/bin/env bash
# rosc 0.11.4 (crate): `Matcher` reads OSC address patterns in its own way: `[…]` stands for many characters, `*` not for none.
#
# What runs: `Matcher::new(pattern)` and `match_address` for six patterns and a handful of addresses.
# Expected: OSC 1.0, "OSC Message Dispatching and Pattern Matching": `[…]` matches any character of the list, that is one; `[!…]` one
#   that is not in it; `*` matches any sequence of zero or more characters; `{foo,bar}` matches any of the strings; and address and
#   pattern have the same number of parts.
# Seen: `[a-c]` takes one character or more; `[!a]` takes all to the end, slashes included; a `*` at the end wants one character at
#   least, so `/lamp/1*` misses `/lamp/1`; `{1,11}` settles for the first string that fits and misses `/lamp/11`.
# Output seen:
#   /lamp/[a-c] -> /lamp/a /lamp/abba
#   /lamp/[!a] -> /lamp/1 /lamp/11 /lamp/1/rgb/r
#   /lamp/1* -> /lamp/11
#   /lamp/{1,11} -> /lamp/1
#   /lamp/* -> /lamp/1 /lamp/11 /lamp/a /lamp/abba
#   /lamp/? -> /lamp/1 /lamp/a
# Affected: Rust receivers that hand addresses of desks to `Matcher`: a group command sets lamps that it does not name, or leaves some
#   out. Only `*` as a whole part and `?` can be relied upon.
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
rosc = "=0.11.4"
TOML
cat > src/main.rs <<'RS'
use rosc::address::{Matcher, OscAddress};

fn main() {
    let lamps = ["/lamp/1", "/lamp/11", "/lamp/a", "/lamp/abba", "/lamp/1/rgb/r"];
    for pattern in ["/lamp/[a-c]", "/lamp/[!a]", "/lamp/1*", "/lamp/{1,11}", "/lamp/*", "/lamp/?"] {
        let matcher = Matcher::new(pattern).expect("a valid pattern");
        let hits: Vec<&str> = lamps
            .into_iter()
            .filter(|lamp| matcher.match_address(&OscAddress::new(lamp.to_string()).expect("a valid address")))
            .collect();
        println!("{pattern} -> {}", hits.join(" "));
    }
}
RS
CARGO_TARGET_DIR="$tmp/target" cargo run --quiet | tee seen
diff - seen <<'EXPECTED'
/lamp/[a-c] -> /lamp/a /lamp/abba
/lamp/[!a] -> /lamp/1 /lamp/11 /lamp/1/rgb/r
/lamp/1* -> /lamp/11
/lamp/{1,11} -> /lamp/1
/lamp/* -> /lamp/1 /lamp/11 /lamp/a /lamp/abba
/lamp/? -> /lamp/1 /lamp/a
EXPECTED
