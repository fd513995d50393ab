"""A frame as it is shown."""

from __future__ import annotations

import threading
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stdet.io.frame_source import IntensityScale, RawImage
from stdet.page.message import jpeg


class Picture:
    """A frame in 8 bits, worked out when it is first asked for; from any thread.

    Args:
        image: Grey levels as stored (H, W).
        scale: Map of the levels to [0, 1].
    """

    def __init__(self, image: RawImage, scale: IntensityScale) -> None:
        """Keep the frame."""
        self._image = image
        self._scale = scale
        self._encoding = threading.Lock()

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """Grey levels of 8 bits, uint8 (H, W)."""
        return self._scale.to_uint8(self._image)

    def jpeg(self) -> bytes:
        """Return the picture encoded, once for all who ask."""
        with self._encoding:
            return self._jpeg

    @cached_property
    def _jpeg(self) -> bytes:
        return jpeg(self.pixels)
