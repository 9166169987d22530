#!/usr/bin/env bash
# adafruit-circuitpython-minimqtt 8.1.0 (PyPI) with mosquitto 2.0.11 (Debian 12): `publish(…, qos=2)` reports success and delivers nothing.
#
# What runs: MiniMQTT on CPython publishes at QoS 0, 1 and 2; paho-mqtt subscribes at QoS 2 and waits for them.
# Expected: the documentation of `publish` gives no limit for `qos`, and the check of the library says "QoS must be between 1 and 2".
#   MQTT 3.1.1, section 4.3.3: the sender answers PUBREC with PUBREL; only then does the broker pass the message on. A client that
#   cannot do that must refuse QoS 2.
# Seen: the PUBLISH goes out, and `publish` returns without waiting for PUBREC. No PUBREL follows, so the broker keeps the message.
#   The next `loop()` reads the PUBREC byte by byte and returns its four bytes as if they were four packet types.
# Output seen:
#   QoS 0: delivered
#   QoS 1: delivered
#   QoS 2: not delivered; loop() then returned [80, 0, 0, 0]
# Affected: CircuitPython boards that send "the important ones" at QoS 2. Use QoS 1.
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
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" > conf
"$mosquitto" -c conf 2> /dev/null &
broker=$!
cat > run.py <<'PY'
import socket
import sys
import threading
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

arrived = {qos: threading.Event() for qos in (0, 1, 2)}
ready = threading.Event()
desk = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="desk")
desk.on_message = lambda client, user, message: arrived[int(message.payload)].set()
desk.on_subscribe = lambda *_: ready.set()
desk.connect("127.0.0.1", port)
desk.subscribe("button", 2)
desk.loop_start()
ready.wait(10)

board = MQTT(broker="127.0.0.1", port=port, client_id="board", socket_pool=socket, socket_timeout=0.2)
board.connect()
for qos, waits in ((0, 10), (1, 10), (2, 2)):
    board.publish("button", str(qos), qos=qos)
    if arrived[qos].wait(waits):
        print(f"QoS {qos}: delivered")
    else:
        print(f"QoS {qos}: not delivered; loop() then returned {board.loop(0.5)}")
desk.disconnect()
PY
timeout 60 venv/bin/python run.py "$port" | tee seen
diff - seen <<'EXPECTED'
QoS 0: delivered
QoS 1: delivered
QoS 2: not delivered; loop() then returned [80, 0, 0, 0]
EXPECTED
