#!/usr/bin/env bash
# paho-mqtt 2.1.0 (PyPI) with mosquitto 2.0.11 (Debian 12): over WebSocket, a client without a keep-alive never gets in.
#
# What runs: the broker with a listener for WebSockets on a free loopback port; paho-mqtt connects with `keepalive=60`, and with
#   `keepalive=0`, which by MQTT 3.1.1 (section 3.1.2.10) switches it off.
# Expected: both connect, as they do over TCP.
# Seen: the keep-alive is used as the time-out of the socket as well. With 0 the socket does not block, and the handshake, which reads
#   byte by byte, fails before the broker can have answered. `connect` raises; with a loop that retries, it goes on so for ever.
# Output seen:
#   keepalive=60: Success
#   keepalive=0: BlockingIOError(11, 'Resource temporarily unavailable')
# Affected: pages and services that switch the keep-alive off for quiet topics behind a proxy. Give a long one, 65535, instead.
set -euo pipefail
tmp=$(mktemp -d)
broker=
trap 'if [ -n "$broker" ]; then kill "$broker"; wait "$broker" || true; fi; rm -rf "$tmp"' EXIT
cd "$tmp"
mosquitto=$(command -v mosquitto || command -v /usr/sbin/mosquitto || true)
if [ -z "$mosquitto" ]; then
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends mosquitto >/dev/null
  mosquitto=/usr/sbin/mosquitto
fi
dpkg-query -W -f '${Version}' mosquitto | grep -q '^2\.0\.11'
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check paho-mqtt==2.1.0
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'listener %s 127.0.0.1\nprotocol websockets\nallow_anonymous true\n' "$port" > conf
printf 'listener 0 %s/socket\nuser %s\n' "$tmp" "$(id -un)" >> conf # one of WebSockets alone does not start
"$mosquitto" -c conf 2> /dev/null &
broker=$!
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2> /dev/null; do sleep 0.05; done
cat > run.py <<'PY'
import queue
import sys

import paho.mqtt.client as mqtt

for keepalive in (60, 0):
    told = queue.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, transport="websockets")
    client.on_connect = lambda client, user, flags, reason, properties: told.put(reason)
    try:
        client.connect("127.0.0.1", int(sys.argv[1]), keepalive)
        client.loop_start()
        print(f"keepalive={keepalive}: {told.get(timeout=10)}")
        client.disconnect()
    except OSError as error:
        print(f"keepalive={keepalive}: {error!r}")
PY
timeout 100 venv/bin/python run.py "$port" | tee seen
diff - seen <<'EXPECTED'
keepalive=60: Success
keepalive=0: BlockingIOError(11, 'Resource temporarily unavailable')
EXPECTED
