#!/usr/bin/env bash
# stageparser 0.3.0 (PyPI): a fixture with two DMX addresses is patched twice on its first one; lamps on a pipe are not listed.
#
# What runs: `stageparser --patch` on an MVR file made here: one fixture whose dimmer (break 1) is at 1.10 and whose pixels
#   (break 2) are at 3.100, and a second fixture at 2.1 that hangs on a pipe (a SceneObject with a ChildList).
# Expected: MVR (DIN SPEC 15801), `Address`: the attribute `break` says which channels of the GDTF mode start at this address;
#   `SceneObject` may have a `ChildList` with fixtures. README: "Output minimal DMX patch list ordered by address".
# Seen: the patch list adds every offset to the first address, whatever its break, so two channels claim 1.10, and nothing is
#   at 3.100. Only groups and trusses are searched for lamps; the one on the pipe is missing, and nothing is reported.
# Output seen:
#   1.10 Dimmer bar
#   1.10 ColorAdd_R bar
#   1.11 ColorAdd_G bar
#   1.12 ColorAdd_B bar
# Affected: whoever takes the patch of a venue from this list. Use pymvr and pygdtf, and add each offset to the address that has the
#   channel's break.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python=
for candidate in python3 python3.12 python3.13 python3.14 "$HOME"/.pyenv/versions/3.1[2-9]*/bin/python; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then python=$candidate; fi
done
[ -n "$python" ] || { echo 'needs Python 3.12 or later' >&2; exit 1; }
"$python" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check stageparser==0.3.0 pymvr==1.0.7 pygdtf==1.4.5
cat > make.py <<'PY'
import zipfile

PLACE = "{1,0,0,0}{0,1,0,0}{0,0,1,0}{0,0,0,1}"


def channel(dmx_break, offset, attribute):
    return f"""<DMXChannel DMXBreak="{dmx_break}" Offset="{offset}" Highlight="255/1" Geometry="Body"
      InitialFunction="Body_{attribute}.{attribute}.{attribute} 1"><LogicalChannel Attribute="{attribute}" Snap="No" Master="None"
      MibFade="0" DMXChangeTimeLimit="0"><ChannelFunction Name="{attribute} 1" Attribute="{attribute}" OriginalAttribute=""
      DMXFrom="0/1" Default="0/1" PhysicalFrom="0" PhysicalTo="1" RealFade="0" RealAcceleration="0"/></LogicalChannel></DMXChannel>"""


description = f"""<?xml version="1.0" encoding="UTF-8"?>
<GDTF DataVersion="1.2"><FixtureType Name="Bar" ShortName="Bar" LongName="Bar" Manufacturer="Any" Description=""
  FixtureTypeID="4E7A5B0C-3D5E-4F7B-9C57-0A6B0E6C1D2F" Thumbnail="">
<AttributeDefinitions><FeatureGroups><FeatureGroup Name="Dimmer" Pretty="Dimmer"><Feature Name="Dimmer"/></FeatureGroup></FeatureGroups>
  <Attributes><Attribute Name="Dimmer" Pretty="Dim" Feature="Dimmer.Dimmer"/></Attributes></AttributeDefinitions>
<Geometries><Geometry Name="Body" Position="{PLACE}"/></Geometries>
<DMXModes><DMXMode Name="Default" Geometry="Body"><DMXChannels>
  {channel(1, 1, "Dimmer")}{channel(2, 1, "ColorAdd_R")}{channel(2, 2, "ColorAdd_G")}{channel(2, 3, "ColorAdd_B")}
</DMXChannels></DMXMode></DMXModes></FixtureType></GDTF>"""


def fixture(name, number, addresses):
    return f"""<Fixture name="{name}" uuid="00000000-0000-4000-8000-00000000000{number}"><GDTFSpec>Any@Bar.gdtf</GDTFSpec>
      <GDTFMode>Default</GDTFMode><Addresses>{addresses}</Addresses><FixtureID>{number}</FixtureID><UnitNumber>{number}</UnitNumber>
      <FixtureTypeId>0</FixtureTypeId><CustomId>0</CustomId></Fixture>"""


bar = fixture("bar", 1, '<Address break="1">10</Address><Address break="2">1124</Address>')
pipe = fixture("on the pipe", 2, '<Address break="1">513</Address><Address break="2">514</Address>')
scene = f"""<?xml version="1.0" encoding="UTF-8"?>
<GeneralSceneDescription verMajor="1" verMinor="6" provider="test" providerVersion="1"><Scene><Layers>
<Layer name="stage" uuid="00000000-0000-4000-8000-0000000000a1"><ChildList>{bar}
<SceneObject name="pipe" uuid="00000000-0000-4000-8000-0000000000a2"><Geometries/><ChildList>{pipe}</ChildList></SceneObject>
</ChildList></Layer></Layers></Scene></GeneralSceneDescription>"""

with zipfile.ZipFile("Any@Bar.gdtf", "w") as archive:
    archive.writestr("description.xml", description)
with zipfile.ZipFile("venue.mvr", "w") as archive:
    archive.writestr("GeneralSceneDescription.xml", scene)
    archive.write("Any@Bar.gdtf")
PY
venv/bin/python make.py
venv/bin/stageparser --patch -f json venue.mvr > patch.json
venv/bin/python -c '
import json
for row in json.load(open("patch.json")):
    print("{universe}.{dmx_address} {attribute} {fixture}".format(**row))' | tee seen
diff - seen <<'EXPECTED'
1.10 Dimmer bar
1.10 ColorAdd_R bar
1.11 ColorAdd_G bar
1.12 ColorAdd_B bar
EXPECTED
