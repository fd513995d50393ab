"""States of targets in the plane, and what becomes of them when modes are merged.

A state is a Gaussian of place and velocity that prefers no axis (``motion.py``). Of a target in
one mode it is eight numbers, the last of which is the probability of the mode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.registration.transform import Transform
from stdet.types import BoolArray, IntArray

StateArray = NDArray[np.float64]

PLACE, VELOCITY, MEANS, COVARIANCES = slice(0, 2), slice(2, 4), slice(0, 4), slice(4, 7)
VARIANCE, COVARIANCE, SPEED_VARIANCE, WEIGHT, NUM_NUMBERS = 4, 5, 6, 7, 8
"""Rows of the numbers of a state."""
_LEAST_SUM = float(np.finfo(np.float64).tiny)
"""Of probabilities that are divided by."""


@dataclass(kw_only=True, eq=False)
class PointStates:
    """Gaussian states of N targets.

    Targets are the last axis, so that a few calls work on the same number of all of them. What is
    made anew in each frame is no frozen class, which takes twice as long to make.

    Attributes:
        numbers: float64 (8, N): ``means``, ``covariances``, and a number without meaning here.
    """

    numbers: StateArray

    @property
    def means(self) -> StateArray:
        """x, y in pixels, vx, vy in pixels per frame, float64 (N, 4), a view."""
        return self.numbers[MEANS].T

    @property
    def covariances(self) -> StateArray:
        """Variance of the place, covariance of place and velocity, variance of the velocity.

        Along either axis, float64 (N, 3), a view.
        """
        return self.numbers[COVARIANCES].T

    @property
    def xy(self) -> StateArray:
        """Places, float64 (N, 2), pixels, a view."""
        return self.numbers[PLACE].T

    def __len__(self) -> int:
        """Return the number of targets."""
        return int(self.numbers.shape[-1])

    def __getitem__(self, rows: BoolArray | IntArray) -> PointStates:
        """Return the chosen targets."""
        return PointStates(numbers=_chosen(self.numbers, rows))


@dataclass(kw_only=True, eq=False)
class MotionStates:
    """States of N targets in each of M modes.

    Attributes:
        numbers: float64 (8, M, N): ``means``, ``covariances`` and ``weights``.
    """

    numbers: StateArray

    @classmethod
    def of(cls, means: StateArray, covariances: StateArray, weights: StateArray) -> MotionStates:
        """Return states of given numbers, each as the property of its name."""
        every = np.concatenate([means, covariances, weights[:, :, None]], axis=2)
        return cls(numbers=np.ascontiguousarray(every.T))

    @property
    def means(self) -> StateArray:
        """As in ``PointStates``, float64 (N, M, 4), a view."""
        return self.numbers[MEANS].T

    @property
    def covariances(self) -> StateArray:
        """As in ``PointStates``, float64 (N, M, 3), a view."""
        return self.numbers[COVARIANCES].T

    @property
    def weights(self) -> StateArray:
        """Probability of each mode, float64 (N, M), a view."""
        weights: StateArray = self.numbers[WEIGHT].T
        return weights

    def __len__(self) -> int:
        """Return the number of targets."""
        return int(self.numbers.shape[-1])

    def __getitem__(self, rows: BoolArray | IntArray) -> MotionStates:
        """Return the chosen targets."""
        return MotionStates(numbers=_chosen(self.numbers, rows))

    def put(self, rows: IntArray, states: MotionStates) -> None:
        """Replace the states of some targets."""
        self.numbers[:, :, rows] = states.numbers

    @classmethod
    def concatenate(cls, first: MotionStates, second: MotionStates) -> MotionStates:
        """Return the targets of both, in order."""
        return cls(numbers=np.concatenate([first.numbers, second.numbers], axis=2))

    def combined(self) -> PointStates:
        """Return mean and covariance over the modes."""
        return PointStates(numbers=merged_modes(self.numbers, self.numbers[WEIGHT, :, None])[:, 0])

    def distances_px(self, others: MotionStates) -> StateArray:
        """Return how far the first modes of as many others lie, along x or y, float64 (N,)."""
        apart = np.abs(self.numbers[PLACE, 0] - others.numbers[PLACE, 0])
        distances: StateArray = np.maximum.reduce(apart)
        return distances

    def carried(self, transform: Transform) -> MotionStates:
        """Return the targets in the coordinates of another frame.

        A camera that moves moves every target in the picture. With L the linear part of the
        transform at a centre, the centre goes where the transform takes it, the velocity v becomes
        L v, and the covariance grows as areas do, by |det L|.
        """
        places = self.numbers[PLACE].T
        slopes = transform.linear_at(places).T  # Columns before rows, (2, 2, M, N).
        velocities = self.numbers[VELOCITY]
        carried = self.numbers.copy()
        carried[PLACE] = transform.apply(places).T
        carried[VELOCITY] = slopes[0] * velocities[0] + slopes[1] * velocities[1]
        carried[COVARIANCES] *= np.abs(slopes[0, 0] * slopes[1, 1] - slopes[0, 1] * slopes[1, 0])
        return MotionStates(numbers=carried)


@dataclass(kw_only=True, eq=False)
class Mixture:
    """N targets, in each of M modes and over all.

    Attributes:
        numbers: float64 (8, M + 1, N), as in ``MotionStates``; over all modes at the end.
    """

    numbers: StateArray

    @property
    def states(self) -> MotionStates:
        """In each mode, as each is likely to have begun; a view."""
        return MotionStates(numbers=self.numbers[:, :-1])

    @property
    def combined(self) -> PointStates:
        """Over the modes; a view."""
        return PointStates(numbers=self.numbers[:, -1])

    def __len__(self) -> int:
        """Return the number of targets."""
        return int(self.numbers.shape[-1])

    def __getitem__(self, rows: BoolArray | IntArray) -> Mixture:
        """Return the chosen targets."""
        return Mixture(numbers=_chosen(self.numbers, rows))

    def put(self, row: int, other: int) -> None:
        """Replace a target by another one of these."""
        self.numbers[:, :, row] = self.numbers[:, :, other]


def _chosen(numbers: StateArray, rows: BoolArray | IntArray) -> StateArray:
    """Return the numbers of some targets, which are the last axis."""
    if rows.dtype == np.bool_:
        return numbers.compress(rows, axis=-1)
    return numbers.take(rows, axis=-1)


def merged_modes(numbers: StateArray, shares: StateArray) -> StateArray:
    """Return means and covariances of K mixtures of the modes, and the sums of their shares.

    Args:
        numbers: Of N targets in M modes, (8, M, N).
        shares: Of each mode in each mixture, (M, K, N), with any sum.

    Returns:
        float64 (8, K, N).
    """
    merged = np.empty((NUM_NUMBERS, *shares.shape[1:]))
    merged[:] = numbers[:, :1]
    last = len(shares) - 1
    means, covariances, sums = merged[MEANS], merged[COVARIANCES], shares[0]
    for mode in range(1, len(shares)):
        # What is merged already and one more: the spread of two means adds to the covariance.
        sums = sums + shares[mode]
        # Only all modes together are certain to have a probability above 0.
        share = shares[mode] / (sums if mode == last else np.maximum(sums, _LEAST_SUM))
        rest = 1 - share
        apart = numbers[MEANS, mode, None] - means
        means += share * apart
        covariances += share * _squares(apart)
        covariances *= rest
        covariances += share * numbers[COVARIANCES, mode, None]
    merged[WEIGHT] = sums
    return merged


def _squares(apart: StateArray) -> StateArray:
    """Return |place|^2, place * velocity, |velocity|^2 of (4, ...), each per axis: (3, ...)."""
    place, velocity = apart[PLACE], apart[VELOCITY]
    squares = np.empty((3, *apart.shape[1:]))
    own, mixed = apart * apart, place * velocity
    np.add(own[::2], own[1::2], out=squares[::2])
    np.add(mixed[0], mixed[1], out=squares[1])
    squares *= 0.5
    return squares
