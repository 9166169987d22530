"""An Enttec DMX USB PRO at the far end of a pty, for browser tests: it takes frames and says when which light came.

Prints where it is plugged in, then a JSON object a frame: Unix milliseconds and channels 1 to 3.
It must never answer: dmxd uses a named port that stays silent, too.
"""
import json
import os
import pty
import sys
import time
import tty

far, near = pty.openpty()
tty.setraw(near)  # `near` stays open: a line that nobody has opened reports the end
print(os.ttyname(near), flush=True)
kept = b""
while data := os.read(far, 65536):
    at = time.time() * 1000
    kept += data
    while (start := kept.find(b"\x7e")) >= 0 and len(kept) >= start + 5:
        length = kept[start + 2] | kept[start + 3] << 8
        end = start + 5 + length
        if len(kept) < end:
            break
        label, body = kept[start + 1], kept[start + 4 : end - 1]
        kept = kept[end:]
        if label == 6:
            print(json.dumps({"at": at, "rgb": list(body[1:4])}), flush=True)
    sys.stdout.flush()
