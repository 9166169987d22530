#!/usr/bin/env bash
# aioartnet 0.2.1 (PyPI): each time a node changes its name, it gets every frame once more.
#
# What runs: an aioartnet client that publishes universe 0:0:1, and a node (a UDP socket that answers with ArtPollReply), both
#   on port 6454 of a network namespace. The node changes its name twice; after each change the client sets one frame.
# Expected: Art-Net 4, "ArtDmx": the controller unicasts each frame to each node that subscribes to the universe. A node may be
#   renamed at any time (ArtAddress) and stays the same node: same IP address, same bind index, same port.
# Seen: aioartnet makes a new node object for the new name, whose ports it adds to the subscribers of the universe; the old
#   object stays there for ever. After one renaming each frame comes twice with the same sequence number, after two three times.
# Output seen:
#   named A: 1 copy of the frame, 1 sequence number
#   named B: 2 copies of the frame, 1 sequence number
#   named C: 3 copies of the frame, 1 sequence number
# Affected: networks where nodes are named during set-up, or put a counter or temperature into their name: the load grows with
#   each change until the controller is restarted.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aioartnet==0.2.1
cat > run.py <<'PY'
import asyncio
import socket

from aioartnet import ArtNetClient

ID = b"Art-Net\0"


def poll_reply(name):
    reply = bytearray(239)
    reply[0:10] = ID + b"\x00\x21"
    reply[10:14] = socket.inet_aton("127.0.0.2")
    reply[14:16] = (6454).to_bytes(2, "little")
    reply[26:26 + len(name)] = name.encode()
    reply[44:44 + len(name)] = name.encode()
    reply[173] = 1        # NumPorts
    reply[174] = 0x80     # PortTypes: output from the network
    reply[190] = 1        # SwOut
    reply[207:211] = reply[10:14]
    reply[211] = 1        # BindIndex
    return bytes(reply)


class Node(asyncio.DatagramProtocol):
    name = "A"
    frames = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if data[8:10] == b"\x00\x20":
            self.transport.sendto(poll_reply(self.name), ("127.0.0.1", 6454))
        elif data[8:10] == b"\x00\x50":
            self.frames.append(data)


async def main():
    loop = asyncio.get_running_loop()
    _, node = await loop.create_datagram_endpoint(Node, local_addr=("127.0.0.2", 6454))
    client = ArtNetClient()
    client.unicast_ip = client.listen_ip = "127.0.0.1"
    client.broadcast_ip = "127.0.0.2"
    await client.connect()
    universe = client.set_port_config("0:0:1", is_input=True)
    for level, name in enumerate("ABC", 1):
        node.name = name
        while not any(n.portName == name for n in client.nodes.values()):
            await asyncio.sleep(0.1)
        universe.set_dmx(bytes([level]) * 512)
        await asyncio.sleep(0.5)  # shorter than the second after which the client repeats a frame
        copies = [f for f in node.frames if f[18] == level]
        sequences = len({f[12] for f in copies})
        print(f"named {name}: {len(copies)} {'copy' if len(copies) == 1 else 'copies'} of the frame, {sequences} sequence number")

asyncio.run(main())
PY
unshare -n bash -c 'ip link set lo up && exec timeout 60 venv/bin/python run.py' | tee seen
diff - seen <<'EXPECTED'
named A: 1 copy of the frame, 1 sequence number
named B: 2 copies of the frame, 1 sequence number
named C: 3 copies of the frame, 1 sequence number
EXPECTED
