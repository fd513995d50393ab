"""The order of an epoch's windows, shared by the processes that train together."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from stdet.config import StdetConfig
from stdet.datasets.clip_dataset import SampleKey
from stdet.errors import TrainingError
from stdet.training import distributed


class EpochBatches(Sampler[list[SampleKey]]):
    """This process's share of every joint batch of an epoch.

    The order depends on (seed, epoch) alone: a permutation of the windows, or with weights draws
    with replacement. The last batch is filled from the start of the order, so that every batch has
    the same size. Every draw has its own number, so that a window drawn twice is augmented anew.
    """

    def __init__(
        self, num_windows: int, config: StdetConfig, *, weights: Tensor | None = None
    ) -> None:
        """Work out the number of batches."""
        self.weights = weights
        train = config.train
        self.num_windows = num_windows
        self.seed = train.seed
        self.batch_size = train.batch_size
        self.num_used = train.epoch_windows or max(round(num_windows * train.epoch_fraction), 1)
        self.epoch = 0
        self.rank, self.num_processes = distributed.process_rank(), distributed.num_processes()
        if self.batch_size % self.num_processes:
            raise TrainingError(
                f"train.batch_size {self.batch_size} cannot be shared by {self.num_processes} "
                "processes; make it a multiple."
            )

    def __len__(self) -> int:
        """Return the number of joint batches in an epoch."""
        return -(-self.num_used // self.batch_size)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        """Yield the keys of one batch after the other."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        if self.weights is None:
            drawn = torch.randperm(self.num_windows, generator=generator)[: self.num_used]
        else:
            drawn = torch.multinomial(
                self.weights, self.num_used, replacement=True, generator=generator
            )
        order = drawn.tolist()
        wanted = len(self) * self.batch_size
        order = (order * (wanted // len(order) + 1))[:wanted]
        for start in range(0, wanted, self.batch_size):
            batch = order[start : start + self.batch_size]
            keys = [(self.epoch * wanted + start + at, index) for at, index in enumerate(batch)]
            yield keys[self.rank :: self.num_processes]
