"""Which frame indices form a clip: integer arithmetic, no pixels.

A window holds W = T + k positions, ``frame_stride`` source frames apart, and predicts K = k + 1
key frames whose clips of T overlap, so that per-frame features are shared. A window never leaves
its sequence, and a sequence never spans a gap (``data/sequences.py``).

Padding rule: a position before the first frame repeats the first frame, and a position after the
last repeats the last (SSTNet pads the start the same way). A sequence with fewer than K frames
repeats its last key frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stdet.types import BoolArray, IntArray


@dataclass(frozen=True, kw_only=True)
class ClipShape:
    """The shape of clips and windows.

    Attributes:
        num_frames: T.
        frame_stride: Source frames per step.
        num_future_frames: Frames of a clip after its key frame; 0 is causal.
        window_extra: k.
    """

    num_frames: int
    frame_stride: int = 1
    num_future_frames: int = 0
    window_extra: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.num_frames < 1 or self.frame_stride < 1 or self.window_extra < 0:
            raise ValueError(f"{self} needs num_frames, frame_stride >= 1 and window_extra >= 0.")
        if not 0 <= self.num_future_frames < self.num_frames:
            raise ValueError(f"{self} needs 0 <= num_future_frames < num_frames.")

    @property
    def num_past_frames(self) -> int:
        """Frames of a clip before its key frame."""
        return self.num_frames - 1 - self.num_future_frames

    @property
    def window_length(self) -> int:
        """W = T + k."""
        return self.num_frames + self.window_extra

    @property
    def keys(self) -> IntArray:
        """Positions of the key frames in the window, int64 (K,)."""
        keys: IntArray = np.arange(self.window_extra + 1) + self.num_past_frames
        return keys

    @property
    def reference_steps(self) -> IntArray:
        """Steps from the key frame to its references, int64 (T - 1,), increasing, without 0."""
        steps: IntArray = np.arange(-self.num_past_frames, self.num_future_frames + 1)
        picked: IntArray = steps[steps != 0]
        return picked

    @property
    def references(self) -> IntArray:
        """Positions in the window of each key's references, int64 (K, T - 1)."""
        positions: IntArray = self.keys[:, None] + self.reference_steps[None, :]
        return positions


@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """Frames of one window.

    Attributes:
        frame_indices: int64 (W,), frame within the sequence at each position.
        is_padding: bool (W,), true where the padding rule repeats a frame.
    """

    frame_indices: IntArray
    is_padding: BoolArray


def window_at(shape: ClipShape, first_key: int, num_frames: int) -> Window:
    """Return the window whose first key frame is ``first_key``.

    Args:
        shape: Shape of the window.
        first_key: Frame within the sequence, 0 <= first_key < num_frames.
        num_frames: Length of the sequence.

    Raises:
        ValueError: If the key frame lies outside the sequence.

    Example:
        >>> window_at(ClipShape(num_frames=3), 1, 10).frame_indices
        array([0, 0, 1])
    """
    if not 0 <= first_key < num_frames:
        raise ValueError(f"first_key {first_key} lies outside 0..{num_frames - 1}.")
    steps = np.arange(shape.window_length) - shape.num_past_frames
    wanted = first_key + steps * shape.frame_stride
    indices = np.clip(wanted, 0, num_frames - 1)
    return Window(frame_indices=indices, is_padding=indices != wanted)


def windows_of_sequence(shape: ClipShape, num_frames: int) -> list[Window]:
    """Cut a sequence into windows so that every frame is a key frame at least once.

    Within each phase of ``frame_stride`` the key frames follow one another without overlap; only
    the last window is moved back so as to end on the last frame of its phase.

    Args:
        shape: Shape of the windows.
        num_frames: Length of the sequence; 0 gives no windows.
    """
    windows = []
    num_keys = shape.window_extra + 1
    for phase in range(min(shape.frame_stride, num_frames)):
        frames = range(phase, num_frames, shape.frame_stride)
        starts = list(range(0, len(frames), num_keys))
        starts[-1] = max(min(starts[-1], len(frames) - num_keys), 0)
        windows += [window_at(shape, frames[start], num_frames) for start in starts]
    return windows
