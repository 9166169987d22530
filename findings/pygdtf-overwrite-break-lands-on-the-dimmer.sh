#!/usr/bin/env bash
# pygdtf 1.4.5 (PyPI): channels with DMX break "Overwrite" land on break 1, and channels that were there disappear.
#
# What runs: pygdtf reads a small GDTF file made here: a body with a 16-bit dimmer on DMX break 1, and a pixel geometry with
#   red, green and blue on break "Overwrite", which is referenced twice: on break 2 with the offsets 1 and 4.
# Expected: GDTF (DIN SPEC 15800), DMXChannel, `DMXBreak`: 'Special value "Overwrite" – means that this number will be overwritten
#   by Geometry Reference'. So the dimmer has break 1, channels 1 and 2, and the pixels have break 2, channels 1 to 6.
# Seen: pygdtf first takes the break of the reference, and then, in an `if` that was meant as the other case, replaces the
#   channel by a copy with break 1. The first pixel's red takes the place of the dimmer, and the mode has 6 channels instead of 8.
#   Had both breaks been written as numbers, all would be right (last lines).
# Output seen: the two blocks at the end of this file.
# Affected: programs that patch by pygdtf: fixtures with two DMX addresses (LED matrix lights, hybrids with a pixel engine) have
#   no dimmer, and their pixels answer at the wrong address.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pygdtf==1.4.5
cat > run.py <<'PY'
import zipfile

import pygdtf

PLACE = "{1,0,0,0}{0,1,0,0}{0,0,1,0}{0,0,0,1}"


def channel(dmx_break, offset, attribute, geometry):
    return f"""<DMXChannel DMXBreak="{dmx_break}" Offset="{offset}" Highlight="255/1" Geometry="{geometry}"
      InitialFunction="{geometry}_{attribute}.{attribute}.{attribute} 1"><LogicalChannel Attribute="{attribute}" Snap="No"
      Master="None" MibFade="0" DMXChangeTimeLimit="0"><ChannelFunction Name="{attribute} 1" Attribute="{attribute}"
      OriginalAttribute="" DMXFrom="0/1" Default="0/1" PhysicalFrom="0" PhysicalTo="1" RealFade="0" RealAcceleration="0"/>
      </LogicalChannel></DMXChannel>"""


def write(path, pixel_break):
    colours = ("ColorAdd_R", "ColorAdd_G", "ColorAdd_B")
    references = "".join(
        f'<GeometryReference Name="Pixel {n}" Geometry="Pixel" Position="{PLACE}"><Break DMXOffset="{offset}" DMXBreak="2"/></GeometryReference>'
        for n, offset in ((1, 1), (2, 4))
    )
    description = f"""<?xml version="1.0" encoding="UTF-8"?>
    <GDTF DataVersion="1.2"><FixtureType Name="Bar" ShortName="Bar" LongName="Bar" Manufacturer="Any" Description=""
      FixtureTypeID="4E7A5B0C-3D5E-4F7B-9C57-0A6B0E6C1D2F" Thumbnail="">
    <AttributeDefinitions><FeatureGroups><FeatureGroup Name="Dimmer" Pretty="Dimmer"><Feature Name="Dimmer"/></FeatureGroup>
      <FeatureGroup Name="Color" Pretty="Color"><Feature Name="RGB"/></FeatureGroup></FeatureGroups>
      <Attributes><Attribute Name="Dimmer" Pretty="Dim" Feature="Dimmer.Dimmer"/>
      {"".join(f'<Attribute Name="{c}" Pretty="{c[-1]}" Feature="Color.RGB"/>' for c in colours)}</Attributes></AttributeDefinitions>
    <Geometries><Geometry Name="Body" Position="{PLACE}">{references}</Geometry><Geometry Name="Pixel" Position="{PLACE}"/></Geometries>
    <DMXModes><DMXMode Name="Default" Geometry="Body"><DMXChannels>
      {channel(1, "1,2", "Dimmer", "Body")}{"".join(channel(pixel_break, n, c, "Pixel") for n, c in enumerate(colours, 1))}
    </DMXChannels></DMXMode></DMXModes></FixtureType></GDTF>"""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("description.xml", description)


for pixel_break in ("Overwrite", "2"):
    write("bar.gdtf", pixel_break)
    with pygdtf.FixtureType("bar.gdtf") as fixture:
        mode = fixture.dmx_modes[0]
        print(f"pixels with break {pixel_break}: {mode.dmx_channels_count} channels")
        for c in mode.dmx_channels:
            print(f"  break {c.dmx_break}, offset {','.join(map(str, c.offset))}: {c.attribute} of {c.geometry}")
PY
venv/bin/python run.py | tee seen
diff - seen <<'EXPECTED'
pixels with break Overwrite: 6 channels
  break 1, offset 1: ColorAdd_R of Pixel
  break 1, offset 2: ColorAdd_G of Pixel
  break 1, offset 3: ColorAdd_B of Pixel
  break 1, offset 4: ColorAdd_R of Pixel
  break 1, offset 5: ColorAdd_G of Pixel
  break 1, offset 6: ColorAdd_B of Pixel
pixels with break 2: 8 channels
  break 1, offset 1,2: Dimmer of Body
  break 2, offset 1: ColorAdd_R of Pixel 1
  break 2, offset 2: ColorAdd_G of Pixel 1
  break 2, offset 3: ColorAdd_B of Pixel 1
  break 2, offset 4: ColorAdd_R of Pixel 2
  break 2, offset 5: ColorAdd_G of Pixel 2
  break 2, offset 6: ColorAdd_B of Pixel 2
EXPECTED
