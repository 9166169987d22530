#!/usr/bin/env bash
# oscpy 0.6.0 (PyPI): of the types that its table lists, blobs and None cannot be sent, and True goes out as the integer 1.
#
# What runs: `format_message` of oscpy with each type of its table `WRITERS`; python-osc 1.10.2 reads what comes out.
# Expected: the documentation of `oscpy.parser`: "bytearray (raw data) -> osc blob", and the table, which gives True the tag `T`, False `F`,
#   None `N` and bytearray `b`.
# Seen: a bytearray raises struct.error (the length is missing and the bytes are packed as numbers), None fails in an assertion that asks
#   whether the table's None is true, and a bool is found as an int first.
# Output seen:
#   float 0.5: 0.5
#   int 7: 7
#   bytes b'go': 'go'
#   True: 1
#   False: 0
#   None: AssertionError
#   bytearray(b'\x01\x02'): error
# Affected: Kivy apps that drive receivers which tell `T` from an integer (a blackout switch), or OLA's blobs. Use python-osc for these.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check oscpy==0.6.0 python-osc==1.10.2
cat > run.py <<'PY'
from oscpy.parser import format_message
from pythonosc.osc_message import OscMessage

for title, value in (
    ("float 0.5", 0.5), ("int 7", 7), ("bytes b'go'", b"go"), ("True", True), ("False", False), ("None", None),
    (repr(bytearray(b"\x01\x02")), bytearray(b"\x01\x02")),
):
    try:
        packet, _ = format_message(b"/x", [value])
        print(f"{title}: {OscMessage(packet).params[0]!r}")
    except Exception as error:
        print(f"{title}: {type(error).__name__}")
PY
venv/bin/python run.py | tee seen
diff - seen <<'EXPECTED'
float 0.5: 0.5
int 7: 7
bytes b'go': 'go'
True: 1
False: 0
None: AssertionError
bytearray(b'\x01\x02'): error
EXPECTED
