"""Patches the last mode of 50 definitions in QLC+, and says what QLC+ takes each channel for: one line of JSON a fixture.

A line: {"file", "mode", "channels": ["0.#FF0000" for red, "4" for pan ...]}. QLC+ runs without a window, and in a network of its
own: the port of its web door cannot be chosen.
"""

import asyncio
import json
import os
import pathlib
import random
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import websockets

NS = "{http://www.qlcplus.org/FixtureDefinition}"
FIXTURES = 50


def patched():
    """Fixtures one behind the other, from the second universe on when the first is full."""
    files = sorted(pathlib.Path("/usr/share/qlcplus/fixtures").glob("*/*.qxf"))
    universe, address = 0, 0
    for path in random.Random(7).sample(files, FIXTURES):
        root = ET.parse(path).getroot()
        mode = root.findall(NS + "Mode")[-1]
        count = len(mode.findall(NS + "Channel"))
        if address + count > 512:
            universe, address = universe + 1, 0
        yield {
            "file": str(path), "maker": root.find(NS + "Manufacturer").text, "model": root.find(NS + "Model").text,
            "mode": mode.get("Name"), "universe": universe, "address": address, "count": count,
        }
        address += count


def workspace(fixtures):
    listed = "".join(
        f"<Fixture><Manufacturer>{escape(one['maker'])}</Manufacturer><Model>{escape(one['model'])}</Model>"
        f"<Mode>{escape(one['mode'])}</Mode><ID>{n}</ID><Name>f{n}</Name><Universe>{one['universe']}</Universe>"
        f"<Address>{one['address']}</Address><Channels>{one['count']}</Channels></Fixture>"
        for n, one in enumerate(fixtures)
    )
    universes = "".join(f'<Universe Name="U{n}" ID="{n}"/>' for n in range(fixtures[-1]["universe"] + 1))
    return (
        '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE Workspace><Workspace xmlns="http://www.qlcplus.org/Workspace">'
        f"<Engine><InputOutputMap>{universes}</InputOutputMap>{listed}</Engine></Workspace>"
    )


async def connect():
    end = time.monotonic() + 30
    while True:
        try:
            return await websockets.connect("ws://127.0.0.1:9999/qlcplusWS", max_size=None)
        except OSError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


async def ask(fixtures):
    async with await connect() as socket:
        for universe in range(fixtures[-1]["universe"] + 1):
            await socket.send(f"QLC+API|getChannelsValues|{universe + 1}|1|512")
            said = ""
            while "getChannelsValues" not in said:
                said = await asyncio.wait_for(socket.recv(), 10)
            words = said.split("|")[2:]
            groups = words[2::3]
            for one in fixtures:
                if one["universe"] == universe:
                    channels = groups[one["address"]:one["address"] + one["count"]]
                    print(json.dumps({"file": one["file"], "mode": one["mode"], "channels": channels}), flush=True)


def main():
    # argv[1:3] are an address, which nobody here needs
    folder = pathlib.Path(sys.argv[3])
    fixtures = list(patched())
    (folder / "patch.qxw").write_text(workspace(fixtures))
    settings = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(folder)}
    command = ["qlcplus", "-n", "-w", "-o", str(folder / "patch.qxw")]
    program = subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(ask(fixtures))
    finally:
        program.kill()
        program.wait()


if "DMXD_INSIDE" in os.environ:
    main()
else:
    inside = 'ip link set lo up && exec "$@"'
    os.environ["DMXD_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "-rn", "sh", "-c", inside, "sh", sys.executable, *sys.argv])
