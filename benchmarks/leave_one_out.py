"""Train a recipe with each segment left out in turn, and score it on what it never saw.

    python benchmarks/leave_one_out.py RECIPE --drone-ir /path/to/drone_ir [--seeds 0 1 2]
        [--folds data5 data13 ...] [--run-dir runs/leave_one_out] [--set KEY=VALUE ...]

A fold leaves out one segment of the recipe's training file and, beside it, every fifth clip of
each class of drone_ir (fold 0 the clips 0, 5, 10, ... and so on; a sixth segment repeats fold 0
and leaves those out of the scores). Nothing is chosen on what is left out: the weights are those
of the last epoch, and the operating point of a fold is the score at which the *other* folds'
held-out sequences give 0.05 false alarms per frame. Killed, it goes on where it was; a fold that
is done is read from its folder.

DAUB: hit within 3 px of the centre. drone_ir: within half the longer side of the loose box. The
middle 40 frames of each clip are looked at. All false alarms count; a second line leaves out the
clips whose labels miss flying points. Every table comes twice: with the network's scores, frame by
frame, and with those of paths, as `stdet track` has them.
"""

from __future__ import annotations

import argparse
import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from drone_ir import CLASSES, loose_growth, network

from stdet.config import EvaluationConfig, SourceConfig, StdetConfig, TrackerConfig, load_config
from stdet.data.sequences import Sequence, load_sequences, load_source
from stdet.evaluation.average_precision import average_precision, class_hits
from stdet.evaluation.pairs import flatten
from stdet.evaluation.pd_fa import HitGrowth, ScoreCurve, hit_growth, join_growth
from stdet.evaluation.report import evaluate_sequences
from stdet.evaluation.roc import pd_at
from stdet.evaluation.sequence_result import SequenceResult
from stdet.pipeline import detect_sequence, score_paths, track_results
from stdet.training.run import train
from stdet.types import Tracks

NUM_CLIP_FOLDS = 5
CLIP_FRAMES = 40
INCOMPLETE_CLIPS = (
    *("IR_AIRPLANE_064", "IR_BIRD_018", "IR_BIRD_019", "IR_BIRD_044", "IR_BIRD_072"),
    *("IR_DRONE_009", "IR_DRONE_054", "IR_DRONE_070", "IR_DRONE_140"),
)
"""Clips of drone_ir in which, by eye, points fly in open sky without a label for many frames."""
RATES = (0.05, 0.2, 1.0)
TARGET_RATE = 0.05


@dataclass(frozen=True, kw_only=True)
class Fold:
    """What one training leaves out."""

    segment: str
    clips: tuple[str, ...]
    scores_clips: bool


