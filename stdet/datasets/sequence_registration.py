"""What registration finds out about training sequences, measured once and kept.

A sequence is streamed from its first frame to its last when anything of it is first asked for.
That gives the bad pixels known before each frame, as in a stream, and the transform of the
background from each frame to the next. Frames farther apart are compared with one another
directly (``estimation.py``), pair by pair as clips ask for them: with skipped and lost frames
augmentation may ask for some 20 pairs of every frame, and a run asks for a part of them
(``configs/mixed.yaml`` with four of its five sets: for 38,000 of 141,000).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stdet.config import CameraMotionModel
from stdet.datasets.frame_cache import FrameCache, identity
from stdet.datasets.sequences import LabelledSequence
from stdet.registration.bad_pixels import BadPixels, replace_pixels
from stdet.registration.estimation import PreparedFrame, estimate_transform
from stdet.registration.transform import Transform
from stdet.types import FloatArray, IntArray

MOST_BAD = 64
"""Bad pixels of a frame that the tables hold; a sequence with more is streamed by each process."""
_UNKNOWN, _NONE = -2, -1
"""In the table of bad pixels: nothing is known of the frame; no further bad pixel."""


class SequenceRegistration:
    """Bad pixels and transforms of sequences, in tables that loader processes can share.

    What one process has measured the others need not measure again. Nothing is locked: whoever
    measures a value finds the same, and a value that is not whole yet counts as missing. The
    tables take 304 + 24 (reach + 1) bytes per frame.

    Args:
        sequences: All that may be asked for.
        frames: Reads them.
        reach: Frames between two frames whose transform is asked for, at most.
        replaces_bad_pixels: Else frames are read, and measured, as they are.
        motion: What is estimated.
    """

    def __init__(
        self,
        sequences: Sequence[LabelledSequence],
        frames: FrameCache,
        *,
        reach: int,
        replaces_bad_pixels: bool,
        motion: CameraMotionModel = "translation",
    ) -> None:
        """Make room for all; nothing is measured yet."""
        total = 0
        self._rows: dict[tuple[Path, str], slice] = {}
        for sequence in sequences:
            first, total = total, total + sequence.annotation.num_frames
            self._rows[identity(sequence)] = slice(first, total)
        self._frames = frames
        self._reach = reach
        self._replaces_bad_pixels = replaces_bad_pixels
        self._motion = motion
        # The upper two rows of matrices, NaN where nothing is known: from the frame before to each
        # frame, and from each frame to so many frames later.
        self._steps = torch.full((total, 2, 3), torch.nan, dtype=torch.float64)
        self._pairs = torch.full((total, reach + 1, 2, 3), torch.nan)
        self._bad = torch.full((total, MOST_BAD), _UNKNOWN, dtype=torch.int32)
        self._known_bad: dict[tuple[Path, str], list[IntArray]] = {}  # Of this process.

    def share(self) -> None:
        """Put the tables into memory that processes started later share."""
        for table in (self._steps, self._pairs, self._bad):
            table.share_memory_()  # type: ignore[no-untyped-call]

    def read(self, sequence: LabelledSequence, index: int) -> FloatArray:
        """Return frame ``index`` as float32 (H, W) in [0, 1], bad pixels replaced if wanted."""
        if not self._replaces_bad_pixels:
            return self._frames.read(sequence, index)
        bad = self._bad_pixels(sequence)[index]
        return replace_pixels(self._frames.read(sequence, index), bad)

    def motion(self, sequence: LabelledSequence, indices: IntArray) -> tuple[Transform, ...]:
        """Return the transform of the background from the earliest frame to each, rounded.

        Args:
            sequence: Of the frames.
            indices: int64 (M,).
        """
        first, last = int(indices.min()), int(indices.max())
        moved = [Transform.identity()]
        for step in self._steps_between(sequence, first, last):
            moved.append(step @ moved[-1])
        return tuple(moved[index - first].rounded() for index in indices.tolist())

    def transforms(self, sequence: LabelledSequence, pairs: IntArray) -> tuple[Transform, ...]:
        """Return the transform of the background between the frames of each pair, rounded.

        Args:
            sequence: Of the frames.
            pairs: int64 (N, 2), from the one frame to the other.

        Raises:
            ValueError: If two frames lie farther apart than the tables reach.
        """
        spans = np.ptp(pairs, axis=1)
        if spans.max(initial=0) > self._reach:
            raise ValueError(f"frames {spans.max()} apart; {self._reach} at most.")
        known: FloatArray = self._pairs[self._rows[identity(sequence)]].numpy()
        firsts = pairs.min(axis=1)
        is_missing = np.isnan(known[firsts, spans]).any(axis=(1, 2))
        self._compare(sequence, firsts[is_missing], firsts[is_missing] + spans[is_missing], known)
        found = [
            Transform.affine(rows[:, :2], rows[:, 2])
            for rows in known[firsts, spans].astype(np.float64)
        ]
        is_back = (pairs[:, 0] > pairs[:, 1]).tolist()
        return tuple(
            transform.inverse() if back else transform
            for transform, back in zip(found, is_back, strict=True)
        )

    def _compare(
        self, sequence: LabelledSequence, earlier: IntArray, later: IntArray, known: FloatArray
    ) -> None:
        """Compare frames with later ones, and keep the transforms in the table of the sequence."""
        missing = np.unique(np.stack([earlier, later], axis=-1), axis=0).tolist()
        prepared = {
            index: PreparedFrame.of(self.read(sequence, index), self._motion)
            for index in np.unique(missing).tolist()
        }
        for one, other in missing:
            steps = self._steps_between(sequence, one, other)
            transform = estimate_transform(prepared[one], prepared[other], guess=_composed(steps))
            known[one, other - one] = transform.matrix[:2]

    def _steps_between(self, sequence: LabelledSequence, first: int, last: int) -> list[Transform]:
        """Return the transforms from each frame to the next, from ``first`` to ``last``."""
        steps: NDArray[np.float64] = self._steps[self._rows[identity(sequence)]].numpy()
        if np.isnan(steps).any():
            self._stream(sequence)
        return [Transform.affine(rows[:, :2], rows[:, 2]) for rows in steps[first + 1 : last + 1]]

    def _bad_pixels(self, sequence: LabelledSequence) -> list[IntArray]:
        """Return the indices of bad pixels known before each frame."""
        key = identity(sequence)
        if key not in self._known_bad:
            table = self._bad[self._rows[key]].numpy()
            if (table == _UNKNOWN).any():
                self._stream(sequence)
            else:
                self._known_bad[key] = [row[row >= 0].astype(np.int64) for row in table]
        return self._known_bad[key]

    def _stream(self, sequence: LabelledSequence) -> None:
        """Register a sequence as a stream does, and keep what that gives."""
        key = identity(sequence)
        steps: NDArray[np.float64] = self._steps[self._rows[key]].numpy()
        pixels, known, previous = BadPixels(self._motion), [], None
        for index in range(sequence.annotation.num_frames):
            frame = self._frames.read(sequence, index)
            known.append(pixels.indices)
            replaces = self._replaces_bad_pixels
            prepared = pixels.push(frame) if replaces else PreparedFrame.of(frame, self._motion)
            step = Transform.identity()
            if previous is not None:
                step = estimate_transform(previous, prepared)
            steps[index] = step.matrix[:2]
            previous = prepared
        self._known_bad[key] = known
        if max(map(len, known), default=0) <= MOST_BAD:
            table = np.full((len(known), MOST_BAD), _NONE, np.int32)
            for row, indices in zip(table, known, strict=True):
                row[: len(indices)] = indices
            self._bad[self._rows[key]] = torch.from_numpy(table)


def _composed(steps: Iterable[Transform]) -> Transform:
    """Return the transform that does all of these, one after the other."""
    return functools.reduce(lambda moved, step: step @ moved, steps, Transform.identity())
