"""Parameter groups, learning-rate schedule and the moving average of the weights."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from stdet.config import TrainConfig

_Module = TypeVar("_Module", bound=nn.Module)

REFERENCE_BATCH = 64
"""Key frames per step that ``learning_rate`` of SGD is given for (YOLOX, SSTNet)."""

EMA_RAMP_STEPS = 2000
"""Time constant over which the moving average reaches its decay (YOLOX)."""


def build_optimizer(
    module: nn.Module, config: TrainConfig, *, key_frames_per_step: int
) -> torch.optim.Optimizer:
    """Build SGD or AdamW over all parameters; only weights of two axes or more decay.

    Args:
        module: Everything that learns.
        config: Kind, rate, momentum and decay.
        key_frames_per_step: Key frames in the joint batch; SGD's rate is scaled by it.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        rate = config.learning_rate * key_frames_per_step / REFERENCE_BATCH
        return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, nesterov=True)
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=(config.momentum, 0.999), eps=1e-8
    )


def build_schedule(
    optimizer: torch.optim.Optimizer, config: TrainConfig, *, steps_per_epoch: int
) -> LambdaLR:
    """Rise linearly over the warm-up, then fall on a cosine to the final fraction."""
    total = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min((step - warmup) / max(total - warmup, 1), 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return config.final_rate_fraction + (1 - config.final_rate_fraction) * cosine

    return LambdaLR(optimizer, factor)


class MovingAverage(Generic[_Module]):
    """Exponential moving average of weights and BatchNorm statistics.

    Args:
        module: What is averaged; a copy is kept in eval mode.
        decay: Share of the old average after the ramp; 0 follows the weights.
    """

    def __init__(self, module: _Module, decay: float) -> None:
        """Copy the module."""
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay
        self.num_updates = 0

    @torch.no_grad()
    def update(self, module: _Module) -> None:
        """Move the average towards ``module``."""
        self.num_updates += 1
        decay = self.decay * (1 - math.exp(-self.num_updates / EMA_RAMP_STEPS))
        averages, values = self.module.state_dict().values(), module.state_dict().values()
        pairs = list(zip(averages, values, strict=True))
        followed = [pair for pair in pairs if pair[0].dtype.is_floating_point]
        # Of all tensors in one call; hundreds of small ones keep a GPU waiting.
        follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        follow(*map(list, zip(*followed, strict=True)), None)
        for average, value in pairs:
            if not average.dtype.is_floating_point:
                average.copy_(value)