def main() -> None:
    """Train what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--drone-ir", type=Path, required=True, help="folder with boxes.json")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folds", nargs="+", help="segments to leave out (all)")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/leave_one_out"))
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    args = parser.parse_args()
    config = load_config(args.recipe, args.overrides)
    folds = make_folds(config, args.drone_ir)
    if args.folds:
        folds = [fold for fold in folds if fold.segment in args.folds]
    for seed in args.seeds:
        found = [held_out(config, fold, seed, args) for fold in folds]
        report(folds, found, f"seed {seed}, scores of frames", config)
        scored = [
            {kind: score_paths(results, config.tracker) for kind, results in part.items()}
            for part in found
        ]
        report(folds, scored, f"seed {seed}, scores of paths", config)


def make_folds(config: StdetConfig, drone_ir: Path) -> list[Fold]:
    """Pair each segment with a fifth of the clips."""
    everything = replace(config.data, validation_sequences=(), train_sequences=())
    segments = list(dict.fromkeys(s.group for s in load_sequences(everything, "train")))
    source = SourceConfig(root=drone_ir, format="videos", annotations=Path("boxes.json"))
    names = sorted(sequence.name for sequence in load_source(source))
    folds = []
    for number, segment in enumerate(segments):
        part = number % NUM_CLIP_FOLDS
        clips = [
            name
            for kind in CLASSES
            for name in [n for n in names if n.startswith(kind)][part::NUM_CLIP_FOLDS]
        ]
        is_new = number < NUM_CLIP_FOLDS
        folds.append(Fold(segment=segment, clips=tuple(clips), scores_clips=is_new))
    return folds


def held_out(
    config: StdetConfig, fold: Fold, seed: int, args: argparse.Namespace
) -> dict[str, list[SequenceResult]]:
    """Return the detections on what the fold leaves out, trained first where that is missing."""
    run_dir = args.run_dir / f"{fold.segment}_seed{seed}"
    kept = run_dir / "held_out.pickle"
    if not kept.exists():
        sources = tuple(
            replace(source, excluded_sequences=(*source.excluded_sequences, *fold.clips))
            if source.annotations == Path("boxes.json")
            else source
            for source in config.data.extra_sources
        )
        chosen = replace(
            config,
            data=replace(config.data, validation_sequences=(fold.segment,), extra_sources=sources),
            train=replace(config.train, seed=seed, validate_every=config.train.epochs),
        )
        train(chosen, run_dir=run_dir)
        left_out = {"segment": load_sequences(chosen.data, "validation"), "clips": []}
        if fold.scores_clips:
            left_out["clips"] = load_source(
                SourceConfig(
                    root=args.drone_ir,
                    format="videos",
                    annotations=Path("boxes.json"),
                    sequences=fold.clips,
                    max_frames=CLIP_FRAMES,
                )
            )
        weights = str(run_dir / "last.safetensors")
        found = {kind: detect(weights, sequences) for kind, sequences in left_out.items()}
        kept.write_bytes(pickle.dumps(found))
    results: dict[str, list[SequenceResult]] = pickle.loads(kept.read_bytes())
    return results


def detect(weights: str, sequences: list[Sequence]) -> list[SequenceResult]:
    """Run the detector over sequences."""
    streaming = network(weights, device="auto")
    return [
        SequenceResult(
            annotation=sequence.annotation,
            detections=tuple(detect_sequence(streaming, sequence)),
            tracks=Tracks.empty(),
        )
        for sequence in sequences
    ]


def report(
    folds: list[Fold],
    found: list[dict[str, list[SequenceResult]]],
    title: str,
    config: StdetConfig,
) -> None:
    """Print a line per segment and the means, then drone_ir."""
    radius = EvaluationConfig().pd_radius_px
    growths = [[hit_growth(r, radius_px=radius) for r in part["segment"]] for part in found]
    print(f"\n{config.model.name}, {title}, last epoch, left-out segments")
    titles = [*(f"Pd@{rate}" for rate in RATES), "mAP50", "score", "Pd", "Fa/frame", "IDF1"]
    print(f"{'segment':<10}{'frames':>7}", *(f"{title:>9}" for title in titles))
    table = []
    for number, (fold, part) in enumerate(zip(folds, found, strict=True)):
        others = [g for other, parts in enumerate(growths) if other != number for g in parts]
        threshold = score_at(join_growth(others), TARGET_RATE) if others else 0.5
        values = segment_values(part["segment"], growths[number], threshold, config.tracker)
        table.append(values)
        frames = sum(r.annotation.num_frames for r in part["segment"])
        print(f"{fold.segment:<10}{frames:7}", *(f"{value:9.3f}" for value in values))
    print(f"{'mean':<17}", *(f"{value:9.3f}" for value in np.mean(table, axis=0)))
    pooled = join_growth([growth for parts in growths for growth in parts])
    print_rates("all frames", pooled)
    clips = {r.annotation.name: loose_growth(r) for part in found for r in part["clips"]}
    complete = [growth for name, growth in clips.items() if name not in INCOMPLETE_CLIPS]
    for which, chosen in (("all", list(clips.values())), ("labels complete", complete)):
        if chosen:
            print_rates(f"drone_ir, {len(chosen)} unseen clips ({which})", join_growth(chosen))


def segment_values(
    results: list[SequenceResult],
    growths: list[HitGrowth],
    threshold: float,
    tracker_config: TrackerConfig,
) -> list[float]:
    """Return Pd at the rates, mAP50, and what the operating point gives."""
    curve = join_growth(growths)
    rates = [pd_at(curve, false_alarms=rate * curve.num_frames) for rate in RATES]
    tracked = track_results(results, tracker_config, confidence=threshold)
    scores = evaluate_sequences(tracked, EvaluationConfig(), confidence=threshold).overall
    map50 = average_precision([class_hits(flatten(result)) for result in results]).map50
    point = scores.pd_fa
    return [
        *rates,
        map50,
        threshold,
        point.pd,
        point.false_alarms_per_frame,
        scores.tracking.idf1,
    ]


def score_at(curve: ScoreCurve, rate: float) -> float:
    """Return the lowest score with at most ``rate`` false alarms per frame."""
    allowed = curve.num_false_alarms <= rate * curve.num_frames
    return float(curve.scores[allowed].min()) if allowed.any() else 1.0


def print_rates(title: str, curve: ScoreCurve) -> None:
    """Print Pd at the rates for a pooled set."""
    pds = [pd_at(curve, false_alarms=rate * curve.num_frames) for rate in RATES]
    shown = ", ".join(f"{pd:.3f} at {rate}" for pd, rate in zip(pds, RATES, strict=True))
    print(f"{title}: Pd {shown} false alarms per frame ({curve.num_frames} frames)")


if __name__ == "__main__":
    main()
