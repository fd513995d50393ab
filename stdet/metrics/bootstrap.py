"""How far the headline numbers would move with other sequences: a bootstrap over sequences.

Frames of one sequence are not independent, so whole sequences are drawn with replacement and
every number is recomputed from the counts of the resample. Draws depend on the number of sequences
alone, and sequences stand in the order of their names; two runs on the same sequences therefore
share their resamples, and the difference of their values is a paired one.

Source:
    Efron 1979; percentile intervals. With few sequences the intervals are too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.metrics.counts import ratio, weighted_sum
from stdet.metrics.detection.ranking import RankedHits, average_precision_of_resamples
from stdet.metrics.false_alarm_rate import SECONDS_PER_HOUR
from stdet.metrics.summary import SequenceSummary
from stdet.types import IntArray

NUM_RESAMPLES = 1000
LEVEL = 0.95
"""Share of the resamples inside an interval."""

HEADLINES: Mapping[str, bool] = {
    "detection.map50": True,
    "detection.ap_distance.3px": True,
    "detection.precision": True,
    "detection.f1": True,
    "pd_fa.pd": True,
    "pd_fa.false_alarms_per_frame": False,
    "pd_fa.false_alarms_per_pixel": False,
    "tracking.mota": True,
    "tracking.idf1": True,
    "tracking.hota": True,
    "tracking.so_hota": True,
    "tracking.frames_to_confirmation": False,
    "tracking.completeness": True,
    "tracking.purity": True,
    "tracking.false_tracks_per_hour.rate": False,
}
"""Numbers that get an interval, by their name in the JSON, and whether more is better."""

_SEED = 20260101

Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bootstrap:
    """Headline numbers of every resample.

    Attributes:
        sequences: Names, sorted.
        values: float64 (NUM_RESAMPLES,) by the name of the number; NaN where undefined.
    """

    sequences: tuple[str, ...]
    values: Mapping[str, Vector]

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return the percentile interval of each number, left out where it is undefined."""
        return {
            name: interval
            for name, values in self.values.items()
            if (interval := percentile_interval(values)) is not None
        }


def percentile_interval(values: Vector) -> tuple[float, float] | None:
    """Return the interval that holds ``LEVEL`` of the values.

    Resamples where the number is undefined are left out; None where fewer than half are defined.
    """
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def bootstrap(summaries: Sequence[SequenceSummary]) -> Bootstrap:
    """Recompute the headline numbers on resamples of the sequences.

    Args:
        summaries: Counts of each sequence.

    Returns:
        The values; none at all for a single sequence, of which nothing can be said.
    """
    ordered = sorted(summaries, key=lambda summary: summary.name)
    names = tuple(summary.name for summary in ordered)
    if len(ordered) < 2:
        return Bootstrap(sequences=names, values={})
    draws = draw_resamples(len(ordered))
    values = {
        "detection.map50": _map50(ordered, draws),
        "detection.ap_distance.3px": average_precision_of_resamples(
            [summary.by_distance["3px"] for summary in ordered], draws
        ),
    }
    values |= _from_counts(ordered, draws)
    return Bootstrap(sequences=names, values={name: values[name] for name in HEADLINES})


def draw_resamples(num_sequences: int) -> IntArray:
    """Return how often each resample holds each sequence, int64 (NUM_RESAMPLES, S)."""
    rng = np.random.default_rng([_SEED, num_sequences])
    equal = np.full(num_sequences, 1 / num_sequences)
    return rng.multinomial(num_sequences, equal, NUM_RESAMPLES).astype(np.int64)


def _map50(summaries: Sequence[SequenceSummary], draws: IntArray) -> Vector:
    """Return the mean over classes of the average precision at IoU 0.5, (R,)."""
    classes = sorted({class_id for summary in summaries for class_id in summary.by_class})
    if not classes:
        return np.full(len(draws), np.nan)
    none = RankedHits.concatenate([])
    per_class = np.array(
        [
            average_precision_of_resamples(
                [summary.by_class.get(class_id, (none,))[0] for summary in summaries], draws
            )
            for class_id in classes
        ]
    )
    is_defined = ~np.isnan(per_class)
    count = is_defined.sum(axis=0)
    total = np.where(is_defined, per_class, 0).sum(axis=0)
    means: Vector = np.divide(total, count, out=np.full(len(draws), np.nan), where=count > 0)
    return means


def _from_counts(summaries: Sequence[SequenceSummary], draws: IntArray) -> dict[str, Vector]:
    """Return the numbers that follow from added counts."""
    pd_fas = [weighted_sum([summary.pd_fa for summary in summaries], weights) for weights in draws]
    trackings = [
        weighted_sum([summary.tracking for summary in summaries], weights) for weights in draws
    ]
    so_hotas = [
        weighted_sum([summary.so_hota for summary in summaries], weights) for weights in draws
    ]
    qualities = [
        weighted_sum([summary.track_quality for summary in summaries], weights)
        for weights in draws
    ]
    is_tracked = all(summary.is_tracked for summary in summaries)

    def tracked(score: Callable[[int], float]) -> Vector:
        return np.array([score(i) if is_tracked else np.nan for i in range(len(draws))])

    return {
        "detection.precision": np.array([total.precision for total in pd_fas]),
        "detection.f1": np.array([total.f1 for total in pd_fas]),
        "pd_fa.pd": np.array([total.pd for total in pd_fas]),
        "pd_fa.false_alarms_per_frame": np.array(
            [total.false_alarms_per_frame for total in pd_fas]
        ),
        "pd_fa.false_alarms_per_pixel": np.array(
            [total.false_alarms_per_pixel for total in pd_fas]
        ),
        "tracking.mota": tracked(lambda i: trackings[i].mota),
        "tracking.idf1": tracked(lambda i: trackings[i].idf1),
        "tracking.hota": tracked(lambda i: trackings[i].hota.hota),
        "tracking.so_hota": tracked(lambda i: so_hotas[i].hota),
        "tracking.frames_to_confirmation": tracked(
            lambda i: qualities[i].mean_frames_to_confirmation
        ),
        "tracking.completeness": tracked(lambda i: qualities[i].completeness),
        "tracking.purity": tracked(lambda i: qualities[i].purity),
        "tracking.false_tracks_per_hour.rate": tracked(
            lambda i: ratio(qualities[i].num_false_tracks * SECONDS_PER_HOUR, qualities[i].seconds)
        ),
    }
