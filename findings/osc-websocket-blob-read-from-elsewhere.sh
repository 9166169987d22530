#!/usr/bin/env bash
# osc 2.4.5 with ws 8.18.3 (npm): over a WebSocket, Node reads blobs, colours and MIDI arguments from the wrong bytes.
#
# What runs: a page's side and a server's side of `osc.WebSocketPort` in one Node process on the loopback interface, as in the
#   README; the same message also goes by UDP, as the control.
# Expected: README and OSC 1.0: the blob [1…8], the colour 10/20/30 and the MIDI bytes 0/144/60/127 arrive as they were sent.
# Seen: ws hands over a Buffer that is a view into the bytes it received (`byteOffset` 6 here), and osc.js makes its typed
#   arrays from `dv.buffer` at the offset within the message, without that `byteOffset`. Integers, floats and strings are right, so
#   nothing looks broken. UDP is not hit, since its buffers begin at 0.
# Output seen:
#   UDP: blob 1,2,3,4,5,6,7,8 colour 10,20,30 midi 0,144,60,127 integer 77
#   WebSocket: blob 0,0,0,0,0,8,1,2 colour 3,4,5 midi 7,8,10,20 integer 77
# Affected: web desks that send a DMX frame (OLA's format is a blob) or a colour to a Node server: wrong levels come out. Copy first:
#   `socket.on('message', m => osc.readPacket(Uint8Array.from(m), …))`.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts osc@2.4.5 ws@8.18.3 >/dev/null
cat > run.cjs <<'JS'
const { once } = require('events');
const osc = require('osc');
const WebSocket = require('ws');

const message = {
  address: '/frame',
  args: [
    { type: 'b', value: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
    { type: 'r', value: { r: 10, g: 20, b: 30, a: 1 } },
    { type: 'm', value: Uint8Array.of(0, 144, 60, 127) },
    { type: 'i', value: 77 },
  ],
};
const show = (title, { args: [blob, colour, midi, integer] }) =>
  console.log(`${title}: blob ${blob.value} colour ${colour.value.r},${colour.value.g},${colour.value.b} midi ${midi.value} integer ${integer.value}`);

(async () => {
  const udp = new osc.UDPPort({ localAddress: '127.0.0.1', localPort: 0, metadata: true });
  udp.open();
  await new Promise(done => udp.on('ready', done));
  udp.send(message, '127.0.0.1', udp.socket.address().port);
  show('UDP', await new Promise(done => udp.on('message', done)));

  const server = new WebSocket.Server({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const arrived = new Promise(done => {
    server.on('connection', socket => new osc.WebSocketPort({ socket, metadata: true }).on('message', done));
  });
  const page = new osc.WebSocketPort({ url: `ws://127.0.0.1:${server.address().port}`, metadata: true });
  page.open();
  await new Promise(done => page.on('ready', done));
  page.send(message);
  show('WebSocket', await arrived);
  process.exit(0);
})();
JS
timeout 30 node run.cjs | tee seen
diff - seen <<'EXPECTED'
UDP: blob 1,2,3,4,5,6,7,8 colour 10,20,30 midi 0,144,60,127 integer 77
WebSocket: blob 0,0,0,0,0,8,1,2 colour 3,4,5 midi 7,8,10,20 integer 77
EXPECTED
