"""Pixels that show no scene for a whole sequence, and what is put in their place.

Dead lines and blocks, burnt-in text, reticles, black borders: beside them a target is no longer
found, and their corners look like one. They are filled from the pixels around them.

Only what cannot be a target is filled. A target may hover, and it may be so hot that its level
never changes; but it is small, or optics blur it over its surroundings. So a group of odd pixels
is filled where in an average frame more than 25 are odd, where it stays in its place, and where
the pixels around it lie within the scene or the group takes 5 % of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, label
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from stdet.types import BoolArray, FloatArray

TARGET_PIXELS = 25
"""Of a frame, at most; a target is small."""
_NUM_AROUND = 8
_GROUP_REACH = 2  # Pixels; letters of a word are a group.
_MIN_DUTY = 0.25
_MAX_BLUR = 0.25
_MAX_DRIFT = 0.25
_LARGE_SHARE = 0.05  # Of a frame: a border or mask, whose edge may be soft.
_SQUARE = np.ones((3, 3), np.bool_)


@dataclass(frozen=True, eq=False)
class SpoiltPixels:
    """Pixels to fill.

    Attributes:
        is_spoilt: Which (H, W), not all.
    """

    is_spoilt: BoolArray

    def __len__(self) -> int:
        """Return how many there are."""
        return int(np.count_nonzero(self.is_spoilt))

    @cached_property
    def _weights(self) -> csr_array:
        """How much each pixel of the flattened frame counts for each spoilt one, (B, H * W)."""
        is_near = (
            binary_dilation(self.is_spoilt, _SQUARE, iterations=_NUM_AROUND) & ~self.is_spoilt
        )
        near, spoilt = np.argwhere(is_near), np.argwhere(self.is_spoilt)
        num = min(_NUM_AROUND, len(near))
        distances, rows = KDTree(near).query(spoilt, k=np.arange(1, num + 1))
        weights = 1 / distances**2
        weights /= weights.sum(axis=1, keepdims=True)
        starts = num * np.arange(len(spoilt) + 1, dtype=np.int32)
        columns = np.flatnonzero(is_near).astype(np.int32)[rows.ravel()]
        shape = (len(spoilt), self.is_spoilt.size)
        return csr_array((weights.ravel().astype(np.float32), columns, starts), shape=shape)

    def fill(self, frame: FloatArray) -> None:
        """Fill the pixels of a frame, float32 (H, W), in place, from good ones near them.

        Raises:
            ValueError: If the frame has another size.
        """
        self._check(frame.shape)
        frame[self.is_spoilt] = self._weights @ frame.ravel()

    def others(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the levels of all other pixels of an image (H, W), as one row (1, N).

        Raises:
            ValueError: If the image has another size.
        """
        self._check(image.shape)
        return image[~self.is_spoilt][None]

    def _check(self, shape: tuple[int, ...]) -> None:
        if shape != self.is_spoilt.shape:
            raise ValueError(f"frame is {shape}; expected {self.is_spoilt.shape}.")


def groups_that_show_no_scene(
    odd_shares: NDArray[np.float64], outside_shares: NDArray[np.float64]
) -> BoolArray:
    """Return the pixels (H, W) of groups that are no targets; see the module.

    Args:
        odd_shares: In which share of the frames a pixel has a level of no scene, for the first
            and for the second half of the frames, (2, H, W).
        outside_shares: The same for levels outside of the body of the scene, in all, (H, W).
    """
    shares = odd_shares.mean(axis=0)
    is_odd = shares > 0
    reached = binary_dilation(is_odd, _SQUARE, iterations=_GROUP_REACH)
    numbers, num_groups = label(reached, _SQUARE)

    def total(values: NDArray[Any], groups: NDArray[np.int32] = numbers) -> NDArray[np.float64]:
        weights = values.ravel().astype(np.float64)
        sums = np.bincount(groups.ravel(), weights, num_groups + 1)
        return sums.astype(np.float64, copy=False)

    # What changes may do so beside where it was seen, and text has soft edges.
    changes = np.zeros(num_groups + 1, np.bool_)
    changes[numbers[is_odd & (shares < 1)]] = True
    beside = binary_dilation(is_odd, _SQUARE) & (changes[numbers] | is_odd)
    edge = np.where(beside, 0, numbers)
    num_odd = total(shares)
    duty = num_odd / np.maximum(total(is_odd), 1)
    blur = total(outside_shares, edge) / np.maximum(total(edge > 0, edge), 1)
    is_sharp = (blur < _MAX_BLUR * duty) | (num_odd > _LARGE_SHARE * is_odd.size)
    is_kept = (num_odd > TARGET_PIXELS) & (duty >= _MIN_DUTY) & is_sharp
    for positions in np.indices(is_odd.shape):
        first, second = (
            total(half * positions) / np.maximum(total(half), 1) for half in odd_shares
        )
        middle = (first + second) / 2
        extent = np.sqrt(
            total(shares * (positions - middle[numbers]) ** 2) / np.maximum(num_odd, 1)
        )
        is_kept &= np.abs(second - first) <= _MAX_DRIFT * extent
    is_kept[0] = False
    closed = np.where(changes[numbers], binary_erosion(reached, _SQUARE), is_odd)
    chosen: BoolArray = closed & is_kept[numbers]
    return chosen
