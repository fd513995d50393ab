"""Draw boxes, ids and trails over grey frames, so that a target of three pixels stays visible.

Boxes keep a margin to their target, ids stand beside it. Trails end at the box, pass behind other
boxes, and follow the scene where the camera moves. Small frames are enlarged by a whole factor, so
that ids are legible and pixels stay square.
"""

from __future__ import annotations

import colorsys
import functools
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stdet.boxes import centres_xy
from stdet.io.camera_drawing import draw_scene, write_state
from stdet.registration.camera_motion import CameraPose
from stdet.registration.transform import Transform
from stdet.types import BoolArray, Detections, FloatArray, Tracks

TARGET_SHORT_SIDE_PX = 512
"""Frames are enlarged to about this short side."""

MAX_LONG_SIDE_PX = 2048
"""Frames are never enlarged beyond this long side."""

MARGIN_PX = 3
"""Untouched pixels between a target and the box around it, in the drawing."""

_FONT_PX = 14
_DASH_PX = 3
_LINE_PX = 2
_EDGE_COLOUR = (50, 50, 50)
_DETECTION_COLOUR = (190, 190, 190)
_COASTED_BRIGHTNESS = 0.8
_GOLDEN_RATIO = 0.618033988749895  # Steps of this around the colour circle never come close early.

Colour = tuple[int, int, int]
Corners = tuple[int, int, int, int]
Point = tuple[float, float]


class Trails:
    """Where each living track has been lately, in the scene.

    Memory is bounded: a track without a row in the newest frame is forgotten.

    Args:
        length: Frames that a trail reaches back.

    Raises:
        ValueError: If ``length`` is below 1.

    Example:
        >>> trails = Trails(length=2)
        >>> trails.update(Tracks.empty())
        >>> trails.points
        {}
    """

    def __init__(self, length: int = 30) -> None:
        """Start without trails."""
        if length < 1:
            raise ValueError(f"length is {length}; expected at least 1.")
        self._length = length
        self._points: dict[int, deque[Point]] = {}

    @property
    def points(self) -> Mapping[int, Sequence[Point]]:
        """Centres (x, y) in pixels of the newest frame of each track, oldest first."""
        return self._points

    def update(self, tracks: Tracks, *, transform: Transform | None = None) -> None:
        """Take in the tracks of the next frame.

        Args:
            tracks: Of that frame.
            transform: Where the background of the frame before lies in it; old points are carried
                along. None where the camera rests, or nothing is known.
        """
        old, self._points = self._points, {}
        centres = centres_xy(tracks.boxes_xyxy).tolist()
        for track_id, (x, y) in zip(tracks.track_ids.tolist(), centres, strict=True):
            trail = old.get(track_id, deque(maxlen=self._length))
            if trail and transform is not None:
                moved = transform.apply(np.array(trail, np.float64)).tolist()
                trail = deque(map(tuple, moved), maxlen=self._length)
            trail.append((x, y))
            self._points[track_id] = trail


