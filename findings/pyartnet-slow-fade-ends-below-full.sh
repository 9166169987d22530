#!/usr/bin/env bash
# pyartnet 2.0 (PyPI): a slow fade to 255 with an output correction ends at 254 and stays there, though it says 255.
#
# What runs: five channels with no correction and with each of the library's four, fade from 0 to 255 in 1000 steps (10 s at 100 frames a
#   second; the same as 40 s at the default of 25); a UDP socket keeps the last Art-Net packet, also from the repeats two seconds later.
# Expected: a fade ends at its target, and 255 corrected is 255 (255⁴ / 255³). `get_values()` and the wire agree.
# Seen: `LinearFade` calls itself done as soon as the rounded value is 255, which is above 254.5; that unrounded value is what gets
#   corrected and sent last. Short fades end at 255, since their steps are longer than half a level.
# Output seen:
#   none: 255 on the wire, get_values() 255
#   linear: 255 on the wire, get_values() 255
#   quadratic: 254 on the wire, get_values() 255
#   cubic: 254 on the wire, get_values() 255
#   quadruple: 254 on the wire, get_values() 255
# Affected: sunrise lamps and slow house lights; a channel whose 255 has a meaning of its own (shutter open, lamp on) never gets it. Call
#   `channel.set_values([255])` after the fade.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyartnet==2.0
cat > run.py <<'PY'
import asyncio

from pyartnet import ArtNetNode, output_correction

CORRECTIONS = {"none": None} | {n: getattr(output_correction, n) for n in ("linear", "quadratic", "cubic", "quadruple")}
packets = []


class Receiver(asyncio.DatagramProtocol):
    def datagram_received(self, data, addr):
        packets.append(data)


async def main():
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    node = ArtNetNode.create("127.0.0.1", transport.get_extra_info("sockname")[1], max_fps=100)
    async with node:
        universe = node.add_universe(0)
        channels = {}
        for start, (name, correction) in enumerate(CORRECTIONS.items(), 1):
            channels[name] = universe.add_channel(start=start, width=1)
            channels[name].set_output_correction(correction)
        for channel in channels.values():
            channel.set_fade([255], 10_000)
        for channel in channels.values():
            await channel
        await asyncio.sleep(5)  # the repeats
        for start, (name, channel) in enumerate(channels.items()):
            print(f"{name}: {packets[-1][18 + start]} on the wire, get_values() {channel.get_values()[0]}")

asyncio.run(main())
PY
timeout 90 venv/bin/python run.py | tee seen
diff - seen <<'EXPECTED'
none: 255 on the wire, get_values() 255
linear: 255 on the wire, get_values() 255
quadratic: 254 on the wire, get_values() 255
cubic: 254 on the wire, get_values() 255
quadruple: 254 on the wire, get_values() 255
EXPECTED
