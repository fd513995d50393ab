"""Draw what is known of the camera: a grid that stays on the scene, its state, what is ignored.

The grid belongs to the first frame of a run of registered frames. While the lines stay on the
background, registration is right; a grid that slides over it shows an error. Around the middle of
that first frame two lines are brighter.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

from stdet.registration.camera_motion import CameraPose, PoseState
from stdet.types import BoolArray

_STATE_COLOURS: dict[PoseState, tuple[int, int, int]] = {
    "measured": (90, 210, 235),
    "assumed": (255, 180, 60),
    "lost": (255, 85, 75),
}
_IGNORED_COLOUR = (190, 60, 200)
_IGNORED_OPACITY = 0.35
_LINE_OPACITY, _AXIS_OPACITY = 0.4, 0.8
_LINES_PER_SHORT_SIDE = 4.0
"""About so many cross the frame; under zoom their distance doubles or halves."""
_MOST_LINES = 100
_FRACTION_BITS = 4
"""Ends of lines are drawn to a sixteenth of a pixel, or slow pans would move in steps."""
_FAR_PX = 2**14
"""OpenCV takes no larger coordinates."""
_FONT_PX = 14
_PADDING_PX = 4


def draw_scene(
    image: NDArray[np.uint8], pose: CameraPose, is_ignored: BoolArray | None, *, scale: int
) -> NDArray[np.uint8]:
    """Tint what is ignored, and draw the grid of the scene where the frame belongs to one.

    Args:
        image: Enlarged frame, uint8 (H * s, W * s, 3), RGB.
        pose: Of the frame.
        is_ignored: Pixels of the frame that do not show the scene, bool (H, W); None where all do.
        scale: s, by which the frame is enlarged.

    Returns:
        A new image of the same size.
    """
    drawn = image.astype(np.float32)
    if is_ignored is not None:
        tint = np.where(is_ignored, np.float32(_IGNORED_OPACITY), np.float32(0))
        _blend(drawn, tint.repeat(scale, axis=0).repeat(scale, axis=1), _IGNORED_COLOUR)
    if pose.state != "lost":
        hw = (image.shape[0] // scale, image.shape[1] // scale)
        _blend(drawn, _grid(pose, hw, scale), _STATE_COLOURS[pose.state])
    return np.asarray(np.clip(drawn + 0.5, 0, 255), np.uint8)


def write_state(draw: ImageDraw.ImageDraw, pose: CameraPose, image_wh: tuple[int, int]) -> None:
    """Write in the lower left corner how well the frame is registered, on a dark ground.

    Args:
        draw: Of the image.
        pose: Of the frame.
        image_wh: Width and height of the image.
    """
    font, colour = _font(), _STATE_COLOURS[pose.state]
    words = ": ".join(filter(None, [pose.state, ", ".join(quality_words(pose))]))
    left, top, right, bottom = draw.textbbox((0, 0), words, font=font)
    height = int(bottom - top)
    y = image_wh[1] - height - 2 * _PADDING_PX
    dot_px = height + _PADDING_PX
    x_end = min(image_wh[0], int(right - left) + dot_px + 3 * _PADDING_PX)
    draw.rectangle((0, y, x_end, image_wh[1]), fill=(0, 0, 0))
    x, y = _PADDING_PX, y + _PADDING_PX
    draw.ellipse((x, y, x + height, y + height), fill=colour)
    draw.text((x + dot_px - left, y - top), words, fill=(235, 235, 235), font=font)


def quality_words(pose: CameraPose) -> list[str]:
    """Return model, error and share of inliers, as far as they are known of a frame.

    Example:
        >>> from stdet.registration.camera_motion import CameraMotion
        >>> from stdet.registration.prepared_frame import PreparedFrame
        >>> quality_words(CameraMotion().push(PreparedFrame(np.zeros((32, 32), np.float32))))
        ['rest', '0.00 px', '100 % inliers']
    """
    quality = pose.quality
    if pose.state == "lost":
        return []
    error = "? px" if quality.error_px is None else f"{quality.error_px:.2f} px"
    return [quality.model, error, f"{quality.inliers:.0%}".replace("%", " % inliers")]


def _blend(
    image: NDArray[np.float32], opacity: NDArray[np.float32], colour: tuple[int, int, int]
) -> None:
    """Paint on an image (H, W, 3) with an opacity of 0 to 1 at each pixel (H, W)."""
    image += opacity[..., None] * (np.array(colour, np.float32) - image)


def _grid(pose: CameraPose, hw: tuple[int, int], scale: int) -> NDArray[np.float32]:
    """Return the opacity of the grid on the enlarged frame, float32 (H * s, W * s)."""
    opacity = np.zeros((hw[0] * scale, hw[1] * scale), np.uint8)
    height, width = hw
    back = pose.from_start.inverse()
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    # Beyond the horizon of a homography a grid has no meaning.
    if (corners @ back.matrix[2, :2] + 1 <= 0).any():
        return opacity.astype(np.float32)
    middle = np.array([width / 2, height / 2])
    zoom = float(back.scales_at(middle))
    spacing = min(hw) / _LINES_PER_SHORT_SIDE * 2.0 ** np.round(np.log2(zoom))
    seen = back.apply(corners) - middle
    first, last = np.floor(seen.min(axis=0) / spacing), np.ceil(seen.max(axis=0) / spacing)
    if (last - first > _MOST_LINES).any():  # The horizon is near.
        return opacity.astype(np.float32)
    for axis in (0, 1):
        for number in np.arange(first[axis], last[axis] + 1):
            ends = np.stack([first * spacing, last * spacing])
            ends[:, axis] = number * spacing
            level = _LINE_OPACITY if number else _AXIS_OPACITY
            _draw_line(opacity, pose.from_start.apply(ends + middle) * scale, level)
    return opacity.astype(np.float32) / np.float32(255)


def _draw_line(opacity: NDArray[np.uint8], ends_xy: NDArray[np.float64], level: float) -> None:
    """Draw a smooth line between two points, in continuous pixels of the image."""
    if not (np.abs(ends_xy) < _FAR_PX).all():
        return
    fixed = np.round((ends_xy - 0.5) * 2**_FRACTION_BITS).astype(int)
    (x1, y1), (x2, y2) = fixed.tolist()
    value = round(255 * level)
    cv2.line(opacity, (x1, y1), (x2, y2), value, 1, cv2.LINE_AA, _FRACTION_BITS)


@functools.cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font; loading takes longer than drawing a frame."""
    return ImageFont.load_default(_FONT_PX)
