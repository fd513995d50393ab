"""An engine that is checked against PyTorch on the first frames of every size."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from stdet.errors import ConfigError
from stdet.inference.engines.engine import ClipOutputs, Engine, FrameMaps, State
from stdet.types import FloatArray

log = logging.getLogger(__name__)

NUM_CHECKED = 2
"""Frames and clips of each size that both engines compute."""


@dataclass(frozen=True, kw_only=True)
class Closeness:
    """How far values of an engine may be from PyTorch's in 32 bits.

    Attributes:
        largest: Difference of any value of any map or output.
        share: Of any map or output, the root mean square of the differences over that of the
            values.
    """

    largest: float
    share: float

    def __str__(self) -> str:
        """Return the limit that there is."""
        return f"{self.largest:g}" if math.isfinite(self.largest) else f"{self.share:.0%}"


FLOAT32 = Closeness(largest=1e-3, share=math.inf)
"""Rounding gives 2e-5; a logit 1e-3 off moves a score by 0.00025."""

BFLOAT16 = Closeness(largest=math.inf, share=0.08)
"""Rounding to 8 bits gives 0.002 to 0.012 of footage after all layers, and up to 0.052 of noise
and of a frame of one level."""


class CheckedEngine:
    """The fast engine where it says what the exact one says, and the exact one from there on.

    Args:
        fast: What is to run.
        exact: What it has to agree with.
        closeness: Beyond which they disagree.
        is_required: Raise where they disagree; otherwise a warning, and the exact one goes on.
    """

    def __init__(
        self,
        fast: Engine,
        exact: Engine,
        *,
        closeness: Closeness = FLOAT32,
        is_required: bool,
    ) -> None:
        """Begin with the fast one."""
        self._engine, self._exact = fast, exact
        self._closeness = closeness
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
        largest, share = largest_difference(found, wanted), largest_share(found, wanted)
        limits = self._closeness
        if largest <= limits.largest and share <= limits.share:
            return True
        problem = (
            f"engine {self.name}: differs from PyTorch on the first frames by {largest:.2g} "
            f"({share:.2%} of all values), at most {limits} is allowed"
        )
        if self._is_required:
            raise ConfigError(f"{problem}; use the engine eager.")
        log.warning("%s; the engine eager runs instead.", problem)
        self._engine = self._exact
        return False


def largest_difference(found: FrameMaps, wanted: FrameMaps) -> float:
    """Return the largest difference of any two values.

    Infinite where shapes differ, or values that are not finite.
    """
    return _largest(found, wanted, _difference)


def largest_share(found: FrameMaps, wanted: FrameMaps) -> float:
    """Return the largest share of an array's values that the differences are, root mean squares.

    Infinite where shapes differ, or values that are not finite.
    """
    return _largest(found, wanted, _share)


def _largest(
    found: FrameMaps, wanted: FrameMaps, measure: Callable[[FloatArray, FloatArray], float]
) -> float:
    """Return the largest measure of the finite values of any two arrays; see above."""
    largest = 0.0
    for one, other in zip(map(_array, found), map(_array, wanted), strict=True):
        finite = _finite_of_both(one, other)
        if finite is None:
            return math.inf
        with np.errstate(over="ignore"):
            largest = max(largest, measure(*finite))
    return largest


def _difference(one: FloatArray, other: FloatArray) -> float:
    return float(np.abs(one - other).max(initial=0))


def _share(one: FloatArray, other: FloatArray) -> float:
    size = float(np.square(other, dtype=np.float64).sum())
    difference = float(np.square(one - other, dtype=np.float64).sum())
    if difference == 0:
        return 0.0
    return math.sqrt(difference / size) if size > 0 else math.inf


def _finite_of_both(one: FloatArray, other: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Return the finite values of two arrays; None where shapes or other values differ."""
    is_finite = np.isfinite(one)
    if one.shape != other.shape or not np.array_equal(is_finite, np.isfinite(other)):
        return None
    if not np.array_equal(one[~is_finite], other[~is_finite], equal_nan=True):
        return None
    return one[is_finite], other[is_finite]


def _array(value: FloatArray | Tensor) -> FloatArray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value
