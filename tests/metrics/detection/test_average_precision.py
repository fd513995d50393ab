import contextlib
import io
import math

import faster_coco_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from stdet.metrics.detection.average_precision import average_precision, class_hits
from stdet.metrics.detection.pairs import flatten, overlaps
from stdet.metrics.detection.safit import safit


def score(results, measure=overlaps):
    return average_precision([class_hits(flatten(result, measure=measure)) for result in results])


class SafitEval(COCOeval):
    """COCO's evaluation with SAFit, written for one pair of xywh boxes, between centres."""

    def computeIoU(self, image_id, class_id):  # noqa: N802
        found = sorted(self._dts[image_id, class_id], key=lambda entry: -entry["score"])
        ious = super().computeIoU(image_id, class_id)
        return np.array(
            [
                [
                    self._fit(iou, one["bbox"], gt["bbox"])
                    for iou, gt in zip(row, truth, strict=True)
                ]
                for row, one in zip(ious, found, strict=False)
                for truth in [self._gts[image_id, class_id]]
            ]
        )

    @staticmethod
    def _fit(iou, found, truth):
        share = 1 / (1 + math.exp(-(math.sqrt(truth[2] * truth[3]) - 32) / 32))
        gaussians = [(x + w / 2, y + h / 2, w / 2, h / 2) for x, y, w, h in (found, truth)]
        return share * iou + (1 - share) * math.exp(-math.dist(*gaussians) / 32)


def coco_rows(results):
    """Return the truth as a COCO data set, and the detections as COCO results."""
    images, truth, found = [], [], []
    for result in results:
        rows = result.annotation
        for frame in result.detections:
            images.append({"id": len(images) + 1})
            for index in range(*rows.rows_at(frame.frame_index).indices(len(rows))):
                x1, y1, x2, y2 = rows.boxes_xyxy[index].astype(float)
                truth.append(
                    {
                        "id": len(truth) + 1,
                        "image_id": len(images),
                        "category_id": int(rows.class_ids[index]),
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": (x2 - x1) * (y2 - y1),
                        "iscrowd": int(rows.is_ignored[index]),
                    }
                )
            for box, class_id, score in zip(
                frame.boxes_xyxy.astype(float), frame.class_ids, frame.scores, strict=True
            ):
                found.append(
                    {
                        "image_id": len(images),
                        "category_id": int(class_id),
                        "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                        "score": float(score),
                    }
                )
    categories = [{"id": n, "name": str(n)} for n in {row["category_id"] for row in truth}]
    return {"images": images, "annotations": truth, "categories": categories}, found


def pycocotools_tables(results, evaluator=COCOeval):
    """Return precision (10, 101, K) and recall (10, K) of the reference code, maxDets 1000."""
    truth, found = coco_rows(results)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = evaluator(coco, coco.loadRes(found), "bbox")
        evaluation.params.maxDets = [1000]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, 0], evaluation.eval["recall"][:, :, 0, 0]


def random_results(build, seed, *, num_sequences=3, num_frames=8, num_classes=1, ignored=0.0):
    """Jittered boxes of 2-12 px with distinct scores, misses, duplicates and false alarms."""
    rng = np.random.default_rng(seed)
    scores = iter(rng.permutation(4000) / 4000 * 0.99 + 0.005)
    results = []
    for number in range(num_sequences):
        truth, found, gt_classes, pred_classes, flags = [], [], [], [], []
        for _ in range(num_frames):
            corners, sizes = rng.uniform(0, 50, (3, 2)), rng.uniform(2, 12, (3, 2))
            count = rng.integers(0, 4)
            boxes = np.hstack([corners, corners + sizes])[:count]
            copies = boxes[rng.integers(0, count, rng.integers(0, 5))] if count else boxes
            false = rng.uniform(0, 50, (rng.integers(0, 4), 2))
            said = np.vstack(
                [copies + rng.normal(0, 0.7, copies.shape), np.hstack([false, false + 4])]
            )
            said[:, 2:] = np.maximum(said[:, 2:], said[:, :2] + 0.5)
            truth.append(boxes.tolist())
            found.append([(*box, next(scores)) for box in said.tolist()])
            gt_classes.append(rng.integers(0, num_classes, count).tolist())
            pred_classes.append(rng.integers(0, num_classes + 1, len(said)).tolist())
            flags.append((rng.random(count) < ignored).tolist())
        results.append(
            build.result(
                build.annotation(truth, classes=gt_classes, ignored=flags, name=f"s{number}"),
                build.detections(found, classes=pred_classes if num_classes > 1 else None),
            )
        )
    return results


