"""Which frame indices form a clip: integer arithmetic, no pixels.

A window holds W = T + k positions, ``frame_stride`` source frames apart, and predicts K = k + 1
key frames whose clips of T overlap, so that per-frame features are shared. The T - 1 frames of a
clip beside its key frame are its context, which the temporal module fuses. A window never leaves
its sequence, and a sequence never spans a gap (``sequences.py``).

Padding rule: a position before the first frame repeats the first frame, and a position after the
last repeats the last (SSTNet pads the start the same way). A sequence with fewer than K frames
repeats its last key frame.

Where the frames of a window have reference frames for background features, ``references.py`` says
which; those that lie outside of the sequence are padded by the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stdet.config import MissingReferences, TemporalConfig
from stdet.registration.references import (
    KEPT_EVERY,
    LONG_REACH,
    long_term_steps,
    reference_steps,
)
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

    @classmethod
    def of(cls, temporal: TemporalConfig, *, window_extra: int = 0) -> ClipShape:
        """Return the shape that a configuration asks for."""
        return cls(
            num_frames=temporal.num_frames,
            frame_stride=temporal.frame_stride,
            num_future_frames=temporal.num_future_frames,
            window_extra=window_extra,
        )

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
    def context_steps(self) -> IntArray:
        """Steps from the key frame to its context, int64 (T - 1,), increasing, without 0."""
        steps: IntArray = np.arange(-self.num_past_frames, self.num_future_frames + 1)
        picked: IntArray = steps[steps != 0]
        return picked

    @property
    def context(self) -> IntArray:
        """Positions in the window of each key's context frames, int64 (K, T - 1)."""
        positions: IntArray = self.keys[:, None] + self.context_steps[None, :]
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Playback:
    """How a window is read in training; the defaults read it as it is.

    Attributes:
        frame_step: Every so many source frames is one frame of the clip.
        is_reversed: Later frames come first.
        lost_before: Time, relative to the first key frame, before which the clip lies one frame
            further back, as if the camera had lost one there; None loses none.
    """

    frame_step: int = 1
    is_reversed: bool = False
    lost_before: int | None = None

    def frames_at(self, times: IntArray, keys: IntArray) -> IntArray:
        """Return the frames at some times as if the sequence had no ends, int64 (N,).

        Args:
            times: int64 (N,), relative to the first key frame, in frames of the clip.
            keys: int64 (K,), key frames of the window, unreversed.
        """
        steps = times * self.frame_step
        if self.lost_before is not None:
            steps -= self.frame_step * (times < self.lost_before)
        frames: IntArray = keys[-1] - steps if self.is_reversed else keys[0] + steps
        return frames


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipFrames:
    """The frames that a window needs, reference frames for background features included.

    Attributes:
        times: int64 (M,), increasing, relative to the first key frame, in frames of the clip.
        frame_indices: int64 (M,), frame within the sequence; repeats where padded.
        is_padding: bool (M,), true where the padding rule repeats a frame.
        window_rows: int64 (W,), row of each position of the window.
        reference_rows: int64 (W, L), rows of the reference frames of each position.
        long_term_rows: Of each position, int64 (3,), rows of its long-term reference frames, or
            (0,) where it has none.
    """

    times: IntArray
    frame_indices: IntArray
    is_padding: BoolArray
    window_rows: IntArray
    reference_rows: IntArray
    long_term_rows: tuple[IntArray, ...]


def frames_of_clip(
    shape: ClipShape,
    window: Window,
    num_frames: int,
    *,
    lags: tuple[int, ...] = (),
    missing: MissingReferences = "first_frame",
    has_long_term: bool = False,
    playback: Playback = Playback(),
) -> ClipFrames:
    """List the frames of a window and the reference frames of each of them.

    Reversed, the key frames are the same frames in opposite order.

    Args:
        shape: Shape of the window.
        window: One of ``windows_of_sequence``.
        num_frames: Length of the sequence.
        lags: Of the reference frames, in frames of the clip; none for no reference frames.
        missing: What replaces reference frames before the sequence; see ``reference_steps``.
        has_long_term: List long-term reference frames, too (``long_term_steps``).
        playback: How it is read.

    Example:
        >>> shape = ClipShape(num_frames=2)
        >>> frames_of_clip(shape, window_at(shape, 3, 10), 10, lags=(2,)).frame_indices
        array([0, 1, 2, 3])
    """
    keys = window.frame_indices[shape.keys]
    in_window = (np.arange(shape.window_length) - shape.num_past_frames) * shape.frame_stride
    reach = max((*lags, LONG_REACH) if has_long_term else lags, default=0)
    around = np.arange(in_window[0] - reach, in_window[-1] + reach + 1)
    frames = playback.frames_at(around, keys)
    inside = around[(frames >= 0) & (frames < num_frames)]
    references = _reference_times(in_window, inside, lags, missing)
    # Played forwards, these are the frames that a stream keeps.
    first = inside[0] if len(inside) else in_window[0]
    phase = int(playback.frames_at(first[None], keys)[0]) % KEPT_EVERY
    long_term = [
        np.array(long_term_steps(int(at - first), phase=phase) if has_long_term else [], int) + at
        for at in in_window
    ]
    times = np.unique(np.concatenate([in_window, references.ravel(), *long_term]))
    wanted = playback.frames_at(times, keys)
    indices = np.clip(wanted, 0, num_frames - 1)
    return ClipFrames(
        times=times,
        frame_indices=indices,
        is_padding=indices != wanted,
        window_rows=np.searchsorted(times, in_window),
        reference_rows=np.searchsorted(times, references),
        long_term_rows=tuple(np.searchsorted(times, one) for one in long_term),
    )


def _reference_times(
    positions: IntArray, inside: IntArray, lags: tuple[int, ...], missing: MissingReferences
) -> IntArray:
    """Return the times of the reference frames of each position, int64 (W, L).

    Args:
        positions: int64 (W,), times of the window.
        inside: int64 (N,), all times near them at which there is a frame, increasing.
        lags: As in ``frames_of_clip``.
        missing: As in ``frames_of_clip``.
    """
    # Where frames are skipped a sequence of few frames may lie between two times.
    first, last = (inside[0], inside[-1]) if len(inside) else (positions[0], positions[0])
    steps = [
        reference_steps(index, int(last - first), lags, missing=missing)
        for index in (positions - first).tolist()
    ]
    times: IntArray = positions[:, None] + np.array(steps, np.int64)
    return times
