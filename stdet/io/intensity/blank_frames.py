"""Leave frames out of a stream that show nothing: a shutter, a start-up, a lost signal.

A blank frame has one level in at least 99 % of its pixels, while the frames before it, or the
first that follow, show a scene. In a stream it would be a reference, against which everything
seems to have appeared. Footage that is flat by itself (points on black) is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from stdet.errors import IncompleteInputError
from stdet.io.frame_source import Frame, RawImage

_BLANK_SHARE = 0.99
_SCENE_SHARE = 0.5
"""A frame shows a scene where no level has more of its pixels."""
_MAX_IN_A_ROW = 23
"""Blank frames at the start of a stream that wait for one that shows a scene: the network waits
for as many. And later frames, not of one level alone, that are left out before the footage counts
as flat by itself."""
_MAX_PIXELS = 1 << 14
"""Pixels of a frame that are looked at first, on an even grid."""


def without_blank(frames: Iterable[Frame], left_out: Callable[[int], None]) -> Iterator[Frame]:
    """Yield the frames that are not blank; those at the start come with the first of these.

    Args:
        frames: In order.
        left_out: Called with the index of each blank frame.

    Raises:
        IncompleteInputError: After the last frame, where ``frames`` does.
    """
    leading: list[Frame] = []
    incomplete: IncompleteInputError | None = None
    has_begun = has_scene = False
    num_flat = 0
    try:
        for frame in frames:
            share = _share_of_one_level(frame.pixels)
            if share < _BLANK_SHARE:
                has_scene, num_flat = share < _SCENE_SHARE, 0
            elif not has_begun and len(leading) < _MAX_IN_A_ROW:
                leading.append(frame)
                continue
            elif has_scene:
                num_flat += share < 1
                has_scene = num_flat <= _MAX_IN_A_ROW
            if share >= _BLANK_SHARE and has_scene:
                left_out(frame.index)
                continue
            has_begun = True
            if has_scene:
                for blank in leading:
                    left_out(blank.index)
            else:
                yield from leading
            leading.clear()
            yield frame
    except IncompleteInputError as error:
        incomplete = error
    yield from leading
    if incomplete is not None:
        raise incomplete


def _share_of_one_level(pixels: RawImage) -> float:
    """Return the share of the pixels that have the median level."""
    step = max(math.ceil(math.sqrt(pixels.size / _MAX_PIXELS)), 1)
    seen = pixels[::step, ::step].ravel()
    level = np.partition(seen, len(seen) // 2)[len(seen) // 2]
    share = np.mean(seen == level)
    return float(np.mean(pixels == level) if share > _SCENE_SHARE else share)
