"""From a source frame to the detector's input, and back: letterbox or padding.

Two modes. With ``input_hw`` a frame is scaled to fit and padded with grey 128 (SSTNet's
letterbox). Without it a frame keeps its native resolution and is padded at the right and bottom
to a multiple of the backbone's last stride by repeating its edge: a grey border would draw an
edge that fires.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stdet.types import FloatArray

LETTERBOX_GREY = 128 / 255


@dataclass(frozen=True, kw_only=True)
class InputGeometry:
    """How frames of one size are brought to the detector.

    Attributes:
        source_hw: Size of the source frames.
        content_hw: Size of the scaled frame within the input.
        input_hw: Size of the input.
        top_left: Row and column of the scaled frame within the input.
    """

    source_hw: tuple[int, int]
    content_hw: tuple[int, int]
    input_hw: tuple[int, int]
    top_left: tuple[int, int]

    @classmethod
    def fit(
        cls, source_hw: tuple[int, int], *, input_hw: tuple[int, int] | None, size_divisor: int
    ) -> InputGeometry:
        """Choose the geometry for frames of ``source_hw``."""
        if input_hw is None:
            padded = tuple(-(-side // size_divisor) * size_divisor for side in source_hw)
            return cls(
                source_hw=source_hw,
                content_hw=source_hw,
                input_hw=(padded[0], padded[1]),
                top_left=(0, 0),
            )
        scale = min(input_hw[0] / source_hw[0], input_hw[1] / source_hw[1])
        content = (max(round(source_hw[0] * scale), 1), max(round(source_hw[1] * scale), 1))
        top_left = ((input_hw[0] - content[0]) // 2, (input_hw[1] - content[1]) // 2)
        return cls(source_hw=source_hw, content_hw=content, input_hw=input_hw, top_left=top_left)

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Input pixels per source pixel, for x and y."""
        return self.content_hw[1] / self.source_hw[1], self.content_hw[0] / self.source_hw[0]

    @property
    def to_source(self) -> FloatArray:
        """The affine map from input pixels to source pixels, float32 (2, 3)."""
        scale_x, scale_y = self.scale_xy
        top, left = self.top_left
        return np.array(
            [[1 / scale_x, 0, -left / scale_x], [0, 1 / scale_y, -top / scale_y]], np.float32
        )

    def apply(
        self, channels: FloatArray, *, letterbox_value: float = LETTERBOX_GREY
    ) -> FloatArray:
        """Bring a frame (C, H, W) of ``source_hw`` to (C, *input_hw)."""
        if channels.shape[1:] != self.source_hw:
            raise ValueError(f"frame is {channels.shape[1:]}; expected {self.source_hw}.")
        if self.content_hw != self.source_hw:
            channels = np.stack([_scaled(one, self.content_hw) for one in channels])
        (top, bottom), (left, right) = self.border
        if not any((top, left, bottom, right)):
            return channels
        widths = ((0, 0), (top, bottom), (left, right))
        if self.is_letterbox:
            return np.pad(channels, widths, constant_values=np.float32(letterbox_value))
        return np.pad(channels, widths, mode="edge")

    @property
    def border(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows above and below the scaled frame, columns left and right of it."""
        top, left = self.top_left
        bottom = self.input_hw[0] - self.content_hw[0] - top
        right = self.input_hw[1] - self.content_hw[1] - left
        return (top, bottom), (left, right)

    @property
    def is_letterbox(self) -> bool:
        """Whether frames are scaled or centred, not only padded at the right and bottom."""
        return self.content_hw != self.source_hw or self.top_left != (0, 0)

    def boxes_to_source(self, boxes_xyxy: FloatArray) -> FloatArray:
        """Map boxes (N, 4) from input pixels to source pixels."""
        scale = np.tile(np.array(self.scale_xy, np.float32), 2)
        shift = np.tile(np.array(self.top_left[::-1], np.float32), 2)
        return (boxes_xyxy - shift) / scale


def _scaled(image: FloatArray, hw: tuple[int, int]) -> FloatArray:
    """Return an image (H, W) at another size: bilinear, over all pixels that one covers."""
    from PIL import Image

    scaled = Image.fromarray(image).resize((hw[1], hw[0]), Image.Resampling.BILINEAR)
    return np.asarray(scaled, np.float32)
