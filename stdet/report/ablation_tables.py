"""Variants of a network, several seeds each, set against the first variant.

Two things could have come out otherwise: the seed, and which sequences the split holds. A resample
therefore draws both, seeds and sequences, with replacement, and takes the mean over its seeds. All
variants share the draws, so the spread of a difference is that of a paired comparison: seed by
seed, sequence by sequence. Where each training is repeated with other data held out (folds), a
run is the mean over its folds, and folds are drawn in place of sequences.

Source:
    Bootstrap over two crossed factors: Owen 2007, "The pigeonhole bootstrap"
    (doi 10.1214/07-AOAS122); its intervals err on the wide side. With few seeds or sequences
    percentile intervals are too narrow nevertheless; the table says how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.errors import DataError
from stdet.metrics.bootstrap import HEADLINES, NUM_RESAMPLES, Vector, percentile_interval
from stdet.report.comparison import LABELS, Run, require_comparable
from stdet.report.tables import Table, format_interval, format_score

_SEED = 20260202
"""Not that of the draws of sequences: as many seeds as sequences would be drawn in step."""
_FOLD_SEED = 20260203

MAIN = "detection.map50"
"""The number of the summary and of the plots."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a variant costs.

    Attributes:
        parameters: At inference.
        gflop_per_frame: Each frame's features computed once, as `stdet track` does.
        gflop_per_clip: All frames of the clip recomputed, as published.
        frames_per_second: Of a stream, on the machine and threads that the table names.
    """

    parameters: int
    gflop_per_frame: float
    gflop_per_clip: float
    frames_per_second: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Variant:
    """One variant and its evaluated runs.

    Attributes:
        name: Unique.
        runs: By seed; the same seeds for every variant.
        cost: What it costs.
    """

    name: str
    runs: Mapping[int, Run]
    cost: Cost


@dataclass(frozen=True, kw_only=True)
class Number:
    """One headline number of a variant.

    Attributes:
        mean: Over seeds.
        deviation: Standard deviation over seeds (n - 1), NaN for one seed.
        interval: 95 % of the resamples, None where there are none.
        difference: Mean minus that of the first variant, NaN for the first itself.
        difference_interval: 95 % of the paired resamples, None where there are none.
    """

    mean: float
    deviation: float
    interval: tuple[float, float] | None
    difference: float
    difference_interval: tuple[float, float] | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        interval = self.difference_interval
        return interval is not None and (interval[0] > 0 or interval[1] < 0)


def join_folds(folds: Sequence[Run]) -> Run:
    """Return the mean over folds as one run; its resamples draw folds with replacement.

    Args:
        folds: One seed's runs, each on what its training left out; a single one is returned as it
            is. Draws depend on their number
            alone, so all seeds and variants share them.
    """
    first = folds[0]
    if len(folds) == 1:
        return first
    values = {key: np.array([fold.scores[key] for fold in folds]) for key in HEADLINES}
    draws = _draws(len(folds), _FOLD_SEED)
    return Run(
        name=first.name,
        scores={key: float(value.mean()) for key, value in values.items()},
        sequences=tuple("+".join(fold.sequences) for fold in folds),
        resamples={key: _weighted_mean(value[:, None], draws) for key, value in values.items()},
        rules={
            key: sum(float(f.rules[key]) for f in folds) if key.startswith("num_") else value
            for key, value in first.rules.items()
        },
        labels="+".join(filter(None, dict.fromkeys(fold.labels for fold in folds))),
        truth_sha256="+".join(fold.truth_sha256 for fold in folds),
    )


def score_variants(variants: Sequence[Variant]) -> dict[str, dict[str, Number]]:
    """Return every headline number of every variant, by variant and name.

    Args:
        variants: The first one is the base of all differences.

    Raises:
        DataError: If variants differ in seeds, or runs in sequences or rules.
    """
    first = variants[0]
    for variant in variants:
        if variant.runs.keys() != first.runs.keys():
            raise DataError(
                f"{variant.name}: has other seeds than {first.name}; finish all cells."
            )
        for run in variant.runs.values():
            require_comparable(next(iter(first.runs.values())), run)
    draws = _draws(len(first.runs), _SEED)
    return {
        variant.name: {key: _number(key, variant, first, draws) for key in HEADLINES}
        for variant in variants
    }


def _number(key: str, variant: Variant, first: Variant, draws: NDArray[np.int64]) -> Number:
    """Return one number of one variant."""
    seeds = list(first.runs)
    values = np.array([variant.runs[seed].scores[key] for seed in seeds])
    base = np.array([first.runs[seed].scores[key] for seed in seeds])
    resamples, base_resamples = _resamples(key, variant, seeds), _resamples(key, first, seeds)
    interval = difference_interval = None
    if resamples is not None and base_resamples is not None:
        interval = percentile_interval(_weighted_mean(resamples, draws))
        if variant is not first:
            paired = _weighted_mean(resamples - base_resamples, draws)
            difference_interval = percentile_interval(paired)
    return Number(
        mean=float(values.mean()),
        deviation=float(values.std(ddof=1)) if len(values) > 1 else math.nan,
        interval=interval,
        difference=math.nan if variant is first else float((values - base).mean()),
        difference_interval=difference_interval,
    )


def _resamples(key: str, variant: Variant, seeds: Sequence[int]) -> NDArray[np.float64] | None:
    """Return the resamples of one number, (S, R); None where a run has none."""
    runs = [variant.runs[seed] for seed in seeds]
    if not all(key in run.resamples for run in runs):
        return None
    return np.stack([run.resamples[key] for run in runs])


def _draws(num: int, seed: int) -> NDArray[np.int64]:
    """Return how often each resample holds each of ``num`` things, int64 (R, num)."""
    rng = np.random.default_rng([seed, num])
    return rng.multinomial(num, np.full(num, 1 / num), NUM_RESAMPLES).astype(np.int64)


def _weighted_mean(values: NDArray[np.float64], draws: NDArray[np.int64]) -> Vector:
    """Return the mean of each resample over what it holds, (R,), from values (num, R or 1)."""
    is_held = draws.T > 0
    total: Vector = np.where(is_held, values * draws.T, 0.0).sum(axis=0) / len(values)
    return total


def summary_table(
    variants: Sequence[Variant],
    scores: Mapping[str, Mapping[str, Number]],
    notes: Sequence[str] = (),
) -> Table:
    """Return a row per variant: cost, mAP50 and its difference to the first variant."""
    rows = []
    for variant in variants:
        number, cost = scores[variant.name][MAIN], variant.cost
        rows.append(
            (
                variant.name,
                f"{cost.parameters:,}",
                f"{cost.gflop_per_frame:.3f}",
                f"{cost.frames_per_second:.1f}",
                format_score(MAIN, number.mean),
                format_interval(MAIN, number.interval),
                _signed(MAIN, number),
                format_interval(MAIN, number.difference_interval, sign="+"),
            )
        )
    header = ("", "parameters", "GFLOP/frame", "frames/s", LABELS[MAIN], "95 % interval")
    first = variants[0]
    num_sequences = len(next(iter(first.runs.values())).sequences)
    seeds = ", ".join(map(str, first.runs))
    return Table(
        header=(*header, "difference", "95 % interval"),
        rows=tuple(rows),
        notes=(
            f"Means over seeds {seeds}; differences to {first.name}, paired by seed; * where the "
            "interval leaves out 0.",
            f"Intervals: bootstrap over {len(first.runs)} seeds and {num_sequences} sequences"
            + (
                "; so few make them too narrow."
                if min(len(first.runs), num_sequences) < 10
                else "."
            )
            if num_sequences > 1
            else "No intervals: they need at least two sequences.",
            *notes,
        ),
    )


def full_table(variants: Sequence[Variant], scores: Mapping[str, Mapping[str, Number]]) -> Table:
    """Return a row per variant and headline number; also what the CSV holds."""
    rows = []
    for variant in variants:
        for key, number in scores[variant.name].items():
            rows.append(
                (
                    variant.name,
                    LABELS[key],
                    format_score(key, number.mean),
                    format_score(key, number.deviation),
                    format_interval(key, number.interval),
                    _signed(key, number),
                    format_interval(key, number.difference_interval, sign="+"),
                )
            )
    header = ("variant", "number", "mean", "sd over seeds", "95 % interval")
    return Table(header=(*header, "difference", "95 % interval"), rows=tuple(rows))


def _signed(key: str, number: Number) -> str:
    """Return a difference with its sign, and a star where it is clear."""
    if math.isnan(number.difference):
        return ""
    sign = "+" if number.difference > 0 else ""
    star = " *" if number.is_clear else ""
    return f"{sign}{format_score(key, number.difference)}{star}"
