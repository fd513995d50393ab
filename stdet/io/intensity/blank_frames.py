"""Leave frames out of a stream that show nothing: a shutter, a start-up, a lost signal.

A blank frame has one level in at least 99 % of its pixels, while the frames before it, or the
first that follow, show a scene. In a stream it would be a reference, against which everything
seems to have appeared. Footage that is flat by itself (points on black) is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from stdet.io.frame_source import Frame, RawImage
from stdet.io.intensity.scene_levels import BLANK_SHARE
from stdet.io.intensity.spoilt_pixels import SpoiltPixels

SCENE_SHARE = 0.5
"""A frame shows a scene where no level has more of its pixels."""
_MAX_IN_A_ROW = 23
"""Blank frames at the start of a stream that wait for one that shows a scene: the network waits
for as many. And later frames, not of one level alone, that are left out before the footage counts
as flat by itself."""
_MAX_PIXELS = 1 << 14
"""Pixels of a frame that are looked at first, on an even grid."""


class BlankFrames:
    """Lets the frames of one stream pass that are not blank.

    Those at the start wait for the first frame that shows a scene.

    Args:
        left_out: Called with the index of each blank frame.
        ignored: Pixels that do not count; None for none.
    """

    def __init__(
        self, left_out: Callable[[int], None], ignored: SpoiltPixels | None = None
    ) -> None:
        """Start before the first frame."""
        self._left_out = left_out
        self._ignored = ignored
        self._leading: list[Frame] = []
        self._has_begun = self._has_scene = False
        self._num_flat = 0

    def push(self, frame: Frame) -> list[Frame]:
        """Take the next frame.

        Returns:
            The frames that pass now, in order.
        """
        pixels = frame.pixels
        share = share_of_one_level(
            pixels if self._ignored is None else self._ignored.others(pixels)
        )
        if share < BLANK_SHARE:
            self._has_scene, self._num_flat = share < SCENE_SHARE, 0
        elif not self._has_begun and len(self._leading) < _MAX_IN_A_ROW:
            self._leading.append(frame)
            return []
        elif self._has_scene:
            self._num_flat += share < 1
            self._has_scene = self._num_flat <= _MAX_IN_A_ROW
        if share >= BLANK_SHARE and self._has_scene:
            self._left_out(frame.index)
            return []
        self._has_begun = True
        leading = self.flush()
        if self._has_scene:
            for blank in leading:
                self._left_out(blank.index)
            leading = []
        return [*leading, frame]

    def flush(self) -> list[Frame]:
        """Return the frames that wait: the stream has shown nothing else."""
        leading, self._leading = self._leading, []
        return leading


def share_of_one_level(pixels: RawImage) -> float:
    """Return the share of the pixels that have the median level."""
    step = max(math.ceil(math.sqrt(pixels.size / _MAX_PIXELS)), 1)
    seen = pixels[::step, ::step].ravel()
    level = np.partition(seen, len(seen) // 2)[len(seen) // 2]
    share = np.mean(seen == level)
    return float(np.mean(pixels == level) if share > SCENE_SHARE else share)
