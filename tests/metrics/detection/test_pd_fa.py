import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.metrics.detection.hit_rule import BoxShare, CentreDistance, Overlap
from stdet.metrics.detection.pd_fa import (
    MaskPdFa,
    PdFa,
    box_pd_fa,
    mask_pd_fa,
    score_curve,
    sequence_pd_fa,
)
from stdet.types import Detections

RULE = CentreDistance(3.0)
RULES = st.sampled_from([RULE, BoxShare(1.25, 1.0), Overlap(0.2)])


def draw_mask(rectangles, hw=(16, 16)):
    mask = np.zeros(hw, bool)
    for row0, row1, column0, column1 in rectangles:
        mask[row0:row1, column0:column1] = True
    return mask


def test_golden_boxes(build, box_case):
    for expected in box_case.get("expected", []):
        counts = sequence_pd_fa(
            build.box_result(box_case), rule=RULE, confidence=expected["threshold"]
        )
        assert counts.num_hits == expected["tp"]
        assert counts.num_false_alarms == expected["fp"]
        assert counts.num_targets - counts.num_hits == expected["fn"]
        for name in expected.keys() - {"threshold", "tp", "fp", "fn"}:
            value = math.nan if expected[name] is None else expected[name]
            assert getattr(counts, name) == pytest.approx(value, abs=1e-12, nan_ok=True), name


def test_false_alarm_on_a_frame_without_targets_counts(build):
    # One hit on the first frame, one false alarm of 4x4 on the second, which has no target.
    case = {
        "images": [
            {
                "hw": [20, 20],
                "truth_xyxy": [[2, 2, 7, 7]],
                "detections_xyxy_score": [[2, 2, 7, 7, 0.9]],
            },
            {"hw": [20, 20], "truth_xyxy": [], "detections_xyxy_score": [[1, 1, 5, 5, 0.95]]},
        ]
    }
    counts = sequence_pd_fa(build.box_result(case), rule=RULE, confidence=0.5)
    assert (counts.pd, counts.precision, counts.false_alarms_per_frame) == (1.0, 0.5, 0.5)
    assert counts.false_alarms_per_pixel == 1 / 800
    assert counts.false_area_fraction == 16 / 800


def test_golden_masks(mask_case):
    counts = mask_pd_fa(draw_mask(mask_case["prediction"]), draw_mask(mask_case["truth"]))
    assert counts.num_hits == mask_case["num_hits"]
    assert counts.num_targets == mask_case["num_targets"]
    assert counts.num_false_components == mask_case["num_false_components"]
    assert counts.false_component_pixels == mask_case["false_component_pixels"]
    assert counts.false_pixels == mask_case["false_pixels"]


def test_mask_rates_over_two_frames():
    # Frame 1: one hit, one false 2x2 blob. Frame 2: a missed target and nothing said.
    total = mask_pd_fa(draw_mask([(2, 4, 2, 4), (10, 12, 10, 12)]), draw_mask([(2, 4, 2, 4)]))
    total += mask_pd_fa(draw_mask([]), draw_mask([(5, 6, 5, 6)]))
    assert total.pd == 0.5
    assert total.false_component_area_fraction == total.false_pixel_fraction == 4 / 512
    assert total.false_components_per_frame == 0.5
    assert math.isnan(MaskPdFa().pd)
    assert math.isnan(MaskPdFa().false_component_area_fraction)


def test_mask_centroids_exactly_three_pixels_apart_miss_wherever_they_lie():
    # L-shaped components have centroids in thirds, where floats say 19/3 - 10/3 < 3.
    for shift in range(12):
        truth, prediction = np.zeros((2, 4, 24), bool)
        for mask, column in [(truth, shift), (prediction, shift + 3)]:
            mask[1, column : column + 2] = mask[2, column] = True
        overlap = mask_pd_fa(prediction, truth)
        assert (overlap.num_hits, overlap.num_false_components) == (0, 1), shift


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 5), bool)])
def test_masks_of_another_type_or_shape_are_refused(wrong):
    with pytest.raises(ValueError, match=r"expected bool \(H, W\)"):
        mask_pd_fa(wrong, np.zeros((4, 4), bool))


def test_rates_without_their_denominator_are_nan():
    nothing = PdFa()
    for name in [
        "pd",
        "precision",
        "recall",
        "f1",
        "false_alarms_per_frame",
        "false_alarms_per_pixel",
        "false_area_fraction",
    ]:
        assert math.isnan(getattr(nothing, name)), name


def test_f1_needs_targets_but_not_detections():
    assert PdFa(num_targets=3).f1 == 0
    assert math.isnan(PdFa(num_targets=3).precision)
    assert math.isnan(PdFa(num_false_alarms=3).f1)
    assert PdFa(num_false_alarms=3).precision == 0


def test_ignored_truth_is_neither_hit_nor_miss_and_excuses_one_detection(build):
    # The first target is ignored: one of the two detections on it is excused, one is false.
    frame = build.detections([[(10, 10, 12, 12, 0.9), (11, 10, 13, 12, 0.8)]])[0]
    truth = np.array([[10, 10, 12, 12], [40, 40, 42, 42]], np.float32)
    counts = box_pd_fa(frame, truth, np.array([True, False]), rule=RULE)
    assert (counts.num_targets, counts.num_hits, counts.num_false_alarms) == (1, 0, 1)


