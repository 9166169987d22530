#!/usr/bin/env bash
# dmx 0.25.1 (npm): on its sACN driver, the first fade of a channel does not fade; it jumps at its end.
#
# What runs: in a network namespace, `new DMX.Animation().add({1: 255}, 600)` on a universe that was just opened with the
#   driver `sacn`, then a fade back to 0; a UDP socket collects the levels of slot 1.
# Expected: README of dmx, `animation.add(to, duration)`: a linear fade over 600 ms from the present level, which is 0 in a new
#   universe (the drivers for USB and Art-Net do so).
# Seen: `get()` of the sACN driver answers NaN for a channel that was never set. All steps between are NaN, which goes
#   out as 0, and the level jumps from 0 to 255 after 600 ms. The second fade is smooth.
# Output seen:
#   first fade, up: no level between 0 and 255
#   second fade, down: many levels between 0 and 255
# Affected: shows of this library that moved to sACN: the opening fade-in of each channel is a flash at full. Until it is
#   mended, call `updateAll(name, 0)` after `addUniverse`.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts dmx@0.25.1 >/dev/null
cat > run.cjs <<'JS'
const dgram = require('dgram');
const DMX = require('dmx');
(async () => {
  const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true });
  await new Promise(done => socket.bind(5568, done));
  socket.addMembership('239.255.0.1', '127.0.0.1');
  let levels = new Set();
  let last;
  socket.on('message', m => { levels.add(last = m[126]); });

  const universe = new DMX().addUniverse('u', 'sacn', null, { universe: 1 });
  for (const [title, end] of [['first fade, up', 255], ['second fade, down', 0]]) {
    levels = new Set();
    await new Promise(done => new DMX.Animation().add({ 1: end }, 600).run(universe, done));
    while (last !== end) await new Promise(done => socket.once('message', done));
    const between = [...levels].filter(v => v !== 0 && v !== 255).length;
    console.log(`${title}: ${between > 5 ? 'many levels' : between ? 'few levels' : 'no level'} between 0 and 255`);
  }
  process.exit(0);
})();
JS
unshare -n bash -c '
  ip link set lo up multicast on
  ip route add 224.0.0.0/4 dev lo
  exec timeout 30 node run.cjs' | tee seen
diff - seen <<'EXPECTED'
first fade, up: no level between 0 and 255
second fade, down: many levels between 0 and 255
EXPECTED
