"""Rules of a hit: against each other, by hand, and the overlap against pycocotools."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from stdet.config import EvaluationConfig
from stdet.metrics.detection.hit_rule import BoxShare, CentreDistance, Overlap, hit_rule
from stdet.metrics.detection.pd_fa import score_curve, sequence_pd_fa

LIMITS = (0.25, 0.5, 1.0, 1.5, 2.25, 3.0, 5.0)


def random_result(build, seed, *, side=None):
    """Up to 4 targets on whole pixels; detections on quarters near them and anywhere.

    Distances at a limit, equal distances and equal overlaps are frequent.
    """
    rng = np.random.default_rng(seed)
    truth, found, ignored = [], [], []
    for _ in range(4):
        corners = rng.integers(0, 40, (rng.integers(0, 5), 2)).astype(float)
        sides = np.full(corners.shape, side) if side else rng.integers(1, 13, corners.shape)
        boxes = np.hstack([corners, corners + sides])
        near = boxes + rng.integers(-8, 9, (len(boxes), 2))[:, [0, 1, 0, 1]] / 4
        far = rng.integers(0, 160, (rng.integers(0, 4), 2)) / 4
        rows = np.concatenate([near, np.hstack([far, far + (side or 3)])])
        truth.append(boxes.tolist())
        ignored.append((rng.random(len(boxes)) < 0.2).tolist())
        found.append(np.hstack([rows, rng.integers(1, 9, (len(rows), 1)) / 8]).tolist())
    return build.result(build.annotation(truth, ignored=ignored), build.detections(found))


@given(st.integers(0, 10_000), st.sampled_from(LIMITS))
@settings(max_examples=60, deadline=None)
def test_half_of_a_square_box_is_a_radius_of_half_its_side(build, seed, radius):
    result = random_result(build, seed, side=2 * radius)
    share, distance = BoxShare(0.5, 0.1), CentreDistance(radius)
    assert sequence_pd_fa(result, rule=share, confidence=0.3) == sequence_pd_fa(
        result, rule=distance, confidence=0.3
    )
    one, other = (score_curve([result], rule=rule) for rule in (share, distance))
    np.testing.assert_array_equal(one.num_hits, other.num_hits)
    np.testing.assert_array_equal(one.num_false_alarms, other.num_false_alarms)


@given(
    st.integers(0, 10_000),
    st.lists(st.sampled_from(LIMITS), min_size=2, max_size=2).map(sorted),
    st.sampled_from(
        [
            CentreDistance,
            lambda limit: BoxShare(limit / 4, 0.25),
            lambda limit: BoxShare(0.25, limit),
            lambda limit: Overlap(1 - limit / 6),
        ]
    ),
)
@settings(max_examples=100, deadline=None)
def test_looser_limit_never_loses_a_hit_nor_adds_a_false_alarm(build, seed, limits, rule):
    result = random_result(build, seed)
    strict, loose = (sequence_pd_fa(result, rule=rule(limit), confidence=0.3) for limit in limits)
    assert strict.num_hits <= loose.num_hits
    assert strict.num_false_alarms >= loose.num_false_alarms


@given(st.integers(0, 10_000), st.sampled_from(LIMITS))
@settings(max_examples=40, deadline=None)
def test_share_of_the_box_hits_whatever_its_floor_alone_would_hit(build, seed, floor):
    result = random_result(build, seed)
    alone, share = (
        sequence_pd_fa(result, rule=rule, confidence=0.3)
        for rule in (CentreDistance(floor), BoxShare(0.5, floor))
    )
    assert share.num_hits >= alone.num_hits


def coco_counts(truth, found, min_iou):
    """Matched and unmatched detections of one image, by pycocotools."""

    def entry(number, box):
        width, height = box[2] - box[0], box[3] - box[1]
        return {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "bbox": [box[0], box[1], width, height],
            "area": width * height,
            "iscrowd": 0,
        }

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": 1}],
            "annotations": [entry(number, box) for number, box in enumerate(truth, start=1)],
            "categories": [{"id": 1, "name": "target"}],
        }
        coco.createIndex()
        results = coco.loadRes([entry(1, row) | {"score": row[4]} for row in found])
        evaluation = COCOeval(coco, results, "bbox")
        evaluation.params.iouThrs = np.array([min_iou])
        evaluation.evaluate()
    is_matched = evaluation.evalImgs[0]["dtMatches"][0] > 0
    return int(is_matched.sum()), int((~is_matched).sum())


@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.5, 0.75]))
@settings(max_examples=60, deadline=None)
def test_overlap_counts_as_pycocotools_where_targets_are_apart(build, seed, min_iou):
    rng = np.random.default_rng(seed)
    # A target in each cell of 24 px, so that no detection is near two of them. Whole pixels, so
    # that overlaps of exactly the threshold occur.
    corners = 24.0 * np.argwhere(rng.random((3, 3)) < 0.6) + 8
    sides = rng.integers(2, 9, corners.shape)
    boxes = np.hstack([corners, corners + sides])
    copies = np.repeat(boxes, rng.integers(0, 3, len(boxes)), axis=0)
    moved = copies + rng.integers(-2, 3, (len(copies), 2))[:, [0, 1, 0, 1]]
    moved[:, 2:] = np.maximum(
        moved[:, 2:] + rng.integers(-1, 2, copies[:, 2:].shape), moved[:, :2] + 1
    )
    far = np.array([[70.0, 70, 75, 74]])
    rows = np.concatenate([moved, far])
    found = np.hstack([rows, rng.permutation(len(rows))[:, None] / 64 + 0.125])
    result = build.result(
        build.annotation([boxes.tolist()], hw=(96, 96)),
        build.detections([found.tolist()], hw=(96, 96)),
    )
    counts = sequence_pd_fa(result, rule=Overlap(min_iou), confidence=0.0)
    expected = coco_counts(boxes.tolist(), found.tolist(), min_iou)
    assert (counts.num_hits, counts.num_false_alarms) == expected


def test_floor_keeps_a_target_of_two_pixels_possible():
    # Centres (11, 11) and (12.5, 11): 1.5 px apart, and half the box is 1 px.
    target, found = np.array([[10, 10, 12, 12]], np.float32), np.array([[11.5, 10, 13.5, 12]])
    assert not BoxShare(0.5, 1.0).measure(found, target).is_possible
    assert BoxShare(0.5, 3.0).measure(found, target).is_possible


def test_longer_side_of_the_target_counts_not_that_of_the_detection():
    # Centres 7 px apart; the target is 16 px wide and 2 px high, the detection 2 x 2 px.
    target, found = np.array([[0, 0, 16, 2]], np.float32), np.array([[0, 0, 2, 2]], np.float32)
    assert BoxShare(0.5, 1.0).measure(found, target).is_possible
    assert not BoxShare(0.5, 1.0).measure(target, found).is_possible


@pytest.mark.parametrize("rule", [CentreDistance(3.0), BoxShare(0.5, 1.0), BoxShare(0.1, 3.0)])
def test_centre_at_exactly_the_limit_misses(rule):
    target = np.array([[10, 10, 16, 16]], np.float32)
    assert not rule.measure(target + 3 * np.array([1, 0, 1, 0], np.float32), target).is_possible
    assert rule.measure(target + 2.875 * np.array([1, 0, 1, 0], np.float32), target).is_possible


def test_overlap_of_one_takes_equal_boxes_alone(build):
    result = build.result(
        build.annotation([[(1, 1, 4, 4), (10, 10, 13, 13)]]),
        build.detections([[(1, 1, 4, 4, 0.9), (10, 10, 13, 12.5, 0.8)]]),
    )
    counts = sequence_pd_fa(result, rule=Overlap(1.0), confidence=0.5)
    assert (counts.num_hits, counts.num_false_alarms) == (1, 1)


def test_overlap_is_inclusive_and_equal_boxes_overlap_wholly():
    # 2 of 4 columns in common, 4 + 2 - 2 = 4 in all: IoU 0.5.
    target, found = np.array([[0, 0, 4, 4]], np.float32), np.array([[0, 0, 2, 4]], np.float32)
    assert Overlap(0.5).measure(found, target).is_possible
    assert not Overlap(0.500001).measure(found, target).is_possible
    assert Overlap(1.0).measure(target, target).is_possible


@pytest.mark.parametrize("rule", [CentreDistance(3.0), BoxShare(0.5, 3.0), Overlap(0.5)])
@pytest.mark.parametrize(("num_found", "num_targets"), [(0, 0), (0, 2), (2, 0)])
def test_frame_without_detections_or_targets_has_no_pairs(rule, num_found, num_targets):
    found, targets = (np.zeros((n, 4), np.float32) for n in (num_found, num_targets))
    assert rule.measure(found, targets).is_possible.shape == (num_found, num_targets)


@pytest.mark.parametrize(
    ("settings", "rule", "said"),
    [
        ({}, CentreDistance(3.0), "centre distance < 3 px"),
        (
            {"hit_rule": "box_share", "hit_box_share": 0.25, "pd_radius_px": 1.5},
            BoxShare(0.25, 1.5),
            "centre distance < 0.25 of the target's longer side, or 1.5 px where that is more",
        ),
        ({"hit_rule": "iou", "hit_iou": 0.3}, Overlap(0.3), "IoU >= 0.3"),
    ],
)
def test_settings_name_a_rule_that_says_what_it_is(settings, rule, said):
    found = hit_rule(EvaluationConfig(**settings))
    assert (found, str(found)) == (rule, said)
