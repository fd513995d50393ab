"""Train a recipe with each segment left out in turn, and score it on what it never saw.

    python benchmarks/leave_one_out.py RECIPE [--seeds 0 1 2] [--folds data5 data13 ...]
        [--run-dir runs/leave_one_out] [--radius-px 3] [--set KEY=VALUE ...]

A fold leaves out one segment of the recipe's training file and, beside it, every fifth sequence of
each further source (of drone_ir, of each class): fold 0 the sequences 0, 5, 10, ... and so on; a
sixth segment repeats fold 0 and leaves those out of the scores. Nothing is chosen on what is left
out: the weights are those of the last epoch, and the operating point of a fold is the score at
which the *other* folds' segments give 0.05 false alarms per frame. Killed, it goes on where it
was; a fold that is done is read from its folder (delete `held_out.pickle` there, its detections,
where streams have changed since).

Segments, and sources with `boxes: point`: hit within `--radius-px` of the centre. Other sources:
within half the longer side of the box. As many frames of a sequence are looked at as the recipe
takes (its middle `max_frames`). All false alarms count. What the recipe excludes from training is
scored too, with its part; a second line leaves it out. Every table comes twice: with scores of
frames, those of the network, and with those of paths, as `stdet track` has them. With the latter,
what the recipe's own operating point gives on all frames of a source is printed below, of what the
recipe does not exclude. `--set tracker.KEY=VALUE` trains nothing anew.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from drone_ir import CLASSES, matching_rule, network

from stdet.config import EvaluationConfig, SourceConfig, StdetConfig, TrackerConfig, load_config
from stdet.datasets.sequences import LabelledSequence
from stdet.datasets.splits import load_sequences
from stdet.evaluation.from_model import detect_sequence, rescore_results, track_results
from stdet.evaluation.report import evaluate_sequences
from stdet.metrics.detection.average_precision import average_precision, class_hits
from stdet.metrics.detection.pairs import flatten
from stdet.metrics.detection.pd_fa import IncrementalMatches, ScoreCurve, join_incremental
from stdet.metrics.detection.roc import pd_at
from stdet.metrics.sequence_result import SequenceResult
from stdet.training.run import train
from stdet.training.run_folder import check_same_run
from stdet.types import Tracks

NUM_PARTS = 5
SEGMENT = "segment"
MAX_LINES = 10
"""A source of more sequences gets one line for all; others get one per sequence, too."""
RATES = (0.05, 0.2, 1.0)
TARGET_RATE = 0.05


@dataclass(frozen=True, kw_only=True)
class Fold:
    """What one training leaves out."""

    segment: str
    parts: tuple[tuple[str, ...], ...]
    """Sequences of each further source."""
    scores_parts: bool


def main() -> None:
    """Train what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folds", nargs="+", help="segments to leave out (all)")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/leave_one_out"))
    parser.add_argument("--radius-px", type=float, default=EvaluationConfig().pd_radius_px)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    args = parser.parse_args()
    config = load_config(args.recipe, args.overrides)
    folds = make_folds(config)
    if args.folds:
        folds = [fold for fold in folds if fold.segment in args.folds]
    for seed in args.seeds:
        found = [held_out(config, fold, seed, args.run_dir) for fold in folds]
        report(folds, found, f"seed {seed}, scores of frames", config, args.radius_px)
        scored = [
            {kind: rescore_results(results, config.tracker) for kind, results in part.items()}
            for part in found
        ]
        report(folds, scored, f"seed {seed}, track-before-detect scores", config, args.radius_px)
        report_points(scored, config, args.radius_px)


def make_folds(config: StdetConfig) -> list[Fold]:
    """Pair each segment with a fifth of every further source."""
    first, *further = config.data.train
    segments = list(dict.fromkeys(s.group for s in sequences_of(config, first)))
    names = [
        sorted(sequence.name for sequence in sequences_of(config, everything_of(source)))
        for source in further
    ]
    return [
        Fold(
            segment=segment,
            parts=tuple(every_fifth(of_source, number % NUM_PARTS) for of_source in names),
            scores_parts=number < NUM_PARTS,
        )
        for number, segment in enumerate(segments)
    ]


