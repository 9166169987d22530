#!/usr/bin/env bash
# rdm-dmx-async 1.0.1 (PyPI): it names every manufacturer parameter wrongly: "GET only" is called "SET only".
#
# What runs: `command_class_name` of the package for the three values that a device may report in the command class of
#   PARAMETER_DESCRIPTION; the constants of libola-dev 0.10.9 (Debian 12) are printed beside it.
# Expected: ANSI E1.20, Table A-16 "Command Class Defines": CC_GET 0x01, CC_SET 0x02, CC_GET_SET 0x03.
# Seen: the package counts from 0 (and cites another table). A read-only parameter (a sensor, a serial number) is shown as
#   writable only, a write-only one as both, and the usual case, 0x03, as unknown.
# Output seen:
#   0x01: E1.20 says CC_GET, rdm-dmx-async says SET only
#   0x02: E1.20 says CC_SET, rdm-dmx-async says GET and SET
#   0x03: E1.20 says CC_GET_SET, rdm-dmx-async says Unknown (0x03)
# Affected: RDM tools on this library that build their forms from what devices describe.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
apt-get -qq download libola-dev 2>/dev/null || { apt-get -qq update && apt-get -qq download libola-dev 2>/dev/null; }
dpkg-deb -f libola-dev_*.deb Version | grep -q '^0\.10\.9'
dpkg-deb -x libola-dev_*.deb .
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-deps rdm-dmx-async==1.0.1
venv/bin/pip install --quiet --disable-pip-version-check pyserial==3.5
cat > run.py <<'PY'
import re

from rdm_dmx_async.domain.parameters import command_class_name

header = open("usr/include/ola/rdm/RDMEnums.h").read()
for name, value in re.findall(r"\b(CC_GET|CC_SET|CC_GET_SET) = (0x0\d)", header):
    print(f"{value}: E1.20 says {name}, rdm-dmx-async says {command_class_name(int(value, 16))}")
PY
venv/bin/python run.py | tee seen
diff - seen <<'EXPECTED'
0x01: E1.20 says CC_GET, rdm-dmx-async says SET only
0x02: E1.20 says CC_SET, rdm-dmx-async says GET and SET
0x03: E1.20 says CC_GET_SET, rdm-dmx-async says Unknown (0x03)
EXPECTED
