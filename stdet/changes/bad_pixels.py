"""Take bad pixels out of footage before it is resampled.

A bad pixel stays at its place of the sensor, and no optics blur it. Resampled with the scene it
would move and be blurred as no camera shows it, and nobody could tell it from a target.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from stdet.changes.footage import Footage
from stdet.registration.bad_pixels import replace_pixels
from stdet.registration.front_end import FrontEnd
from stdet.types import FloatArray, IntArray


def without_bad_pixels(footage: Footage) -> Footage:
    """Return footage whose bad pixels are the median of their neighbours in every frame.

    They are those that a stream knows at the end of the footage, also in the frames before it
    found them. A camera at rest shows none. The first frame that is read waits until all have
    been.
    """

    @cache
    def bad_pixels() -> IntArray:
        front_end = FrontEnd()
        for position in range(len(footage)):
            frame = footage.read(position)
            front_end.push(frame, is_ignored=footage.ignored_at(position))
        return front_end.bad_pixels

    def read(position: int) -> FloatArray:
        return replace_pixels(footage.read(position), bad_pixels())

    return replace(footage, read=read)
