"""Pixels that the user says do not belong to the scene: text, reticles, logos, dirt, zones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stdet.errors import DataError, printable
from stdet.io.images.reader import open_image, read_levels
from stdet.types import BoolArray

Box = tuple[int, int, int, int]
"""Left column, top row, width and height, pixels."""


@dataclass(frozen=True, kw_only=True)
class IgnoredZones:
    """What `--ignore` and `--mask` say, for frames of any size.

    Attributes:
        boxes: Each within the frames.
        mask: PNG of the frames' size; its black pixels (level 0) are ignored, all others seen.
    """

    boxes: tuple[Box, ...] = ()
    mask: Path | None = None

    def of_frames(self, hw: tuple[int, int]) -> BoolArray | None:
        """Return the pixels of boxes and mask together.

        Args:
            hw: Height and width of the frames.

        Returns:
            bool (H, W), true where ignored; None where no pixel is.

        Raises:
            DataError: If a box does not lie in the frame, the mask cannot be read or has another
                size, or no pixel would be seen.

        Example:
            >>> IgnoredZones(boxes=((1, 0, 2, 1),)).of_frames((2, 4))
            array([[False,  True,  True, False],
                   [False, False, False, False]])
        """
        is_ignored = np.zeros(hw, np.bool_) if self.mask is None else _read_mask(self.mask, hw)
        for x, y, width, height in self.boxes:
            if x + width > hw[1] or y + height > hw[0]:
                raise DataError(
                    f"--ignore {x},{y},{width},{height}: reaches outside of the frames, which are "
                    f"{hw[1]} pixels wide and {hw[0]} high; give a box within them."
                )
            is_ignored[y : y + height, x : x + width] = True
        if is_ignored.all():
            where = "--ignore" if self.mask is None else printable(self.mask)
            advice = (
                "" if self.mask is None else " Black pixels of a mask are ignored, white seen."
            )
            raise DataError(f"{where}: ignores the whole frame; nothing would be seen.{advice}")
        return is_ignored if is_ignored.any() else None


NOTHING_IGNORED = IgnoredZones()


def _read_mask(path: Path, hw: tuple[int, int]) -> BoolArray:
    """Return where a mask is black, bool (H, W)."""
    with open_image(path, formats=("PNG",)) as image:
        levels = read_levels(image, path)
    if levels.shape != hw:
        raise DataError(
            f"{printable(path)}: is {levels.shape[1]} pixels wide and {levels.shape[0]} high; "
            f"the frames are {hw[1]} wide and {hw[0]} high. Give a mask of their size."
        )
    is_black: BoolArray = levels == 0
    return is_black