def test_counted_target_goes_before_a_nearer_ignored_one(build):
    frame = build.detections([[(10, 10, 12, 12, 0.9)]])[0]
    truth = np.array([[10, 10, 12, 12], [12, 10, 14, 12]], np.float32)
    counts = box_pd_fa(frame, truth, np.array([True, False]), rule=RULE)
    assert (counts.num_hits, counts.num_false_alarms) == (1, 0)


def test_false_area_counts_pixel_centres_inside_the_frame(build):
    # Half a pixel past the centre of column 0 and 1, row 0; and a box that hangs out on two sides.
    frame = build.detections(
        [[(0.4, 0.0, 1.6, 1.0, 0.9), (0.6, 3.0, 1.4, 4.0, 0.8), (-5, -5, 1, 1, 0.7)]], hw=(8, 8)
    )[0]
    counts = box_pd_fa(frame, np.zeros((0, 4), np.float32), np.zeros(0, bool), rule=RULE)
    assert counts.false_area_pixels == 2
    assert counts.num_false_alarms == 3
    outside = build.detections([[(-9, -9, -5, -5, 0.9)]], hw=(8, 8))[0]
    outside = box_pd_fa(outside, np.zeros((0, 4), np.float32), np.zeros(0, bool), rule=RULE)
    assert outside.false_area_pixels == 0


def random_result(build, seed, *, shift=0, num_frames=6):
    """Targets, noisy detections of them, false alarms; some truth ignored, some frames empty."""
    rng = np.random.default_rng(seed)
    truth, found, ignored = [], [], []
    for _ in range(num_frames):
        corners = rng.integers(0, 80, (rng.integers(0, 4), 2)) / 2
        near = corners + rng.integers(-8, 9, corners.shape) / 2
        extra = rng.integers(0, 80, (rng.integers(0, 4), 2)) / 2
        said = np.concatenate([near, extra])
        truth.append(np.hstack([corners, corners + 2]) + shift)
        ignored.append((rng.random(len(corners)) < 0.3).tolist())
        scores = rng.integers(1, 9, (len(said), 1)) / 8
        found.append(np.hstack([said + shift, said + 2 + shift, scores]))
    return build.result(
        build.annotation([f.tolist() for f in truth], ignored=ignored),
        build.detections([f.tolist() for f in found]),
    )


@given(st.integers(0, 10_000), st.integers(0, 8))
@settings(max_examples=40, deadline=None)
def test_pd_is_a_fraction_and_does_not_depend_on_where_the_scene_lies(build, seed, shift):
    counts = sequence_pd_fa(random_result(build, seed), rule=RULE, confidence=0.3)
    moved = sequence_pd_fa(random_result(build, seed, shift=shift), rule=RULE, confidence=0.3)
    assert math.isnan(counts.pd) == (counts.num_targets == 0)
    assert math.isnan(counts.pd) or 0 <= counts.pd <= 1
    # The area of boxes that hang out of the frame changes with the shift.
    assert dataclasses.replace(counts, false_area_pixels=0) == dataclasses.replace(
        moved, false_area_pixels=0
    )


@given(st.integers(0, 10_000), st.randoms(use_true_random=False), RULES)
@settings(max_examples=60, deadline=None)
def test_counts_do_not_depend_on_the_order_of_rows(build, seed, random, rule):
    result = random_result(build, seed)
    shuffled_total = PdFa()
    for frame in result.detections:
        rows = result.annotation.rows_at(frame.frame_index)
        gt_order = random.sample(range(rows.start, rows.stop), rows.stop - rows.start)
        pred_order = random.sample(range(len(frame)), len(frame))
        shuffled = Detections.from_unsorted(
            frame.boxes_xyxy[pred_order],
            np.zeros(len(frame), np.float32),
            frame_index=frame.frame_index,
            image_hw=frame.image_hw,
        )
        shuffled_total += box_pd_fa(
            shuffled,
            result.annotation.boxes_xyxy[gt_order],
            result.annotation.is_ignored[gt_order],
            rule=rule,
        )
    total = sequence_pd_fa(result, rule=rule, confidence=0.0)
    # Which of two equally good detections is the false one may change the union of areas.
    assert dataclasses.replace(total, false_area_pixels=0) == dataclasses.replace(
        shuffled_total, false_area_pixels=0
    )


@given(st.integers(0, 10_000), RULES)
@settings(max_examples=60, deadline=None)
def test_score_curve_equals_counting_at_each_threshold(build, seed, rule):
    results = [random_result(build, seed), random_result(build, seed + 1)]
    curve = score_curve(results, rule=rule)
    assert (np.diff(curve.scores) < 0).all()
    for score, hits, false in zip(
        curve.scores, curve.num_hits, curve.num_false_alarms, strict=True
    ):
        total = PdFa()
        for result in results:
            total += sequence_pd_fa(result, rule=rule, confidence=float(score))
        assert (total.num_hits, total.num_false_alarms) == (hits, false)
        assert total.num_targets == curve.num_targets


def test_score_curve_without_detections_is_empty(build):
    result = build.result(build.annotation([[(1, 1, 3, 3)]]), build.detections([[]]))
    curve = score_curve([result], rule=RULE)
    assert (len(curve.scores), curve.num_targets) == (0, 1)
    assert len(score_curve([], rule=RULE).scores) == 0


def test_false_area_of_a_box_far_beyond_the_frame_is_the_frame(build):
    result = build.result(
        build.annotation([[]], hw=(4, 6)),
        build.detections([[(-1e9, -1e9, 1e9, 1e9, 0.9)]], hw=(4, 6)),
    )
    assert sequence_pd_fa(result, rule=RULE, confidence=0).false_area_pixels == 24
