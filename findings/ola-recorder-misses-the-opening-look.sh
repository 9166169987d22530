#!/usr/bin/env bash
# ola 0.10.9 (Debian 12): `ola_recorder --record` leaves out the look that is on stage when the recording begins.
#
# What runs: one olad in a network namespace, with its dummy plugin alone. Universe 1 stands at 10, 20, 30; a second after the recorder has
#   started, one value changes, and half a second later it changes again; the show file is printed without its times.
# Expected: `ola_recorder --help`: "Record a series of universes, or playback a previously recorded show": who plays the recording sees what
#   was on stage, from its beginning.
# Seen: the recorder writes what it is told as a change and does not ask for the present state. The show begins with the first change; the
#   look before it and the second that it stood are missing.
# Output seen:
#   OLA Show
#   1 10,20,99
#   1 10,20,0
# Affected: recorded shows that begin with a standing look: at playback the first change comes at once, over whatever was there. When the
#   recorder runs, set each universe to something else and then to its look.
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
trap 'for pid in "${recorder:-}" "${olad:-}"; do if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; wait "$pid" || true; fi; done' EXIT

mkdir "$tmp/conf"
for plugin in artnet e131 espnet ftdidmx gpio karate kinet milinst nanoleaf opendmx openpixelcontrol osc pathport renard sandnet \
  shownet spi stageprofi uartdmx usbdmx usbserial; do
  echo 'enabled = false' > "$tmp/conf/ola-$plugin.conf"
done
echo '1-1-O-0 = 1' > "$tmp/conf/ola-port.conf"
chown -R olad "$tmp/conf"
ip link set lo up
api=http://127.0.0.1:9090
setpriv --reuid=olad --regid=nogroup --clear-groups \
  olad -c "$tmp/conf" -p 9090 --no-register-with-dns-sd --no-http-quit -l 1 > "$tmp/log" 2>&1 &
olad=$!
for _ in $(seq 100); do
  curl -sf "$api/json/server_stats" >/dev/null && break
  sleep 0.1
done
set_dmx() { curl -sf "$api/set_dmx" -d "u=1&d=$1" | grep -q ok; }
set_dmx 10,20,30
ola_recorder --record "$tmp/show" --universes 1 > "$tmp/recorder" 2>&1 &
recorder=$!
sleep 1
set_dmx 10,20,99
sleep 0.5
set_dmx 10,20,0
sleep 0.5
kill -INT "$recorder"
wait "$recorder" || true
recorder=
grep -vE '^[0-9]+$' "$tmp/show" | tee "$tmp/seen"
diff - "$tmp/seen" <<'EXPECTED'
OLA Show
1 10,20,99
1 10,20,0
EXPECTED
