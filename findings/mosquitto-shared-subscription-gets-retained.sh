#!/usr/bin/env bash
# mosquitto 2.0.11 (Debian 12): a shared subscription is sent the retained messages, by every member that subscribes.
#
# What runs: the broker with an empty configuration on a free loopback port; paho-mqtt 2.1.0 retains the order "blackout" and two
#   workers subscribe to `$share/workers/stage/#`, one of them twice.
# Expected: by MQTT 5.0 (sections 4.8.2 and 3.3.1.3) retained messages are for subscriptions that are not shared.
# Seen: each SUBSCRIBE is answered with the retained message, so what the group should do once is done by each of its members.
# Output seen:
#   worker 1 subscribes: blackout, retained
#   worker 1 subscribes: blackout, retained
#   worker 2 subscribes: blackout, retained
# Affected: groups that share work (one of two controllers runs the cue, one of three bridges writes the log): a retained order is
#   carried out again by whoever starts. Look at the retain flag in members of a group, and let go what has it.
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


client("desk").publish("stage/order", "blackout", 1, retain=True).wait_for_publish(10)
workers = [client("worker 1"), client("worker 2")]
for number in (0, 0, 1):
    workers[number].subscribe("$share/workers/stage/#", 1)
    workers[number].ready()
    message = workers[number].heard.get(timeout=5)
    print(f"worker {number + 1} subscribes: {message.payload.decode()}", "retained" if message.retain else "live", sep=", ")
PY
timeout 100 venv/bin/python run.py "$port" | tee seen
diff - seen <<'EXPECTED'
worker 1 subscribes: blackout, retained
worker 1 subscribes: blackout, retained
worker 2 subscribes: blackout, retained
EXPECTED
