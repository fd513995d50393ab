"""Choose settings on seeds that are not reported."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.tracking.contenders import Contender, Settings, Tunable
from benchmarks.tracking.families import FAMILIES
from benchmarks.tracking.scores import score
from benchmarks.tracking.sequences import make_sequence
from stdet.metrics.sequence_result import SequenceResult

FIRST_SEED = 10_000
"""Seeds from here on are for tuning and development; reported ones are smaller."""
NUM_FRAMES = 100
NUM_RANDOM = 40
"""Settings drawn at random before they are improved one at a time."""
MAX_PASSES = 2
SLOW_NUM_FRAMES, SLOW_MAX_PASSES = 60, 1
"""Of slow trackers."""
RACE_SEQUENCES, RACE_MARGIN = 3, 0.06
"""From so many sequences on, settings are given up that are worse than the best by so much."""
_LEFT_OUT = (
    "50 targets",
    "20 crossing, 20 false alarms",
    "1 target",
    "10 targets",
    "no false alarms",
    "weak detections too",
    "pan, *",
    "roll, *",
    "jerks, known",
    "jerks, 1 % wrong",
    "* 40 % missed",
    "manoeuvres, jerks known",
    "omitted frames, 20 false alarms",
)
"""Families that take long, or are like others to a tracker that is given registered points."""


def tuning_sequences(tunable: Tunable) -> list[SequenceResult]:
    """Return one sequence of each family that is tuned on."""
    num_frames = SLOW_NUM_FRAMES if tunable.is_slow else NUM_FRAMES
    return [
        make_sequence(family, FIRST_SEED, num_frames=num_frames)
        for family in FAMILIES
        if not any(fnmatch.fnmatch(family.name, pattern) for pattern in _LEFT_OUT)
    ]


class _Race:
    """Settings on the same sequences; those that fall behind are given up."""

    def __init__(self, tunable: Tunable, sequences: Sequence[SequenceResult]) -> None:
        self._tunable, self._sequences = tunable, sequences
        self._known: dict[tuple[Any, ...], float] = {}
        self._best: list[float] = []

    def value(self, settings: Settings) -> float:
        """Return the mean of HOTA and IDF1, -1 of settings that were given up."""
        key = tuple(settings.values())
        if key not in self._known:
            self._known[key] = self._run(self._tunable.with_settings(settings))
        return self._known[key]

    def _run(self, contender: Contender) -> float:
        values: list[float] = []
        for sequence in self._sequences:
            found = score(contender, sequence)
            values.append((found.hota + found.idf1) / 2)
            best = self._best[: len(values)]
            is_behind = bool(best) and np.mean(values) < np.mean(best) - RACE_MARGIN
            if is_behind and len(values) >= RACE_SEQUENCES:
                return -1.0
        if not self._best or np.mean(values) > np.mean(self._best):
            self._best = values
        return float(np.mean(values))


def tune(tunable: Tunable) -> tuple[Settings, float]:
    """Return the best settings found, and their mean of HOTA and IDF1.

    From the best of random settings on, or from a start that is given, one setting at a time goes
    to its next value, up or down, as long as that helps.
    """
    race = _Race(tunable, tuning_sequences(tunable))
    best = max([tunable.start] if tunable.start else _drawn(tunable), key=race.value)
    for _ in range(SLOW_MAX_PASSES if tunable.is_slow else MAX_PASSES):
        before = best
        for name in tunable.space:
            best = max([best, *_neighbours(tunable, best, name)], key=race.value)
        if best == before:
            break
    return best, race.value(best)


def _drawn(tunable: Tunable) -> list[Settings]:
    """Return random settings."""
    rng = np.random.default_rng(FIRST_SEED)
    return [
        {name: values[rng.integers(len(values))] for name, values in tunable.space.items()}
        for _ in range(NUM_RANDOM)
    ]


def _neighbours(tunable: Tunable, settings: Settings, name: str) -> Iterator[Settings]:
    """Yield the settings with one of them a value lower, and a value higher."""
    values = tunable.space[name]
    at = values.index(settings[name])
    for other in (at - 1, at + 1):
        if 0 <= other < len(values):
            yield {**settings, name: values[other]}
