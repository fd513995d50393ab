"""Enlarged pieces of frames with true and detected boxes, as inline SVG."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stdet.boxes import centres_xy
from stdet.metrics.detection.hit_rule import HitRule
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.tracking.error_events import FrameMatches
from stdet.types import BoolArray, Detections, FloatArray

CROP_PX = 64
"""Side of a crop, source pixels; less where the frame is smaller."""

_MARGIN_PX = 1.0
"""Boxes are drawn this much larger on each side, so that they do not cover their target."""

_TEXT_PX = 3.1
"""Height of text, source pixels; as in ``report_page.css``."""

GREY_PERCENTILES = (0.5, 99.95)
"""Grey levels of a crop drawn black and white: dim targets must be seen."""


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A piece of a frame.

    Attributes:
        sequence: Number of the sequence in the report.
        svg: An ``<svg>`` element with the pixels and boxes.
        caption: Sequence, frame and number of errors.
        position: Of the piece in its frame.
    """

    sequence: int
    svg: str
    caption: str
    position: str


def draw_crop(
    result: SequenceResult,
    frame_index: int,
    frame: FloatArray,
    matches: FrameMatches,
    *,
    sequence: int,
    rule: HitRule,
) -> Crop:
    """Draw the part of a frame that holds most of its errors.

    True boxes are dashed, detections solid. At a missed target the best detection below the
    threshold is drawn dotted, where there is one that would hit: it tells targets scored too
    low from targets not seen.

    Args:
        result: Truth and detections.
        frame_index: Counted from 0.
        frame: Its pixels, float32 (H, W) in [0, 1].
        matches: Its matches at the operating point.
        sequence: Number of the sequence in the report.
        rule: By which detections hit.
    """
    truth = result.annotation
    rows = truth.rows_at(frame_index)
    gt_xyxy, is_ignored = truth.boxes_xyxy[rows], truth.is_ignored[rows]
    is_missed = ~matches.is_found & ~is_ignored
    detections = matches.detections
    errors = np.concatenate(
        [gt_xyxy[is_missed], detections.boxes_xyxy[matches.is_false_alarm]], axis=0
    )
    window = _crop_window(errors, (frame.shape[0], frame.shape[1]))
    parts = []
    for box, missed, ignored in zip(gt_xyxy, is_missed, is_ignored, strict=True):
        word = "missed" if missed else "ignored" if ignored else ""
        parts.append(_box(box, "truth", word, window, is_below=True))
    scored = zip(detections.boxes_xyxy, detections.scores, matches.is_false_alarm, strict=True)
    for box, score, is_false in scored:
        word = f"{score:.2f} false" if is_false else f"{score:.2f}"
        parts.append(_box(box, "false" if is_false else "hit", word, window))
    weak = _weak_detections(result, frame_index, matches, gt_xyxy[is_missed], rule)
    for box, score in zip(weak.boxes_xyxy, weak.scores, strict=True):
        parts.append(_box(box, "weak", f"{score:.3f}", window))
    num_missed, num_false = int(is_missed.sum()), int(matches.is_false_alarm.sum())
    caption = f"{truth.name}, frame {frame_index}: {_counts(num_missed, num_false)}"
    num_inside = int(window.holds(errors).sum())
    if num_inside < len(errors):
        caption += f" ({num_inside} of {len(errors)} in view)"
    x, y, width, height = window.x, window.y, window.width, window.height
    svg = (
        f'<svg viewBox="{x} {y} {width} {height}" role="img" aria-label="{escape(caption)}">'
        f'<image x="{x}" y="{y}" width="{width}" height="{height}" '
        f'href="{_png_url(frame[y : y + height, x : x + width])}"/>{"".join(parts)}</svg>'
    )
    return Crop(
        sequence=sequence,
        svg=svg,
        caption=caption,
        position=f"x {x} to {x + width}, y {y} to {y + height} px",
    )


