#!/usr/bin/env bash
# ola 0.10.9 (Debian 12): in an HTP universe the light of a program that has ended stays until somebody else sends.
#
# What runs: one olad in a network namespace with its Dummy plugin alone; one source over OLA's HTTP API, another one by
#   ola_streaming_client, which ends. The universe is read back by get_dmx.
# Expected: HTP shows the highest level of the sources that are there. When one goes, the merge is that of the others.
# Seen: olad forgets the source when its program disconnects, but merges anew only with the next frame of another source. Until
#   then the output holds what the program that is gone has lit, though our source is there and says 0. A blackout that was sent
#   before the program ended is not carried out by its end.
# Output seen:
#   both: 10,98,30
#   ours dark, the other one there: 0,98,0
#   the other one has ended: 0,98,0
#   ours dark, sent again: 0,0,0
# Affected: controllers that send changes only, as an OLA client may over its streaming API; their fixtures stay lit. Send the whole
#   universe again at least once a second, also when nothing has changed.
set -euo pipefail
if [ $# -eq 0 ]; then # first as root with the network, to install; then again in a network namespace
  tmp=$(mktemp -d)
  trap 'rm -rf "$tmp"' EXIT
  command -v olad >/dev/null || { apt-get -qq update; apt-get -qq install -y --no-install-recommends ola >/dev/null; }
  dpkg-query -W -f '${Version}' ola | grep -q '^0\.10\.9'
  chmod 755 "$tmp"
  unshare -n bash "$0" "$tmp"
  exit
fi
tmp=$1
trap 'if [ -n "${olad:-}" ]; then kill "$olad"; wait "$olad" || true; fi' EXIT

mkdir "$tmp/conf"
for plugin in artnet e131 espnet ftdidmx gpio karate kinet milinst nanoleaf opendmx openpixelcontrol osc pathport renard \
  sandnet shownet spi stageprofi uartdmx usbdmx usbserial; do
  echo 'enabled = false' > "$tmp/conf/ola-$plugin.conf"
done
echo 'enabled = true' > "$tmp/conf/ola-dummy.conf"
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
curl -sf "$api/new_universe" -d 'id=1&name=t&add_ports=1-O-0' >/dev/null
ola_uni_merge -u 1 HTP
set_dmx() { curl -sf "$api/set_dmx" -d "u=1&d=$1" >/dev/null; }
shown() { echo "$1: $(curl -sf "$api/get_dmx?u=1" | sed -n 's/.*"dmx": \[\(.*\)\].*/\1/p')"; }

{
  set_dmx 10,20,30
  { echo 0,98,0; sleep 2; } | ola_streaming_client -u 1 &
  other=$!
  sleep 1
  set_dmx 10,20,30
  shown both
  set_dmx 0,0,0
  shown 'ours dark, the other one there'
  wait "$other"
  sleep 1
  shown 'the other one has ended'
  set_dmx 0,0,0
  shown 'ours dark, sent again'
} | tee "$tmp/seen"
diff - "$tmp/seen" <<'EXPECTED'
both: 10,98,30
ours dark, the other one there: 0,98,0
the other one has ended: 0,98,0
ours dark, sent again: 0,0,0
EXPECTED
