"""Outputs of the network for a whole frame, of which it has looked at some windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stdet.inference.engines.engine import ClipOutputs
from stdet.inference.windows import Span, Window

_NOTHING = -100.0
"""Logit of cells that the network has not looked at; their score is 0."""


def whole_outputs(hw: tuple[int, int], found: Sequence[tuple[Window, ClipOutputs]]) -> ClipOutputs:
    """Put together what the network says of at least one window.

    Args:
        hw: Size of the frame, pixels.
        found: Outputs of each window; those of its core count.
    """
    first = found[0][1]
    stride = first.feature_stride
    size = tuple(side // stride for side in hw)
    fills = (_NOTHING, _NOTHING, 0.0)
    cls_logits, obj_logits, box_offsets = whole = tuple(
        np.full((*part.shape[:2], *size), fill, np.float32)
        for part, fill in zip(first.arrays, fills, strict=True)
    )
    for window, outputs in found:
        spans = (window.rows, window.columns)
        to_rows, to_columns = (_cells(span, stride, origin=0) for span in spans)
        rows, columns = (_cells(span, stride, origin=span.start) for span in spans)
        for part, values in zip(whole, outputs.arrays, strict=True):
            part[..., to_rows, to_columns] = values[..., rows, columns]
    return replace(first, cls_logits=cls_logits, obj_logits=obj_logits, box_offsets=box_offsets)


def _cells(span: Span, stride: int, *, origin: int) -> slice:
    """Return the cells of a window's core, counted from a pixel."""
    start, stop = ((at - origin) // stride for at in span.core)
    return slice(start, stop)
