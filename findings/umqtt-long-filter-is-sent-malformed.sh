#!/usr/bin/env bash
# micropython-umqtt-simple 1.3.4 (PyPI) with mosquitto 2.0.11 (Debian 12): a filter of 123 bytes or more cannot be subscribed to; the
#   connection ends.
#
# What runs: umqtt.simple, on CPython with the sockets and module names of a board, subscribes to filters of 122, 123 and 250 bytes, each
#   on a new connection.
# Expected: by MQTT 3.1.1 (section 2.2.3) a remaining length above 127 takes more than one byte, and a filter may have up to 65,535
#   bytes (section 4.7.3). `publish` of the same client counts rightly.
# Seen: `subscribe` writes the remaining length into one byte. From 128 on its highest bit says that another byte follows, so the packet id
#   is read as part of the length, and the broker finds no SUBSCRIBE that it could answer.
# Output seen:
#   122 bytes: subscribed
#   123 bytes: the broker closes
#   250 bytes: the broker closes
# Affected: boards in houses with long names of zones and fixtures in their topics (Home Assistant's discovery topics of a node with a long
#   id). Subscribe to a shorter filter with wildcards.
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
import errno
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

for length in (122, 123, 250):
    board = MQTTClient("board", "127.0.0.1", port)
    board.set_callback(print)
    board.connect()
    board.sock.socket.settimeout(10)
    try:
        board.subscribe("x" * length, 1)
        print(f"{length} bytes: subscribed")
    except OSError as error:
        assert error.args[0] in (-1, errno.ECONNRESET), error
        print(f"{length} bytes: the broker closes")
PY
timeout 100 venv/bin/python run.py "$port" | tee seen
diff - seen <<'EXPECTED'
122 bytes: subscribed
123 bytes: the broker closes
250 bytes: the broker closes
EXPECTED
