"""Boxes and scores of a head's cells: what the offsets and logits of ``HeadOutputs`` mean.

The centre of cell (i, j) at feature stride s is ((j + 0.5) s, (i + 0.5) s). Offsets (dx, dy, dw,
dh) of that cell stand for a box of centre ((j + 0.5 + dx) s, (i + 0.5 + dy) s) and of size
(s exp(dw), s exp(dh)), pixels. Losses and postprocessing read them through this module.

Tensor letters: B rows, A cells, K classes.

Source:
    YOLOX (arXiv 2107.08430), which counts offsets from a cell's corner (j s, i s). Here they count
    from its centre.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stdet.models.head import HeadOutputs

MAX_LOG_SIZE = 8.0
"""Largest log width or height in cells; keeps exp() finite for a network that diverges."""


def cell_centres(outputs: HeadOutputs) -> Tensor:
    """Return the centres of all cells in input pixels, float32 (A, 2) as (x, y), row-major."""
    _, _, height, width = outputs.obj_logits.shape
    device, stride = outputs.obj_logits.device, outputs.feature_stride
    y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * stride
    x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * stride
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid_x, grid_y], dim=-1).reshape(-1, 2)


def decode_boxes(outputs: HeadOutputs) -> Tensor:
    """Decode offsets to boxes.

    Returns:
        float32 (B, A, 4) xyxy in input pixels, cells row-major.
    """
    offsets = outputs.box_offsets.float().flatten(2).transpose(1, 2)
    stride = outputs.feature_stride
    centres = offsets[..., :2] * stride + cell_centres(outputs)
    half_size = offsets[..., 2:].clamp(max=MAX_LOG_SIZE).exp() * (stride / 2)
    return torch.cat([centres - half_size, centres + half_size], dim=-1)


def decode_scores(outputs: HeadOutputs) -> Tensor:
    """Return class scores, float32 (B, A, K) in [0, 1]: sigmoid(class) * sigmoid(objectness)."""
    cls = outputs.cls_logits.float().sigmoid().flatten(2).transpose(1, 2)
    obj = outputs.obj_logits.float().sigmoid().flatten(2).transpose(1, 2)
    return cls * obj
