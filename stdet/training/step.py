"""One training step as a module: every loss from the frames of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from stdet.datasets.clips import Targets
from stdet.models.detector import ClipDetector
from stdet.models.motion import MotionPrior
from stdet.models.necks.bp_fpn import BpFpn
from stdet.models.necks.dgr import LevelConsistency
from stdet.training.losses import LossTerms, detection_loss


class TrainingStep(nn.Module):
    """Everything that learns, and the loss of one batch as its forward pass.

    The loss sits inside the module so that DistributedDataParallel sees the whole step.

    Args:
        detector: What is trained, and all that is kept.
        prior: Of the motion loss, or None.
        consistency: Of the consistency loss, or None; then the detector's pyramid is a ``BpFpn``.
        motion_weight: Of the motion loss.
        consistency_weight: Of the consistency loss.
    """

    def __init__(
        self,
        detector: ClipDetector,
        prior: MotionPrior | None,
        consistency: LevelConsistency | None = None,
        *,
        motion_weight: float,
        consistency_weight: float = 0.0,
    ) -> None:
        """Keep the parts."""
        super().__init__()
        self.detector = detector
        self.prior = prior
        self.consistency = consistency
        self.motion_weight = motion_weight
        self.consistency_weight = consistency_weight

    def forward(
        self, frames: Tensor, context: Tensor, keys: Tensor, targets: Sequence[Targets]
    ) -> tuple[Tensor, Tensor]:
        """Return the loss and all its terms, (7,) in the order of ``LOSS_NAMES``."""
        terms = self.losses(frames, context, keys, targets)
        return terms.total, terms.as_row().detach()

    def losses(
        self, frames: Tensor, context: Tensor, keys: Tensor, targets: Sequence[Targets]
    ) -> LossTerms:
        """Return every loss term.

        Args:
            frames: (B, W, C, H, W) in [0, 1].
            context: int64 (K, T - 1), positions of each key's context in the window.
            keys: int64 (K,), positions of the key frames.
            targets: One per key frame, clip-major.
        """
        flat = self.normalised(frames)
        levels = self.detector.backbone(flat)
        return self.losses_from_levels(levels, flat, len(frames), context, keys, targets)

    def normalised(self, frames: Tensor) -> Tensor:
        """Return (B, W, C, H, W) in [0, 1] as the backbone takes it, (B W, C, H, W)."""
        return self.detector.normalise(rearrange(frames, "b w c h x -> (b w) c h x"))

    def losses_from_levels(
        self,
        levels: Sequence[Tensor],
        flat: Tensor,
        num_windows: int,
        context: Tensor,
        keys: Tensor,
        targets: Sequence[Targets],
    ) -> LossTerms:
        """Return every loss term for levels of the backbone that are there already.

        Args:
            levels: C1, C2, ... of the frames.
            flat: The frames, normalised, (B W, C, H, W).
            num_windows: B.
            context: As in ``losses``.
            keys: As in ``losses``.
            targets: As in ``losses``.
        """
        consistency = None
        if self.consistency is None:
            level = self.detector.neck(levels)
        else:
            level, pairs = cast(BpFpn, self.detector.neck).forward_with_pairs(levels)
            consistency = self.consistency_weight * self.consistency(pairs)
        features = rearrange(level, "(b w) c h x -> b w c h x", b=num_windows)
        motion = None
        if self.prior is not None:
            hw = (int(features.shape[-2]), int(features.shape[-1]))
            window = rearrange(flat, "(b w) c h x -> b w c h x", b=num_windows)
            motion = self.motion_weight * F.mse_loss(
                features.float(), self.prior(window, hw).float()
            )
        outputs = self.detector.fuse_windows(features, context, keys)
        return detection_loss(outputs, targets, motion=motion, consistency=consistency)