def sequences_of(config: StdetConfig, source: SourceConfig) -> list[LabelledSequence]:
    """Return the sequences of one source."""
    return load_sequences(replace(config.data, test=(source,)), "test")


def everything_of(source: SourceConfig) -> SourceConfig:
    """Return the source with what the recipe excludes, and not read into memory."""
    return replace(source, excluded_sequences=(), max_frames=None)


def every_fifth(names: list[str], part: int) -> tuple[str, ...]:
    """Return the names of a part, of each class of drone_ir its own."""
    by_class: dict[str, list[str]] = {}
    for name in names:
        kind = next((kind for kind in CLASSES if name.startswith(kind)), "")
        by_class.setdefault(kind, []).append(name)
    return tuple(name for of_class in by_class.values() for name in of_class[part::NUM_PARTS])


def held_out(
    config: StdetConfig, fold: Fold, seed: int, runs: Path
) -> dict[str, list[SequenceResult]]:
    """Return the detections on what the fold leaves out, trained first where that is missing.

    Returns:
        By source, named as its folder; `SEGMENT` for the segment.

    Raises:
        ConfigError: If the folder holds a run of another recipe.
    """
    run_dir = runs / f"{fold.segment}_seed{seed}"
    kept = run_dir / "held_out.pickle"
    first, *further = config.data.train
    parts = list(zip(further, fold.parts, strict=True))
    sources = tuple(
        replace(source, excluded_sequences=(*source.excluded_sequences, *names))
        for source, names in parts
    )
    chosen = replace(
        config,
        data=replace(config.data, validation_sequences=(fold.segment,), train=(first, *sources)),
        train=replace(config.train, seed=seed, validate_every=config.train.epochs),
        tracker=TrackerConfig(),  # Detections do not depend on it.
    )
    check_same_run(chosen, run_dir)
    if not kept.exists():
        train(chosen, run_dir=run_dir)
        weights = str(run_dir / "last.safetensors")
        found = {SEGMENT: detect(weights, load_sequences(chosen.data, "validation"))}
        for source, names in parts if fold.scores_parts else ():
            if names:
                left_out = replace(source, excluded_sequences=(), sequences=names)
                sequences = sequences_of(config, left_out)
                found[source.root.name] = detect(weights, sequences)
        kept.write_bytes(pickle.dumps(found))
    results: dict[str, list[SequenceResult]] = pickle.loads(kept.read_bytes())
    return results


def detect(weights: str, sequences: list[LabelledSequence]) -> list[SequenceResult]:
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
    radius_px: float,
) -> None:
    """Print a line per segment and the means, then the other sources."""
    near = matching_rule(is_loose=False, radius_px=radius_px)
    matches = [[near(result) for result in part[SEGMENT]] for part in found]
    print(f"\n{config.model.name}, {title}, last epoch, left-out segments")
    titles = [*(f"Pd@{rate}" for rate in RATES), "mAP50", "score", "Pd", "Fa/frame", "IDF1"]
    print(f"{'segment':<10}{'frames':>7}", *(f"{title:>9}" for title in titles))
    table = []
    for number, (fold, part) in enumerate(zip(folds, found, strict=True)):
        others = [g for other, parts in enumerate(matches) if other != number for g in parts]
        threshold = score_at(join_incremental(others), TARGET_RATE) if others else 0.5
        values = segment_values(part[SEGMENT], matches[number], threshold, config, radius_px)
        table.append(values)
        frames = sum(r.annotation.num_frames for r in part[SEGMENT])
        print(f"{fold.segment:<10}{frames:7}", *(f"{value:9.3f}" for value in values))
    print(f"{'mean':<17}", *(f"{value:9.3f}" for value in np.mean(table, axis=0)))
    pooled = join_incremental([found_in for parts in matches for found_in in parts])
    print_rates("all frames", pooled)
    for source in config.data.train[1:]:
        name = source.root.name
        grow = rule_of(source, radius_px)
        grown = {r.annotation.name: grow(r) for r in results_of(name, found)}
        if not grown:
            continue
        if len(grown) <= MAX_LINES:
            for sequence, found_in in grown.items():
                print_rates(f"  {name} {sequence}", join_incremental([found_in]))
        print_rates(
            f"{name}, {len(grown)} unseen sequences", join_incremental(list(grown.values()))
        )
        kept = [
            found_in for key, found_in in grown.items() if key not in source.excluded_sequences
        ]
        if len(kept) < len(grown):
            print_rates(
                f"{name}, {len(kept)} that the recipe does not exclude", join_incremental(kept)
            )


