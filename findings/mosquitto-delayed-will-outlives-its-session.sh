#!/usr/bin/env bash
# mosquitto 2.0.11 (Debian 12), MQTT 5: a delayed will does not look at the end of its session: it comes late, or never.
#
# What runs: the broker with an empty configuration on a free loopback port. A lamp (paho-mqtt 2.1.0) has a will with a delay of 4 s;
#   its socket ends. First its session ends with the connection, then after 1 s; at last the session would live for a minute, and the
#   lamp returns at once with a clean start, which ends the session too. A desk listens for 8 s.
# Expected: by MQTT 5.0 (section 3.1.3.2.2) a delay ends with the session if that ends first. So at once, after a second, at once.
# Seen: without a session expiry the full delay passes; only an expiry of a second or more counts. A clean start takes the will away.
# Output seen:
#   session ends with the connection: "offline" after the delay
#   session ends after a second: "offline" before the delay
#   session ends by a clean start: nothing
# Affected: desks that learn from wills that a lamp has lost what it was told (a clean start after a reset loses its subscriptions and
#   queue without a word), and lamps that give a delay but no expiry. Give each will a session expiry as long as its delay.
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
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" > conf
"$mosquitto" -c conf 2> /dev/null &
broker=$!
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2> /dev/null; do sleep 0.05; done
cat > run.py <<'PY'
import queue
import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def client(name, acks=True, will=None, **connect):
    properties = Properties(PacketTypes.CONNECT)
    for key, value in connect.items():
        setattr(properties, key, value)
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5, manual_ack=not acks,
                       reconnect_on_failure=False)
    made.heard, ready = queue.Queue(), queue.Queue()
    made.on_message = lambda c, u, message: made.heard.put(message)
    made.on_connect = made.on_subscribe = lambda *_: ready.put(None)
    made.ready = lambda: ready.get(timeout=10)
    if will:
        made.will_set("stage/lamp", "offline", 1, properties=will)
    made.connect("127.0.0.1", int(sys.argv[1]), properties=properties)
    made.loop_start()
    made.ready()
    return made


will = Properties(PacketTypes.WILLMESSAGE)
will.WillDelayInterval = 4
desk = client("desk")
desk.subscribe("stage/lamp", 1)
desk.ready()
for number, (word, expiry) in enumerate([("with the connection", 0), ("after a second", 1), ("by a clean start", 60)]):
    client(f"lamp {number}", will=will, SessionExpiryInterval=expiry).socket().shutdown(2)
    dropped = time.monotonic()
    if expiry == 60:
        time.sleep(0.5)
        client(f"lamp {number}")
    try:
        heard = f'"{desk.heard.get(timeout=8).payload.decode()}"'
        heard += " after the delay" if time.monotonic() - dropped > 3.5 else " before the delay"
    except queue.Empty:
        heard = "nothing"
    print(f"session ends {word}: {heard}")
PY
timeout 100 venv/bin/python run.py "$port" | tee seen
diff - seen <<'EXPECTED'
session ends with the connection: "offline" after the delay
session ends after a second: "offline" before the delay
session ends by a clean start: nothing
EXPECTED
