"""HeadOutputs to Detections in original-frame pixels: decode, filter, NMS, undo the letterbox."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from stdet.config import PostprocessConfig
from stdet.datasets.input_geometry import InputGeometry
from stdet.errors import CheckpointError
from stdet.models.box_coder import decode_boxes, decode_scores
from stdet.models.head import HeadOutputs
from stdet.types import Detections

MAX_CANDIDATES = 1000
"""Best cells per frame that enter NMS; 1000 separate targets on one frame are not met."""


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