def render_scale(image_hw: tuple[int, int]) -> int:
    """Return the whole factor by which ``draw_frame`` enlarges a frame.

    Args:
        image_hw: Height and width of the frame, pixels.

    Returns:
        At least 1; the drawing is (height * factor, width * factor).

    Example:
        >>> [render_scale(hw) for hw in [(128, 128), (256, 320), (480, 640), (1080, 1920)]]
        [4, 2, 1, 1]
    """
    wanted = round(TARGET_SHORT_SIDE_PX / min(image_hw))
    return max(1, min(wanted, MAX_LONG_SIDE_PX // max(image_hw)))


def track_colour(track_id: int) -> Colour:
    """Return the colour of a track: bright, the same in every frame, unlike the next ids'."""
    hue = track_id * _GOLDEN_RATIO % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.6, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_frame(
    pixels: NDArray[np.uint8],
    detections: Detections | None,
    tracks: Tracks,
    trails: Mapping[int, Sequence[Point]],
    *,
    pose: CameraPose | None = None,
    is_ignored: BoolArray | None = None,
) -> NDArray[np.uint8]:
    """Draw one frame.

    A track has a coloured box, its id and its trail; where it coasted, the box is dashed and
    darker. A detection that belongs to no confirmed track has a thin grey box.

    Args:
        pixels: Grey frame, uint8 (H, W).
        detections: What the tracker was given for this frame; None draws none.
        tracks: Confirmed tracks of this frame.
        trails: Past centres of each track, in frame pixels, as ``Trails.points`` gives them.
        pose: Of the camera; None draws nothing of it.
        is_ignored: Pixels that do not show the scene, bool (H, W), tinted where there is a pose.

    Returns:
        uint8 (H * s, W * s, 3), RGB, with s = ``render_scale((H, W))``.

    Raises:
        ValueError: If ``pixels`` is not uint8 with two axes.
    """
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels are {pixels.dtype} {pixels.shape}; expected uint8 (H, W).")
    scale = render_scale((pixels.shape[0], pixels.shape[1]))
    enlarged = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    image = Image.fromarray(enlarged).convert("RGB")
    if pose is not None:
        image = Image.fromarray(draw_scene(np.array(image), pose, is_ignored, scale=scale))
    draw = ImageDraw.Draw(image)
    if detections is not None:
        is_free = np.ones(len(detections), np.bool_)
        is_free[tracks.detection_indices[tracks.detection_indices >= 0]] = False
        for corners in _outer_corners(detections.boxes_xyxy[is_free], scale, image.size):
            draw.rectangle(corners, outline=_EDGE_COLOUR)
            draw.rectangle(_inset(corners), outline=_DETECTION_COLOUR)
    for track_id in tracks.track_ids.tolist():
        _draw_trail(draw, trails.get(track_id, ()), scale, track_colour(track_id))
    outlines = _outer_corners(tracks.boxes_xyxy, scale, image.size)
    for x1, y1, x2, y2 in outlines:  # Trails must not cover targets.
        inside = enlarged[max(y1, 0) : y2 + 1, max(x1, 0) : x2 + 1]
        if inside.size:
            image.paste(Image.fromarray(inside), (max(x1, 0), max(y1, 0)))
    _draw_tracks(draw, outlines, tracks, image.size)
    if pose is not None:
        write_state(draw, pose, image.size)
    return np.array(image)


def _draw_tracks(
    draw: ImageDraw.ImageDraw, outlines: list[Corners], tracks: Tracks, image_wh: tuple[int, int]
) -> None:
    """Draw the boxes, then the ids, so that no box crosses an id."""
    is_coasted = tracks.detection_indices < 0
    for row, corners in enumerate(outlines):
        colour = track_colour(int(tracks.track_ids[row]))
        draw.rectangle(corners, outline=_EDGE_COLOUR)
        if is_coasted[row]:
            _draw_dashes(draw, _inset(corners), _dimmed(colour, _COASTED_BRIGHTNESS))
        else:
            draw.rectangle(_inset(corners), outline=colour, width=_LINE_PX)
    for track_id, corners in zip(tracks.track_ids.tolist(), outlines, strict=True):
        _draw_id(draw, corners, track_id, image_wh)


def _outer_corners(boxes_xyxy: FloatArray, scale: int, image_wh: tuple[int, int]) -> list[Corners]:
    """Return the outermost pixels of the boxes to draw, inclusive."""
    gap = MARGIN_PX + _LINE_PX + 1  # A dark edge sets the line off from bright ground.
    size_wh = np.array(image_wh)
    # The last digits of a box vary between runs; one that ends on a pixel's edge must not flip.
    boxes_xyxy = np.round(boxes_xyxy, 3)
    # Pillow cannot take numbers of any size; boxes far away stay outside.
    low = np.clip(np.floor(boxes_xyxy[:, :2] * scale) - gap, -4 * gap, size_wh + gap)
    high = np.ceil(boxes_xyxy[:, 2:] * scale) - 1 + gap
    high = np.clip(high, low + 2 * gap - 1, size_wh + 4 * gap)
    corners = np.concatenate([low, high], axis=1).astype(int)
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in corners.tolist()]


def _inset(corners: Corners) -> Corners:
    """Return the corners one pixel further in."""
    x1, y1, x2, y2 = corners
    return x1 + 1, y1 + 1, x2 - 1, y2 - 1


def _draw_trail(
    draw: ImageDraw.ImageDraw, points: Sequence[Point], scale: int, colour: Colour
) -> None:
    """Draw a line that fades into the past."""
    scaled = [(x * scale, y * scale) for x, y in points]
    for i in range(1, len(scaled)):
        draw.line((scaled[i - 1], scaled[i]), fill=_dimmed(colour, 0.4 + 0.6 * i / len(scaled)))


def _draw_id(
    draw: ImageDraw.ImageDraw, corners: Corners, track_id: int, image_wh: tuple[int, int]
) -> None:
    """Write the id above the box, or below it where there is no room; not for a box outside."""
    x1, y1, x2, y2 = corners
    if x2 < 0 or y2 < 0 or x1 >= image_wh[0] or y1 >= image_wh[1]:
        return
    text, font = str(track_id), _font()
    left, top, right, bottom = font.getbbox(text)
    width, height = int(right - left), int(bottom - top)
    x = min(max(x1, 0), image_wh[0] - width - 1)
    y = y1 - height - 3 if y1 >= height + 3 else y2 + 3
    y = min(y, image_wh[1] - height - 1)
    # A dark ground keeps the id legible over bright clouds.
    draw.rectangle((x - 1, y - 1, x + width, y + height), fill=(0, 0, 0))
    draw.text((x - left, y - top), text, fill=track_colour(track_id), font=font)


def _draw_dashes(draw: ImageDraw.ImageDraw, corners: Corners, colour: Colour) -> None:
    """Draw a dashed rectangle; every side begins and ends with a dash."""
    x1, y1, x2, y2 = corners
    for start in range(x1, x2 + 1, 2 * _DASH_PX):
        end = min(start + _DASH_PX - 1, x2)
        draw.rectangle((start, y1, end, y1 + _LINE_PX - 1), fill=colour)
        draw.rectangle((start, y2 - _LINE_PX + 1, end, y2), fill=colour)
    for start in range(y1, y2 + 1, 2 * _DASH_PX):
        end = min(start + _DASH_PX - 1, y2)
        draw.rectangle((x1, start, x1 + _LINE_PX - 1, end), fill=colour)
        draw.rectangle((x2 - _LINE_PX + 1, start, x2, end), fill=colour)


def _dimmed(colour: Colour, brightness: float) -> Colour:
    """Return the colour, darker."""
    red, green, blue = (round(channel * brightness) for channel in colour)
    return red, green, blue


@functools.cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font; loading takes longer than drawing a frame."""
    return ImageFont.load_default(_FONT_PX)
