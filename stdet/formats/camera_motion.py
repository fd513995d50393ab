"""How JSON files state the motion of the background since the frame before.

    {"is_trusted": true, "matrix": [[a, b, x], [c, d, y], [p, q, 1]]}
    {"is_trusted": false, "matrix": null, "problem": "no frame before"}

What was at (u, v) is at (a u + b v + x, c u + d v + y) / (p u + q v + 1), pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stdet.registration.frame_motion import FrameMotion
from stdet.registration.transform import Transform

_DIGITS = 10
"""After the point: less than 1/1000 px at the far corner of any frame."""


def motion_entry(motion: FrameMotion) -> dict[str, Any]:
    """Return what a file says of a motion."""
    if motion.transform is None:
        return {"is_trusted": False, "matrix": None, "problem": motion.problem}
    return {"is_trusted": True, "matrix": motion.transform.matrix.round(_DIGITS).tolist()}


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
