"""``InputGeometry`` for training: batches of frames and boxes as tensors, on any device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stdet.datasets.input_geometry import LETTERBOX_GREY, InputGeometry


def fit_frames(
    frames: Tensor, geometry: InputGeometry, *, letterbox_value: float = LETTERBOX_GREY
) -> Tensor:
    """Bring frames (N, C, H, W) of ``source_hw`` to (N, C, *input_hw), as ``apply`` does."""
    if tuple(frames.shape[-2:]) != geometry.source_hw:
        raise ValueError(f"frames are {tuple(frames.shape[-2:])}; expected {geometry.source_hw}.")
    if geometry.content_hw != geometry.source_hw:
        frames = F.interpolate(
            frames, geometry.content_hw, mode="bilinear", align_corners=False, antialias=True
        )
    (top, bottom), (left, right) = geometry.border
    if not any((top, left, bottom, right)):
        return frames
    if geometry.is_letterbox:
        return F.pad(frames, (left, right, top, bottom), value=letterbox_value)
    return F.pad(frames, (left, right, top, bottom), mode="replicate")


def boxes_to_input(boxes_xyxy: Tensor, geometry: InputGeometry) -> Tensor:
    """Map boxes (N, 4) from source pixels to input pixels."""
    scale = boxes_xyxy.new_tensor(geometry.scale_xy).repeat(2)
    shift = boxes_xyxy.new_tensor(geometry.top_left[::-1]).repeat(2)
    return boxes_xyxy * scale + shift


def detector_input(
    frames: Tensor, features: Tensor | None, *, geometry: InputGeometry, in_channels: int
) -> Tensor:
    """Bring grey frames and their background features to the detector.

    Args:
        frames: float32 (N, 1, H, W) in [0, 1].
        features: float32 (N, M, H, W) of ``background_features.py``, or None.
        geometry: Fitted to (H, W).
        in_channels: The grey channel is repeated so often.

    Returns:
        float32 (N, in_channels + M, *geometry.input_hw).
    """
    grey = fit_frames(frames, geometry).expand(-1, in_channels, -1, -1)
    if features is None:
        return grey
    return torch.cat([grey, fit_frames(features, geometry, letterbox_value=0.0)], dim=1)
