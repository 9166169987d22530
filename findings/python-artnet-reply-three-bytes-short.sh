#!/usr/bin/env bash
# python-artnet 1.2.0 (PyPI) meets artnet_protocol 0.4.4 (crate): its ArtPollReply has 236 bytes, and the crate refuses it.
#
# What runs: a python-artnet node with its defaults on a UDP port of the loopback interface is asked by a plain ArtPoll; its
#   answer is given to `ArtCommand::from_buffer` of artnet_protocol, as it came and padded to 239 bytes.
# Expected: Art-Net 4, ArtPollReply: `GoodOutputB` is an array of four bytes, and the packet ends after 239 bytes; `RefreshRate`
#   stands in bytes 226 and 227 (counted from 0), and the node was made with the refresh rate 44.
# Seen: python-artnet packs `GoodOutputB` as one byte. All that stands behind it is three bytes early: the refresh rate is
#   read as user data, and a parser that wants the whole packet finds no node.
# Output seen:
#   reply: 236 bytes, refresh rate 0, user data 11264
#   artnet_protocol, 236 bytes: refused
#   artnet_protocol, 239 bytes: node python_artnet
# Affected: Rust controllers that search for nodes: lamps behind python-artnet never show up and get no unicast. Controllers
#   should accept shorter replies (OLA takes 207 bytes), and fill what is missing with zeros.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check python-artnet==1.2.0
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "judge"
version = "0.0.0"
edition = "2021"

[dependencies]
artnet_protocol = "=0.4.4"
TOML
cat > src/main.rs <<'RS'
use artnet_protocol::ArtCommand;

fn main() {
    let reply = std::fs::read("reply").expect("the reply");
    for length in [reply.len(), 239] {
        let mut bytes = reply.clone();
        bytes.resize(length, 0);
        let seen = match ArtCommand::from_buffer(&bytes) {
            Ok(ArtCommand::PollReply(node)) => {
                let name: Vec<u8> = node.short_name.iter().copied().take_while(|b| *b != 0).collect();
                format!("node {}", String::from_utf8_lossy(&name))
            }
            Ok(_) => "something else".to_owned(),
            Err(_) => "refused".to_owned(),
        };
        println!("artnet_protocol, {length} bytes: {seen}");
    }
}
RS
cat > run.py <<'PY'
import socket

from python_artnet import Artnet

free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
free.bind(("127.0.0.1", 0))
port = free.getsockname()[1]
free.close()
Artnet(BINDIP="127.0.0.1", PORT=port, SYSIP="127.0.0.1", REFRESH=44)
controller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
controller.settimeout(0.5)
controller.bind(("127.0.0.1", 0))
for _ in range(20):  # the node waits up to a second before it answers
    controller.sendto(b"Art-Net\0\x00\x20\x00\x0e\x00\x00", ("127.0.0.1", port))
    try:
        reply = controller.recv(2048)
        break
    except TimeoutError:
        pass
open("reply", "wb").write(reply)
refresh = int.from_bytes(reply[226:228], "big")
user = int.from_bytes(reply[224:226], "big")
print(f"reply: {len(reply)} bytes, refresh rate {refresh}, user data {user}")
PY
{
  timeout 30 venv/bin/python run.py
  CARGO_TARGET_DIR="$tmp/target" cargo run --quiet
} | tee seen
diff - seen <<'EXPECTED'
reply: 236 bytes, refresh rate 0, user data 11264
artnet_protocol, 236 bytes: refused
artnet_protocol, 239 bytes: node python_artnet
EXPECTED
