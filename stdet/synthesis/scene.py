"""A scene: layers on a canvas that holds every frame of a moving camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from stdet.synthesis.canvas import MARGIN_PX, Layer, smooth_step
from stdet.synthesis.spots import Float
from stdet.types import FloatArray


@dataclass(frozen=True, kw_only=True)
class Extent:
    """Sizes that painters need.

    Attributes:
        canvas_hw: Size of the canvas.
        frame_hw: Size of the frame.
        origin_xy: Place of the first frame's corner on the canvas, pixels.
    """

    canvas_hw: tuple[int, int]
    frame_hw: tuple[int, int]
    origin_xy: tuple[float, float]

    def row(self, fraction: float) -> float:
        """Return the canvas row at a fraction of the height of the first frame."""
        return self.origin_xy[1] + fraction * self.frame_hw[0]


@dataclass(kw_only=True, eq=False)
class Scene:
    """Layers from back to front.

    Attributes:
        layers: The first is opaque and moves with the background.
        kind: Kind of background.
        crowns_xy: Places where tree crowns may sway, scene coordinates (N, 2).
    """

    layers: list[Layer]
    kind: str
    crowns_xy: Float


@dataclass(frozen=True, kw_only=True)
class Wind:
    """What moves by itself, and how fast.

    Attributes:
        cloud_xy: Drift of clouds, pixels per frame.
        parallax: How much more the nearest layer moves than the background, a fraction.
    """

    cloud_xy: tuple[float, float]
    parallax: float


def still_scene(image: FloatArray, extent: Extent, parallax: float) -> Scene:
    """Make a scene of one real frame, so that a still becomes the view of a moving camera.

    A frame smaller than the canvas is enlarged by up to 1.6 and then mirrored at its borders. Its
    lower half, which is nearer in most views, moves faster in two bands with soft seams.

    Args:
        image: float32 (H, W), levels in [0, 1].
        extent: Sizes.
        parallax: How much faster the lowest band moves, a fraction.
    """
    height, width = extent.canvas_hw
    zoom = min(max(height / image.shape[0], width / image.shape[1], 1.0), 1.6)
    if zoom > 1:
        size = (round(image.shape[1] * zoom), round(image.shape[0] * zoom))
        picture = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
        image = np.asarray(picture, np.float32)
    down, right = max(height - image.shape[0], 0), max(width - image.shape[1], 0)
    if down or right:
        image = np.pad(
            image,
            ((down // 2, down - down // 2), (right // 2, right - right // 2)),
            mode="symmetric",
        )
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    image = np.ascontiguousarray(image[top : top + height, left : left + width])
    layers = [Layer(image=image)]
    for number, fraction in enumerate((0.55, 0.8)):
        if parallax:
            rows = np.arange(height, dtype=np.float32)[:, None]
            start, seam = extent.row(fraction), 0.06 * extent.frame_hw[0]
            opacity = np.repeat(smooth_step(rows, start - seam, start + seam), width, axis=1)
            layers.append(
                Layer(image=image, opacity=opacity, parallax=1 + parallax * (number + 1) / 2)
            )
    return Scene(layers=layers, kind="real", crowns_xy=np.zeros((0, 2)))


def extent_for(
    corners_xy: Float, frame_hw: tuple[int, int], drift_xy: Float, *, is_turned: bool
) -> Extent:
    """Return the canvas that holds every frame.

    Args:
        corners_xy: float64 (N, 2), corners of the frame for all layers and times.
        frame_hw: Size of the frame.
        drift_xy: Extra room in x and y, pixels.
        is_turned: Whether the frame turns, which needs its diagonal.
    """
    turn = (np.hypot(*frame_hw) - min(frame_hw)) / 2 if is_turned else 0.0
    margin = MARGIN_PX + np.ceil(turn) + np.ceil(np.abs(drift_xy))
    low = np.floor(corners_xy.min(axis=0)) - margin
    high = np.ceil(corners_xy.max(axis=0)) + margin
    size = high - low + (frame_hw[1], frame_hw[0]) + 2
    return Extent(
        canvas_hw=(int(size[1]), int(size[0])),
        frame_hw=frame_hw,
        origin_xy=(float(-low[0]), float(-low[1])),
    )
