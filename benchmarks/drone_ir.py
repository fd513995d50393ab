"""Measure Pd at a few false-alarm rates on twelve clips of the drone_ir set.

    python benchmarks/drone_ir.py /path/to/drone_ir/boxes.json WEIGHTS ...

The shipped weights were trained on these clips: for weights that were not.

The clips are number 5, 20 and 40 of each of the four classes, the first 40 frames of each. Their
boxes are loose, so a detection hits when its centre lies within half the longer side of the box
from the box's centre (`evaluation.hit_rule: box_share`). Scores use track-before-detect.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from stdet.config import EvaluationConfig, TrackerConfig
from stdet.datasets.sequences import LabelledSequence, open_sequences
from stdet.evaluation.from_model import rescore_results
from stdet.formats.video_boxes import read_video_boxes
from stdet.inference.detector import Detector
from stdet.inference.stages.frames import StreamFrame
from stdet.metrics.detection.hit_rule import CentreDistance, hit_rule
from stdet.metrics.detection.pd_fa import IncrementalMatches, match_incrementally, score_curve
from stdet.metrics.sequence_result import SequenceResult
from stdet.types import SequenceAnnotation, Tracks

CLASSES = ("IR_AIRPLANE", "IR_BIRD", "IR_DRONE", "IR_HELICOPTER")
CLIP_NUMBERS = (5, 20, 40)
NUM_FRAMES = 40
FALSE_ALARMS_PER_FRAME = (0.05, 0.2, 1.0)
HALF_BOX = hit_rule(EvaluationConfig(hit_rule="box_share"))


def main() -> None:
    """Print a line per weights file and rate."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("boxes", type=Path, help="boxes.json of drone_ir")
    parser.add_argument("weights", nargs="+")
    args = parser.parse_args()
    videos = chosen(open_sequences(read_video_boxes(args.boxes)))
    for weights in args.weights:
        report(weights, videos)


def chosen(videos: list[LabelledSequence]) -> list[LabelledSequence]:
    """Return the twelve clips."""
    by_name = {video.annotation.name: video for video in videos}
    return [
        by_name[sorted(name for name in by_name if name.startswith(kind))[number]]
        for kind in CLASSES
        for number in CLIP_NUMBERS
    ]


def first_frames(truth: SequenceAnnotation) -> SequenceAnnotation:
    """Return the truth of the frames that are looked at."""
    return truth.cut(0, min(truth.num_frames, NUM_FRAMES))


def network(weights: str, device: str = "cpu") -> Detector:
    """Build the detector of a weights file."""
    return Detector.from_weights(weights, device=device)


def matching_rule(
    *, is_loose: bool, radius_px: float
) -> Callable[[SequenceResult], IncrementalMatches]:
    """Return the rule by which detections hit: loose boxes, or centres within a radius."""
    rule = HALF_BOX if is_loose else CentreDistance(radius_px)
    return partial(match_incrementally, rule=rule)


def report(weights: str, videos: list[LabelledSequence]) -> None:
    """Detect, match and print."""
    detector = network(weights)
    results = []
    for video in videos:
        given = (
            StreamFrame.of_scaled(frame.index, video.source.scale.apply(frame.pixels))
            for frame in video.source.frames(0, NUM_FRAMES)
        )
        found = [frame.detections for frame in detector.start().run(given)]
        truth = first_frames(video.annotation)
        results.append(
            SequenceResult(annotation=truth, detections=tuple(found), tracks=Tracks.empty())
        )
    scored = rescore_results(results, TrackerConfig())
    curve = score_curve(scored, rule=HALF_BOX)
    for rate in FALSE_ALARMS_PER_FRAME:
        last = int(np.searchsorted(curve.num_false_alarms, rate * curve.num_frames, side="right"))
        print(
            f"{weights}: Pd {curve.num_hits[last - 1] / curve.num_targets:.3f} at {rate} false "
            f"alarms per frame, score {curve.scores[last - 1]:.3f} ({curve.num_targets} targets, "
            f"{curve.num_frames} frames)"
        )


if __name__ == "__main__":
    main()
