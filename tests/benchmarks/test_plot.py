"""Lines over how many at once."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree as ET

from benchmarks.plot import APART, drawn

SVG = "{http://www.w3.org/2000/svg}"
LINES = {
    "tenantry & <co>": [(1.0, 700.0), (100.0, 900.0), (500.0, 890.0)],
    "bare SDK": [(1.0, 600.0), (100.0, 500.0), (500.0, 90.0)],
    "its neighbour": [(1.0, 600.0), (100.0, 500.0), (500.0, 91.0)],
}


def test_each_line_has_its_points_and_its_name() -> None:
    """Every value lies on the picture, the more the higher, with the name at its end."""
    picture = ET.fromstring(drawn("Requests", LINES, "at once", "requests/s"))
    lines = [line.attrib["points"].split() for line in picture.iter(f"{SVG}polyline")]
    assert [3, 3, 3] == [len(points) for points in lines]
    heights = [float(point.split(",")[1]) for point in lines[1]]
    assert sorted(heights) == heights
    assert all(0 < height < 440 for height in heights)
    names = {text.text for text in picture.iter(f"{SVG}text")}
    assert {*LINES, "Requests", "at once", "requests/s", "500", "1,000"} <= names


def test_names_do_not_lie_on_each_other() -> None:
    """Lines that end at the same place have names below each other."""
    picture = ET.fromstring(drawn("Requests", LINES, "at once", "requests/s"))
    ends = sorted(
        float(each.attrib["y"]) for each in picture.iter(f"{SVG}text") if each.text in LINES
    )
    assert all(below - above >= APART for above, below in itertools.pairwise(ends))
