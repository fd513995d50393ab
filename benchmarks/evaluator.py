"""Time the evaluator against pycocotools and TrackEval on the same arrays, in one run.

    python benchmarks/evaluator.py [--images 20000] [--frames 20000] [--targets 10] [--rounds 3]

Detection: one target per image and 11.65 detections (233,000 for 20,000 images), mAP50:95.
Tracking: CLEAR, identity and HOTA by centre distance. Contenders take turns; what is printed is
the wall and the CPU time of the best round, the ratio of CPU times and the memory at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from trackeval.metrics import CLEAR, HOTA, Identity

from stdet.boxes import centre_distance
from stdet.metrics.detection.average_precision import average_precision, class_hits
from stdet.metrics.detection.pairs import flatten
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.tracking.clear_identity_hota import count_tracking
from stdet.types import Detections, SequenceAnnotation, Tracks

HW = (512, 640)
DETECTIONS_PER_IMAGE = 11.65
GATE_PX = 8.0


def main() -> None:
    """Print a line per contender."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    detection = detection_load(args.images)
    compare(
        {
            "stdet": lambda: average_precision([class_hits(flatten(detection))]).map50_95,
            "pycocotools": lambda: coco_map(detection, has_areas=True),
            "  area all": lambda: coco_map(detection, has_areas=False),
        },
        rounds=args.rounds,
        title=f"{args.images} images, {sum(map(len, detection.detections))} detections, mAP50:95",
    )
    truth, tracks = tracking_load(args.frames, args.targets)
    compare(
        {
            "stdet": lambda: count_tracking(truth, tracks, gate_px=GATE_PX).hota.hota,
            "TrackEval": lambda: trackeval_hota(truth, tracks),
        },
        rounds=args.rounds,
        title=f"{args.frames} frames, {args.targets} targets, CLEAR + identity + HOTA",
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, contenders included: {peak:.0f} MB")


def compare(contenders: dict[str, Callable[[], float]], *, rounds: int, title: str) -> None:
    """Run contenders in turns and print their best times."""
    best: dict[str, tuple[float, float]] = {}
    values: dict[str, float] = {}
    for _ in range(rounds):
        for name, run in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            values[name] = run()
            spent = (time.process_time() - cpu, time.perf_counter() - wall)
            best[name] = min(best.get(name, spent), spent)
    print(title)
    first = next(iter(contenders))
    for name, (cpu, wall) in best.items():
        print(
            f"  {name:<12} wall {wall:8.2f} s  CPU {cpu:8.2f} s  "
            f"{cpu / best[first][0]:6.2f}x  value {values[name]:.9f}"
        )


def detection_load(num_images: int) -> SequenceResult:
    """Draw one target per image, a detection near it and clutter."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 480, (num_images, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + rng.uniform(3, 12, (num_images, 2))], axis=1)
    counts = rng.poisson(DETECTIONS_PER_IMAGE - 1, num_images)
    found = []
    for index, count in enumerate(counts):
        near = boxes[index : index + 1] + rng.normal(0, 0.4, (1, 4))
        far = rng.uniform(0, 480, (count, 2))
        rows = np.concatenate([near, np.concatenate([far, far + 8], axis=1)])
        scores = rng.uniform(0.01, 1, len(rows))
        found.append(Detections.from_unsorted(rows, scores, frame_index=index, image_hw=HW))
    annotation = annotation_of(np.arange(num_images), np.ones(num_images), boxes, num_images)
    return SequenceResult(annotation=annotation, detections=tuple(found), tracks=Tracks.empty())


def tracking_load(num_frames: int, num_targets: int) -> tuple[SequenceAnnotation, Tracks]:
    """Draw targets on straight lines; tracks with noise, misses, swaps and false rows."""
    rng = np.random.default_rng(1)
    starts = rng.uniform(0, 480, (num_targets, 2))
    velocities = rng.normal(0, 0.5, (num_targets, 2))
    frames = np.repeat(np.arange(num_frames), num_targets)
    ids = np.tile(np.arange(1, num_targets + 1), num_frames)
    centres = (starts[ids - 1] + velocities[ids - 1] * frames[:, None]) % 480
    boxes = np.concatenate([centres - 4, centres + 4], axis=1)
    is_seen = rng.random(len(frames)) < 0.95
    # Every 500 frames each track breaks off and goes on under a new id.
    track_ids = ids + num_targets * (frames // 500)
    noisy = boxes + np.tile(rng.normal(0, 1, (len(frames), 2)), 2)
    tracks = Tracks(
        frame_indices=frames[is_seen],
        track_ids=track_ids[is_seen],
        boxes_xyxy=noisy[is_seen].astype(np.float32),
        scores=np.ones(is_seen.sum(), np.float32),
        probabilities=np.full(is_seen.sum(), np.nan, np.float32),
        class_ids=np.zeros(is_seen.sum(), np.int64),
        detection_indices=np.full(is_seen.sum(), -1, np.int64),
    )
    return annotation_of(frames, ids, boxes, num_frames), tracks


def annotation_of(
    frames: np.ndarray[Any, Any],
    ids: np.ndarray[Any, Any],
    boxes: np.ndarray[Any, Any],
    num_frames: int,
) -> SequenceAnnotation:
    """Build the truth."""
    return SequenceAnnotation(
        name="load",
        num_frames=num_frames,
        image_hw=HW,
        fps=None,
        frame_indices=frames.astype(np.int64),
        track_ids=ids.astype(np.int64),
        boxes_xyxy=boxes.astype(np.float32),
        class_ids=np.zeros(len(frames), np.int64),
        is_ignored=np.zeros(len(frames), np.bool_),
    )


def coco_map(result: SequenceResult, *, has_areas: bool) -> float:
    """Score by pycocotools, from the same arrays, with its four area ranges or "all" alone."""
    truth = result.annotation
    boxes = truth.boxes_xyxy.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    annotations = [
        {
            "id": row + 1,
            "image_id": frame + 1,
            "category_id": 1,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
        }
        for row, (frame, box) in enumerate(
            zip(truth.frame_indices.tolist(), boxes.tolist(), strict=True)
        )
    ]
    rows = []
    for frame in result.detections:
        found = frame.boxes_xyxy.astype(np.float64)
        found[:, 2:] -= found[:, :2]
        rows += [
            {"image_id": frame.frame_index + 1, "category_id": 1, "bbox": box, "score": score}
            for box, score in zip(found.tolist(), frame.scores.tolist(), strict=True)
        ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": index + 1} for index in range(truth.num_frames)],
            "annotations": annotations,
            "categories": [{"id": 1, "name": "target"}],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(rows), "bbox")
        evaluation.params.maxDets = [1000]
        if not has_areas:
            evaluation.params.areaRng = evaluation.params.areaRng[:1]
            evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
        evaluation.evaluate()
        evaluation.accumulate()
    return float(evaluation.eval["precision"][..., 0, -1].mean())


def trackeval_hota(truth: SequenceAnnotation, tracks: Tracks) -> float:
    """Score by TrackEval, from the same arrays."""
    _, gt_ids = np.unique(truth.track_ids, return_inverse=True)
    _, pred_ids = np.unique(tracks.track_ids, return_inverse=True)
    data: dict[str, Any] = {
        "num_gt_dets": len(truth),
        "num_tracker_dets": len(tracks),
        "num_gt_ids": int(gt_ids.max()) + 1,
        "num_tracker_ids": int(pred_ids.max()) + 1,
        "num_timesteps": truth.num_frames,
        "gt_ids": [],
        "tracker_ids": [],
        "similarity_scores": [],
    }
    for frame in range(truth.num_frames):
        rows = truth.rows_at(frame)
        low, high = np.searchsorted(tracks.frame_indices, [frame, frame + 1])
        distance = centre_distance(truth.boxes_xyxy[rows], tracks.boxes_xyxy[low:high])
        data["gt_ids"].append(gt_ids[rows])
        data["tracker_ids"].append(pred_ids[low:high])
        data["similarity_scores"].append(np.maximum(0, 1 - distance / (2 * GATE_PX)))
    quiet = {"PRINT_CONFIG": False}
    CLEAR({"THRESHOLD": 0.5, **quiet}).eval_sequence(data)
    Identity({"THRESHOLD": 0.5, **quiet}).eval_sequence(data)
    return float(HOTA().eval_sequence(data)["HOTA"].mean())


if __name__ == "__main__":
    main()
