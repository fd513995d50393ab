import re

import numpy as np
import pytest

from stdet.report.svg_charts import (
    MAX_STRIP_COLUMNS,
    Axis,
    Bars,
    Line,
    bar_chart,
    event_strip,
    line_chart,
    strip_step,
)


def strip_marks(counts):
    """Return (frame at the middle, height) of each mark."""
    svg = event_strip("a", "miss", np.array(counts, np.int64))
    return [(float(x), int(h)) for x, h in re.findall(r"M([\d.]+) 20v-(\d+)", svg)]


def line_points(svg):
    """Return the points of the first line drawn."""
    (data,) = re.findall(r'class="line" d="M([^"]+)"', svg)[:1]
    return [tuple(map(float, point.split())) for point in data.split("L")]


def line_of(x, y, **changes):
    fields = {"sequence": None, "marked": None, "note": ""}
    return Line(x=np.array(x, float), y=np.array(y, float), **{**fields, **changes})


def test_log_axis_places_decades_evenly_and_zero_at_its_start():
    axis = Axis(label="rate", low=0.001, high=10.0, is_log=True)
    values = np.array([0.0, 0.001, 0.01, 0.1, 1.0, 10.0])
    np.testing.assert_allclose(axis.fraction(values), [0, 0, 0.25, 0.5, 0.75, 1])
    assert axis.ticks() == [(0.001, "0.001"), (0.01, "0.01"), (0.1, "0.1"), (1, "1"), (10, "10")]


def test_log_axis_labels_only_decades_that_it_holds():
    axis = Axis(label="rate", low=0.01, high=25.0, is_log=True)
    assert [label for _, label in axis.ticks()] == ["0.01", "0.1", "1", "10"]


def test_line_keeps_its_ends_and_drops_points_nobody_could_tell_apart():
    x = np.linspace(0, 1, 10_001)
    points = line_points(line_chart("t", Axis(label="x"), Axis(label="y"), [line_of(x, x)]))
    whole = line_points(
        line_chart("t", Axis(label="x"), Axis(label="y"), [line_of([0, 1], [0, 1])])
    )
    assert [points[0], points[-1]] == whole
    assert 100 < len(points) < 500


def test_line_of_one_point_and_of_none_are_drawn_without_error():
    lines = [line_of([0.5], [0.5], marked=0), line_of([], [], sequence=0, note="no targets")]
    svg = line_chart("t", Axis(label="x"), Axis(label="y"), lines)
    assert svg.count('class="marker"') == 1
    assert "no targets" in svg


def test_only_the_group_of_all_sequences_is_visible_at_first():
    lines = [line_of([0, 1], [0, 1]), line_of([0, 1], [1, 0], sequence=0)]
    svg = line_chart("t", Axis(label="x"), Axis(label="y"), lines)
    assert '<g class="one" data-sequence="all">' in svg
    assert '<g class="one off" data-sequence="0">' in svg


@pytest.mark.parametrize(
    ("hits", "total", "text"),
    [(0, 5, "0"), (5, 5, "1"), (1, 2, ".50"), (999, 1000, ".99"), (1, 1000, ".01")],
)
def test_bars_round_to_none_or_all_only_where_it_is_so(hits, total, text):
    bars = Bars(sequence=None, hits=np.array([hits]), totals=np.array([total]))
    svg = bar_chart("t", "size (px)", ["<2"], [bars])
    assert re.findall(r'class="value"[^>]*>([^<]+)<', svg) == [text]
    assert re.findall(r'class="count"[^>]*>([^<]+)<', svg) == [str(total)]


def test_bin_without_targets_has_no_bar():
    bars = Bars(sequence=None, hits=np.array([0, 1]), totals=np.array([0, 2]))
    svg = bar_chart("t", "size (px)", ["<2", ">=2"], [bars])
    assert svg.count('class="value"') == 1
    assert "&lt;2" in svg


def test_strip_has_one_mark_per_frame_with_events():
    assert [x for x, _ in strip_marks([0, 1, 0, 3])] == [1.5, 3.5]
    heights = [height for _, height in strip_marks([0, 1, 0, 3])]
    assert heights == [12, 20]


@pytest.mark.parametrize("num_frames", [1, 200, 201, 1999, 20_258])
def test_strip_of_any_length_has_a_bounded_number_of_marks_inside_it(num_frames):
    marks = strip_marks(np.ones(num_frames))
    assert len(marks) == -(-num_frames // strip_step(num_frames)) <= MAX_STRIP_COLUMNS
    assert all(height == 20 for _, height in marks[:-1])
    assert marks[0][0] > 0


def test_strip_without_frames_or_events_has_no_mark():
    assert strip_marks([]) == strip_marks([0, 0]) == []


def test_names_in_charts_are_escaped():
    svg = event_strip('<b> & "c"', "miss", np.zeros(1, np.int64))
    assert "<b>" not in svg
    assert "&lt;b&gt; &amp; &quot;c&quot;" in svg
