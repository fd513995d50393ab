"""How JSON files state the motion of the background since the frame before.

    {"is_trusted": true, "matrix": [[a, b, x], [c, d, y], [p, q, 1]], "model": "similarity",
     "error_px": 0.02, "unexplained": 0.004, "inliers": 0.93}
    {"is_trusted": false, "matrix": null, "problem": "no frame before"}

What was at (u, v) is at (a u + b v + x, c u + d v + y) / (p u + q v + 1), pixels. The other
numbers say how well the frame could be registered (``frame_motion.RegistrationQuality``), where
that was tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from stdet.registration.frame_motion import FrameMotion
from stdet.registration.transform import Transform

_DIGITS = 10
"""After the point: less than 1/1000 px at the far corner of any frame."""

_QUALITY_DIGITS = 4


def motion_entry(motion: FrameMotion) -> dict[str, Any]:
    """Return what a file says of a motion."""
    entry: dict[str, Any] = {"is_trusted": motion.is_trusted, "matrix": None}
    if motion.transform is None:
        entry["problem"] = motion.problem
    else:
        entry["matrix"] = motion.transform.matrix.round(_DIGITS).tolist()
    if motion.quality is not None:
        for key, value in asdict(motion.quality).items():
            entry[key] = round(value, _QUALITY_DIGITS) if isinstance(value, float) else value
    return entry


def parse_motion(entry: Mapping[str, Any]) -> FrameMotion:
    """Return the motion that an entry states.

    Raises:
        KeyError: If a key is missing.
        TypeError: If the entry is no object.
        ValueError: If the matrix is none of a transform.
    """
    if not entry["is_trusted"]:
        return FrameMotion.unknown(str(entry["problem"]))
    matrix = np.array(entry["matrix"], np.float64)
    return FrameMotion.known(Transform(matrix))
