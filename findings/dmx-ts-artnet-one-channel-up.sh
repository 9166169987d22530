#!/usr/bin/env bash
# dmx-ts 0.4.0 with its dmxnet 0.9.0 (npm): `update({1: …})` sets channel 1 by sACN and USB, but channel 2 by Art-Net.
#
# What runs: in a network namespace, one dmx-ts universe on `SACNDriver` and one on `ArtnetDriver` get the same update;
#   UDP sockets print the first slots of the packets that arrive.
# Expected: README of dmx-ts, `dmx.update(universe, channels)`: "keys are channel numbers", for every driver alike; the
#   drivers for sACN and USB count from 1, as DMX512 does.
# Seen: the Art-Net driver hands the number to dmxnet's `prepChannel`, which counts from 0. Everything is one channel
#   higher, and channel 512 throws.
# Output seen:
#   sACN    slots 1-4: 11 22 33 0
#   Art-Net slots 1-4: 0 11 22 33
#   Art-Net, channel 512: Channel must be between 0 and 512
# Affected: whoever moves a show from a USB widget or sACN to Art-Net: every lamp shows its neighbour's colour. Its
#   predecessor `dmx` 0.25.1 counts alike on all drivers. Until it is mended, subtract one for Art-Net.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts dmx-ts@0.4.0 dmxnet@0.9.0 >/dev/null
cat > run.cjs <<'JS'
const dgram = require('dgram');
const { DMX, ArtnetDriver, SACNDriver } = require('dmx-ts');

async function receiver(port, wanted) {
  const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true });
  await new Promise(done => socket.bind(port, done));
  if (port === 5568) socket.addMembership('239.255.0.1', '127.0.0.1');
  return new Promise(done => socket.on('message', m => { if (wanted(m)) done(m); }));
}

(async () => {
  const dmx = new DMX();
  const levels = { 1: 11, 2: 22, 3: 33 };

  let packet = receiver(5568, m => m[126] || m[127]);
  const sacn = await dmx.addUniverse('sacn', new SACNDriver(1, { reuseAddr: true, interface: '127.0.0.1' }));
  sacn.update(levels);
  console.log('sACN    slots 1-4:', ...(await packet).subarray(126, 130));

  packet = receiver(16454, m => m.readUInt16LE(8) === 0x5000 && (m[18] || m[19]));
  const artnet = await dmx.addUniverse('artnet', new ArtnetDriver('127.0.0.1', {
    port: 16454, net: 0, subnet: 0, universe: 0, dmxlibOptions: { log: { level: 'error' } },
  }));
  artnet.update(levels);
  console.log('Art-Net slots 1-4:', ...(await packet).subarray(18, 22));

  try {
    artnet.update({ 512: 1 });
    console.log('Art-Net, channel 512: taken');
  } catch (error) {
    console.log('Art-Net, channel 512:', error.message);
  }
  process.exit(0);
})();
JS
unshare -n bash -c '
  ip link set lo up multicast on
  ip route add 224.0.0.0/4 dev lo
  exec timeout 30 node run.cjs' | tee seen
diff - seen <<'EXPECTED'
sACN    slots 1-4: 11 22 33 0
Art-Net slots 1-4: 0 11 22 33
Art-Net, channel 512: Channel must be between 0 and 512
EXPECTED
