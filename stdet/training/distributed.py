"""Several processes, one joint batch: sums, and BatchNorm over all of them.

Everything here is the identity in a single process.
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn


def start_processes(device: torch.device) -> None:
    """Join the process group that torchrun describes, if there is one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")


def stop_processes() -> None:
    """Leave the process group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def wait_for_all() -> None:
    """Wait until every process has come here."""
    if dist.is_initialized():
        dist.barrier()


def process_rank() -> int:
    """Return this process's number, 0 in a single process."""
    return dist.get_rank() if dist.is_initialized() else 0


def num_processes() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_over_processes(value: Tensor) -> tuple[Tensor, int]:
    """Return the sum of a tensor without gradient over all processes, and their number."""
    total = value.detach().clone()
    if dist.is_initialized():
        dist.all_reduce(total)
    return total, num_processes()


def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of a tensor without gradient over all processes."""
    total, count = sum_over_processes(value)
    return total / count


class _SumOverProcesses(torch.autograd.Function):
    """Sum with gradient: each process's input reaches the loss of every process."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, value: Tensor) -> Tensor:
        """Return the sum over all processes."""
        return sum_over_processes(value)[0]

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:
        """Return the sum of the gradients of all processes."""
        return sum_over_processes(grad)[0]


class JointBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm whose statistics in training are those of the joint batch.

    torch.nn.SyncBatchNorm does this on GPUs only; two processes on a CPU, and the test that they
    equal one, need it too.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        if not (self.training and dist.is_initialized()):
            return super().forward(x)
        wide = x.float()
        # Squares are taken about this process's own mean, and joined in float64: the difference
        # of two large sums in float32 would lose the digits of a small variance.
        num_values = wide.numel() / wide.shape[1]
        own_mean = wide.mean((0, 2, 3))
        own_squares = (wide - own_mean[:, None, None]).square().sum((0, 2, 3)).double()
        own_mean = own_mean.double()
        own_sums = [num_values * own_mean, own_squares + num_values * own_mean.square()]
        sums = torch.cat([*own_sums, own_mean.new_tensor([num_values])])
        sums = _SumOverProcesses.apply(sums)
        joint_count = sums[-1]
        joint_mean = sums[: x.shape[1]] / joint_count
        joint_variance = sums[x.shape[1] : -1] / joint_count - joint_mean.square()
        mean, variance = joint_mean.to(wide.dtype), joint_variance.to(wide.dtype)
        self._update_running(mean.detach(), variance.detach(), joint_count.detach().to(wide.dtype))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        out: Tensor = (wide * scale[:, None, None] + shift[:, None, None]).to(x.dtype)
        return out

    @torch.no_grad()
    def _update_running(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Move the running statistics, with the unbiased variance as BatchNorm does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1).clamp(min=1), self.momentum)


def join_batch_norms(module: nn.Module) -> None:
    """Turn every BatchNorm2d below ``module`` into a ``JointBatchNorm2d``, in place."""
    for child in module.modules():
        if type(child) is nn.BatchNorm2d:
            child.__class__ = JointBatchNorm2d