def test_golden_boxes(build, box_case):
    scores = score([build.box_result(box_case)])
    if "ap50" in box_case:
        assert scores.map50 == pytest.approx(box_case["ap50"], abs=1e-6)
    if "legacy_paper_prf1" in box_case:
        legacy = (scores.legacy.precision, scores.legacy.recall, scores.legacy.f1)
        assert legacy == pytest.approx(tuple(box_case["legacy_paper_prf1"]), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_by_safit_equals_pycocotools_with_safit(build, seed):
    results = random_results(build, seed, num_classes=2)
    precision, _ = pycocotools_tables(results, SafitEval)
    scores = score(results, safit("centre"))
    assert scores.map50 == pytest.approx(precision[0][precision[0] > -1].mean(), abs=1e-9)
    assert scores.map50_95 == pytest.approx(precision[precision > -1].mean(), abs=1e-9)
    assert scores.map50_95 > score(results).map50_95


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("num_classes", "ignored"), [(1, 0.0), (3, 0.0), (2, 0.3)])
def test_average_precision_equals_pycocotools(build, seed, num_classes, ignored):
    results = random_results(build, seed, num_classes=num_classes, ignored=ignored)
    precision, recall = pycocotools_tables(results)
    scores = score(results)
    assert scores.map50 == pytest.approx(precision[0][precision[0] > -1].mean(), abs=1e-9)
    assert scores.map50_95 == pytest.approx(precision[precision > -1].mean(), abs=1e-9)
    assert 0.001 < scores.map50_95 < scores.map50 < 0.95
    quick = faster_coco_eval.COCOeval_faster(
        (coco := faster_coco_eval.COCO(coco_rows(results)[0])),
        coco.loadRes(coco_rows(results)[1]),
        "bbox",
        print_function=lambda *_: None,
    )
    quick.params.maxDets = [1000]
    quick.evaluate()
    quick.accumulate()
    precision = np.asarray(quick.eval["precision"])[:, :, :, 0, -1]
    assert scores.map50_95 == pytest.approx(precision[precision > -1].mean(), abs=1e-9)
    if num_classes == 1:
        best = recall[0, 0]
        mean = precision[0, : int(best * 100), 0].mean()
        legacy = (scores.legacy.precision, scores.legacy.recall, scores.legacy.f1)
        assert legacy == pytest.approx((mean, best, 2 * mean * best / (mean + best)), abs=1e-6)


@given(st.integers(0, 1000), st.sampled_from([0, 3, 8]))
@settings(max_examples=15, deadline=None)
def test_order_of_sequences_and_place_of_the_scene_do_not_matter(build, seed, shift):
    results = random_results(build, seed)
    moved = [
        build.result(
            build.annotation(
                [
                    (r.annotation.boxes_xyxy[r.annotation.rows_at(f)] + shift).tolist()
                    for f in range(r.annotation.num_frames)
                ]
            ),
            build.detections(
                [
                    np.hstack([d.boxes_xyxy + shift, d.scores[:, None]]).tolist()
                    for d in r.detections
                ]
            ),
        )
        for r in reversed(results)
    ]
    assert score(results).map50 == pytest.approx(score(moved).map50, abs=1e-6)


def test_no_detection_is_cut(build):
    # 150 false alarms score above the hit; COCO's usual 100 per image would drop it.
    false = [(30, 30, 31, 31, 0.9 - 0.001 * number) for number in range(150)]
    result = build.result(
        build.annotation([[(2, 2, 7, 7)]]), build.detections([[*false, (2, 2, 7, 7, 0.1)]])
    )
    scores = score([result])
    assert scores.map50 == pytest.approx(1 / 151, abs=1e-6)
    assert scores.legacy.recall == 1.0


def test_equal_frame_numbers_of_two_sequences_do_not_collide(build):
    # If both frames 0 were one image, the first detection would hit the second sequence's target.
    first = build.result(build.annotation([[]]), build.detections([[(2, 2, 7, 7, 0.9)]]))
    second = build.result(build.annotation([[(2, 2, 7, 7)]]), build.detections([[]]))
    assert score([first, second]).map50 == 0


def test_legacy_leaves_out_scores_below_the_papers_floor(build):
    result = build.result(
        build.annotation([[(2, 2, 7, 7), (20, 20, 25, 25)]]),
        build.detections([[(2, 2, 7, 7, 0.9), (20, 20, 25, 25, 0.0005)]]),
    )
    scores = score([result])
    assert scores.map50 == pytest.approx(1.0)
    assert (scores.legacy.precision, scores.legacy.recall) == (1.0, 0.5)


def test_without_truth_everything_is_nan(build):
    empty = build.result(build.annotation([[], []]), build.detections([[(1, 1, 3, 3, 0.5)], []]))
    ignored = build.result(
        build.annotation([[(1, 1, 3, 3)]], ignored=[[True]]),
        build.detections([[(1, 1, 3, 3, 0.5)]]),
    )
    for results in ([empty], [ignored], [empty, ignored], []):
        scores = score(results)
        assert math.isnan(scores.map50)
        assert math.isnan(scores.map50_95)
        assert math.isnan(scores.legacy.recall)


def test_without_predictions_map_is_zero_and_legacy_precision_undefined(build):
    result = build.result(build.annotation([[(1, 1, 3, 3)]]), build.detections([[]]))
    scores = score([result])
    assert (scores.map50, scores.map50_95, scores.legacy.recall) == (0, 0, 0)
    assert math.isnan(scores.legacy.precision)
    assert math.isnan(scores.legacy.f1)


def test_one_pixel_box_is_scored(build):
    result = build.result(
        build.annotation([[(5, 5, 6, 6)]]), build.detections([[(5, 5, 6, 6, 0.7)]])
    )
    assert score([result]).map50_95 == pytest.approx(1.0)


def test_nothing_is_printed(build, capfd):
    score(random_results(build, 0))
    assert capfd.readouterr() == ("", "")
