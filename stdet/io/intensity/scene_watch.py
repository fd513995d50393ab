"""Say where a detector cannot have seen anything, so that "no targets" never means that.

Looks at every frame as the detector gets it, scaled to [0, 1], at little cost, and remembers

- frames in which the scene fills less than 8 % of the scale, by the central 90 % of its pixels.
  On 14-bit footage whose scale was widened step by step, `stdet_n` kept both targets at 12 %, lost
  one half-way at 6 % and both at 4 %; healthy footage filled at least 20 %;
- blank frames, of one level, and those of them that were left out;
- frames of deep footage that lie for the most part outside of the scale: it is fixed on 16 frames,
  and the scene may change between them;
- that there was a single frame, in which nothing moves.

Pixels that show no scene in the whole sequence are counted, too; see ``spoilt_pixels.py``.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stdet.io.frame_source import IntensityScale, RawImage
from stdet.types import FloatArray

_LOG = logging.getLogger(__name__)

MIN_FILL = 0.08
_CENTRE = (0.05, 0.95)
_MAX_OUTSIDE = 0.5
_MAX_PIXELS = 1 << 14
"""Pixels of a frame that are looked at, on an even grid."""


@dataclass
class _Frames:
    """How many frames of a kind there were, and the first of them."""

    num: int = 0
    first: int = -1

    def add(self, index: int) -> None:
        """Count a frame."""
        self.first = self.first if self.num else index
        self.num += 1


class SceneWatch:
    """Remember in which frames of a source nothing could be seen.

    Args:
        path: Of the source, for messages.
        scale: Of the source.
    """

    def __init__(self, path: Path, scale: IntensityScale) -> None:
        """Start before the first frame."""
        self._path = path
        self._scale = scale
        self._num_frames = 0
        self._faint, self._blank, self._outside = _Frames(), _Frames(), _Frames()
        self._left_out = _Frames()

    def add(self, index: int, raw: RawImage, scaled: FloatArray) -> None:
        """Look at a frame.

        Args:
            index: Of the frame.
            raw: As stored (H, W).
            scaled: The same in [0, 1].
        """
        self._num_frames += 1
        step = max(math.ceil(math.sqrt(scaled.size / _MAX_PIXELS)), 1)
        seen = scaled[::step, ::step]
        low, high = np.quantile(seen, _CENTRE)
        if raw.min() == raw.max():
            self._blank.add(index)
        elif raw.dtype != np.uint8 and np.mean((seen <= 0) | (seen >= 1)) > _MAX_OUTSIDE:
            self._outside.add(index)
        elif high - low < MIN_FILL:
            self._faint.add(index)

    def leave_out(self, index: int) -> None:
        """Remember a blank frame that the detector does not get; see ``blank_frames.py``."""
        self._num_frames += 1
        self._left_out.add(index)

    def warnings(self) -> list[str]:
        """Return what is to be said, one line each, nothing where all could be seen."""
        levels = f"levels {self._scale.low:.6g} to {self._scale.high:.6g}"
        found = [
            f"in {self._shown(frames)} {problem}"
            for frames, problem in (
                (
                    self._faint,
                    f"the scene fills less than {MIN_FILL:.0%} of the intensity scale ({levels}): "
                    "faint targets cannot be seen. Record with more contrast, or cut off what "
                    "is far brighter or darker than the scene.",
                ),
                (self._blank, "there is a single level: nothing can be seen."),
                (
                    self._left_out,
                    "there is a single level: they are left out, and tracks go on over them.",
                ),
                (
                    self._outside,
                    f"most pixels lie outside of the intensity scale ({levels}), which was fixed "
                    "on other frames: nothing can be seen. Track them as a source of their own.",
                ),
            )
            if frames.num
        ]
        spoilt = self._scale.spoilt
        if spoilt is not None:
            found.append(
                f"{len(spoilt)} pixels ({spoilt.is_spoilt.mean():.1%} of a frame) show no scene "
                "(dead, burnt-in, masked) and are filled from their neighbours: a target there "
                "cannot be seen."
            )
        if self._num_frames == 1:
            found.append("a single frame was read: a track needs several.")
        return found

    def log(self) -> None:
        """Log the warnings."""
        for warning in self.warnings():
            _LOG.warning("%s: %s", self._path, warning)

    def _shown(self, frames: _Frames) -> str:
        """Say how many frames, and which."""
        if frames.num == self._num_frames:
            return f"all {frames.num} frames" if frames.num > 1 else "the frame"
        return f"{frames.num} of {self._num_frames} frames (the first is {frames.first})"
