"""Average precision of ranked hits, against pycocotools and by hand."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from stdet.metrics.detection.average_precision import average_precision, class_hits
from stdet.metrics.detection.pairs import flatten
from stdet.metrics.detection.ranking import (
    SIZE_BINS_PX2,
    RankedHits,
    average_precision_of_resamples,
    hits_by_distance,
    hits_by_overlap,
)


def random_result(build, seed, *, num_frames=30, with_ignored=False, has_ties=True):
    """Up to 4 targets of 2 to 14 px; detections near them and anywhere."""
    rng = np.random.default_rng(seed)
    truth, found, ignored = [], [], []
    for _ in range(num_frames):
        sides = rng.integers(2, 15, (rng.integers(0, 5), 2))
        corners = rng.integers(0, 45, sides.shape)
        boxes = np.concatenate([corners, corners + sides], axis=1).astype(float)
        near = boxes + rng.normal(0, 0.8, boxes.shape)
        far = rng.uniform(0, 40, (rng.integers(0, 4), 4))
        far[:, 2:] = far[:, :2] + rng.uniform(1, 14, (len(far), 2))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 0.5)
        rows = np.concatenate([near, near + 0.4, far])
        scores = rng.integers(1, 30, len(rows)) / 30 if has_ties else rng.random(len(rows))
        truth.append(boxes.tolist())
        ignored.append((rng.random(len(boxes)) < (0.3 if with_ignored else 0)).tolist())
        found.append(np.concatenate([rows, scores[:, None]], axis=1).tolist())
    return build.result(build.annotation(truth, ignored=ignored), build.detections(found))


def coco_ap50(result, area):
    """AP at IoU 0.5 by pycocotools, for targets with low < area <= high."""
    images, annotations, rows = [], [], []
    for frame in result.detections:
        image_id = frame.frame_index + 1
        images.append({"id": image_id})
        for box in result.annotation.boxes_xyxy[
            result.annotation.rows_at(frame.frame_index)
        ].astype(float):
            width, height = box[2] - box[0], box[3] - box[1]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1,
                    "bbox": [box[0], box[1], width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
        for box, score in zip(frame.boxes_xyxy.astype(float), frame.scores, strict=True):
            rows.append(
                {
                    "image_id": image_id,
                    "category_id": 1,
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "score": float(score),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1, "name": "t"}],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.maxDets = [1000]
        evaluation.params.areaRng = [[np.nextafter(area[0], np.inf), area[1]]]
        evaluation.params.areaRngLbl = ["bin"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return float(precision.mean()) if (precision > -1).any() else float("nan")


@pytest.mark.parametrize("seed", range(6))
def test_size_bins_equal_pycocotools(build, seed):
    result = random_result(build, seed)
    for area in [*SIZE_BINS_PX2.values(), (0.0, 1e10)]:
        ours = hits_by_overlap(flatten(result), area_px2=area)
        assert ours.average_precision == pytest.approx(
            coco_ap50(result, area), abs=1e-9, nan_ok=True
        )


@pytest.mark.parametrize("with_ignored", [False, True])
def test_ranked_hits_at_half_overlap_give_the_reported_map50(build, with_ignored):
    for seed in range(8):
        result = random_result(build, seed, with_ignored=with_ignored)
        ours = hits_by_overlap(flatten(result), class_id=0)
        assert ours.average_precision == pytest.approx(
            average_precision([class_hits(flatten(result))]).map50, abs=1e-9
        )


def test_average_precision_by_distance_counted_by_hand(build):
    at = lambda x, y: (x - 2.0, y - 2.0, x + 2.0, y + 2.0)  # noqa: E731
    # 2.5 px off at 0.9, a false alarm at 0.8, exactly on at 0.7: two targets.
    result = build.result(
        build.annotation([[at(10, 10)], [at(20, 20)]]),
        build.detections([[(*at(12.5, 10), 0.9), (*at(50, 50), 0.8)], [(*at(20, 20), 0.7)]]),
    )
    by_radius = {
        radius: hits_by_distance(flatten(result), radius_px=radius) for radius in (1.0, 2.5, 3.0)
    }
    # 1 px: only the third hits, precision 1/3 up to recall 1/2: 51 of 101 points.
    assert by_radius[1.0].average_precision == pytest.approx(51 / 101 / 3)
    # A distance of exactly the radius is a miss.
    assert by_radius[2.5].average_precision == by_radius[1.0].average_precision
    # 3 px: precision 1 up to recall 1/2, then 2/3.
    assert by_radius[3.0].average_precision == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_nothing_is_cut_on_a_frame_with_1000_detections(build):
    rng = np.random.default_rng(0)
    corners = np.stack(np.meshgrid(np.arange(40), np.arange(25)), axis=-1).reshape(-1, 2) * 10.0
    boxes = np.concatenate([corners, corners + 5], axis=1)
    scores = rng.uniform(0.1, 1, (1000, 1))
    result = build.result(
        build.annotation([boxes.tolist()], hw=(400, 400)),
        build.detections([np.concatenate([boxes, scores], axis=1).tolist()], hw=(400, 400)),
    )
    found = average_precision([class_hits(flatten(result))])
    assert found.map50 == pytest.approx(1)
    assert found.legacy.recall == 1
    hits = hits_by_overlap(flatten(result))
    assert hits.is_hit.sum() == hits.num_targets == 1000


def test_resamples_equal_scoring_each_resample(build):
    parts = [
        hits_by_overlap(flatten(random_result(build, seed, num_frames=6, has_ties=False)))
        for seed in range(5)
    ]
    draws = np.random.default_rng(1).multinomial(5, [0.2] * 5, 40)
    values = average_precision_of_resamples(parts, draws)
    for row, value in zip(draws, values, strict=True):
        resample = [part for part, count in zip(parts, row, strict=True) for _ in range(count)]
        assert value == pytest.approx(
            RankedHits.concatenate(resample).average_precision, abs=1e-12
        )


def test_without_targets_or_detections_it_is_defined(build):
    none = build.result(build.annotation([[]]), build.detections([[(1, 1, 3, 3, 0.5)]]))
    hits = hits_by_overlap(flatten(none))
    assert np.isnan(hits.average_precision)
    assert np.isnan(average_precision_of_resamples([hits], np.array([[1], [2]]))).all()
    silent = build.result(build.annotation([[(1, 1, 3, 3)]]), build.detections([[]]))
    assert hits_by_overlap(flatten(silent)).average_precision == 0


def test_size_bin_does_not_depend_on_where_the_box_lies(build):
    corners = np.random.default_rng(0).uniform(0, 600, (300, 2))
    for side, name in ((3.0, "le9"), (5.0, "le25"), (9.0, "le81")):
        boxes = np.concatenate([corners, corners + side], axis=1)
        result = build.result(
            build.annotation([[box] for box in boxes.tolist()], hw=(700, 700)),
            build.detections([[]] * len(boxes), hw=(700, 700)),
        )
        hits = hits_by_overlap(flatten(result), area_px2=SIZE_BINS_PX2[name])
        assert hits.num_targets == len(boxes)
