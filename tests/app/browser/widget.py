"""An Enttec DMX USB PRO at the far end of a pty, for browser tests: it takes frames and says when which light came.

Prints where it is plugged in, then a JSON object a frame: Unix milliseconds and channels 1 to 3. Asked for its parameters
(label 3 of Enttec's API) it answers with firmware 1.44, break 9, mark 1 and 40 frames a second.
"""
import json
import os
import pty
import sys
import time
import tty

PARAMETERS = bytes([0x7E, 3, 5, 0, 44, 1, 9, 1, 40, 0xE7])

far, near = pty.openpty()
tty.setraw(near)  # `near` stays open: a line that nobody has open reports its end
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
        if label == 3:
            os.write(far, PARAMETERS)
        if label == 6:
            print(json.dumps({"at": at, "rgb": list(body[1:4])}), flush=True)
    sys.stdout.flush()
