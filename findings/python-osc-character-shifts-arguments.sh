#!/usr/bin/env bash
# python-osc 1.10.2 and osc4py3 1.0.8 (PyPI): a character argument (`c`) spoils the message that contains it.
#
# What runs: a message with the character `A` and the integer 77, written by npm's `osc` 2.4.5, is read by both.
# Expected: OSC 1.0, additional type `c`: "an ascii character, sent as 32 bits". An application "should discard any
#   message whose OSC Type Tag String contains any unrecognized OSC Type Tags".
# Seen: python-osc logs "Unhandled parameter type: c" and goes on without skipping the four bytes: the handler gets one argument, 65,
#   as if the sender had said so. osc4py3 takes the first of the four bytes, which is always zero.
# Output seen:
#   python-osc: [65]
#   osc4py3: ['\x00', 77]
# Affected: Max, SuperCollider and desk scripts that send cue letters (`/cue A 77`): with python-osc, the cue number is 65. Send a
#   string (`s`).
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts osc@2.4.5 >/dev/null
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check python-osc==1.10.2 osc4py3==1.0.8
node -e '
const osc = require("osc");
const args = [{ type: "c", value: "A" }, { type: "i", value: 77 }];
require("fs").writeFileSync("packet", osc.writePacket({ address: "/cue", args }, { metadata: true }));'
cat > run.py <<'PY'
from osc4py3 import oscbuildparse
from pythonosc.osc_message import OscMessage

packet = open("packet", "rb").read()
assert packet == b"/cue\0\0\0\0,ci\0" + b"\0\0\0A" + b"\0\0\0\x4d", packet
print("python-osc:", OscMessage(packet).params)
print("osc4py3:", list(oscbuildparse.decode_packet(packet).arguments))
PY
venv/bin/python run.py 2>log | tee seen
grep -q 'Unhandled parameter type: c' log
diff - seen <<'EXPECTED'
python-osc: [65]
osc4py3: ['\x00', 77]
EXPECTED
