#!/usr/bin/env bash
# ray-cli 1.0.3 (PyPI): Art-Net universes that it says it accepts go out as other universes.
#
# What runs: `ray-cli artnet -u NET.SUBNET.UNIVERSE` in a network namespace; a UDP socket prints the port-address of the
#   first packet that arrives.
# Expected: `--help` says "Art-Net universe(s) to send to (range: 0.0.0-15.15.127)". Art-Net 4,
#   "Universe Addressing": the net has seven bits (0-127), the sub-net and the universe have four
#   each; so 16.0.0 is a legal address, and 0.0.100 must be refused.
# Seen: the limits of net and universe are exchanged in the help, neither is checked, and the encoder keeps four bits of
#   each number. Net 16 becomes net 0, and universe 100 becomes universe 4.
# Output seen:
#   -u 16.0.0 -> 0.0.0
#   -u 127.15.15 -> 15.15.15
#   -u 0.0.100 -> 0.0.4
# Affected: installations with more than 16 nets, and whoever takes the help by its word: the test look goes to lamps that
#   were not meant.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check ray-cli==1.0.3
cat > run.py <<'PY'
import socket
import subprocess

node = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
node.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # ray-cli binds the same port, on 0.0.0.0
node.bind(("127.0.0.2", 6454))
node.settimeout(10)
for universe in ("16.0.0", "127.15.15", "0.0.100"):
    subprocess.run(["venv/bin/ray-cli", "artnet", "--dst", "127.0.0.2", "-P", "1", "-q", "-u", universe], check=True, stdout=subprocess.DEVNULL)
    packet = node.recv(2048)
    print(f"-u {universe} -> {packet[15]}.{packet[14] >> 4}.{packet[14] & 15}", flush=True)
PY
unshare -n bash -c '
  ip link set lo up
  ip addr add 127.0.0.2/8 dev lo
  exec timeout 60 python3 run.py' | tee seen
diff - seen <<'EXPECTED'
-u 16.0.0 -> 0.0.0
-u 127.15.15 -> 15.15.15
-u 0.0.100 -> 0.0.4
EXPECTED
