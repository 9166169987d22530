#!/usr/bin/env bash
# adafruit-circuitpython-minimqtt 8.1.0 (PyPI) with mosquitto 2.0.11 (Debian 12): after `reconnect()` every subscription has QoS 0.
#
# What runs: MiniMQTT on CPython subscribes at QoS 1 and calls `reconnect()`; another client publishes at QoS 1 before and after;
#   the log of mosquitto says with which QoS each message went out.
# Expected: documentation of `reconnect(resub_topics=True)`: "Whether to resubscribe to previously subscribed topics"; a renewed
#   subscription is the subscription that was.
# Seen: the library keeps the names of the topics and forgets the QoS; it subscribes again with the default, 0. Nothing is reported,
#   and from then on messages get lost where they were repeated before.
# Output seen:
#   before: sent at QoS 1
#   after reconnect(): sent at QoS 0
# Affected: lamps and buttons on CircuitPython boards, whose examples call `reconnect()` after each error of the Wi-Fi. Call
#   `reconnect(resub_topics=False)` and subscribe again yourself.
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
venv/bin/pip install --quiet --disable-pip-version-check adafruit-circuitpython-minimqtt==8.1.0 \
  adafruit-circuitpython-connectionmanager==3.1.8 adafruit-circuitpython-ticks==1.1.7 Adafruit-Blinka==10.0.0 paho-mqtt==2.1.0
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'listener %s 127.0.0.1\nallow_anonymous true\nlog_type all\nlog_dest stderr\n' "$port" > conf
"$mosquitto" -c conf 2> log &
broker=$!
cat > run.py <<'PY'
import re
import socket
import sys
import time

import paho.mqtt.client as paho
from adafruit_minimqtt.adafruit_minimqtt import MQTT

port = int(sys.argv[1])
end = time.monotonic() + 10
while time.monotonic() < end:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        break
    except OSError:
        time.sleep(0.05)

got = []
board = MQTT(broker="127.0.0.1", port=port, client_id="board", socket_pool=socket, socket_timeout=0.2)
board.on_message = lambda client, topic, message: got.append(message)
desk = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="desk")
desk.connect("127.0.0.1", port)
desk.loop_start()


def publish(title):
    desk.publish("lamp/set", title, qos=1).wait_for_publish(10)
    end = time.monotonic() + 10
    while title not in got and time.monotonic() < end:
        board.loop(0.2)
    sent = re.findall(r"Sending PUBLISH to board \(d\d, q(\d)", open("log").read())
    print(f"{title}: sent at QoS {sent[-1]}")


board.connect()
board.subscribe("lamp/set", 1)
publish("before")
board.reconnect()
publish("after reconnect()")
board.disconnect()
desk.disconnect()
PY
timeout 60 venv/bin/python run.py "$port" | tee seen
diff - seen <<'EXPECTED'
before: sent at QoS 1
after reconnect(): sent at QoS 0
EXPECTED
