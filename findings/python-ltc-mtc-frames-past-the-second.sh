#!/usr/bin/env bash
# python-ltc 0.0.3 (PyPI): decoded MIDI time code runs to frame 24 and 25 of a second that has frames 0 to 23.
#
# What runs: `MTCDataBlock` decodes the eight quarter-frame messages of the times 01:02:03 and 23:59:59, frames 20 and 22, at 24 fps.
# Expected: MIDI 1.0, "MIDI Time Code": the eight messages take two frames, so a receiver adds two frames to the time that it
#   decoded, with carry: 01:02:03:22 becomes 01:02:04:00.
# Seen: the library adds the two to the frames alone. At the end of each second two times come out that do not exist, and then the clock
#   steps back by a second less two frames.
# Output seen:
#   01:02:03:20 -> 01:02:03:22
#   01:02:03:22 -> 01:02:03:24
#   23:59:59:22 -> 23:59:59:24
# Affected: shows that chase MIDI time code with it: cues on the first two frames of a second are late or missed. Subtract two frames from
#   `frame` and add them to the total.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-deps python-ltc==0.0.3
cat > run.py <<'PY'
from pyltc.mtc import MTCDataBlock


def quarter_frames(hours, minutes, seconds, frames, rate=0):  # rate 0: 24 fps
    nibbles = [frames & 15, frames >> 4, seconds & 15, seconds >> 4, minutes & 15, minutes >> 4, hours & 15, rate << 1 | hours >> 4]
    return [byte for piece, nibble in enumerate(nibbles) for byte in (0xF1, piece << 4 | nibble)]


for time in ((1, 2, 3, 20), (1, 2, 3, 22), (23, 59, 59, 22)):
    block = MTCDataBlock()
    block.decode(quarter_frames(*time))
    print(":".join(f"{part:02}" for part in time), "->", block)
PY
venv/bin/python run.py | tee seen
diff - seen <<'EXPECTED'
01:02:03:20 -> 01:02:03:22
01:02:03:22 -> 01:02:03:24
23:59:59:22 -> 23:59:59:24
EXPECTED
