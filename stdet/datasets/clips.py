"""What a data set hands to training: clips, their targets, and batches of them.

Tensor letters: B batch, W window length in frames, T frames fused for one key frame, K key frames
per window, C channels, H W size, N targets.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """True targets of one key frame, in clip pixels.

    Attributes:
        boxes_xyxy: float32 (N, 4).
        class_ids: int64 (N,), counted from 0.
        track_ids: int64 (N,), ``UNKNOWN_TRACK_ID`` where the data set gives none.
        ignored_xyxy: float32 (M, 4), boxes in which nobody knows whether there is a target: what
            is found there counts for nothing.
    """

    boxes_xyxy: Tensor
    class_ids: Tensor
    track_ids: Tensor
    ignored_xyxy: Tensor = field(default_factory=lambda: torch.zeros(0, 4))

    def __post_init__(self) -> None:
        """Check the shapes."""
        num = self.boxes_xyxy.shape[0]
        for name in ("boxes_xyxy", "ignored_xyxy"):
            boxes = getattr(self, name)
            if boxes.ndim != 2 or boxes.shape[1] != 4:
                raise ValueError(f"Targets.{name} has shape {tuple(boxes.shape)}.")
        if tuple(self.class_ids.shape) != (num,) or tuple(self.track_ids.shape) != (num,):
            raise ValueError("Targets.class_ids and track_ids need one entry per box.")

    def __len__(self) -> int:
        """Return the number of targets."""
        return int(self.boxes_xyxy.shape[0])

    def to(self, device: torch.device | str) -> Targets:
        """Return the same targets on another device."""
        return Targets(
            boxes_xyxy=self.boxes_xyxy.to(device),
            class_ids=self.class_ids.to(device),
            track_ids=self.track_ids.to(device),
            ignored_xyxy=self.ignored_xyxy.to(device),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """One training sample: a window of T + k frames with K = k + 1 key frames.

    Attributes:
        frames: float32 (W, C, H, W): grey in [0, 1], repeated or not, then the background features
            of a detector that takes them.
        frame_indices: int64 (W,), source frame of each position; repeats only where padded.
        is_padding: bool (W,), true where a position repeats the first frame of its sequence.
        key_indices: int64 (K,), positions whose targets are predicted, increasing.
        targets: one ``Targets`` per key frame, in clip pixels.
        sequence_name: where the frames come from.
        original_hw: size of the source frame.
        to_original: float32 (2, 3), the affine map from clip pixels to source pixels.
    """

    frames: Tensor
    frame_indices: Tensor
    is_padding: Tensor
    key_indices: Tensor
    targets: tuple[Targets, ...]
    sequence_name: str
    original_hw: tuple[int, int]
    to_original: Tensor

    def __post_init__(self) -> None:
        """Check that the parts speak of the same window."""
        window = self.frames.shape[0]
        if self.frames.ndim != 4:
            raise ValueError(f"Clip.frames has shape {tuple(self.frames.shape)}; expected 4 axes.")
        if len(self.frame_indices) != window or len(self.is_padding) != window:
            raise ValueError("Clip.frame_indices and is_padding need one entry per frame.")
        if len(self.targets) != len(self.key_indices):
            raise ValueError(
                f"Clip has {len(self.key_indices)} key frames and {len(self.targets)} targets."
            )

    def __len__(self) -> int:
        """Return the number of frames in the window."""
        return int(self.frames.shape[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipBatch:
    """Clips of equal size stacked for the detector.

    Attributes:
        frames: float32 (B, W, C, H, W), channels as in ``Clip``.
        key_indices: int64 (K,), the same positions in every clip.
        targets: B x K ``Targets`` in clip-major order: clip 0 key 0, clip 0 key 1, ...
        clip_names: where each clip comes from, for messages, for example "data5[3:11]".
    """

    frames: Tensor
    key_indices: Tensor
    targets: tuple[Targets, ...]
    clip_names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of clips."""
        return int(self.frames.shape[0])