@dataclass(frozen=True, kw_only=True)
class _Window:
    """A rectangle of whole pixels inside a frame."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def about(cls, centre_xy: NDArray[np.floating], hw: tuple[int, int]) -> _Window:
        """Return the window of a crop with its centre as near to a point as the frame allows."""
        height, width = min(CROP_PX, hw[0]), min(CROP_PX, hw[1])
        x = round(float(centre_xy[0]) - width / 2)
        y = round(float(centre_xy[1]) - height / 2)
        return cls(
            x=min(max(x, 0), hw[1] - width),
            y=min(max(y, 0), hw[0] - height),
            width=width,
            height=height,
        )

    def holds(self, boxes_xyxy: FloatArray) -> BoolArray:
        """Say which boxes have their centre inside, bool (N,)."""
        low = np.array([self.x, self.y])
        offset = centres_xy(boxes_xyxy) - low
        is_inside: BoolArray = np.all(
            (offset >= 0) & (offset <= [self.width, self.height]), axis=1
        )
        return is_inside


def _crop_window(errors_xyxy: FloatArray, hw: tuple[int, int]) -> _Window:
    """Return the window about one error that holds most of them, moved to their middle."""
    windows = [_Window.about(centre, hw) for centre in centres_xy(errors_xyxy)]
    best = max(windows, key=lambda window: int(window.holds(errors_xyxy).sum()))
    inside = centres_xy(errors_xyxy[best.holds(errors_xyxy)])
    return _Window.about((inside.min(axis=0) + inside.max(axis=0)) / 2, hw)


def _weak_detections(
    result: SequenceResult,
    frame_index: int,
    matches: FrameMatches,
    missed_xyxy: FloatArray,
    rule: HitRule,
) -> Detections:
    """Return the best detection below the threshold at each missed target, where there is one."""
    weak = result.detections[frame_index][slice(len(matches.detections), None)]
    is_near = rule.measure(weak.boxes_xyxy, missed_xyxy).is_possible
    # Detections are in descending score, so the first one near is the best.
    chosen = {int(np.argmax(column)) for column in is_near.T if column.any()}
    return weak[np.array(sorted(chosen), np.int64)]


def _box(
    box_xyxy: FloatArray, kind: str, word: str, window: _Window, *, is_below: bool = False
) -> str:
    """Draw a box with a word above or below it, inside the window; nothing for a box outside."""
    x1, y1, x2, y2 = box_xyxy.astype(float).tolist()
    x1, y1, x2, y2 = x1 - _MARGIN_PX, y1 - _MARGIN_PX, x2 + _MARGIN_PX, y2 + _MARGIN_PX
    right, bottom = window.x + window.width, window.y + window.height
    if x2 < window.x or y2 < window.y or x1 > right or y1 > bottom:
        return ""
    text = ""
    if word:
        above, below = y1 - 0.9, y2 + _TEXT_PX
        fits_above, fits_below = above - _TEXT_PX > window.y, below < bottom
        text_y = below if fits_below and (is_below or not fits_above) else above
        text_x = min(max(x1, window.x + 0.5), right - 0.62 * _TEXT_PX * len(word))
        text = f'<text class="{kind}" x="{text_x:.1f}" y="{text_y:.1f}">{word}</text>'
    return (
        f'<rect class="{kind}" x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" '
        f'height="{y2 - y1:.1f}"/>{text}'
    )


def _counts(num_missed: int, num_false: int) -> str:
    """Return such as "1 miss, 2 false alarms"."""
    misses = f"{num_missed} miss{'' if num_missed == 1 else 'es'}"
    false_alarms = f"{num_false} false alarm{'' if num_false == 1 else 's'}"
    return ", ".join(words for words, n in [(misses, num_missed), (false_alarms, num_false)] if n)


def _png_url(crop: FloatArray) -> str:
    """Return pixels, stretched to the full range of grey, as a data URL."""
    low, high = np.percentile(crop, GREY_PERCENTILES)
    grey = np.clip((crop - low) / max(high - low, 1e-6), 0, 1)
    file = io.BytesIO()
    Image.fromarray((grey * 255).round().astype(np.uint8)).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
