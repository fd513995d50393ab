"""HeadOutputs to Detections in original-frame pixels: decode, filter, NMS, undo the letterbox."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from stdet.config import PostprocessConfig
from stdet.datasets.input_geometry import InputGeometry
from stdet.errors import CheckpointError
from stdet.types import Detections, HeadOutputs

MAX_CANDIDATES = 1000
"""Best cells per frame that enter NMS; 1000 separate targets on one frame are not met."""

MAX_LOG_SIZE = 8.0
"""Largest log width or height in cells; keeps exp() finite for a network gone astray."""


def cell_centres(outputs: HeadOutputs) -> Tensor:
    """Return the centres of all cells in input pixels, (A, 2) as (x, y), row-major.

    The centre of cell (i, j) at feature stride s is ((j + 0.5) s, (i + 0.5) s).
    """
    _, _, height, width = outputs.obj_logits.shape
    device, stride = outputs.obj_logits.device, outputs.feature_stride
    y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * stride
    x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * stride
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid_x, grid_y], dim=-1).reshape(-1, 2)


def decode_boxes(outputs: HeadOutputs) -> Tensor:
    """Decode offsets to boxes in input pixels.

    Returns:
        float32 (B, A, 4) xyxy, cells row-major.

    Source:
        YOLOX (arXiv 2107.08430), with cell centres where it has cell corners.
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


def postprocess(
    outputs: HeadOutputs,
    *,
    config: PostprocessConfig,
    geometry: InputGeometry,
    frame_indices: Sequence[int],
    network: str = "the network",
) -> list[Detections]:
    """Turn each row of the outputs into the detections of its frame.

    Args:
        outputs: B rows.
        config: Score floor, NMS overlap and largest count.
        geometry: How the frames were brought to the detector.
        frame_indices: Frame of each row.
        network: What a message calls it.

    Returns:
        One ``Detections`` a row, in original-frame pixels, clipped to the frame, all scores at
        least ``score_floor``.

    Raises:
        CheckpointError: If an output is not finite. NaN passes no threshold, so that a broken
            network would seem to find nothing.
    """
    boxes, scores = decode_boxes(outputs), decode_scores(outputs)
    checked = (boxes, outputs.cls_logits, outputs.obj_logits)
    if not all(bool(values.isfinite().all()) for values in checked):
        raise CheckpointError(
            f"frame {frame_indices[0]}: {network} gives values that are not finite; its weights "
            "are broken, use others."
        )
    rows = zip(boxes, scores, frame_indices, strict=True)
    return [_detections(*row, config=config, geometry=geometry) for row in rows]


def _detections(
    boxes: Tensor,
    scores: Tensor,
    frame_index: int,
    *,
    config: PostprocessConfig,
    geometry: InputGeometry,
) -> Detections:
    """Filter one frame: boxes (A, 4), scores (A, K)."""
    best, class_ids = scores.max(dim=1)
    kept = (best >= config.score_floor).nonzero().squeeze(1)
    if len(kept) > MAX_CANDIDATES:
        kept = kept[best[kept].topk(MAX_CANDIDATES).indices]
    boxes = clip_boxes_to_image(geometry.boxes_to_source(boxes[kept]), geometry.source_hw)
    best, class_ids = best[kept], class_ids[kept]
    has_area = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    boxes, best, class_ids = boxes[has_area], best[has_area], class_ids[has_area]
    order = batched_nms(boxes, best, class_ids, config.nms_iou)[: config.max_detections]
    return Detections(
        boxes_xyxy=boxes[order].cpu().numpy().astype(np.float32),
        scores=best[order].cpu().numpy().astype(np.float32),
        class_ids=class_ids[order].cpu().numpy().astype(np.int64),
        frame_index=int(frame_index),
        image_hw=geometry.source_hw,
    )
