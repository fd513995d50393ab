"""False tracks where there is no target, and the memory that tracking takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import numpy as np

from benchmarks.tracking.contenders import Contender
from benchmarks.tracking.families import Family
from benchmarks.tracking.sequences import FPS, make_sequence
from stdet.metrics.false_alarm_rate import HourlyRate
from stdet.metrics.sequence_result import SequenceResult

RATES = (2.0, 20.0)
"""False alarms per frame."""
NUM_FRAMES = 250
"""Of a sequence, ten seconds."""
_MEGABYTE = 1e6


def watch(
    contenders: Sequence[Contender], false_alarms: float, *, seconds: float, first_seed: int
) -> dict[str, HourlyRate]:
    """Count the tracks of sequences without targets, by contender.

    Args:
        contenders: They take turns on the same sequences.
        false_alarms: Mean per frame.
        seconds: Of computing, after which a contender begins no other sequence.
        first_seed: Of the sequences.
    """
    family = Family(name="no targets", num_targets=0, false_alarms=false_alarms)
    spent = dict.fromkeys((one.name for one in contenders), 0.0)
    counts, num_sequences = dict.fromkeys(spent, 0), dict.fromkeys(spent, 0)
    seed = first_seed
    while left := [one for one in contenders if spent[one.name] < seconds]:
        sequence = make_sequence(family, seed, num_frames=NUM_FRAMES)
        seed += 1
        for contender in left:
            begin = contender.clock()
            tracks = contender.track(sequence)
            spent[contender.name] += contender.clock() - begin
            counts[contender.name] += len(np.unique(tracks.track_ids))
            num_sequences[contender.name] += 1
    return {
        name: HourlyRate.of(counts[name], seconds=num_sequences[name] * NUM_FRAMES / FPS)
        for name in spent
    }


def peak_megabytes(contender: Contender, sequence: SequenceResult) -> float:
    """Return what Python objects take at most while a sequence is tracked, its tracks included."""
    tracemalloc.start()
    contender.track(sequence)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / _MEGABYTE
