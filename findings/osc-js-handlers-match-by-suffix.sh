#!/usr/bin/env bash
# osc-js 2.4.1 (npm): a handler is called for every address that merely ends in its own, and the other way round.
#
# What runs: one osc-js receiver on a free UDP port of the loopback interface, with one handler for each of four
#   addresses; plain OSC messages are sent to it, none of which contains a pattern character.
# Expected: OSC 1.0, "OSC Message Dispatching and Pattern Matching": an address without pattern characters names exactly
#   one method; the two addresses must have the same number of parts and every part must match.
# Seen: osc-js builds an unanchored regular expression and only checks where the match ends. So `/on` reaches the
#   handler of `/lamp/1/on`, and `/lamp/1/on` reaches the handler of `/on`.
# Output seen:
#   /on -> /on /lamp/1/on
#   /lamp/1/on -> /on /lamp/1/on
#   /1 -> /lamp/1 /stage/lamp/1
#   /lamp/1 -> /lamp/1 /stage/lamp/1
# Affected: whoever gives fixtures or pages nested addresses (`/1/fader1`, `/page/1/fader1`): one button works several
#   lamps. Until it is mended, compare `message.address` in each handler, or give every address a distinct last part.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts osc-js@2.4.1 >/dev/null
cat > run.cjs <<'JS'
const dgram = require('dgram');
const OSC = require('osc-js');
(async () => {
  const plugin = new OSC.DatagramPlugin();
  const osc = new OSC({ plugin });
  let hits = [];
  for (const address of ['/on', '/lamp/1', '/lamp/1/on', '/stage/lamp/1']) osc.on(address, () => hits.push(address));
  const opened = new Promise(done => osc.on('open', done));
  osc.open({ host: '127.0.0.1', port: 0 });
  await opened;
  const { port } = plugin.socket.address();
  const sender = dgram.createSocket('udp4');
  for (const address of ['/on', '/lamp/1/on', '/1', '/lamp/1']) {
    hits = [];
    const arrived = new Promise(done => plugin.socket.once('message', () => setImmediate(done)));
    sender.send(new OSC.Message(address, 1).pack(), port, '127.0.0.1');
    await arrived;
    console.log(`${address} -> ${hits.join(' ')}`);
  }
  process.exit(0);
})();
JS
timeout 30 node run.cjs | tee seen
diff - seen <<'EXPECTED'
/on -> /on /lamp/1/on
/lamp/1/on -> /on /lamp/1/on
/1 -> /lamp/1 /stage/lamp/1
/lamp/1 -> /lamp/1 /stage/lamp/1
EXPECTED
