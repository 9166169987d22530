#!/usr/bin/env bash
# paho-mqtt 2.1.0 (PyPI), MQTT 5, with mosquitto 2.0.11 (Debian 12): a publish at QoS 2 that the broker refuses is reported as a success.
#
# What runs: the broker with an access list that lets nobody write outside of `open/`, on a free loopback port. A desk publishes to
#   `closed/lamp` at QoS 1 and 2; `on_publish` prints the reason, and the client's own log what was sent and received.
# Expected: by MQTT 5.0 (section 4.3.3) PUBREL follows a PUBREC below 0x80 only; one of 0x80 or more ends the exchange, with its
#   reason. As at QoS 1.
# Seen: the reason in PUBREC is read and dropped; PUBREL is sent for a message that the broker has not taken, and its PUBCOMP counts.
# Output seen:
#   QoS 1: Not authorized; PUBLISH, PUBACK
#   QoS 2: Success; PUBLISH, PUBREC, PUBREL, PUBCOMP
# Affected: whoever sends the important cues at QoS 2 and looks at the reason or at `wait_for_publish`. Use QoS 1, where it is told.
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
printf 'topic read #\ntopic write open/#\n' > rights
printf 'listener %s 127.0.0.1\nallow_anonymous true\nacl_file %s/rights\nuser %s\n' "$port" "$tmp" "$(id -un)" > conf
"$mosquitto" -c conf 2> /dev/null &
broker=$!
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2> /dev/null; do sleep 0.05; done
cat > run.py <<'PY'
import queue
import sys

import paho.mqtt.client as mqtt

log, told, connected = [], queue.Queue(), queue.Queue()
desk = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="desk", protocol=mqtt.MQTTv5)
desk.on_connect = lambda *_: connected.put(None)
desk.on_publish = lambda client, user, mid, reason, properties: told.put(reason)
desk.on_log = lambda client, user, level, text: log.append(text.split()[1])
desk.connect("127.0.0.1", int(sys.argv[1]))
desk.loop_start()
connected.get(timeout=10)
for qos in (1, 2):
    log.clear()
    desk.publish("closed/lamp", "on", qos)
    reason = told.get(timeout=10)
    print(f"QoS {qos}: {reason}; {', '.join(word for word in log if word.startswith('PUB'))}")
PY
timeout 100 venv/bin/python run.py "$port" | tee seen
diff - seen <<'EXPECTED'
QoS 1: Not authorized; PUBLISH, PUBACK
QoS 2: Success; PUBLISH, PUBREC, PUBREL, PUBCOMP
EXPECTED
