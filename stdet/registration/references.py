"""Which frames are the reference frames of a frame: one rule, for streams and for training.

They lie fixed lags before the frame. What differs is what replaces those that would lie before the
sequence (``train.missing_references``). Streams take later frames: a target is as much out of
place in a later frame as in an earlier one, and without that detectors that look at motion are
blind at the start of a sequence and after a cut (``docs/decisions/0018``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from stdet.config import MissingReferences


def reference_steps(
    index: int, last: int, lags: Sequence[int], *, missing: MissingReferences = "later_frames"
) -> list[int]:
    """Return the steps from a frame to its reference frames.

    They lead ``lags`` frames back. Where that is before the sequence, it depends on ``missing``:

    `later_frames`: as many frames after the frame are taken, by the shortest lags; and where
    that is beyond the end, too, the farthest frames that there are, so that none occurs twice
    while there are others. A frame outside of the sequence, where a clip is padded, has the
    reference frames of the nearest frame within.

    `first_frame`: the steps lead before the sequence all the same, where its first frame is
    repeated (``clip_sampler.py``).

    Args:
        index: The frame, counted from the start of the sequence.
        last: The last frame of the sequence, or the newest.
        lags: Frames from a frame back to its reference frames, increasing.
        missing: What replaces reference frames before the sequence.

    Returns:
        For each lag, how many frames the reference frame lies after the frame; negative: before.

    Example:
        >>> reference_steps(30, 99, (4, 8, 12))
        [-4, -8, -12]
        >>> reference_steps(5, 99, (4, 8, 12))
        [-4, 4, 8]
        >>> reference_steps(5, 11, (4, 8, 12))
        [-4, 4, 6]
        >>> reference_steps(5, 99, (4, 8, 12), missing="first_frame")
        [-4, -8, -12]
    """
    if missing == "first_frame":
        return [-lag for lag in lags]
    within = min(max(index, 0), last)
    chosen = [-lag for lag in lags if lag <= within]
    chosen += [lag for lag in lags[: len(lags) - len(chosen)] if within + lag <= last]
    if len(chosen) < len(lags):
        unused = set(range(-within, last - within + 1)) - {0, *chosen}
        chosen += sorted(unused, key=lambda step: (-abs(step), step))
    # A sequence may have fewer other frames than lags, or none.
    repeated = itertools.cycle(chosen or [0])
    return [within - index + step for step in itertools.islice(repeated, len(lags))]


LONG_LAGS = (24, 72, 120)
"""Frames from a frame back to its long-term reference frames, about: a point that hovers drifts
0.03 to 0.1 px a frame against the scene and leaves its place of 2 to 3 px in so many."""
KEPT_EVERY = 12
"""Only every so many frames one is kept as a long-term reference frame."""
LONG_REACH = LONG_LAGS[-1] + KEPT_EVERY - 1
"""Frames from a frame back to the oldest that can be its reference frame."""


def long_term_steps(index: int, *, phase: int = 0) -> list[int]:
    """Return the steps from a frame to its long-term reference frames.

    Three frames of those that are kept, spread evenly from 24 frames back to 120, or to the start
    of the sequence where that is nearer.

    Args:
        index: The frame, counted from the start of the sequence.
        phase: Frames whose index is ``-phase`` modulo ``KEPT_EVERY`` are kept, and the first.

    Returns:
        Negative numbers; none where the frame has no frame so far back.

    Example:
        >>> long_term_steps(130)
        [-34, -82, -130]
        >>> long_term_steps(40), long_term_steps(23)
        ([-28, -40, -40], [])
    """
    shortest, _, longest = LONG_LAGS
    if index < shortest:
        return []
    reach = min(longest, index)
    lags = (shortest, (shortest + reach) // 2, reach)
    kept = ((index - lag + phase) // KEPT_EVERY * KEPT_EVERY - phase for lag in lags)
    return [max(at, 0) - index for at in kept]


def num_awaited(index: int, lags: Sequence[int]) -> int:
    """Return how many later frames a frame of a stream waits for."""
    num_missing = sum(lag > index for lag in lags)
    return lags[num_missing - 1] if num_missing else 0


def steady_from(lags: Sequence[int]) -> int:
    """Return the first frame of a stream before which none waits for it or a later one.

    Example:
        >>> steady_from((4, 8, 12, 16, 20))
        24
    """
    return 1 + max(index + num_awaited(index, lags) for index in range(lags[-1]))
