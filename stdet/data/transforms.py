"""Augmentation drawn once per clip and applied to all its frames and boxes.

Geometry uses torchvision.transforms.v2 on a ``Video`` and its ``BoundingBoxes``, so that one draw
moves both. Every random number comes from torch's global generator; the dataset seeds it per
sample, so that a sample depends on (seed, epoch, index) and not on the loader's workers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, BoundingBoxFormat, Video

from stdet.config import AugmentConfig

MIN_VISIBLE_PX = 1.0
"""A target whose box keeps less than this of either side after a crop is no longer a target."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipSample:
    """Frames and the boxes of all key frames, while they are being augmented.

    Attributes:
        frames: float32 (W, C, H, W) in [0, 1].
        boxes_xyxy: float32 (M, 4), boxes of all key frames one after the other.
        key_slots: int64 (M,), which key frame (0..K-1) each box belongs to.
        class_ids: int64 (M,).
        track_ids: int64 (M,).
    """

    frames: Tensor
    boxes_xyxy: Tensor
    key_slots: Tensor
    class_ids: Tensor
    track_ids: Tensor

    def select(self, rows: Tensor, boxes_xyxy: Tensor) -> ClipSample:
        """Keep some rows, with new boxes for all of them given in the old order."""
        return replace(
            self,
            boxes_xyxy=boxes_xyxy[rows],
            key_slots=self.key_slots[rows],
            class_ids=self.class_ids[rows],
            track_ids=self.track_ids[rows],
        )


class ClipAugmentation:
    """The augmentation of one configuration.

    Args:
        config: Ranges and probabilities.
    """

    def __init__(self, config: AugmentConfig) -> None:
        """Build the flips."""
        self.config = config
        self.flips = v2.Compose(
            [
                v2.RandomHorizontalFlip(config.horizontal_flip),
                v2.RandomVerticalFlip(config.vertical_flip),
            ]
        )

    def __call__(self, sample: ClipSample) -> ClipSample:
        """Augment one clip; the number of boxes may shrink."""
        sample = self._scale(sample)
        sample = self._crop(sample)
        sample = self._flip(sample)
        sample = replace(sample, boxes_xyxy=grow_boxes(sample.boxes_xyxy, self.config.min_box_px))
        return replace(sample, frames=self._photometric(sample.frames))

    def _scale(self, sample: ClipSample) -> ClipSample:
        """Zoom by one factor."""
        factor = _log_uniform(self.config.scale_range)
        if factor == 1.0:
            return sample
        size = [max(round(side * factor), 1) for side in sample.frames.shape[-2:]]
        return _apply(v2.Resize(size, antialias=True), sample)

    def _crop(self, sample: ClipSample) -> ClipSample:
        """Cut one window, half of the time about a target; replicate the edge where too small."""
        if self.config.crop_hw is None:
            return sample
        height, width = self.config.crop_hw
        pad_bottom = max(height - sample.frames.shape[-2], 0)
        pad_right = max(width - sample.frames.shape[-1], 0)
        if pad_bottom or pad_right:
            # Boxes stay where they are; v2.Pad refuses boxes unless it pads with a constant.
            padding = (0, pad_right, 0, pad_bottom)
            sample = replace(sample, frames=F.pad(sample.frames, padding, mode="replicate"))
        room_y = sample.frames.shape[-2] - height
        room_x = sample.frames.shape[-1] - width
        top, left = _integer(0, room_y), _integer(0, room_x)
        if len(sample.boxes_xyxy) and _uniform(0, 1) < self.config.target_crop_probability:
            box = sample.boxes_xyxy[_integer(0, len(sample.boxes_xyxy) - 1)]
            centre_x, centre_y = ((box[:2] + box[2:]) / 2).tolist()
            top = min(max(round(centre_y - _uniform(0.1, 0.9) * height), 0), room_y)
            left = min(max(round(centre_x - _uniform(0.1, 0.9) * width), 0), room_x)
        cropped = sample.frames[..., top : top + height, left : left + width]
        shift = sample.boxes_xyxy.new_tensor([left, top, left, top])
        moved = sample.boxes_xyxy - shift
        centres = (moved[:, :2] + moved[:, 2:]) / 2
        size = moved.new_tensor([width, height])
        clipped = torch.minimum(moved.clamp(min=0), size.repeat(2))
        is_inside = ((centres >= 0) & (centres < size)).all(dim=1)
        is_visible = (clipped[:, 2:] - clipped[:, :2] >= MIN_VISIBLE_PX).all(dim=1)
        return replace(sample, frames=cropped).select(is_inside & is_visible, clipped)

    def _flip(self, sample: ClipSample) -> ClipSample:
        """Mirror, and swap the axes of square frames."""
        sample = _apply(self.flips, sample)
        height, width = sample.frames.shape[-2:]
        if height == width and _uniform(0, 1) < self.config.transpose:
            sample = replace(
                sample,
                frames=sample.frames.transpose(-1, -2),
                boxes_xyxy=sample.boxes_xyxy[:, [1, 0, 3, 2]],
            )
        return sample

    def _photometric(self, frames: Tensor) -> Tensor:
        """Change gain, offset, gamma and noise, alike for all frames but for the noise itself."""
        config = self.config
        mean = frames.mean()
        frames = (frames - mean) * _log_uniform(config.gain_range) + mean
        frames = (frames + _uniform(*config.offset_range)).clamp(0, 1)
        frames = frames ** _log_uniform(config.gamma_range)
        if config.noise_max > 0:
            # One channel's noise for all: grey input is repeated, and so is its noise.
            noise = torch.randn_like(frames[:, :1]) * _uniform(0, config.noise_max)
            frames = frames + noise
        return frames.clamp(0, 1).contiguous()


def grow_boxes(boxes_xyxy: Tensor, min_side: float) -> Tensor:
    """Grow boxes about their centre until both sides are at least ``min_side`` pixels."""
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    half = ((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / 2).clamp(min=min_side / 2)
    return torch.cat([centres - half, centres + half], dim=1)


def _apply(transform: torch.nn.Module, sample: ClipSample) -> ClipSample:
    """Run a v2 transform on frames and boxes together."""
    boxes = BoundingBoxes(
        sample.boxes_xyxy,
        format=BoundingBoxFormat.XYXY,
        canvas_size=tuple(sample.frames.shape[-2:]),
    )
    frames, boxes = transform(Video(sample.frames), boxes)
    return replace(
        sample,
        frames=frames.as_subclass(Tensor),
        boxes_xyxy=boxes.as_subclass(Tensor).reshape(-1, 4),
    )


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * torch.rand(()).item()


def _log_uniform(bounds: tuple[float, float]) -> float:
    return math.exp(_uniform(math.log(bounds[0]), math.log(bounds[1])))


def _integer(low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, ()).item())
