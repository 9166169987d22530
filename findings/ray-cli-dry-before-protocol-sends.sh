#!/usr/bin/env bash
# ray-cli 1.0.3 (PyPI): `ray-cli --dry --dst ADDRESS artnet` is neither dry nor sent to that address: it broadcasts DMX.
#
# What runs: `ray-cli` in a network namespace with a veth pair; a raw socket on the far end counts the Art-Net packets.
#   First the options stand before the protocol, then behind it.
# Expected: the usage line, which places these options before the protocol:
#   `usage: ray-cli [--src SRC] [--dst DST] … [-P PACKETS | -d DURATION] … [--dry] … PROTOCOL ...`; `--help` says
#   "--dry  simulate outputs without broadcast".
# Seen: the parser of the subcommand repeats every option and overwrites what was given before it with its defaults, and
#   nothing is reported: `--dry`, `--dst` and `-P` have an effect only behind the protocol.
# Output seen:
#   before the protocol: destination MULTICAST, packets on the wire: some, to 255.255.255.255
#   behind the protocol: destination 10.77.0.9, packets on the wire: none
# Affected: whoever rehearses a command on a network with a running show. Write every option behind the protocol.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check ray-cli==1.0.3
cat > run.py <<'PY'
import re
import socket
import subprocess
import threading
import time

seen = set()
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("far", 0))

def listen():
    while True:
        packet = wire.recv(2048)
        at = packet.find(b"Art-Net\0\0P")
        if at > 0:
            seen.add(socket.inet_ntoa(packet[30:34]))

threading.Thread(target=listen, daemon=True).start()

def run(title, *arguments):
    seen.clear()
    process = subprocess.Popen(["venv/bin/ray-cli", *arguments], stdout=open("out", "w"), stderr=subprocess.STDOUT)
    try:
        process.wait(5)  # the one that is not dry has forgotten `-P` too and would go on for ever
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
    time.sleep(0.2)
    destination = re.search(r"destination: ([A-Z0-9.]*[A-Z0-9])", open("out").read()).group(1)
    packets = "some, to " + " ".join(sorted(seen)) if seen else "none"
    print(f"{title} the protocol: destination {destination}, packets on the wire: {packets}", flush=True)

run("before", "--dry", "--dst", "10.77.0.9", "-P", "2", "artnet", "-u", "0.0.3")
run("behind", "artnet", "--dry", "--dst", "10.77.0.9", "-P", "2", "-u", "0.0.3")
PY
unshare -n bash -c '
  ip link set lo up
  ip link add near type veth peer name far
  ip addr add 10.77.0.1/24 brd + dev near
  ip link set near up
  ip link set far up
  ip route add default dev near
  exec timeout 60 python3 run.py' | tee seen
diff - seen <<'EXPECTED'
before the protocol: destination MULTICAST, packets on the wire: some, to 255.255.255.255
behind the protocol: destination 10.77.0.9, packets on the wire: none
EXPECTED
