#!/usr/bin/env bash
# paho-mqtt 2.1.0 (PyPI), MQTT 5: a DISCONNECT that names its reason and carries no properties is reported as "Normal disconnection".
#
# What runs: a server of 25 lines accepts a client and ends the connection with reason 0x8B "Server shutting down": in two bytes, with
#   an empty list of properties, and with a reason string. `on_disconnect` prints what it is told.
# Expected: by MQTT 5.0 (sections 3.14.2.1 and 3.14.2.2.1) a DISCONNECT may end behind its reason; the properties then count as
#   empty. So 0x8B all three times.
# Seen: the reason is read only when the remaining length is above 2, that is when there is at least one property. Otherwise the
#   client is told that all went well.
# Output seen:
#   e0 01 8b: Normal disconnection
#   e0 02 8b 00: Normal disconnection
#   e0 07 8b 05 1f 00 02 61 62: Server shutting down
# Affected: programs that decide by the reason whether to come back ("taken over by another client" must not, "server busy" must
#   wait), and whoever reads their log. Mosquitto 2.0.11 sends the second form. Do not trust "Normal disconnection" in
#   `on_disconnect` while `disconnect_flags.is_disconnect_packet_from_server` is set.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check paho-mqtt==2.1.0
cat > run.py <<'PY'
import queue
import socket
import threading

import paho.mqtt.client as mqtt

listener = socket.create_server(("127.0.0.1", 0))
ends = [bytes([0xE0, 1, 0x8B]), bytes([0xE0, 2, 0x8B, 0]), bytes([0xE0, 7, 0x8B, 5, 0x1F, 0, 2]) + b"ab"]


def serve():
    for end in ends:
        client, _ = listener.accept()
        assert client.recv(1000)[0] == 0x10, "CONNECT, in one piece"
        client.sendall(bytes([0x20, 3, 0, 0, 0]))  # CONNACK
        client.sendall(end)
        client.close()


threading.Thread(target=serve, daemon=True).start()
for end in ends:
    told = queue.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
    client.on_disconnect = lambda client, user, flags, reason, properties: told.put((flags, reason))
    client.connect(*listener.getsockname())
    client.loop_start()
    flags, reason = told.get(timeout=20)
    assert flags.is_disconnect_packet_from_server
    print(f"{end.hex(' ')}: {reason}")
PY
timeout 60 venv/bin/python run.py | tee seen
diff - seen <<'EXPECTED'
e0 01 8b: Normal disconnection
e0 02 8b 00: Normal disconnection
e0 07 8b 05 1f 00 02 61 62: Server shutting down
EXPECTED
