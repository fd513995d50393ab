import html
import re

import numpy as np
import pytest

from stdet.config import EvaluationConfig
from stdet.metrics.detection.hit_rule import CentreDistance
from stdet.metrics.detection.pd_fa import sequence_pd_fa
from stdet.metrics.tracking.error_events import find_errors
from stdet.report.html_charts import curve_charts, measure_scr, scr_chart, size_chart

CONFIG = EvaluationConfig()
RULE = CentreDistance(CONFIG.pd_radius_px)


def events_of(results, confidence=0.5):
    return [find_errors(result, CONFIG, confidence=confidence) for result in results]


def bars_of(svg, group="all"):
    """Return {bin label: (share, number)} of one group, by the order of the drawing."""
    svg = html.unescape(svg)
    labels = dict(re.findall(r'class="x-tick" x="([\d.]+)"[^>]*>(.+?)</text>', svg))
    content = svg.split(f'data-sequence="{group}">')[1].split("</g>")[0]
    at = {round(float(x)): label for x, label in labels.items()}
    shares = re.findall(r'class="value" x="(\d+)"[^>]*>([^<]+)<', content)
    counts = re.findall(r'class="count" x="(\d+)"[^>]*>([^<]+)<', content)
    return {
        min(at.items(), key=lambda item: abs(item[0] - int(x)))[1]: (share, int(count))
        for (x, share), (_, count) in zip(shares, counts, strict=True)
    }


def test_operating_point_of_the_curves_is_that_of_the_report(build):
    results = [build.wandering_result("a", seed=3), build.wandering_result("b", seed=4)]
    precision, roc = curve_charts(results, rule=RULE, confidence=0.5)
    for group, chosen in [("all", results), ("1", results[1:])]:
        counts = [sequence_pd_fa(result, rule=RULE, confidence=0.5) for result in chosen]
        total = sum(counts[1:], start=counts[0])
        note = f"recall {total.recall:.3g}, precision {total.precision:.3g}"
        assert note in precision.split(f'data-sequence="{group}">')[1].split("</g>")[0]
        note = f"Fa per frame {total.false_alarms_per_frame:.3g}, Pd {total.pd:.3g}"
        assert note in roc.split(f'data-sequence="{group}">')[1].split("</g>")[0]


def test_size_bins_hold_their_lower_edge_and_count_hits(build):
    # Sides 3 (two targets, one found) and 8 (found); an ignored one of side 5 counts nowhere.
    boxes = [(1, 1, 4, 4), (20, 20, 23, 23), (40, 40, 48, 48), (10, 50, 15, 55)]
    found = [(1, 1, 4, 4, 0.9), (40, 40, 48, 48, 0.9)]
    truth = build.annotation([boxes], ignored=[[False, False, False, True]])
    results = [build.result(truth, build.detections([found]))]
    bars = bars_of(size_chart(results, events_of(results)))
    assert bars == {"3-4": (".50", 2), "8-10": ("1", 1)}


def test_bars_of_one_sequence_use_the_bins_of_all(build):
    small = build.result(build.annotation([[(1, 1, 4, 4)]], name="small"), build.detections([[]]))
    large = build.result(build.annotation([[(1, 1, 9, 9)]], name="large"), build.detections([[]]))
    svg = size_chart([small, large], events_of([small, large]))
    assert bars_of(svg, "0") == {"3-4": ("0", 1)}
    assert bars_of(svg, "1") == {"8-10": ("0", 1)}


def test_bright_target_found_and_dim_one_missed_lie_in_their_scr_bins(build):
    frame = np.random.default_rng(0).normal(0.5, 0.01, (64, 64)).astype(np.float32)
    frame[10:13, 10:13] += 0.3  # SCR 30.
    frame[40:43, 40:43] += 0.025  # SCR 2.5.
    boxes = [(10, 10, 13, 13), (40, 40, 43, 43)]
    results = [
        build.result(build.annotation([boxes]), build.detections([[(10, 10, 13, 13, 0.9)]]))
    ]
    scr = measure_scr(results, lambda name, index: frame)
    np.testing.assert_allclose(scr[0], [30, 2.5], rtol=0.15)
    assert bars_of(scr_chart(results, events_of(results), scr)) == {
        "2-3": ("0", 1),
        ">=20": ("1", 1),
    }


def test_frames_are_read_in_order_and_only_where_targets_are(build):
    truth = build.annotation([[], [(1, 1, 4, 4), (9, 9, 12, 12)], [], [(1, 1, 4, 4)]], name="n")
    result = build.result(truth, build.detections([[]] * 4))
    asked = []

    def read_frame(name, frame_index):
        asked.append((name, frame_index))
        return np.random.default_rng(frame_index).random((64, 64), np.float32)

    (scr,) = measure_scr([result], read_frame)
    assert asked == [("n", 1), ("n", 3)]
    assert scr.shape == (3,)


@pytest.mark.parametrize("edge", ["left", "right"])
def test_roc_axis_reaches_from_no_false_alarm_to_the_most(build, edge):
    result = build.wandering_result("a", seed=3)
    _, roc = curve_charts([result], rule=RULE, confidence=0.5)
    (data,) = re.findall(r'class="line" d="M([^"]+)"', roc)[:1]
    x = [float(point.split()[0]) for point in data.split("L")]
    assert (x[0] if edge == "left" else x[-1]) == {"left": 58.0, "right": 464.0}[edge]
