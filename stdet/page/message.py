"""What the page gets of a frame: values as JSON and a picture, in one piece.

Four bytes hold the length of the JSON (big endian). The JSON follows, then the picture as JPEG, or
nothing where there is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stdet.formats.track_json import track_entries
from stdet.types import Detections, Tracks

MEDIA_TYPE = "application/octet-stream"
_JPEG_QUALITY = 95
"""At which a target of one pixel is left as it was."""
_BLACK_WHITE_PERCENTILES = (0.5, 99.95)
"""Levels of a crop that are shown black and white: dim targets must be seen."""


def pack(values: Mapping[str, Any], picture: bytes) -> bytes:
    """Join values and a picture."""
    head = json.dumps(values, allow_nan=False, separators=(",", ":")).encode()
    return len(head).to_bytes(4, "big") + head + picture


def frame_values(
    detections: Detections | None,
    tracks: Tracks,
    trails: Mapping[int, Sequence[tuple[float, float]]],
) -> dict[str, Any]:
    """Return what is drawn over a frame: boxes with trails, and detections without a track.

    Args:
        detections: Of the frame; None where they are not known.
        tracks: Of the frame, with rows among the detections.
        trails: Past centres by track, pixels of this frame.
    """
    entries = track_entries(tracks)
    for entry in entries:
        points = trails.get(entry["track_id"], ())
        entry["trail"] = [[round(x, 1), round(y, 1)] for x, y in points]
    others: list[list[float]] = []
    if detections is not None:
        is_free = np.ones(len(detections), np.bool_)
        is_free[tracks.detection_indices[tracks.detection_indices >= 0]] = False
        others = np.round(detections.boxes_xyxy[is_free].astype(float), 1).tolist()
    return {"tracks": entries, "others": others}


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Encode a grey picture, uint8 (H, W)."""
    return _encoded(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def crop_png(crop: NDArray[np.uint8]) -> bytes:
    """Encode a piece of a picture, uint8 (H, W), stretched to all levels of grey."""
    low, high = np.percentile(crop, _BLACK_WHITE_PERCENTILES)
    stretched = np.clip((crop - low) / max(high - low, 1.0), 0, 1) * 255
    return _encoded(".png", np.rint(stretched).astype(np.uint8), [])


def _encoded(ending: str, pixels: NDArray[np.uint8], options: list[int]) -> bytes:
    is_done, data = cv2.imencode(ending, pixels, options)
    assert is_done  # Grey levels of 8 bits can be encoded.
    content: bytes = data.tobytes()
    return content
