#!/usr/bin/env bash
# mosquitto 2.0.11 (Debian 12), MQTT 5: a client that announced Receive Maximum 2 is sent two messages for each one that it acknowledges.
#
# What runs: the broker with an empty configuration on a free loopback port. A lamp (paho-mqtt 2.1.0, which acknowledges by hand here)
#   connects with Receive Maximum 2 and subscribes at QoS 1; ten messages are published; the lamp acknowledges one at a time.
# Expected: by MQTT 5.0 (sections 3.1.2.11.3 and 3.3.4) the number of messages above QoS 0 that a client has not answered stays at its
#   Receive Maximum or below. So two, always.
# Seen: while messages wait, each PUBACK releases two of them, and the number that is under way grows by one each time.
# Output seen:
#   unacknowledged: [0, 1]
#   after one PUBACK: [1, 2, 3]
#   after one PUBACK: [2, 3, 4, 5]
#   after one PUBACK: [3, 4, 5, 6, 7]
#   after one PUBACK: [4, 5, 6, 7, 8, 9]
# Affected: controllers with room for a few messages, and clients that close the connection with 0x93 "Receive Maximum exceeded", as
#   they may: after a pause they are cut off again at each return, for the queue is still there. Announce room for the whole queue.
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


desk = client("desk")
lamp = client("lamp", acks=False, ReceiveMaximum=2)
lamp.subscribe("stage/lamp", 1)
lamp.ready()
for number in range(10):
    desk.publish("stage/lamp", str(number), 1).wait_for_publish(10)
under_way, word = [], "unacknowledged"
for _ in range(5):
    quiet = time.monotonic() + 1
    while time.monotonic() < quiet:
        try:
            under_way.append(lamp.heard.get(timeout=0.1))
        except queue.Empty:
            pass
    print(f"{word}: {[int(message.payload) for message in under_way]}")
    lamp.ack(under_way.pop(0).mid, 1)
    word = "after one PUBACK"
PY
timeout 100 venv/bin/python run.py "$port" | tee seen
diff - seen <<'EXPECTED'
unacknowledged: [0, 1]
after one PUBACK: [1, 2, 3]
after one PUBACK: [2, 3, 4, 5]
after one PUBACK: [3, 4, 5, 6, 7]
after one PUBACK: [4, 5, 6, 7, 8, 9]
EXPECTED
