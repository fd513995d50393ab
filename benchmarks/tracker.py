"""Compare life times and thresholds of the tracker on degraded truth of the generated benchmark.

    stdet synth configs/benchmarks/synth1.yaml --out data/benchmark
    python benchmarks/tracker.py data/benchmark

Each target of the test split is seen in every frame, 0.4 px off; in a share of the frames, drawn
one by one, its score is weak (0.3 to 0.6, else 0.6 to 0.9). False alarms lie anywhere, a mean of
0.05 or 0.5 strong and four times as many weak ones per frame. The operating point is 0.6. These
are scores of frames, with many false alarms, so that three hits in five frames confirm a track;
where the scores are those of paths, one does (docs/decisions/0015).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from stdet.boxes import centres_xy
from stdet.config import DataConfig, EvaluationConfig, TrackerConfig
from stdet.datasets.splits import load_sequences
from stdet.evaluation.from_model import track_results
from stdet.evaluation.report import evaluate_sequences
from stdet.metrics.sequence_result import SequenceResult
from stdet.types import Detections, SequenceAnnotation, Tracks

CONFIDENCE = 0.6
SCENES = ((0.1, 0.05), (0.3, 0.05), (0.3, 0.5))
"""Share of weak frames, strong false alarms per frame."""
SLOW = {"confirm_hits": 3, "confirm_window": 5}
SETTINGS = {
    "no memory, one threshold": TrackerConfig(**SLOW, max_lost=2, continue_share=1.0),
    "memory of 20 frames": TrackerConfig(**SLOW, continue_share=1.0),
    "two thresholds": TrackerConfig(**SLOW, max_lost=2),
    "both": TrackerConfig(**SLOW),
}


def main() -> None:
    """Print a line per scene and setting."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", type=Path, help="folder of the benchmark")
    args = parser.parse_args()
    sequences = load_sequences(DataConfig(root=args.root), "test")
    for weak_share, rate in SCENES:
        rng = np.random.default_rng(0)
        results = [
            SequenceResult(
                annotation=sequence.annotation,
                detections=degraded(sequence.annotation, weak_share, rate, rng),
                tracks=Tracks.empty(),
            )
            for sequence in sequences
        ]
        print(f"\nweak in {weak_share:.0%} of frames, {rate} strong false alarms per frame")
        print(f"{'':<26}{'IDF1':>8}{'MOTA':>8}{'HOTA':>8}{'switches':>10}")
        for name, config in SETTINGS.items():
            tracked = track_results(results, config, confidence=CONFIDENCE)
            scores = evaluate_sequences(tracked, EvaluationConfig(), confidence=CONFIDENCE)
            found = scores.overall.tracking
            print(
                f"{name:<26}{found.idf1:8.3f}{found.mota:8.3f}{found.hota:8.3f}"
                f"{found.id_switches:10d}"
            )


def degraded(
    truth: SequenceAnnotation, weak_share: float, rate: float, rng: np.random.Generator
) -> tuple[Detections, ...]:
    """Return detections of every frame."""
    height, width = truth.image_hw
    frames = []
    for index in range(truth.num_frames):
        centres = centres_xy(truth.boxes_xyxy[truth.rows_at(index)]).astype(np.float64)
        centres += rng.normal(0, 0.4, centres.shape)
        is_weak = rng.random(len(centres)) < weak_share
        weak, strong = rng.uniform(0.3, 0.6, len(centres)), rng.uniform(0.6, 0.9, len(centres))
        num_strong, num_weak = rng.poisson(rate), rng.poisson(4 * rate)
        false = rng.uniform(0, (width, height), (num_strong + num_weak, 2))
        centres = np.concatenate([centres, false])
        scores = (
            np.where(is_weak, weak, strong),
            rng.uniform(0.6, 0.8, num_strong),
            rng.uniform(0.2, 0.6, num_weak),
        )
        frames.append(
            Detections.from_unsorted(
                np.concatenate([centres - 4, centres + 4], axis=1),
                np.concatenate(scores),
                frame_index=index,
                image_hw=truth.image_hw,
            )
        )
    return tuple(frames)


if __name__ == "__main__":
    main()
