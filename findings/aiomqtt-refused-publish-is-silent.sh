#!/usr/bin/env bash
# aiomqtt 2.5.1 (PyPI), MQTT 5, with mosquitto 2.0.11 (Debian 12): `await client.publish(...)` ends well when the broker has refused it.
#
# What runs: the broker with an access list that lets nobody write outside of `open/`, on a free loopback port. aiomqtt and paho-mqtt
#   2.1.0, on which it is built, publish to `closed/lamp` at QoS 1.
# Expected: by MQTT 5.0 (section 4.13.2, table 2-6) PUBACK with 0x87 means that the message was not accepted. The library's page says
#   that errors are raised, and that there are no return codes to look at.
# Seen: PUBACK ends the waiting, whatever it says; the reason code that paho hands over is not looked at, and `publish` gives None.
# Output seen:
#   paho: Not authorized
#   aiomqtt at QoS 1: None, no exception
#   aiomqtt at QoS 2: None, no exception
# Affected: services that send cues with aiomqtt to a broker with rights: a typing error in a topic or a missing right is never seen.
#   Read the topic back, or use paho's `on_publish`.
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
venv/bin/pip install --quiet --disable-pip-version-check aiomqtt==2.5.1 paho-mqtt==2.1.0
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'topic read #\ntopic write open/#\n' > rights
printf 'listener %s 127.0.0.1\nallow_anonymous true\nacl_file %s/rights\nuser %s\n' "$port" "$tmp" "$(id -un)" > conf
"$mosquitto" -c conf 2> /dev/null &
broker=$!
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2> /dev/null; do sleep 0.05; done
cat > run.py <<'PY'
import asyncio
import queue
import sys

import aiomqtt
import paho.mqtt.client as mqtt

port, told = int(sys.argv[1]), queue.Queue()
desk = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="desk", protocol=mqtt.MQTTv5)
desk.on_publish = lambda client, user, mid, reason, properties: told.put(reason)
desk.on_connect = lambda *_: desk.publish("closed/lamp", "on", 1)
desk.connect("127.0.0.1", port)
desk.loop_start()
print("paho:", told.get(timeout=10))


async def main():
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        for qos in (1, 2):
            try:
                print(f"aiomqtt at QoS {qos}:", await client.publish("closed/lamp", "on", qos=qos), end=", no exception\n")
            except aiomqtt.MqttError as error:
                print(f"aiomqtt at QoS {qos}:", error)


asyncio.run(main())
PY
timeout 100 venv/bin/python run.py "$port" | tee seen
diff - seen <<'EXPECTED'
paho: Not authorized
aiomqtt at QoS 1: None, no exception
aiomqtt at QoS 2: None, no exception
EXPECTED
