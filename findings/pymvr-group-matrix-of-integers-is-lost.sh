#!/usr/bin/env bash
# pymvr 1.0.7 (PyPI): a group or layer that is moved by a matrix of whole numbers is written without its matrix.
#
# What runs: a fixture in a group; both have the same kind of matrix, two metres along x. The MVR file is written and read again
#   with pymvr, once with whole numbers, once with the same numbers as floats.
# Expected: MVR (DIN SPEC 15801), `GroupObject` and `Layer`: the node `Matrix` places everything inside; 2000 and 2000.0 are the same
#   number, and `Matrix` takes both.
# Seen: the writer of groups and layers leaves the matrix out unless one of the first three rows (the rotation) has a float
#   in it; the fourth row (the place) is not looked at. The writer of fixtures has no such test. Nothing is reported.
# Output seen:
#   whole numbers: group at 0, fixture at 2000
#   a float in the place: group at 0, fixture at 2000
#   floats: group at 2000, fixture at 2000
# Affected: whoever makes MVR files with pymvr: trusses and layers move to the origin and take all their lamps with them.
#   Write the rotation as floats (1.0, 0.0).
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pymvr==1.0.7
cat > run.py <<'PY'
import pymvr
from pymvr.value import Matrix


def matrix(rotation, place):
    one, nought = rotation(1), rotation(0)
    return Matrix([[one, nought, nought, 0], [nought, one, nought, 0], [nought, nought, one, 0], [place(2000), place(0), place(0), 0]])


def x(node):
    return round(node.matrix.matrix[3][0])


for title, rotation, place in (("whole numbers", int, int), ("a float in the place", int, float), ("floats", float, float)):
    fixture = pymvr.Fixture(name="lamp", matrix=matrix(rotation, place))
    inside = pymvr.ChildList()
    inside.fixtures.append(fixture)
    group = pymvr.GroupObject(name="truss", matrix=matrix(rotation, place), child_list=inside)
    outside = pymvr.ChildList()
    outside.group_objects.append(group)
    layers = pymvr.Layers([pymvr.Layer(name="stage", child_list=outside)])
    writer = pymvr.GeneralSceneDescriptionWriter()
    pymvr.Scene(layers=layers).to_xml(parent=writer.xml_root)
    writer.write_mvr("show.mvr")
    with pymvr.GeneralSceneDescription("show.mvr") as mvr:
        group = mvr.scene.layers[0].child_list.group_objects[0]
        print(f"{title}: group at {x(group)}, fixture at {x(group.child_list.fixtures[0])}")
PY
venv/bin/python run.py | tee seen
diff - seen <<'EXPECTED'
whole numbers: group at 0, fixture at 2000
a float in the place: group at 0, fixture at 2000
floats: group at 2000, fixture at 2000
EXPECTED
