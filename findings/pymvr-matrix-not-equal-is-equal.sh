#!/usr/bin/env bash
# pymvr 1.0.7 (PyPI): `a != b` of two matrices is true when they are equal, and false when they differ.
#
# What runs: two positions are compared with `==` and `!=`, once the same and once moved by a metre; then the fixture matrices
#   of two MVR files, which the library itself wrote, are compared.
# Expected: Python data model, `object.__ne__`: the inverse of `__eq__`.
# Seen: `Matrix.__ne__` returns the result of the comparison for equality.
# Output seen:
#   same place: == True, != True
#   moved: == False, != False
#   files, changed fixtures: lamp that stayed
# Affected: whoever looks for moved fixtures between two MVR exports with `!=`: all that stayed are reported, and those that
#   moved are not. Use `not (a == b)`.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pymvr==1.0.7
cat > run.py <<'PY'
import pymvr
from pymvr.value import Matrix


def place(x):
    return Matrix(f"{{1,0,0}}{{0,1,0}}{{0,0,1}}{{{x},0,0}}")


for title, a, b in (("same place", place(0), place(0)), ("moved", place(0), place(1000))):
    print(f"{title}: == {a == b}, != {a != b}")


def write(path, x):
    mvr = pymvr.GeneralSceneDescriptionWriter()
    layers = pymvr.Layers()
    children = pymvr.ChildList()
    for name, at in (("lamp that stayed", 0), ("lamp that moved", x)):
        children.fixtures.append(pymvr.Fixture(name=name, uuid=name, matrix=place(at)))
    layers.append(pymvr.Layer(name="Layer", child_list=children))
    pymvr.Scene(layers=layers).to_xml(parent=mvr.xml_root)
    mvr.write_mvr(path)


def fixtures(path):
    with pymvr.GeneralSceneDescription(path) as mvr:
        return {f.name: f.matrix for layer in mvr.scene.layers for f in layer.child_list.fixtures}


write("before.mvr", 0)
write("after.mvr", 1000)
before, after = fixtures("before.mvr"), fixtures("after.mvr")
print("files, changed fixtures:", *(name for name in before if before[name] != after[name]))
PY
venv/bin/python run.py | tee seen
diff - seen <<'EXPECTED'
same place: == True, != True
moved: == False, != False
files, changed fixtures: lamp that stayed
EXPECTED
