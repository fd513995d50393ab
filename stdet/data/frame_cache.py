"""What the loader keeps of sequences: frames, bad pixels, displacements of the background."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stdet.data.bad_pixels import BadPixels, replace_pixels
from stdet.data.camera_motion import CameraMotion, Registrable, background_shift
from stdet.data.sequences import Sequence
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


class CleanFrames:
    """Frames without the pixels that were known as bad when they came, as in a stream.

    A sequence is looked through from its first frame on when a frame of it is first read.

    Args:
        cache: Reads the frames.
    """

    def __init__(self, cache: FrameCache) -> None:
        """Start empty."""
        self.cache = cache
        self.bad: dict[tuple[Path, str], list[IntArray]] = {}

    def read(self, sequence: Sequence, index: int) -> FloatArray:
        """Return frame ``index`` as float32 (H, W) in [0, 1]."""
        key = identity(sequence)
        if key not in self.bad:
            pixels, known = BadPixels(), []
            for at in range(sequence.annotation.num_frames):
                known.append(pixels.indices)
                pixels.push(self.cache.read(sequence, at))
            self.bad[key] = known
        return replace_pixels(self.cache.read(sequence, index), self.bad[key][index])


class BackgroundMotions:
    """Displacements of the background of every sequence, each pair of frames compared once.

    Args:
        frames: Reads the frames.
    """

    def __init__(self, frames: FrameCache | CleanFrames) -> None:
        """Start empty."""
        self.frames = frames
        self.steps: dict[tuple[Path, str], NDArray[np.float64]] = {}
        self.pairs: dict[tuple[Path, str], dict[tuple[int, int], NDArray[np.float64]]] = {}

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

        The frames are compared with one another directly; see ``background_shift``.
        """
        known = self.pairs.setdefault(identity(sequence), {})
        wanted = {(int(min(pair)), int(max(pair))) for pair in pairs.reshape(-1, 2)}
        missing = [pair for pair in wanted if pair not in known]
        if missing:
            indices = np.unique(missing)
            prepared = {at: Registrable.of(self.frames.read(sequence, at)) for at in indices}
            for one, other in missing:
                known[one, other] = background_shift(
                    prepared[one],
                    prepared[other],
                    guess_xy=self._steps(sequence, one, other).sum(axis=0),
                )
        found = [
            known[one, other] if one <= other else -known[other, one]
            for one, other in pairs.reshape(-1, 2).tolist()
        ]
        shifts: FloatArray = np.array(found, np.float32).reshape(pairs.shape)
        return shifts

    def _steps(self, sequence: Sequence, first: int, last: int) -> NDArray[np.float64]:
        """Return the displacements (last - first, 2) from each frame to the next."""
        steps = self.steps.setdefault(
            identity(sequence), np.full((sequence.annotation.num_frames, 2), np.nan)
        )
        motion, previous = CameraMotion(), -1
        for index in range(first + 1, last + 1):
            if np.isnan(steps[index, 0]):
                if previous != index - 1:
                    motion = CameraMotion()
                    motion.push(self.frames.read(sequence, index - 1))
                steps[index] = motion.push(self.frames.read(sequence, index))
                previous = index
        return steps[first + 1 : last + 1]


def identity(sequence: Sequence) -> tuple[Path, str]:
    """Return what tells a sequence apart; a name is unique within its data set alone."""
    return sequence.files[0], sequence.name
