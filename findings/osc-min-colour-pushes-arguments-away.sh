#!/usr/bin/env bash
# osc-min 2.1.2 (npm): a colour argument is written with twelve bytes too many, and all arguments behind it are lost.
#
# What runs: osc-min packs a message with a colour and the integer 77; osc-min itself, npm's `osc` 2.4.5 and python-osc 1.10.2 read it.
# Expected: OSC 1.0, additional type `r`: "32 bit RGBA color", four bytes; osc-min's README lists `color` among its types.
# Seen: the bytes are right and are followed by 12 zero bytes. Every reader, osc-min included, takes the next argument from there.
# Output seen:
#   packed arguments: 010203ff0000000000000000000000000000004d
#   osc-min reads: colour 1/2/3, integer 0
#   osc reads: colour 1/2/3, integer 0
#   python-osc reads: colour 1/2/3, integer 0
# Affected: senders of "colour and fade time" in one message, to whatever receiver. Put the colour last, or send four integers.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts osc-min@2.1.2 osc@2.4.5 >/dev/null
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check python-osc==1.10.2
cat > run.mjs <<'JS'
import fs from 'node:fs';
import * as oscMin from 'osc-min';
import osc from 'osc';

const view = oscMin.toBuffer({
  address: '/x',
  args: [{ type: 'color', value: { red: 1, green: 2, blue: 3, alpha: 255 } }, { type: 'integer', value: 77 }],
});
const packed = Uint8Array.from(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
fs.writeFileSync('packet', packed);
console.log(`packed arguments: ${Buffer.from(packed.subarray(8)).toString('hex')}`);
const [colour, integer] = oscMin.fromBuffer(packed).args;
console.log(`osc-min reads: colour ${colour.value.red}/${colour.value.green}/${colour.value.blue}, integer ${integer.value}`);
const [c, i] = osc.readPacket(packed, { metadata: true }).args;
console.log(`osc reads: colour ${c.value.r}/${c.value.g}/${c.value.b}, integer ${i.value}`);
JS
{
  timeout 30 node run.mjs
  venv/bin/python -c '
from pythonosc.osc_message import OscMessage
colour, integer = OscMessage(open("packet", "rb").read()).params
print(f"python-osc reads: colour {colour >> 24}/{colour >> 16 & 255}/{colour >> 8 & 255}, integer {integer}")'
} | tee seen
diff - seen <<'EXPECTED'
packed arguments: 010203ff0000000000000000000000000000004d
osc-min reads: colour 1/2/3, integer 0
osc reads: colour 1/2/3, integer 0
python-osc reads: colour 1/2/3, integer 0
EXPECTED
