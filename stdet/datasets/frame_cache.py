"""What the loader keeps of sequences: frames, bad pixels, displacements of the background."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence as AbstractSequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stdet.datasets.sequences import Sequence
from stdet.registration.bad_pixels import BadPixels, replace_pixels
from stdet.registration.estimation import CameraMotion, PreparedFrame, estimate_transform
from stdet.registration.transform import Transform
from stdet.types import FloatArray, IntArray


class FrameCache:
    """Least recently used decoded frames of one process, within a budget of bytes.

    Args:
        megabytes: Budget; 0 caches nothing.
    """

    def __init__(self, megabytes: int) -> None:
        """Start empty."""
        self.budget = megabytes * 2**20
        self.num_bytes = 0
        self.frames: OrderedDict[tuple[Path, str, int], np.ndarray] = OrderedDict()

    def read(self, sequence: Sequence, index: int) -> FloatArray:
        """Return frame ``index`` as float32 (H, W) in [0, 1]."""
        key = (*identity(sequence), index)
        raw = self.frames.get(key)
        if raw is None:
            raw = sequence.read_raw(index)
            self.frames[key] = raw
            self.num_bytes += raw.nbytes
            while self.num_bytes > self.budget:
                self.num_bytes -= self.frames.popitem(last=False)[1].nbytes
        else:
            self.frames.move_to_end(key)
        return sequence.to_float(raw)


class Measurements:
    """What has been measured of sequences, in tables that loader processes can share.

    What one process has measured the others need not measure again. Nothing is locked: whoever
    measures a value finds the same, and a value that is not whole yet counts as missing. The
    tables take 272 + 8 (reach + 1) bytes per frame.

    Args:
        sequences: All that may be asked for.
        reach: Frames from one to another whose displacement is kept, at most.
    """

    MOST_BAD = 64
    """Bad pixels of a frame; those of a sequence with more are kept by each process."""

    def __init__(self, sequences: AbstractSequence[Sequence], *, reach: int) -> None:
        """Make room for all; nothing is measured yet."""
        total = 0
        self._rows: dict[tuple[Path, str], slice] = {}
        for sequence in sequences:
            first, total = total, total + sequence.annotation.num_frames
            self._rows[identity(sequence)] = slice(first, total)
        self.reach = reach
        self._steps = torch.full((total, 2), torch.nan, dtype=torch.float64)
        self._shifts = torch.full((total, reach + 1, 2), torch.nan)
        # Indices of bad pixels, -1 behind the last; -2 where nothing is known.
        self._bad = torch.full((total, self.MOST_BAD), -2, dtype=torch.int32)

    def share(self) -> None:
        """Put the tables into memory that processes started later share."""
        for table in (self._steps, self._shifts, self._bad):
            table.share_memory_()  # type: ignore[no-untyped-call]

    def steps(self, sequence: Sequence) -> NDArray[np.float64]:
        """Return the displacement (T, 2) from the frame before to each, NaN where missing."""
        steps: NDArray[np.float64] = self._steps[self._rows[identity(sequence)]].numpy()
        return steps

    def shifts(self, sequence: Sequence) -> FloatArray:
        """Return displacements (T, reach + 1, 2) to so many frames later, NaN where missing."""
        shifts: FloatArray = self._shifts[self._rows[identity(sequence)]].numpy()
        return shifts

    def bad_pixels(self, sequence: Sequence) -> list[IntArray] | None:
        """Return the indices of bad pixels known before each frame, None where missing."""
        table = self._bad[self._rows[identity(sequence)]].numpy()
        if (table == -2).any():
            return None
        return [row[row >= 0].astype(np.int64) for row in table]

    def keep_bad_pixels(self, sequence: Sequence, known: AbstractSequence[IntArray]) -> None:
        """Keep what ``bad_pixels`` returns."""
        if max(map(len, known), default=0) > self.MOST_BAD:
            return
        table = np.full((len(known), self.MOST_BAD), -1, np.int32)
        for row, indices in zip(table, known, strict=True):
            row[: len(indices)] = indices
        self._bad[self._rows[identity(sequence)]] = torch.from_numpy(table)


class CleanFrames:
    """Frames without the pixels that were known as bad when they came, as in a stream.

    A sequence is looked through from its first frame on when a frame of it is first read.

    Args:
        cache: Reads the frames.
        measured: Of these sequences.
    """

    def __init__(self, cache: FrameCache, measured: Measurements) -> None:
        """Start empty."""
        self.cache = cache
        self.measured = measured
        self.bad: dict[tuple[Path, str], list[IntArray]] = {}

    def read(self, sequence: Sequence, index: int) -> FloatArray:
        """Return frame ``index`` as float32 (H, W) in [0, 1]."""
        key = identity(sequence)
        if key not in self.bad:
            self.bad[key] = self.measured.bad_pixels(sequence) or self._look_through(sequence)
        return replace_pixels(self.cache.read(sequence, index), self.bad[key][index])

    def _look_through(self, sequence: Sequence) -> list[IntArray]:
        """Return the indices of bad pixels known before each frame."""
        pixels, known = BadPixels(), []
        for at in range(sequence.annotation.num_frames):
            known.append(pixels.indices)
            pixels.push(self.cache.read(sequence, at))
        self.measured.keep_bad_pixels(sequence, known)
        return known


class BackgroundMotions:
    """Displacements of the background of every sequence, each pair of frames compared once.

    Args:
        frames: Reads the frames.
        measured: Of these sequences.
    """

    def __init__(self, frames: FrameCache | CleanFrames, measured: Measurements) -> None:
        """Measure nothing yet."""
        self.frames = frames
        self.measured = measured

    def positions(self, sequence: Sequence, indices: IntArray) -> FloatArray:
        """Return displacements (M, 2) since the earliest of the frames, float32, pixels.

        They are summed up from frame to frame.
        """
        first = int(indices.min())
        steps = self._steps(sequence, first, int(indices.max()))
        moved = np.concatenate([np.zeros((1, 2)), steps]).cumsum(axis=0)
        positions: FloatArray = moved[indices - first].astype(np.float32)
        return positions

    def shifts(self, sequence: Sequence, pairs: IntArray) -> FloatArray:
        """Return the displacement (..., 2) from the one to the other frame of pairs (..., 2).

        The frames are compared with one another directly; see ``estimate_transform``.

        Raises:
            ValueError: If two frames lie farther apart than the measurements reach.
        """
        flat = pairs.reshape(-1, 2)
        firsts, spans = flat.min(axis=1), np.ptp(flat, axis=1)
        if spans.max(initial=0) > self.measured.reach:
            raise ValueError(f"frames {spans.max()} apart; {self.measured.reach} at most.")
        known = self.measured.shifts(sequence)
        is_missing = np.isnan(known[firsts, spans]).any(axis=-1)
        missing = np.unique(np.stack([firsts, firsts + spans], -1)[is_missing], axis=0).tolist()
        prepared = {
            at: PreparedFrame.of(self.frames.read(sequence, at))
            for at in np.unique(missing).tolist()
        }
        for one, other in missing:
            guess = Transform.translation(self._steps(sequence, one, other).sum(axis=0))
            found = estimate_transform(prepared[one], prepared[other], guess=guess)
            known[one, other - one] = found.offset_xy
        forwards = np.where(flat[:, :1] <= flat[:, 1:], 1, -1)
        shifts: FloatArray = (known[firsts, spans] * forwards).astype(np.float32)
        return shifts.reshape(pairs.shape)

    def _steps(self, sequence: Sequence, first: int, last: int) -> NDArray[np.float64]:
        """Return the displacements (last - first, 2) from each frame to the next."""
        steps = self.measured.steps(sequence)
        motion, previous = CameraMotion(), -1
        for index in range(first + 1, last + 1):
            if np.isnan(steps[index]).any():
                if previous != index - 1:
                    motion = CameraMotion()
                    motion.push(self.frames.read(sequence, index - 1))
                steps[index] = motion.push(self.frames.read(sequence, index)).offset_xy
                previous = index
        return steps[first + 1 : last + 1]


def identity(sequence: Sequence) -> tuple[Path, str]:
    """Return what tells a sequence apart; a name is unique within its data set alone."""
    return sequence.files[0], sequence.name
