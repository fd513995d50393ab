"""Frames on demand with their truth, which changes take and return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stdet.types import BoolArray, FloatArray, IntArray, SequenceAnnotation


@dataclass(frozen=True, kw_only=True, eq=False)
class Footage:
    """A sequence of frames that are made when they are read, and their truth.

    Attributes:
        truth: Of the frames that there are; its frame i is the i-th of them.
        indices: int64 (T,), index of each frame in its stream, increasing; jumps where frames are
            missing (docs/decisions/0019).
        read: Returns frame i, float32 (H, W) in [0, 1]; a new array at each call.
        largest_level: Of the camera: 255 for 8 bits. Frames hold multiples of its inverse.
        ignored_at: Returns the pixels of frame i that do not belong to the scene, bool (H, W);
            None where all do.
    """

    truth: SequenceAnnotation
    indices: IntArray
    read: Callable[[int], FloatArray]
    largest_level: int
    ignored_at: Callable[[int], BoolArray | None]

    @classmethod
    def of(
        cls,
        truth: SequenceAnnotation,
        read: Callable[[int], FloatArray],
        *,
        bit_depth: int,
        is_ignored: BoolArray | None = None,
    ) -> Footage:
        """Return frames of which none is missing.

        Args:
            truth: Of all frames.
            read: See ``read``.
            bit_depth: Of the source; what is deeper than 8 bits is kept with 16.
            is_ignored: Pixels that do not belong to the scene, in no frame, bool (H, W).
        """
        return cls(
            truth=truth,
            indices=np.arange(truth.num_frames),
            read=read,
            largest_level=255 if bit_depth == 8 else 65535,
            ignored_at=lambda position: is_ignored,
        )

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.truth.num_frames

    def with_pixels(self, render: Callable[[FloatArray, int], FloatArray]) -> Footage:
        """Return the same frames with other pixels, rounded to levels of the camera.

        Args:
            render: Takes frame i, float32 (H, W) in [0, 1], which it may use up, and i; levels
                outside [0, 1] are clipped.
        """

        def read(position: int) -> FloatArray:
            levels: FloatArray = np.clip(
                render(self.read(position), position), 0, 1, dtype=np.float32
            )
            levels *= np.float32(self.largest_level)
            np.rint(levels, out=levels)
            levels /= np.float32(self.largest_level)
            return levels

        return replace(self, read=read)


def columns_of(truth: SequenceAnnotation, rows: IntArray) -> dict[str, Any]:
    """Return the columns of some rows of the truth, by name."""
    names = ("frame_indices", "track_ids", "boxes_xyxy", "class_ids", "is_ignored")
    return {name: getattr(truth, name)[rows] for name in names}
