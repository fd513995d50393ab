"""How fast this machine multiplies and adds, for the share of it that a network reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stdet.inference.bench.stopwatch import Stopwatch

_SIDE = 1024
_GFLOP = 2 * _SIDE**3 / 1e9

_Kind = tuple[torch.dtype, int]
"""Of the numbers, and how many threads."""


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """What a product of two large matrices reaches.

    Attributes:
        precision: Of the numbers.
        num_threads: CPU threads.
        gflop_per_cpu_second: Median.
    """

    precision: str
    num_threads: int
    gflop_per_cpu_second: float


class CeilingProbe:
    """Multiply matrices of some precisions on some threads, in turns with what is measured."""

    def __init__(self, kinds: set[_Kind]) -> None:
        """Prepare the matrices."""
        self._watches = {kind: Stopwatch() for kind in sorted(kinds, key=str)}
        self._matrices: dict[torch.dtype, Tensor] = {
            dtype: torch.ones(_SIDE, _SIDE, dtype=dtype) for dtype, _ in kinds
        }

    def run(self) -> None:
        """Multiply once each."""
        for (dtype, num_threads), watch in self._watches.items():
            torch.set_num_threads(num_threads)
            matrix = self._matrices[dtype]
            with watch.watch("product"):
                torch.mm(matrix, matrix)
            watch.end_frame(is_counted=True)

    def ceilings(self) -> dict[_Kind, Ceiling]:
        """Return what was reached."""
        return {
            (dtype, num_threads): Ceiling(
                precision=str(dtype).removeprefix("torch."),
                num_threads=num_threads,
                gflop_per_cpu_second=_GFLOP / float(np.median(watch.seconds(["product"])[:, 1])),
            )
            for (dtype, num_threads), watch in self._watches.items()
        }
