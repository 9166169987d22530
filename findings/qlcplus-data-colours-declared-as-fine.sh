#!/usr/bin/env bash
# qlcplus-data 4.12.6-1 (Debian 12): some fixture definitions declare whole colours as the low byte of a 16-bit channel,
# and others declare the low byte as a second whole colour.
#
# What runs: the package is unpacked; a few lines of Python read five fixture definitions (`.qxf`) and list their colours.
# Expected: the `Preset` of a channel says what it is: `IntensityRed` is red, `IntensityRedFine` is the low byte of a
#   16-bit red that stands beside it (QLC+ manual, "Fixture Definition Editor", channel presets).
# Seen: Talent BL252A, an LED bar with seven RGBW pixels, declares all 28 pixel colours of its mode "31-Channel" as fine,
#   and no whole one. Briteq BT-Smartzoom puts "Blue Fine" where its mode "TOUR" has blue. Elation Cuepix Batten declares both bytes of the second module's blue as fine.
#   Briteq BT-Vintage and Futurelight EYE-7.i declare "Blue fine" as a whole blue.
# Output seen: the block at the end of this file.
# Affected: whoever imports these definitions. An importer that joins a fine channel to its coarse one finds no coarse
#   one, and the bar stays dark; with a second whole blue, every blue is written to two channels. An importer should
#   treat a fine channel without a coarse partner in its mode as a whole channel.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
apt-get -qq download qlcplus-data=4.12.6-1 2>/dev/null || { apt-get -qq update && apt-get -qq download qlcplus-data=4.12.6-1 2>/dev/null; }
dpkg-deb -x qlcplus-data_*.deb .
cat > run.py <<'PY'
import sys
import xml.etree.ElementTree as ET

NS = "{http://www.qlcplus.org/FixtureDefinition}"
COLOURS = ("Red", "Green", "Blue", "White", "Amber")

def modes(path):
    root = ET.parse("usr/share/qlcplus/fixtures/" + path).getroot()
    presets = {c.get("Name"): c.get("Preset") or "" for c in root.findall(NS + "Channel")}
    for mode in root.findall(NS + "Mode"):
        yield mode.get("Name"), [(c.text, presets[c.text]) for c in mode.findall(NS + "Channel")]

def is_colour(preset, fine):
    return any(preset == "Intensity" + c + ("Fine" if fine else "") for c in COLOURS)

for name, channels in modes("Talent/Talent-BL252A.qxf"):
    whole = sum(is_colour(p, False) for _, p in channels)
    fine = sum(is_colour(p, True) for _, p in channels)
    print(f"Talent BL252A, mode {name}: {len(channels)} channels, {whole} whole colours, {fine} fine colours")

tour = dict(modes("Briteq/Briteq-BT-Smartzoom.qxf"))["TOUR"]
print("Briteq BT-Smartzoom, mode TOUR:", " | ".join(c for c, p in tour if is_colour(p, False) or is_colour(p, True)))

for path in ("Elation/Elation-Cuepix-Batten.qxf", "Briteq/Briteq-BT-Vintage.qxf", "Futurelight/Futurelight-EYE-7.i.qxf"):
    wrong = set()
    for _, channels in modes(path):
        for channel, preset in channels:
            if is_colour(preset, "fine" not in channel.lower()):
                wrong.add(f"{channel} = {preset}")
    print(path.split("/")[1], *sorted(wrong), sep=": ")
PY
python3 run.py | tee seen
diff - seen <<'EXPECTED'
Talent BL252A, mode 2-Channel: 2 channels, 0 whole colours, 0 fine colours
Talent BL252A, mode 7-Channel: 7 channels, 1 whole colours, 3 fine colours
Talent BL252A, mode 10-Channel: 10 channels, 0 whole colours, 0 fine colours
Talent BL252A, mode 31-Channel: 31 channels, 0 whole colours, 28 fine colours
Briteq BT-Smartzoom, mode TOUR: Red | Green | Blue Fine | White
Elation-Cuepix-Batten.qxf: Blue - COB Module 2 = IntensityBlueFine
Briteq-BT-Vintage.qxf: Blue fine = IntensityBlue
Futurelight-EYE-7.i.qxf: Blue fine = IntensityBlue
EXPECTED
