"""Augmentation drawn once per clip and applied to all its frames and boxes.

One draw changes frames, boxes and transforms of the background together. Every random number
comes from torch's global generator; the dataset seeds it per sample, so that a sample depends on
its key and the seed and not on the loader's workers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stdet.config import AugmentConfig
from stdet.registration.transform import Transform
from stdet.synthesis.sensor import as_jpeg

MIN_VISIBLE_PX = 1.0
"""A target whose box keeps less than this of either side after a crop is no longer a target."""
_POINT_PX = 3.0
"""Size of targets whose boxes say only where they are."""
_OWN_SIZE_SHARE = 0.5
"""Of clips whose targets are not smaller than ``target_px_range``, or that have none."""
_SIZE_FACTORS = (0.1, 2.0)
_EMPTY_FACTORS = (0.25, 1.0)
"""Of clips without a target: scales that the network looks at."""
_JPEG_QUALITIES = (25.0, 95.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipSample:
    """Frames and the boxes of all key frames, while they are being augmented.

    Attributes:
        frames: float32 (M, C, H, W) in [0, 1], the window's frames and their reference frames.
        motion: Transform of the background from a common origin to each of the M frames; empty
            where nobody asks for it.
        transforms: Of the background, from each reference frame of a position of the window to
            that position, W times L; None where one is not registered with the other; empty
            without background features.
        pending: Change of coordinates that frames and boxes have had and the transforms have not.
        boxes_xyxy: float32 (M, 4), boxes of all key frames one after the other.
        key_slots: int64 (M,), which key frame (0..K-1) each box belongs to.
        class_ids: int64 (M,).
        track_ids: int64 (M,).
        is_ignored: bool (M,), boxes in which nobody knows whether there is a target.
    """

    frames: Tensor
    motion: tuple[Transform, ...]
    transforms: tuple[tuple[Transform | None, ...], ...]
    pending: Transform = field(default_factory=Transform.identity)
    boxes_xyxy: Tensor
    key_slots: Tensor
    class_ids: Tensor
    track_ids: Tensor
    is_ignored: Tensor

    def after(self, change: Transform) -> ClipSample:
        """Note a change of the coordinates of frames and boxes."""
        return replace(self, pending=change @ self.pending)

    def settled(self) -> ClipSample:
        """Bring the transforms of the background to the coordinates of the frames."""
        return replace(
            self,
            motion=tuple(one.conjugate(self.pending).rounded() for one in self.motion),
            transforms=tuple(
                tuple(one and one.conjugate(self.pending).rounded() for one in of_position)
                for of_position in self.transforms
            ),
            pending=Transform.identity(),
        )

    def select(self, rows: Tensor, boxes_xyxy: Tensor) -> ClipSample:
        """Keep some rows, with new boxes for all of them given in the old order."""
        return replace(
            self,
            boxes_xyxy=boxes_xyxy[rows],
            key_slots=self.key_slots[rows],
            class_ids=self.class_ids[rows],
            track_ids=self.track_ids[rows],
            is_ignored=self.is_ignored[rows],
        )


class ClipAugmentation:
    """The augmentation of one configuration.

    Args:
        config: Ranges and probabilities.
        fixed_box_size: Boxes say where targets are and not how large (``data.boxes: point``):
            they all get sides of ``min_box_px``, whatever the zoom.
        margin_px: How much larger than the target boxes are, width and height.
    """

    def __init__(
        self,
        config: AugmentConfig,
        *,
        fixed_box_size: bool = False,
        margin_px: float = 0.0,
    ) -> None:
        """Keep the ranges."""
        self.config = config
        self._margin_px = margin_px
        self.fixed_box_size = fixed_box_size

    def __call__(self, sample: ClipSample) -> ClipSample:
        """Augment one clip; the number of boxes may shrink."""
        sample = self.geometric(sample)
        return replace(sample, frames=self.photometric(sample.frames))

    def geometric(self, sample: ClipSample) -> ClipSample:
        """Crop, zoom, mirror, and size the boxes."""
        towards = self._towards_size(sample)
        if towards is None:
            # Left at its own size it is what a coarser scale looks for, and nothing for this one.
            sample = sample.select(sample.is_ignored, sample.boxes_xyxy)
            towards = 1.0
        factor = _log_uniform(self.config.scale_range) * towards
        sample = self._flip(_zoom(self._crop(sample, factor), factor, self.config.crop_hw))
        sample = sample.settled()
        boxes = sample.boxes_xyxy
        if self.fixed_box_size and self.config.min_box_px > 0:
            points = torch.cat([_centres(boxes), _centres(boxes)], dim=1)
            boxes = torch.where(sample.is_ignored[:, None], boxes, points)
        return replace(sample, boxes_xyxy=grow_boxes(boxes, self.config.min_box_px))

    def _towards_size(self, sample: ClipSample) -> float | None:
        """Return a factor that brings the targets to a size drawn from ``target_px_range``.

        None to leave targets that are too large at their size, without labels.
        """
        bounds = self.config.target_px_range
        if bounds is None:
            return 1.0
        is_left = _uniform(0, 1) < _OWN_SIZE_SHARE
        targets = sample.boxes_xyxy[~sample.is_ignored]
        if not len(targets):
            return 1.0 if is_left else _log_uniform(_EMPTY_FACTORS)
        size = _POINT_PX
        if not self.fixed_box_size:
            sides = targets[:, 2:] - targets[:, :2]
            size = max(float(sides.prod(dim=1).sqrt().median()) - self._margin_px, 1.0)
        if is_left and size >= bounds[0]:
            return 1.0 if size <= bounds[1] else None
        smallest, largest = _SIZE_FACTORS
        return min(max(_log_uniform(bounds) / size, smallest), largest)

    def _crop(self, sample: ClipSample, factor: float) -> ClipSample:
        """Cut the window that is ``crop_hw`` after a zoom; half of the time about a target.

        The edge is repeated where the frame is too small.
        """
        if self.config.crop_hw is None:
            return sample
        height, width = (max(round(side / factor), 1) for side in self.config.crop_hw)
        pad_bottom = max(height - sample.frames.shape[-2], 0)
        pad_right = max(width - sample.frames.shape[-1], 0)
        room_y = max(sample.frames.shape[-2] - height, 0)
        room_x = max(sample.frames.shape[-1] - width, 0)
        top, left = _integer(0, room_y), _integer(0, room_x)
        targets = sample.boxes_xyxy[~sample.is_ignored]
        if len(targets) and _uniform(0, 1) < self.config.target_crop_probability:
            box = targets[_integer(0, len(targets) - 1)]
            centre_x, centre_y = ((box[:2] + box[2:]) / 2).tolist()
            top = min(max(round(centre_y - _uniform(0.1, 0.9) * height), 0), room_y)
            left = min(max(round(centre_x - _uniform(0.1, 0.9) * width), 0), room_x)
        cropped = sample.frames[..., top : top + height, left : left + width]
        if pad_bottom or pad_right:
            cropped = F.pad(cropped, (0, pad_right, 0, pad_bottom), mode="replicate")
        moved = sample.boxes_xyxy - sample.boxes_xyxy.new_tensor([left, top, left, top])
        centres = _centres(moved)
        size = moved.new_tensor([width, height])
        is_inside = ((centres >= 0) & (centres < size)).all(dim=1)
        sample = replace(sample, frames=cropped)
        sample = sample.after(Transform.translation((-left, -top)))
        clipped = torch.minimum(moved.clamp(min=0), size.repeat(2))
        is_visible = (clipped[:, 2:] - clipped[:, :2] >= MIN_VISIBLE_PX).all(dim=1)
        if self.fixed_box_size:
            # A point has no extent: its centre decides, and its box is not cut.
            kept = torch.where(sample.is_ignored, is_visible, is_inside)
            return sample.select(kept, torch.where(sample.is_ignored[:, None], clipped, moved))
        return sample.select(is_visible & (is_inside | sample.is_ignored), clipped)

    def _flip(self, sample: ClipSample) -> ClipSample:
        """Mirror, and swap the axes of square frames."""
        height, width = sample.frames.shape[-2:]
        if _uniform(0, 1) < self.config.horizontal_flip:
            x1, y1, x2, y2 = sample.boxes_xyxy.unbind(dim=1)
            sample = replace(
                sample.after(Transform.affine([[-1, 0], [0, 1]], (width, 0))),
                frames=sample.frames.flip(-1),
                boxes_xyxy=torch.stack([width - x2, y1, width - x1, y2], dim=1),
            )
        if _uniform(0, 1) < self.config.vertical_flip:
            x1, y1, x2, y2 = sample.boxes_xyxy.unbind(dim=1)
            sample = replace(
                sample.after(Transform.affine([[1, 0], [0, -1]], (0, height))),
                frames=sample.frames.flip(-2),
                boxes_xyxy=torch.stack([x1, height - y2, x2, height - y1], dim=1),
            )
        if height == width and _uniform(0, 1) < self.config.transpose:
            sample = replace(
                sample.after(Transform.affine([[0, 1], [1, 0]], (0, 0))),
                frames=sample.frames.transpose(-1, -2),
                boxes_xyxy=sample.boxes_xyxy[:, [1, 0, 3, 2]],
            )
        return sample

    def photometric(self, frames: Tensor) -> Tensor:
        """Change gain, offset, gamma and noise, alike for all frames but for the noise itself."""
        config = self.config
        mean = frames.mean()
        frames = (frames - mean) * _log_uniform(config.gain_range) + mean
        frames = (frames + _uniform(*config.offset_range)).clamp(0, 1)
        frames = frames ** _log_uniform(config.gamma_range)
        if _uniform(0, 1) < config.polarity:
            frames = 1 - frames
        if config.noise_max > 0:
            # One channel's noise for all: grey input is repeated, and so is its noise.
            noise = torch.randn_like(frames[:, :1]) * _uniform(0, config.noise_max)
            frames = frames + noise
        frames = frames.clamp(0, 1).contiguous()
        if config.jpeg_probability > 0 and _uniform(0, 1) < config.jpeg_probability:
            frames = _saved_as_jpeg(frames, round(_log_uniform(_JPEG_QUALITIES)))
        return frames


def _saved_as_jpeg(frames: Tensor, quality: int) -> Tensor:
    """Return grey frames (M, C, H, W) in [0, 1] as JPEG of 8 bits keeps them."""
    images = (frames[:, 0] * 255).round().to(torch.uint8).numpy()
    kept = [as_jpeg(image, quality=quality) for image in images]
    found = torch.from_numpy(np.stack(kept)).to(frames.dtype) / 255
    return found[:, None].expand_as(frames).contiguous()


def grow_boxes(boxes_xyxy: Tensor, min_side: float) -> Tensor:
    """Grow boxes about their centre until both sides are at least ``min_side`` pixels."""
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    half = ((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / 2).clamp(min=min_side / 2)
    return torch.cat([centres - half, centres + half], dim=1)


def _centres(boxes_xyxy: Tensor) -> Tensor:
    """Return the centres (N, 2) of boxes (N, 4)."""
    return (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2


def _zoom(sample: ClipSample, factor: float, crop_hw: tuple[int, int] | None) -> ClipSample:
    """Scale all that a sample holds: to ``crop_hw`` where that is set, else by ``factor``."""
    height, width = sample.frames.shape[-2:]
    size = crop_hw or (max(round(height * factor), 1), max(round(width * factor), 1))
    if size == (height, width):
        return sample
    frames = F.interpolate(
        sample.frames, size, mode="bilinear", align_corners=False, antialias=True
    )
    scale = sample.boxes_xyxy.new_tensor([size[1] / width, size[0] / height])
    return replace(
        sample.after(Transform.affine(np.diag(scale.numpy()), (0, 0))),
        frames=frames,
        boxes_xyxy=sample.boxes_xyxy * scale.repeat(2),
    )


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * torch.rand(()).item()


def _log_uniform(bounds: tuple[float, float]) -> float:
    return math.exp(_uniform(math.log(bounds[0]), math.log(bounds[1])))


def _integer(low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, ()).item())