def rule_of(
    source: SourceConfig, radius_px: float
) -> Callable[[SequenceResult], IncrementalMatches]:
    """Return the rule by which a source's detections hit."""
    return matching_rule(is_loose=source.boxes != "point", radius_px=radius_px)


def results_of(kind: str, found: list[dict[str, list[SequenceResult]]]) -> list[SequenceResult]:
    """Return what all folds left out of a source, or of the segments."""
    return [result for part in found for result in part.get(kind, ())]


def segment_values(
    results: list[SequenceResult],
    matches: list[IncrementalMatches],
    threshold: float,
    config: StdetConfig,
    radius_px: float,
) -> list[float]:
    """Return Pd at the rates, mAP50, and what the operating point gives."""
    curve = join_incremental(matches)
    rates = [pd_at(curve, false_alarms=rate * curve.num_frames) for rate in RATES]
    tracked = track_results(results, config.tracker, confidence=threshold)
    evaluation = EvaluationConfig(pd_radius_px=radius_px)
    scores = evaluate_sequences(tracked, evaluation, confidence=threshold).overall
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


def report_points(
    scored: list[dict[str, list[SequenceResult]]], config: StdetConfig, radius_px: float
) -> None:
    """Print what the recipe's operating point gives on all that was left out of a source."""
    confidence = config.postprocess.confidence
    if confidence is None:
        return
    near = matching_rule(is_loose=False, radius_px=radius_px)
    print_point(SEGMENT + "s", results_of(SEGMENT, scored), near, confidence, config.tracker)
    for source in config.data.train[1:]:
        name, excluded = source.root.name, source.excluded_sequences
        kept = [r for r in results_of(name, scored) if r.annotation.name not in excluded]
        if kept:
            grow = rule_of(source, radius_px)
            print_point(name, kept, grow, confidence, config.tracker)


def print_point(
    title: str,
    results: list[SequenceResult],
    grow: Callable[[SequenceResult], IncrementalMatches],
    confidence: float,
    tracker_config: TrackerConfig,
) -> None:
    """Print one line: detection by the rule of the source, tracking by an 8 px gate."""
    curve = join_incremental([grow(result) for result in results])
    last = np.flatnonzero(curve.scores >= confidence)[-1:]
    hits, false = curve.num_hits[last].sum(), curve.num_false_alarms[last].sum()
    tracked = track_results(results, tracker_config, confidence=confidence)
    scores = evaluate_sequences(tracked, EvaluationConfig(), confidence=confidence)
    tracking = scores.overall.tracking
    print(
        f"{title}, {len(results)} sequences, at score {confidence}: "
        f"Pd {hits / curve.num_targets:.3f}, {false / curve.num_frames:.3f} false alarms per "
        f"frame, IDF1 {tracking.idf1:.3f}, MOTA {tracking.mota:.3f}, HOTA {tracking.hota:.3f}; "
        f"{TARGET_RATE} per frame at score {score_at(curve, TARGET_RATE):.3f}",
        flush=True,
    )


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
