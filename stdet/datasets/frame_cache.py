"""Decoded frames that a loader process keeps."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np

from stdet.datasets.sequences import LabelledSequence
from stdet.types import FloatArray


class FrameCache:
    """Least recently used decoded frames of one process, within a budget of bytes.

    Args:
        megabytes: Budget; 0 caches nothing.
    """

    def __init__(self, megabytes: int) -> None:
        """Start empty."""
        self.budget = megabytes * 2**20
        self.num_bytes = 0
        self.frames: OrderedDict[tuple[Path, str, int], np.ndarray] = OrderedDict()

    def read(self, sequence: LabelledSequence, index: int) -> FloatArray:
        """Return frame ``index`` as float32 (H, W) in [0, 1]."""
        key = (*identity(sequence), index)
        raw = self.frames.get(key)
        if raw is None:
            raw = sequence.read_raw(index)
            self.frames[key] = raw
            self.num_bytes += raw.nbytes
            while self.num_bytes > self.budget:
                self.num_bytes -= self.frames.popitem(last=False)[1].nbytes
        else:
            self.frames.move_to_end(key)
        return sequence.to_float(raw)


def identity(sequence: LabelledSequence) -> tuple[Path, str]:
    """Return what tells a sequence apart; a name is unique within its data set alone."""
    return sequence.files[0], sequence.name
