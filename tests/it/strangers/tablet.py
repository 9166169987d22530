"""A tablet: Python's websockets. Prints the greeting, sets a colour, prints what it is sent until it is that colour.

    tablet.py HOST PORT COMMAND_ID R G B
"""
import asyncio
import json
import sys

import websockets

host, port, command = sys.argv[1], sys.argv[2], sys.argv[3]
r, g, b = map(int, sys.argv[4:7])


async def main():
    async with websockets.connect(f"ws://{host}:{port}/ws", proxy=None) as socket:
        for _ in range(3):
            print(await socket.recv())
        await socket.send(json.dumps({"type": "set", "cmdId": command, "src": "ui", "r": r, "g": g, "b": b}))
        while True:
            text = await asyncio.wait_for(socket.recv(), 20)
            print(text)
            seen = json.loads(text)
            if seen["type"] == "state" and (seen["r"], seen["g"], seen["b"]) == (r, g, b):
                return


asyncio.run(main())
