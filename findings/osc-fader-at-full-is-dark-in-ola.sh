#!/usr/bin/env bash
# osc-js 2.4.1 and node-osc 11.7.1 (npm) with ola 0.10.9 (Debian 12): a fader pushed to full turns the lamp almost off.
#
# What runs: one olad in a network namespace, with its OSC plugin alone; a fader of each library goes from 0.5 to 0.99 and to 1;
#   the slot is read back by OLA's HTTP API. npm's `osc` 2.4.5 is the control.
# Expected: a fader sends 0.0 to 1.0, and 1 is the brightest. JavaScript knows one kind of number, so 0.5 and 1 have the same type.
# Seen: each library on its own is right: osc-js and node-osc send a whole number as an OSC integer; OLA takes a float as
#   0.0-1.0 and an integer as a DMX value of 0-255. Together, 0.99 is level 252, and 1 is level 1.
# Output seen:
#   osc-js: 0.5 -> 127, 0.99 -> 252, 1 -> 1
#   node-osc: 0.5 -> 127, 0.99 -> 252, 1 -> 1
#   osc: 0.5 -> 127, 0.99 -> 252, 1 -> 255
# Affected: every JavaScript page, Node-RED flow or Electron fader that drives OLA with these libraries; the same holds for any
#   receiver that tells the types apart. Give the type: `new OSC.TypedMessage('/dmx/1', [{ type: 'f', value: 1 }])`, or
#   `{ type: 'float', value: 1 }` in node-osc. A receiver should not take an integer 1 for 1/255 where 0.0-1.0 is meant.
set -euo pipefail
if [ $# -eq 0 ]; then # first as root with the network, to install; then again in a network namespace
  tmp=$(mktemp -d)
  trap 'rm -rf "$tmp"' EXIT
  command -v olad >/dev/null || { apt-get -qq update; apt-get -qq install -y --no-install-recommends ola >/dev/null; }
  dpkg-query -W -f '${Version}' ola | grep -q '^0\.10\.9'
  npm install --prefix "$tmp" --silent --no-audit --no-fund --ignore-scripts osc-js@2.4.1 node-osc@11.7.1 osc@2.4.5 >/dev/null
  chmod 755 "$tmp"
  unshare -n bash "$0" "$tmp"
  exit
fi
tmp=$1
trap 'if [ -n "${olad:-}" ]; then kill "$olad"; wait "$olad" || true; fi' EXIT

mkdir "$tmp/conf"
for plugin in artnet dummy e131 espnet ftdidmx gpio karate kinet milinst nanoleaf opendmx openpixelcontrol pathport renard \
  sandnet shownet spi stageprofi uartdmx usbdmx usbserial; do
  echo 'enabled = false' > "$tmp/conf/ola-$plugin.conf"
done
printf 'enabled = true\ninput_ports = 1\noutput_ports = 0\nudp_listen_port = 7770\nport_0_address = /dmx\n' > "$tmp/conf/ola-osc.conf"
chown -R olad "$tmp/conf"
ip link set lo up
api=http://127.0.0.1:9090
setpriv --reuid=olad --regid=nogroup --clear-groups \
  olad -c "$tmp/conf" -p 9090 -r 9010 --no-register-with-dns-sd --no-http-quit -l 1 > "$tmp/log" 2>&1 &
olad=$!
for _ in $(seq 100); do
  curl -sf "$api/json/server_stats" >/dev/null && break
  sleep 0.1
done
curl -sf "$api/new_universe" -d 'id=1&name=t&add_ports=1-I-0' >/dev/null
cat > "$tmp/run.mjs" <<'JS'
import dgram from 'node:dgram';
import OSC from 'osc-js';
import * as nodeOsc from 'node-osc';
import osc from 'osc';

const faders = {
  'osc-js': value => new OSC.Message('/dmx/1', value).pack(),
  'node-osc': value => nodeOsc.encode(new nodeOsc.Message('/dmx/1', value)),
  osc: value => osc.writePacket({ address: '/dmx/1', args: [value] }),
};
const socket = dgram.createSocket('udp4');
const pause = ms => new Promise(done => setTimeout(done, ms));
for (const [library, pack] of Object.entries(faders)) {
  const seen = [];
  for (const value of [0.5, 0.99, 1]) {
    socket.send(pack(value), 7770, '127.0.0.1');
    await pause(300);
    const { dmx } = await (await fetch('http://127.0.0.1:9090/get_dmx?u=1')).json();
    seen.push(`${value} -> ${dmx[0]}`);
  }
  console.log(`${library}: ${seen.join(', ')}`);
}
process.exit(0);
JS
timeout 30 node "$tmp/run.mjs" | tee "$tmp/seen"
diff - "$tmp/seen" <<'EXPECTED'
osc-js: 0.5 -> 127, 0.99 -> 252, 1 -> 1
node-osc: 0.5 -> 127, 0.99 -> 252, 1 -> 1
osc: 0.5 -> 127, 0.99 -> 252, 1 -> 255
EXPECTED
