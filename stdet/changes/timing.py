"""Lower frame rates, lost and repeated frames.

Index is time (docs/decisions/0019): the frames that are left keep their indices.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stdet.changes.footage import Footage, columns_of
from stdet.types import BoolArray, FloatArray, IntArray

_LONGEST_RUN = 3
"""Frames that are lost or repeated in a row, as a rule."""


def take_every(footage: Footage, rng: np.random.Generator, *, step: int) -> Footage:
    """Take every so many frames, from the first."""
    taken = np.arange(0, len(footage), step)
    return _showing(footage, taken, footage.indices[taken])


def drop(footage: Footage, rng: np.random.Generator, *, share: float) -> Footage:
    """Lose frames one at a time or a few in a row, but never the first."""
    left = np.flatnonzero(~_draw_runs(footage, rng, share))
    return _showing(footage, left, footage.indices[left])


def repeat(footage: Footage, rng: np.random.Generator, *, share: float) -> Footage:
    """Show the frame before again, once or a few times; the truth is that of what is shown."""
    is_repeated = _draw_runs(footage, rng, share)
    shown = np.maximum.accumulate(np.where(is_repeated, 0, np.arange(len(footage))))
    return _showing(footage, shown, footage.indices)


def _draw_runs(footage: Footage, rng: np.random.Generator, share: float) -> BoolArray:
    """Draw about a share of the frames, in short runs, bool (T,)."""
    mean_run = (1 + _LONGEST_RUN) / 2
    starts = np.flatnonzero(rng.random(len(footage)) < share / mean_run)
    is_drawn = np.zeros(len(footage), np.bool_)
    for start, length in zip(starts, rng.integers(1, _LONGEST_RUN + 1, len(starts)), strict=True):
        is_drawn[start : start + length] = True
    is_drawn[:1] = False
    return is_drawn


def _showing(footage: Footage, shown: IntArray, indices: IntArray) -> Footage:
    """Return frames that show frames ``shown`` at ``indices``, both (T,)."""
    spans = [footage.truth.rows_at(position) for position in shown.tolist()]
    rows = [np.arange(span.start, span.stop) for span in spans]
    lengths = [len(of_frame) for of_frame in rows]
    columns = columns_of(footage.truth, np.concatenate(rows))
    columns["frame_indices"] = np.repeat(np.arange(len(shown)), lengths)
    truth = replace(footage.truth, num_frames=len(shown), **columns)

    def read(position: int) -> FloatArray:
        return footage.read(int(shown[position]))

    def ignored_at(position: int) -> BoolArray | None:
        return footage.ignored_at(int(shown[position]))

    return replace(footage, truth=truth, indices=indices, read=read, ignored_at=ignored_at)
