"""Which pixels of a moved image the original shows: of every row those from one to another.

As a mask they would be a pass over the image. Most frames move by little against their size, and
what is not shown lies in a few columns and rows at the edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.types import BoolArray, FloatArray

_EDGE_PX = 1 / 512
"""A pixel's centre that lies so little beyond those of an image's edge is covered."""
_LEVEL = 1e-9
"""An edge that rises less per pixel is taken as level."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RowSpans:
    """A span of columns for every row of an image.

    Attributes:
        first: First column of each span, int16 (H, 1): OpenCV moves no image of more than 32767
            pixels along a side.
        last: Last column of each span, int16 (H, 1); before the first where a row has none.
        width: Of the image, pixels.
    """

    first: NDArray[np.int16]
    last: NDArray[np.int16]
    width: int

    @classmethod
    def whole(cls, hw: tuple[int, ...]) -> RowSpans:
        """Return the spans of all pixels of an image (H, W)."""
        height, width = hw
        first = np.zeros((height, 1), np.int16)
        return cls(first=first, last=np.full_like(first, width - 1), width=width)

    @classmethod
    def of_warp(
        cls, back: NDArray[np.float64], hw: tuple[int, int], image_hw: tuple[int, int]
    ) -> RowSpans:
        """Return the spans of the pixels of a moved image whose centre the original shows.

        Every edge of the original is a straight line in the moved image, and bounds its rows.

        Args:
            back: float64 (3, 3), from indices of the moved image to those of the original.
            hw: Of the moved image.
            image_hw: Of the original.

        Example:
            >>> back = np.array([[1.0, 0, -2], [0, 1, 0], [0, 0, 1]])
            >>> RowSpans.of_warp(back, (1, 5), (1, 5)).mask()
            array([[False, False,  True,  True,  True]])
        """
        x, y, weight = back
        last_y, last_x = (side - 1 + _EDGE_PX for side in image_hw)
        edges = (
            x + _EDGE_PX * weight,
            last_x * weight - x,
            y + _EDGE_PX * weight,
            last_y * weight - y,
        )
        rows = np.arange(hw[0])
        first, last = np.zeros(hw[0]), np.full(hw[0], hw[1] - 1.0)
        for across, down, constant in (*edges, weight):  # Each is positive within.
            height = down * rows + constant
            if abs(across) < _LEVEL:
                last = np.where(height >= 0, last, -1)
            elif across > 0:
                first = np.maximum(first, np.ceil(-height / across))
            else:
                last = np.minimum(last, np.floor(-height / across))
        begin, end = (np.clip(at, -1, hw[1]).astype(np.int16)[:, None] for at in (first, last))
        return cls(first=begin, last=end, width=hw[1])

    def mask(self) -> BoolArray:
        """Return which pixels lie in the spans, bool (H, W)."""
        columns = np.arange(self.width, dtype=np.int16)
        is_within: BoolArray = (columns >= self.first) & (columns <= self.last)
        return is_within

    def clear_outside(self, values: FloatArray, rows: slice) -> None:
        """Set values outside of the spans to 0.

        Args:
            values: float32 (rows, W), changed in place.
            rows: Of the image.
        """
        first, last = self.first[rows], self.last[rows]
        columns = np.arange(self.width, dtype=np.int16)
        # To the left of this column, and from that one on, some row has none of its span.
        left, right = max(int(first.max()), 0), int(last.min()) + 1
        np.copyto(values[:, :left], 0, where=columns[:left] < first)
        np.copyto(values[:, right:], 0, where=columns[right:] > last)
