#!/usr/bin/env bash
# ola 0.10.9 (Debian 12): the OSC plugin writes five formats and reads three of them.
#
# What runs: one olad in a network namespace, with its OSC plugin alone. Five output ports, one for each
#   `port_N_output_format`, send to five input ports of the same olad; each output universe is set to 10, 20, 30.
# Expected: the plugin's description (`ola_plugin_info -p 14`) offers `blob`, `float_array`, `individual_float`,
#   `individual_int` and `int_array` as "the format (OSC Type) to send the DMX data in" and names no limit for input; so two
#   OLA machines joined by OSC understand each other in all five.
# Seen: `float_array` and `int_array` are dropped as "Unknown OSC message type", which the log shows at a high level only.
# Output seen:
#   blob: 10 20 30
#   float_array: nothing
#   individual_float: 10 20 30
#   individual_int: 10 20 30
#   int_array: nothing
# Affected: bridges between OLA machines, and senders that put many numbers into one message. Send a blob to the address of
#   the universe, or one message for each slot.
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

formats=(blob float_array individual_float individual_int int_array)
mkdir "$tmp/conf"
for plugin in artnet dummy e131 espnet ftdidmx gpio karate kinet milinst nanoleaf opendmx openpixelcontrol pathport renard \
  sandnet shownet spi stageprofi uartdmx usbdmx usbserial; do
  echo 'enabled = false' > "$tmp/conf/ola-$plugin.conf"
done
{
  printf 'enabled = true\ninput_ports = 5\noutput_ports = 5\nudp_listen_port = 7770\n'
  for n in "${!formats[@]}"; do
    printf 'port_%s_address = /in/%s\nport_%s_output_format = %s\nport_%s_targets = 127.0.0.1:7770/in/%s\n' \
      "$n" "$n" "$n" "${formats[n]}" "$n" "$n"
  done
} > "$tmp/conf/ola-osc.conf"
chown -R olad "$tmp"
ip link set lo up
api=http://127.0.0.1:9090
setpriv --reuid=olad --regid=nogroup --clear-groups \
  olad -c "$tmp/conf" -p 9090 -r 9010 --no-register-with-dns-sd --no-http-quit -l 3 > "$tmp/log" 2>&1 &
olad=$!
for _ in $(seq 100); do
  curl -sf "$api/json/server_stats" >/dev/null && break
  sleep 0.1
done
for n in "${!formats[@]}"; do
  curl -sf "$api/new_universe" -d "id=1$n&name=in$n&add_ports=1-I-$n" >/dev/null
  curl -sf "$api/new_universe" -d "id=$n&name=out$n&add_ports=1-O-$n" >/dev/null
  curl -sf "$api/set_dmx" -d "u=$n&d=10,20,30" >/dev/null
done
sleep 1
for n in "${!formats[@]}"; do
  levels=$(curl -sf "$api/get_dmx?u=1$n" | python3 -c 'import json, sys; print(*json.load(sys.stdin)["dmx"][:3])')
  echo "${formats[n]}: ${levels:-nothing}"
done | tee "$tmp/seen"
diff - "$tmp/seen" <<'EXPECTED'
blob: 10 20 30
float_array: nothing
individual_float: 10 20 30
individual_int: 10 20 30
int_array: nothing
EXPECTED
