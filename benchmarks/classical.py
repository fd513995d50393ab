"""Compare the classical detectors, and networks, on one set of sequences.

    python benchmarks/classical.py DATA [--set KEY=VALUE ...] [--source NAME]
        [--detectors NAME ...] [--weights WEIGHTS ...] [--radius-px 3]

DATA is a configuration (its validation split is taken, or its further source in a folder NAME, as
far as the recipe takes it: without `excluded_sequences`, the middle `max_frames`), a
`centroids.csv` beside folders of frames, or the `boxes.json` of drone_ir (the first 40 frames of
number 5, 20 and 40 of each of its four classes). Hits by centre distance below `--radius-px`, but
where boxes are loose (drone_ir, a source without `boxes: point`) within half the box; mAP50 only
where boxes are tight.
Frames per second are of the detector alone, without reading, by CPU time of one thread. The score
of the best F1 is an operating point for those who choose on this set, never a result. Every table
comes twice: with the detector's own scores, frame by frame, and with those of paths, as
`stdet track` has them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from stdet.boxes import centres_xy
from stdet.classical.methods import METHODS
from stdet.config import (
    DataConfig,
    EvaluationConfig,
    HitRuleName,
    SourceConfig,
    TrackerConfig,
    load_config,
)
from stdet.datasets.sequences import LabelledSequence, open_sequences
from stdet.datasets.splits import load_sequences
from stdet.evaluation.from_model import rescore_results, untracked
from stdet.evaluation.report import best_confidence
from stdet.formats.video_boxes import read_video_boxes
from stdet.inference.detector import Detector
from stdet.inference.stages.frames import StreamFrame
from stdet.metrics.detection.average_precision import average_precision, class_hits
from stdet.metrics.detection.hit_rule import hit_rule
from stdet.metrics.detection.pairs import flatten
from stdet.metrics.detection.pd_fa import (
    IncrementalMatches,
    join_incremental,
    match_incrementally,
)
from stdet.metrics.detection.roc import pd_at
from stdet.metrics.sequence_result import SequenceResult
from stdet.types import FloatArray, SequenceAnnotation

RATES = (0.05, 0.2, 1.0)
CENTROID_BOX_PX = 8.0
CLASSES = ("IR_AIRPLANE", "IR_BIRD", "IR_DRONE", "IR_HELICOPTER")
CLIP_NUMBERS = (5, 20, 40)
NUM_FRAMES = 40
"""Of each clip of drone_ir."""


@dataclass(frozen=True, kw_only=True)
class Footage:
    """One sequence: its truth and how a frame is read."""

    annotation: SequenceAnnotation
    read: Callable[[int], FloatArray]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a hit is: boxes may be too loose for a radius, and for mAP."""

    is_loose: bool
    radius_px: float

    def matches(self, result: SequenceResult) -> IncrementalMatches:
        """Match the detections of one sequence."""
        return match_incrementally(result, rule=hit_rule(self.settings))

    @property
    def settings(self) -> EvaluationConfig:
        """The rule as settings."""
        name: HitRuleName = "box_share" if self.is_loose else "centre_distance"
        return EvaluationConfig(hit_rule=name, pd_radius_px=self.radius_px)


