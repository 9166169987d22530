#!/usr/bin/env bash
# micropython-umqtt-simple 1.3.4 (PyPI) with mosquitto 2.0.11 (Debian 12): a topic with an umlaut arrives as another topic, and
#   what the board says after it does not arrive.
#
# What runs: umqtt.simple, on CPython with the sockets and module names of a board, publishes to `stage/lamp`, to
#   `bühne/lampe`, and to `stage/lamp` again; a desk (paho-mqtt 2.1.0) listens to everything.
# Expected: MQTT 3.1.1, section 1.5.3: a string is "prefixed with a two byte length field that gives the number of bytes in a UTF-8
#   encoded string itself"; topics are UTF-8 strings, so `bühne/lampe` is a good one.
# Seen: the length is `len(text)`, which in Python and MicroPython counts characters, and the remaining length is made of it too. Each
#   letter beyond ASCII moves the rest by a byte or more: the end of the topic goes to the payload, and the end of the payload is read
#   as the next packet.
# Output seen:
#   stage/lamp: on
#   bühne/lamp: eo
#   stage/lamp, again: nothing
# Affected: boards whose topics, client ids or payloads given as str hold letters beyond ASCII. Give bytes: "bühne/lampe".encode().
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
# Its package holds modules for a board and no setup.py: pip takes it apart, finds nothing to build, and leaves it there.
mkdir apart umqtt
TMPDIR="$tmp/apart" venv/bin/pip download --quiet --disable-pip-version-check --no-clean --no-deps --no-binary :all: \
  --dest apart micropython-umqtt-simple==1.3.4 2> /dev/null || true
find apart -path '*/micropython-umqtt-*/umqtt/simple.py' -exec cp {} umqtt/ \;
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" > conf
"$mosquitto" -c conf 2> /dev/null &
broker=$!
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2> /dev/null; do sleep 0.05; done
cat > run.py <<'PY'
import binascii
import queue
import socket
import struct
import sys
import types

import paho.mqtt.client as mqtt


class Stream:
    """A socket as MicroPython has it: what is read is whole, what is written may be text, and a part of it."""

    def __init__(self):
        self.socket = socket.socket()

    def connect(self, address):
        self.socket.connect(address)

    def setblocking(self, blocks):
        assert blocks

    def read(self, count):
        return self.socket.recv(count, socket.MSG_WAITALL)

    def write(self, data, count=None):
        self.socket.sendall(bytes(data.encode() if isinstance(data, str) else data)[:count])


sys.modules["usocket"] = types.SimpleNamespace(socket=Stream, getaddrinfo=socket.getaddrinfo)
sys.modules["ustruct"], sys.modules["ubinascii"] = struct, binascii
from umqtt.simple import MQTTClient  # noqa: E402

port = int(sys.argv[1])

heard, ready = queue.Queue(), queue.Queue()
desk = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="desk")
desk.on_connect = lambda *_: desk.subscribe("#")
desk.on_subscribe = lambda *_: ready.put(None)
desk.on_message = lambda client, user, message: heard.put(f"{message.topic}: {message.payload.decode()}")
desk.connect("127.0.0.1", port)
desk.loop_start()
ready.get(timeout=10)
board = MQTTClient("board", "127.0.0.1", port)
board.connect()
for topic in ("stage/lamp", "bühne/lampe"):
    board.publish(topic, "on")
    print(heard.get(timeout=10))
board.publish("stage/lamp", "off")
try:
    print(heard.get(timeout=3))
except queue.Empty:
    print("stage/lamp, again: nothing")
PY
timeout 100 venv/bin/python run.py "$port" | tee seen
diff - seen <<'EXPECTED'
stage/lamp: on
bühne/lamp: eo
stage/lamp, again: nothing
EXPECTED
