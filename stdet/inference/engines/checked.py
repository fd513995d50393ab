"""An engine that is checked against PyTorch on the first frames of every size."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from stdet.errors import ConfigError
from stdet.inference.engines.engine import ClipOutputs, Engine, FrameMaps, State
from stdet.types import FloatArray

log = logging.getLogger(__name__)

NUM_CHECKED = 2
"""Frames and clips of each size that both engines compute."""

LARGEST_DIFFERENCE = 1e-3
"""Of any value of any map or output. Rounding gives 2e-5; a logit 1e-3 off moves a score by
0.00025."""


class CheckedEngine:
    """The fast engine where it says what the exact one says, and the exact one from there on.

    Args:
        fast: What is to run.
        exact: What it has to agree with.
        is_required: Raise where they disagree; otherwise a warning, and the exact one goes on.
    """

    def __init__(self, fast: Engine, exact: Engine, *, is_required: bool) -> None:
        """Begin with the fast one."""
        self._engine, self._exact = fast, exact
        self._is_required = is_required
        self._num_checked: Counter[tuple[object, ...]] = Counter()
        self._is_told = False

    @property
    def name(self) -> str:
        """Of the engine that runs."""
        return self._engine.name

    def frame_maps(self, frame: FloatArray) -> FrameMaps:
        """Compute what is kept of a frame."""
        found = self._engine.frame_maps(frame)
        if not self._is_due("frame", frame):
            return found
        wanted = self._exact.frame_maps(frame)
        return found if self._agrees(found, wanted) else wanted

    def fuse(self, context: Sequence[FrameMaps], key: FrameMaps, state: State) -> ClipOutputs:
        """Predict on a key frame."""
        found = self._engine.fuse(context, key, state)
        if not self._is_due("clip", key[0]):
            return found
        wanted = self._exact.fuse(context, key, state)
        is_same = self._agrees(found.arrays, wanted.arrays)
        if is_same and not self._is_told:
            self._is_told = True
            log.info("The network runs in %s, which agrees with PyTorch.", self.name)
        return found if is_same else wanted

    def _is_due(self, part: str, value: FloatArray | Tensor) -> bool:
        """Say whether this is one of the first of its size, and not the exact engine's own."""
        if self._engine is self._exact:
            return False
        seen = (part, *value.shape)
        self._num_checked[seen] += 1
        return self._num_checked[seen] <= NUM_CHECKED

    def _agrees(self, found: FrameMaps, wanted: FrameMaps) -> bool:
        """Compare, and go on with the exact engine where they differ.

        Raises:
            ConfigError: If they differ and the fast engine is required.
        """
        difference = largest_difference(found, wanted)
        if difference <= LARGEST_DIFFERENCE:  # Not where it is NaN.
            return True
        problem = (
            f"engine {self.name}: differs from PyTorch by {difference:.2g} on the first frames, "
            f"at most {LARGEST_DIFFERENCE:g} is allowed"
        )
        if self._is_required:
            raise ConfigError(f"{problem}; use the engine eager.")
        log.warning("%s; the engine eager runs instead.", problem)
        self._engine = self._exact
        return False


def largest_difference(found: FrameMaps, wanted: FrameMaps) -> float:
    """Return the largest difference of any two values.

    Infinite where shapes differ or only one has values that are not finite.
    """
    largest = 0.0
    for one, other in zip(map(_array, found), map(_array, wanted), strict=True):
        if one.shape != other.shape:
            return float("inf")
        with np.errstate(invalid="ignore", over="ignore"):  # Infinity less infinity.
            difference = float(np.abs(one - other).max())
        if difference != difference:  # NaN: equal only where both are broken alike.
            is_alike = bool((np.isfinite(one) == np.isfinite(other)).all())
            difference = 0.0 if is_alike else float("inf")
        largest = max(largest, difference)
    return largest


def _array(value: FloatArray | Tensor) -> FloatArray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value
