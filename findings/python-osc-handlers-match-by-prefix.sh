#!/usr/bin/env bash
# circuitpython-microosc 0.6 and osc4py3 1.0.8 (PyPI): the handler of `/dmx/1` is also called for `/dmx/10` and `/dmx/100`.
#
# What runs: a receiver of each library on a free UDP port of the loopback interface, with handlers for `/dmx/1` and
#   `/dmx/10`; their own clients send plain messages without pattern characters.
# Expected: OSC 1.0, "OSC Message Dispatching and Pattern Matching": an address without pattern characters names exactly
#   one method. Neither library's documentation speaks of prefixes (osc4py3's says that it follows the OSC patterns).
# Seen: microosc asks `address.startswith(key)`; osc4py3 appends `.*` to every filter. A move of channel 10 or 100 also
#   moves channel 1.
# Output seen:
#   microosc /dmx/10 -> /dmx/1 /dmx/10
#   microosc /dmx/100 -> /dmx/1 /dmx/10
#   osc4py3 /dmx/10 -> /dmx/1 /dmx/10
#   osc4py3 /dmx/100 -> /dmx/1 /dmx/10
# Affected: microcontroller lamps and show scripts with numbered channels (10 and more). Until it is mended, number with
#   leading zeros (`/dmx/001`), or compare the whole address in the handler.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-deps circuitpython-microosc==0.6 osc4py3==1.0.8
cat > run.py <<'PY'
import socket
import time

import microosc
from osc4py3 import oscbuildparse
from osc4py3.as_eventloop import osc_method, osc_process, osc_startup, osc_terminate, osc_udp_server

ADDRESSES = ["/dmx/1", "/dmx/10"]
MESSAGES = ["/dmx/10", "/dmx/100"]

hits = []
handlers = {a: (lambda message, a=a: hits.append(a)) for a in ADDRESSES}
server = microosc.OSCServer(socket, "127.0.0.1", 0, handlers)
server._sock.settimeout(5)  # only so that poll() waits for the datagram
client = microosc.OSCClient(socket, "127.0.0.1", server._sock.getsockname()[1])
for address in MESSAGES:
    hits.clear()
    client.send(microosc.OscMsg(address, [1.0], ("f",)))
    server.poll()
    print("microosc", address, "->", *hits)

free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
free.bind(("127.0.0.1", 0))
port = free.getsockname()[1]
free.close()
osc_startup()
osc_udp_server("127.0.0.1", port, "in")
for a in ADDRESSES:
    osc_method(a, lambda *_, a=a: hits.append(a))
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for address in MESSAGES:
    hits.clear()
    raw = oscbuildparse.encode_packet(oscbuildparse.OSCMessage(address, ",f", [1.0]))
    out.sendto(raw, ("127.0.0.1", port))
    end = time.monotonic() + 5
    while not hits and time.monotonic() < end:
        osc_process()
    print("osc4py3", address, "->", *sorted(hits))
osc_terminate()
PY
timeout 60 venv/bin/python run.py | tee seen
diff - seen <<'EXPECTED'
microosc /dmx/10 -> /dmx/1 /dmx/10
microosc /dmx/100 -> /dmx/1 /dmx/10
osc4py3 /dmx/10 -> /dmx/1 /dmx/10
osc4py3 /dmx/100 -> /dmx/1 /dmx/10
EXPECTED
