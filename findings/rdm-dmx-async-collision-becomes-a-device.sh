#!/usr/bin/env bash
# rdm-dmx-async 1.0.1 (PyPI): when two fixtures answer a discovery at once, it reports a third one that does not exist.
#
# What runs: `ManchesterDiscoveryDecoder.decode` on the answers of two responders to DISC_UNIQUE_BRANCH, each alone and
#   then overlaid, as a line driver that wins with the high level shows them (bitwise OR).
# Expected: ANSI E1.20, section 7.5, "Discovery Unique Branch": the answer ends in a checksum, by which the controller tells
#   a single answer from a collision. The docstring of `decode` promises "6-byte UID if valid, None if collision or invalid".
# Seen: the checksum is decoded and never compared ("TODO: Validate checksum"). UIDs that differ in their last bits give
#   a UID made of both. `DiscoveryService` then tries to mute that phantom, up to five times with 0.5 s each, before it
#   divides the branch.
# Output seen:
#   alone: 7a7000000001
#   alone: 7a7000000006
#   both at once: 7a7000000007
# Affected: discovery on every line with several fixtures of one maker: 2.5 s more for each collision; and if the phantom's
#   UID is that of a muted fixture, which acknowledges, the branch counts as done and the two are never found.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-deps rdm-dmx-async==1.0.1
venv/bin/pip install --quiet --disable-pip-version-check pyserial==3.5
cat > run.py <<'PY'
from rdm_dmx_async.protocols.manchester_codec import ManchesterDiscoveryDecoder


def answer(uid):
    """E1.20, 7.5.1: seven bytes of preamble, a separator, the UID and its checksum, each byte once with 0xAA and once with 0x55."""
    encoded = [b | mask for b in bytes.fromhex(uid) for mask in (0xAA, 0x55)]
    checksum = sum(encoded).to_bytes(2, "big")
    encoded += [b | mask for b in checksum for mask in (0xAA, 0x55)]
    return bytes([0xFE] * 7 + [0xAA] + encoded)


def seen(data):
    uid = ManchesterDiscoveryDecoder().decode(data)
    return uid.hex() if uid else "none"


one, other = answer("7A7000000001"), answer("7A7000000006")
print("alone:", seen(one))
print("alone:", seen(other))
print("both at once:", seen(bytes(a | b for a, b in zip(one, other))))
PY
venv/bin/python run.py | tee seen
diff - seen <<'EXPECTED'
alone: 7a7000000001
alone: 7a7000000006
both at once: 7a7000000007
EXPECTED
