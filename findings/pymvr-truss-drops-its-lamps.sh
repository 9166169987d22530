#!/usr/bin/env bash
# pymvr 1.0.7 (PyPI): `Truss(child_list=…)` throws the lamps away; so do SceneObject, Support and VideoScreen.
#
# What runs: for each of these classes, a ChildList with one fixture is given to the constructor, and the file is written and
#   read again; GroupObject is the control.
# Expected: all these constructors have the parameter `child_list`, and in MVR (DIN SPEC 15801) all these nodes may have a
#   ChildList: lamps that hang on a truss stand inside it.
# Seen: `BaseChildNodeExtended.__init__` keeps the list and then calls the constructor of its base without it, which sets it to
#   None. Nothing is reported, and the file has the truss without its lamps.
# Output seen:
#   GroupObject: 1 lamp
#   SceneObject: 0 lamps
#   Truss: 0 lamps
#   Support: 0 lamps
#   VideoScreen: 0 lamps
#   Truss, list set afterwards: 1 lamp
# Affected: whoever makes MVR files with pymvr. Set `truss.child_list = …` after construction.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pymvr==1.0.7
cat > run.py <<'PY'
import pymvr

LISTS = {
    "GroupObject": "group_objects", "SceneObject": "scene_objects", "Truss": "trusses",
    "Support": "supports", "VideoScreen": "video_screens",
}


def lamps():
    inside = pymvr.ChildList()
    inside.fixtures.append(pymvr.Fixture(name="lamp"))
    return inside


def count(kind, node):
    outside = pymvr.ChildList()
    getattr(outside, LISTS[kind]).append(node)
    writer = pymvr.GeneralSceneDescriptionWriter()
    pymvr.Scene(layers=pymvr.Layers([pymvr.Layer(name="stage", child_list=outside)])).to_xml(parent=writer.xml_root)
    writer.write_mvr("show.mvr")
    with pymvr.GeneralSceneDescription("show.mvr") as mvr:
        node = getattr(mvr.scene.layers[0].child_list, LISTS[kind])[0]
        number = len(node.child_list.fixtures) if node.child_list else 0
    return f"{number} lamp" if number == 1 else f"{number} lamps"


def make(kind, **more):
    if kind != "GroupObject":
        more["geometries"] = pymvr.Geometries()
    return getattr(pymvr, kind)(name="node", **more)


for kind in LISTS:
    print(f"{kind}: {count(kind, make(kind, child_list=lamps()))}")
truss = make("Truss")
truss.child_list = lamps()
print(f"Truss, list set afterwards: {count('Truss', truss)}")
PY
venv/bin/python run.py | tee seen
diff - seen <<'EXPECTED'
GroupObject: 1 lamp
SceneObject: 0 lamps
Truss: 0 lamps
Support: 0 lamps
VideoScreen: 0 lamps
Truss, list set afterwards: 1 lamp
EXPECTED
