"""Writes GDTF files into a folder, and says on stdout what pygdtf reads in each: one line of JSON a file.

A line: {"file", "mode": [{"break", "offset": [from 1], "attribute", "default": [value, bytes]}]}
"""

import json
import pathlib
import sys
import zipfile

import pygdtf

PLACE = "{1,0,0,0}{0,1,0,0}{0,0,1,0}{0,0,0,1}"
WHEEL = """<Wheel Name="Wheel 1"><Slot Name="Open" Color="0.3127,0.3290,100.0"/><Slot Name="Red" Color="0.6400,0.3300,20.0"/></Wheel>"""


def channel(dmx_break, offset, attribute, geometry, default="0/1", sets="", wheel=""):
    return f"""<DMXChannel DMXBreak="{dmx_break}" Offset="{offset}" Highlight="255/1" Geometry="{geometry}"
      InitialFunction="{geometry}_{attribute}.{attribute}.{attribute} 1"><LogicalChannel Attribute="{attribute}" Snap="No"
      Master="None" MibFade="0" DMXChangeTimeLimit="0"><ChannelFunction Name="{attribute} 1" Attribute="{attribute}"
      OriginalAttribute="" DMXFrom="0/1" Default="{default}" PhysicalFrom="0" PhysicalTo="1" RealFade="0" RealAcceleration="0" {wheel}>
      {sets}</ChannelFunction></LogicalChannel></DMXChannel>"""


def write(path, name, geometries, channels):
    description = f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
    <GDTF DataVersion="1.2"><FixtureType Name="{name}" ShortName="{name}" LongName="{name}" Manufacturer="Any" Description=""
      FixtureTypeID="4E7A5B0C-3D5E-4F7B-9C57-0A6B0E6C1D2F" Thumbnail=""><AttributeDefinitions><FeatureGroups/><Attributes/>
    </AttributeDefinitions><Wheels>{WHEEL}</Wheels><Geometries>{geometries}</Geometries><DMXModes><DMXMode Name="Default"
      Geometry="Body"><DMXChannels>{channels}</DMXChannels></DMXMode></DMXModes></FixtureType></GDTF>"""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("thumbnail.png", b"\x89PNG")
        archive.writestr("description.xml", description)


def spot(path):
    sets = '<ChannelSet Name="Open" DMXFrom="0/1" WheelSlotIndex="1"/><ChannelSet Name="Red" DMXFrom="100/1" WheelSlotIndex="2"/>'
    channels = [
        channel(1, "1,2", "Pan", "Body", "128/1"),
        channel(1, "3,4", "Tilt", "Body", "32768/2"),
        channel(1, "5,6,7", "Dimmer", "Body"),
        channel(1, "8", "Shutter1", "Body", "255/1"),
        channel(1, "9", "Color1", "Body", sets=sets, wheel='Wheel="Wheel 1"'),
        channel(1, "10", "Gobo1", "Body"),
        channel(1, "", "Zoom", "Body"),
        channel(1, "13", "ColorSub_C", "Body", "255/1"),
        channel(1, "12", "CTO", "Body"),
        channel(1, "11", "Prism1", "Body"),
        channel(1, "14", "Blower1", "Body"),
    ]
    write(path, "Spot", f'<Geometry Name="Body" Position="{PLACE}"/>', "".join(channels))


def bar(path, dmx_break, moved):
    colors = ("ColorAdd_R", "ColorAdd_G", "ColorAdd_B", "ColorAdd_RY")
    references = "".join(
        f'<GeometryReference Name="Cell {n + 1}" Geometry="Cell" Position="{PLACE}"><Break DMXOffset="{4 * n + moved}" DMXBreak="{dmx_break}"/></GeometryReference>'
        for n in range(8)
    )
    geometries = f'<Geometry Name="Body" Position="{PLACE}">{references}</Geometry><Geometry Name="Cell" Position="{PLACE}"/>'
    cells = "".join(channel(dmx_break, n, color, "Cell") for n, color in enumerate(colors, 1))
    write(path, f"Bar {dmx_break}", geometries, channel(1, "1,2", "Dimmer", "Body") + cells)


def read(path):
    with pygdtf.FixtureType(str(path)) as fixture:
        mode = fixture.dmx_modes[0]
        channels = []
        for one in mode.dmx_channels:
            function = one.logical_channels[0].channel_functions[0]
            channels.append({
                "break": int(one.dmx_break),
                "offset": one.offset,
                "attribute": str(one.attribute),
                "default": [function.default.value, function.default.byte_count],
            })
        return channels


# argv[1:3] are an address, which nobody here needs
folder = pathlib.Path(sys.argv[3])
spot(folder / "spot.gdtf")
bar(folder / "bar.gdtf", 1, 3)
bar(folder / "breaks.gdtf", 2, 1)
for path in sorted(folder.glob("*.gdtf")):
    print(json.dumps({"file": path.name, "mode": read(path)}))
