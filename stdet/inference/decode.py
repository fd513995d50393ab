"""Boxes and scores of all cells, from logits and offsets: ``models/box_coder.py`` in NumPy.

That one is for losses, which need gradients; a test compares both. Cells are row-major.
"""

from __future__ import annotations

import numpy as np

from stdet.inference.engines.engine import ClipOutputs
from stdet.types import FloatArray, IntArray

MAX_LOG_SIZE = 8.0
"""As in ``models/box_coder.py``."""


def decode_boxes(outputs: ClipOutputs, cells: IntArray | None = None) -> FloatArray:
    """Decode offsets to boxes, float32 xyxy in input pixels, perhaps not finite.

    Args:
        outputs: Of A cells.
        cells: Which of them (K,); None for all.

    Returns:
        (K, 4) or (A, 4).
    """
    stride = np.float32(outputs.feature_stride)
    offsets = outputs.box_offsets[0]
    if cells is None:
        cells = np.arange(offsets[0].size)
    dx, dy, log_width, log_height = offsets.reshape(4, -1)[:, cells]
    rows, columns = (
        np.asarray(at, np.float32) + np.float32(0.5) for at in np.divmod(cells, offsets.shape[2])
    )
    with np.errstate(over="ignore", invalid="ignore"):
        x, y = dx * stride + columns * stride, dy * stride + rows * stride
        half_width, half_height = (
            _exp(np.minimum(one, np.float32(MAX_LOG_SIZE))) * (stride / 2)
            for one in (log_width, log_height)
        )
        return np.stack((x - half_width, y - half_height, x + half_width, y + half_height), axis=1)


def decode_scores(outputs: ClipOutputs, cells: IntArray | None = None) -> FloatArray:
    """Return class scores in [0, 1]: sigmoid(class) * sigmoid(objectness).

    Args:
        outputs: Of A cells and K classes.
        cells: Which of them (N,); None for all.

    Returns:
        float32 (N, K) or (A, K).
    """
    logits = [each[0].reshape(len(each[0]), -1) for each in outputs.arrays[:2]]
    if cells is not None:
        logits = [each[:, cells] for each in logits]
    scores = _sigmoid(logits[0]) * _sigmoid(logits[1])
    return scores.T


def _sigmoid(logits: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        return np.float32(1) / (np.float32(1) + _exp(-logits))


def _exp(values: FloatArray) -> FloatArray:
    """Return the exponential, rounded once: NumPy's own of float32 is two digits less exact."""
    return np.exp(values.astype(np.float64)).astype(np.float32)
