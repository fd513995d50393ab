import math

import numpy as np
import pytest

from stdet.metrics.detection.average_precision import average_precision, class_hits
from stdet.metrics.detection.pairs import flatten
from stdet.metrics.detection.safit import safit


def fitness(anchor, box, gt):
    rows = (np.array([row], np.float32) for row in (box, gt))
    return float(safit(anchor)(*rows, np.zeros(1, bool))[0])


def test_share_of_iou_grows_with_the_true_box():
    # IoU 0 and NWD exp(-d / 32): what is left is (1 - s) NWD, s = 1 / (1 + exp(1 - side / 32)).
    for side, share in [
        (32, 0.5),
        (64, 1 / (1 + math.exp(-1))),
        (0.5, 1 / (1 + math.exp(1 - 1 / 64))),
    ]:
        shifted = (2 * side, 0, 3 * side, side)
        expected = (1 - share) * math.exp(-2 * side / 32)
        assert fitness("centre", shifted, (0, 0, side, side)) == pytest.approx(expected, abs=1e-6)


def test_a_target_of_three_pixels_one_pixel_off_fits_where_its_iou_does_not():
    box, gt = (1, 0, 4, 3), (0, 0, 3, 3)  # IoU 6 / 12.
    share = 1 / (1 + math.exp(1 - 3 / 32))
    assert fitness("centre", box, gt) == pytest.approx(
        share * 0.5 + (1 - share) * math.exp(-1 / 32)
    )
    assert fitness("centre", box, gt) > 0.8


def test_anchors_agree_on_boxes_of_one_size_and_differ_on_others():
    assert fitness("corner", (5, 6, 9, 9), (3, 2, 7, 5)) == fitness(
        "centre", (5, 6, 9, 9), (3, 2, 7, 5)
    )
    # About one centre, 8 and 16 px wide: the corner is 4 px off, the centre is not.
    inner, outer = (4, 4, 12, 12), (0, 0, 16, 16)
    share = 1 / (1 + math.exp(1 - 16 / 32))
    of_sides = 2 * 4**2  # Half the sides differ by 4 px, twice.
    for anchor, of_places in [("centre", 0), ("corner", 2 * 4**2)]:
        nwd = math.exp(-math.sqrt(of_places + of_sides) / 32)
        assert fitness(anchor, inner, outer) == pytest.approx(share * 0.25 + (1 - share) * nwd)


@pytest.mark.parametrize("anchor", ["corner", "centre"])
def test_own_boxes_have_precision_one_and_far_ones_none(build, anchor):
    truth = build.annotation([[(1, 1, 4, 4), (30, 30, 34, 34)], []])
    own = build.detections([[(1, 1, 4, 4, 0.9), (30, 30, 34, 34, 0.8)], []])
    far = build.detections([[(60, 1, 63, 4, 0.9)], [(1, 1, 4, 4, 0.8)]])
    for found, expected in [(own, 1.0), (far, 0.0)]:
        flat = flatten(build.result(truth, found), measure=safit(anchor))
        score = average_precision([class_hits(flat)])
        assert score.map50 == score.map50_95 == expected
