"""What registration finds out about training sequences, measured once and kept.

A sequence is streamed from its first frame to its last when anything of it is first asked for, as
a stream is registered when it is tracked. That gives the bad pixels known before each frame and
where each frame lies in the scene (``camera_motion.py``), and with it the transform between any
two frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stdet.datasets.frame_cache import FrameCache, identity
from stdet.datasets.sequences import LabelledSequence
from stdet.registration.bad_pixels import replace_pixels
from stdet.registration.front_end import FrontEnd
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
    tables take 340 bytes per frame.

    Args:
        sequences: All that may be asked for.
        frames: Reads them.
        replaces_bad_pixels: Else frames are read, and measured, as they are.
    """

    def __init__(
        self,
        sequences: Sequence[LabelledSequence],
        frames: FrameCache,
        *,
        replaces_bad_pixels: bool,
    ) -> None:
        """Make room for all; nothing is measured yet."""
        total = 0
        self._rows: dict[tuple[Path, str], slice] = {}
        for sequence in sequences:
            first, total = total, total + sequence.annotation.num_frames
            self._rows[identity(sequence)] = slice(first, total)
        self._frames = frames
        self._replaces_bad_pixels = replaces_bad_pixels
        # Where each frame lies in the scene, NaN where nothing is known, and its run.
        self._poses = torch.full((total, 3, 3), torch.nan, dtype=torch.float64)
        self._runs = torch.zeros(total, dtype=torch.int32)
        self._bad = torch.full((total, MOST_BAD), _UNKNOWN, dtype=torch.int32)
        self._known_bad: dict[tuple[Path, str], list[IntArray]] = {}  # Of this process.

    def share(self) -> None:
        """Put the tables into memory that processes started later share."""
        for table in (self._poses, self._runs, self._bad):
            table.share_memory_()  # type: ignore[no-untyped-call]

    def read(self, sequence: LabelledSequence, index: int) -> FloatArray:
        """Return frame ``index`` as float32 (H, W) in [0, 1], bad pixels replaced if wanted."""
        if not self._replaces_bad_pixels:
            return self._frames.read(sequence, index)
        bad = self._bad_pixels(sequence)[index]
        return replace_pixels(self._frames.read(sequence, index), bad)

    def motion(self, sequence: LabelledSequence, indices: IntArray) -> tuple[Transform, ...]:
        """Return the transform of the background from the earliest frame to each, rounded.

        A frame that is not registered with the earliest one counts as one that has not moved.

        Args:
            sequence: Of the frames.
            indices: int64 (M,).
        """
        first = np.full_like(indices, indices.min())
        found = self.transforms(sequence, np.stack([first, indices], axis=-1))
        return tuple(Transform.identity() if one is None else one for one in found)

    def transforms(
        self, sequence: LabelledSequence, pairs: IntArray
    ) -> tuple[Transform | None, ...]:
        """Return the transform of the background between the frames of each pair, rounded.

        Args:
            sequence: Of the frames.
            pairs: int64 (N, 2), from the one frame to the other.

        Returns:
            None for frames that are not registered with each other.
        """
        rows = self._rows[identity(sequence)]
        poses: NDArray[np.float64] = self._poses[rows].numpy()
        if np.isnan(poses).any():
            self._stream(sequence)
        runs = self._runs[rows].numpy()
        return tuple(
            (Transform(poses[end]) @ Transform(poses[start]).inverse()).rounded()
            if runs[start] == runs[end]
            else None
            for start, end in pairs.tolist()
        )

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
        front_end = FrontEnd(replaces_bad_pixels=self._replaces_bad_pixels)
        known, poses = [], []
        for index in range(sequence.annotation.num_frames):
            known.append(front_end.bad_pixels)
            poses.append(front_end.push(self._frames.read(sequence, index)).pose)
        # Runs before poses: other processes ask for the runs when the poses are known.
        self._runs[self._rows[key]] = torch.tensor([pose.run for pose in poses]).int()
        matrices = np.stack([pose.from_start.matrix for pose in poses])
        self._poses[self._rows[key]] = torch.from_numpy(matrices)
        self._known_bad[key] = known
        if max(map(len, known), default=0) <= MOST_BAD:
            table = np.full((len(known), MOST_BAD), _NONE, np.int32)
            for row, indices in zip(table, known, strict=True):
                row[: len(indices)] = indices
            self._bad[self._rows[key]] = torch.from_numpy(table)
