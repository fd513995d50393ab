import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.report.scatter_chart import Point, round_axis, scatter_chart, standalone
from stdet.report.svg_charts import BOTTOM, LEFT, RIGHT, TOP, Axis


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=5))
def test_axis_holds_all_values_in_round_steps(values):
    axis = round_axis("x", values)
    assert 0 <= axis.low <= min(values)
    assert max(values) <= axis.high
    mantissa = float(f"{(axis.high - axis.low) / 5:e}".split("e")[0])
    assert any(mantissa == pytest.approx(step, rel=1e-6) for step in (1, 2, 2.5, 5, 10))


def test_axis_of_a_share_ends_at_one():
    axis = round_axis("mAP50", [0.7, 0.93], most=1.0)
    assert (axis.low, axis.high) == (0.5, 1.0)


def test_points_stand_at_their_values_with_bars_and_labels():
    unit = Axis(label="share")
    points = [
        Point(label="a", x=0.0, y=1.0),
        Point(label="<b>", x=0.5, y=0.5, y_interval=(0.25, 1.0)),
    ]
    svg = scatter_chart("title", unit, unit, points)
    places = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)
    middle_x, middle_y = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    assert [(float(x), float(y)) for x, y in places] == [(LEFT, TOP), (middle_x, middle_y)]
    low = BOTTOM - (BOTTOM - TOP) / 4
    assert f'd="M{middle_x:.1f} {low:.1f}V{TOP:.1f}M' in svg
    assert ">&lt;b&gt;<" in svg


def test_labels_of_near_points_do_not_overlap_and_stay_in_the_frame():
    unit = Axis(label="share")
    points = [Point(label=f"variant{n}", x=0.5, y=0.02 * n) for n in range(8)]
    svg = scatter_chart("title", unit, unit, points)
    heights = sorted(
        float(y) for y in re.findall(r'class="label \w+" x="[\d.]+" y="([\d.]+)"', svg)
    )
    assert all(b - a >= 14.9 for a, b in itertools.pairwise(heights))
    assert heights[0] >= TOP
    assert heights[-1] <= BOTTOM
    assert svg.count('class="leader"') >= 6


def test_file_is_xml_that_brings_its_own_style():
    svg = standalone(scatter_chart("a < b", Axis(label="x"), Axis(label="y"), []))
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.find("{http://www.w3.org/2000/svg}style") is not None