def main() -> None:
    """Print a table for each detector."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="configuration, centroids.csv or boxes.json")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument(
        "--source", metavar="NAME", help="training source of the configuration, by its folder"
    )
    parser.add_argument("--radius-px", type=float, default=EvaluationConfig().pd_radius_px)
    parser.add_argument("--detectors", nargs="*", choices=METHODS, default=METHODS)
    parser.add_argument("--weights", nargs="*", default=[])
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.source is not None:
        config = load_config(args.data, args.overrides)
        sources = {source.root.name: source for source in config.data.train}
        if args.source not in sources:
            parser.error(f"--source {args.source}: {args.data} has {', '.join(sources)}")
        source = sources[args.source]
        loose = source.boxes != "point"
        footage = [
            Footage(annotation=s.annotation, read=s.read)
            for s in sequences_of(config.data, source)
        ]
    else:
        loose = args.data.suffix == ".json"
        footage = read_footage(args.data, args.overrides)
    rule = Rule(is_loose=loose, radius_px=args.radius_px)
    for name in args.detectors:
        compare(name, Detector.from_classical(name), footage, rule)
    for name in args.weights:
        compare(name, Detector.from_weights(name, device="cpu"), footage, rule)


def read_footage(data: Path, overrides: list[str]) -> list[Footage]:
    if data.suffix == ".csv":
        return read_centroids(data)
    if data.suffix == ".json":
        return [
            Footage(
                annotation=video.annotation.cut(0, min(len(video), NUM_FRAMES)),
                read=lambda index, s=video.source: s.scale.apply(s.read(index)),
            )
            for video in chosen_clips(open_sequences(read_video_boxes(data)))
        ]
    sequences = load_sequences(load_config(data, overrides).data, "validation")
    return [Footage(annotation=sequence.annotation, read=sequence.read) for sequence in sequences]


def chosen_clips(videos: list[LabelledSequence]) -> list[LabelledSequence]:
    """Return the clips of drone_ir that are looked at."""
    by_name = {video.name: video for video in videos}
    return [
        by_name[sorted(name for name in by_name if name.startswith(kind))[number]]
        for kind in CLASSES
        for number in CLIP_NUMBERS
    ]


def sequences_of(data: DataConfig, source: SourceConfig) -> list[LabelledSequence]:
    """Return the sequences of one source."""
    return load_sequences(replace(data, test=(source,)), "test")


def read_centroids(path: Path) -> list[Footage]:
    """Read centres beside folders of frames; targets get boxes of 8 px."""
    source = SourceConfig(root=path.parent, format="centroids", annotations=Path(path.name))
    found = []
    for sequence in sequences_of(DataConfig(root=Path()), source):
        truth = sequence.annotation
        middles = centres_xy(truth.boxes_xyxy)
        corners = [middles - CENTROID_BOX_PX / 2, middles + CENTROID_BOX_PX / 2]
        boxed = replace(truth, boxes_xyxy=np.concatenate(corners, axis=1))
        found.append(Footage(annotation=boxed, read=sequence.read))
    return found


def compare(name: str, detector: Detector, footage: list[Footage], rule: Rule) -> None:
    """Detect, match and print a line per sequence and one for all, by either score."""
    results, seconds = [], 0.0
    for clip in footage:
        frames = [clip.read(index) for index in range(clip.annotation.num_frames)]
        given = [StreamFrame.of_scaled(index, frame) for index, frame in enumerate(frames)]
        started = time.process_time()
        results.append(untracked(clip.annotation, detector.start().run(given)))
        seconds += time.process_time() - started
    num_frames = sum(result.annotation.num_frames for result in results)
    print(f"\n{name}: {num_frames / seconds:.1f} frames/s of CPU time")
    print_table("scores of frames", results, rule)
    print_table("track-before-detect scores", rescore_results(results, TrackerConfig()), rule)


def print_table(title: str, results: list[SequenceResult], rule: Rule) -> None:
    print(f"{title:<24}{'frames':>7}", *(f"{f'Pd@{rate}':>8}" for rate in RATES), "  mAP50")
    if len(results) > 1:
        for result in results:
            print_line(result.annotation.name, [result], rule)
    print_line("all", results, rule)
    if not rule.is_loose:
        print(f"best F1 of this set at score {best_confidence(results, rule.settings):.3f}")


def print_line(name: str, results: list[SequenceResult], rule: Rule) -> None:
    curve = join_incremental([rule.matches(result) for result in results])
    pds = [pd_at(curve, false_alarms=rate * curve.num_frames) for rate in RATES]
    precision = average_precision([class_hits(flatten(result)) for result in results])
    shown = f"{'-':>8}" if rule.is_loose else f"{precision.map50:8.3f}"
    print(f"{name:<24}{curve.num_frames:7}", *(f"{pd:8.3f}" for pd in pds), shown, flush=True)


if __name__ == "__main__":
    main()
