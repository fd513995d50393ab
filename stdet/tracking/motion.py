"""Targets that fly straight or manoeuvre: a Kalman filter of several modes on their centres.

The state of a target is x = (x, y, vx, vy): its centre in pixels and its velocity in pixels per
frame. In each mode the acceleration is constant between two frames and independent from frame to
frame; modes differ in its standard deviation sigma_a. One frame moves the state of a mode by

    x' = F x + G a,     F = | I  I |,   G = | I/2 |,   a ~ N(0, sigma_a^2 I)
                            | 0  I |        |  I  |

and n frames by F^n and the noise that adds up on the way. A centre is measured as z = H x + noise
of variance r, the same along both axes. Nothing prefers an axis, so the covariance of a state is
that of (place, velocity) along either axis, three numbers (p, c, u):

    predict    p <- p + 2 n c + n^2 u + (n^3/3 - n/12) sigma_a^2
               c <- c + n u + n^2/2 sigma_a^2
               u <- u + n sigma_a^2
    update     k = p / (p + r),  m = c / (p + r)       place += k nu,  velocity += m nu
               (p, c, u) <- ((1 - k) p, (1 - k) c, u - m c)

From one frame to the next a target stays in its mode with probability ``STAY``. Before prediction
each mode begins from the mixture of states that may have led to it, and after a measurement the
probability of a mode is in proportion to the likelihood that it gave to it.

Source:
    Blom and Bar-Shalom 1988 (IEEE Trans. AC 33), the interacting multiple model; Bar-Shalom, Li,
    Kirubarajan, Estimation with Applications to Tracking and Navigation, 2001, sections 6.3.2
    (piecewise constant white acceleration) and 11.6.6. The closed form of the noise for n > 1 is
    worked out here. Spreads of means are averaged over both axes, and modes mix once however many
    frames are predicted at once; theirs do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stdet.registration.transform import Transform
from stdet.types import BoolArray, IntArray

StateArray = NDArray[np.float64]

STAY = 0.95
"""Probability that a target stays in its mode from one frame to the next."""
_PLACE, _VELOCITY, _MEANS, _COVARIANCES = slice(0, 2), slice(2, 4), slice(0, 4), slice(4, 7)
_VARIANCE, _COVARIANCE, _SPEED_VARIANCE, _WEIGHT, _NUM_NUMBERS = 4, 5, 6, 7, 8
"""Rows of the numbers of a state."""
_LOG_TURN = float(np.log(2 * np.pi))
_LEAST_DENSITY = float(2 * np.pi * np.finfo(np.float64).tiny)
"""Of what no mode explains, times 2 pi."""
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
        return self.numbers[_MEANS].T

    @property
    def covariances(self) -> StateArray:
        """Variance of the place, covariance of place and velocity, variance of the velocity.

        Along either axis, float64 (N, 3), a view.
        """
        return self.numbers[_COVARIANCES].T

    @property
    def xy(self) -> StateArray:
        """Places, float64 (N, 2), pixels, a view."""
        return self.numbers[_PLACE].T

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
        return self.numbers[_MEANS].T

    @property
    def covariances(self) -> StateArray:
        """As in ``PointStates``, float64 (N, M, 3), a view."""
        return self.numbers[_COVARIANCES].T

    @property
    def weights(self) -> StateArray:
        """Probability of each mode, float64 (N, M), a view."""
        weights: StateArray = self.numbers[_WEIGHT].T
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
        return PointStates(numbers=_merged(self.numbers, self.numbers[_WEIGHT, :, None])[:, 0])

    def distances_px(self, others: MotionStates) -> StateArray:
        """Return how far the first modes of as many others lie, along x or y, float64 (N,)."""
        apart = np.abs(self.numbers[_PLACE, 0] - others.numbers[_PLACE, 0])
        distances: StateArray = np.maximum.reduce(apart)
        return distances

    def carried(self, transform: Transform) -> MotionStates:
        """Return the targets in the coordinates of another frame.

        A camera that moves moves every target in the picture. With L the linear part of the
        transform at a centre, the centre goes where the transform takes it, the velocity v becomes
        L v, and the covariance grows as areas do, by |det L|.
        """
        places = self.numbers[_PLACE].T
        slopes = transform.linear_at(places).T  # Columns before rows, (2, 2, M, N).
        velocities = self.numbers[_VELOCITY]
        carried = self.numbers.copy()
        carried[_PLACE] = transform.apply(places).T
        carried[_VELOCITY] = slopes[0] * velocities[0] + slopes[1] * velocities[1]
        carried[_COVARIANCES] *= np.abs(slopes[0, 0] * slopes[1, 1] - slopes[0, 1] * slopes[1, 0])
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


def carried_means(means: StateArray, transform: Transform, linear: StateArray) -> StateArray:
    """Return places and velocities in the coordinates of another frame.

    Args:
        means: float64 (N, 4), as in ``PointStates``.
        transform: To that frame.
        linear: Its linear part at each place, float64 (N, 2, 2).
    """
    velocities = (linear @ means[:, 2:, None])[:, :, 0]
    return np.concatenate([transform.apply(means[:, :2]), velocities], axis=1)


class SwitchingMotion:
    """The filter of the module docstring, over all targets at once; holds no state of its own.

    Args:
        measurement_std_px: Standard deviation of a measured centre, pixels.
        acceleration_stds_px: Standard deviation of the acceleration in each mode, pixels per frame
            squared.
        initial_speed_std_px: Standard deviation of a new target's velocity, pixels per frame.

    Example:
        >>> motion = SwitchingMotion(
        ...     measurement_std_px=1.0, acceleration_stds_px=(1.0,), initial_speed_std_px=4.0)
        >>> states = motion.start(np.array([[10.0, 20.0]]))
        >>> predicted = motion.predict(motion.mix(states), 1)
        >>> states = motion.update(predicted.states, np.array([[18.0, 20.0]]))
        >>> states.combined().means.round(2)
        array([[17.56, 20.  ,  7.23,  0.  ]])
    """

    def __init__(
        self,
        *,
        measurement_std_px: float,
        acceleration_stds_px: tuple[float, ...],
        initial_speed_std_px: float,
    ) -> None:
        """Store the noise levels."""
        num_modes = len(acceleration_stds_px)
        self._measurement_variance = measurement_std_px**2
        self._acceleration_variances = np.square(acceleration_stds_px)
        self._new = np.zeros((_NUM_NUMBERS, num_modes, 1))
        self._new[_VARIANCE] = measurement_std_px**2
        self._new[_SPEED_VARIANCE] = initial_speed_std_px**2
        self._new[_WEIGHT] = 1 / num_modes
        # Of going from a mode to each, and to any.
        self._transitions = np.ones((num_modes, num_modes + 1, 1))
        self._transitions[:, :-1, 0] = (1 - STAY) / max(num_modes - 1, 1)
        each = np.arange(num_modes)
        self._transitions[each, each] = STAY if num_modes > 1 else 1.0

    def start(self, centres_xy: StateArray) -> MotionStates:
        """Begin targets at measured centres, with unknown velocity of mean zero.

        Args:
            centres_xy: float (N, 2), pixels.

        Returns:
            N states, every mode as likely.
        """
        numbers = self._new.repeat(len(centres_xy), axis=2)
        numbers[_PLACE] = centres_xy.T[:, None]
        return MotionStates(numbers=numbers)

    def mix(self, states: MotionStates) -> Mixture:
        """Return targets as they go on: each may change its mode before the next frame."""
        shares = states.numbers[_WEIGHT, :, None] * self._transitions
        return Mixture(numbers=_merged(states.numbers, shares))

    def predict(self, mixture: Mixture, num_frames: int) -> Mixture:
        """Move targets forward in time.

        Args:
            mixture: N targets.
            num_frames: Frames to move, at least 1.

        Returns:
            N targets, less certain than before.

        Raises:
            ValueError: If ``num_frames`` is below 1.
        """
        if num_frames < 1:
            raise ValueError(f"num_frames is {num_frames}; expected at least 1.")
        numbers = mixture.numbers
        step, noise = _step(float(num_frames))
        predicted = (step @ numbers.reshape(_NUM_NUMBERS, -1)).reshape(numbers.shape)
        of_modes, of_all = predicted[_COVARIANCES, :-1], predicted[_COVARIANCES, -1]
        of_modes += (noise * self._acceleration_variances)[:, :, None]
        of_all += noise * (self._acceleration_variances @ numbers[_WEIGHT, :-1])
        return Mixture(numbers=predicted)

    def reaches_px(self, states: MotionStates, num_std: float) -> StateArray:
        """Return how far measured centres may lie from predicted ones, float64 (N,), pixels."""
        variances = np.maximum.reduce(states.numbers[_VARIANCE])
        reaches: StateArray = num_std * np.sqrt(variances + self._measurement_variance)
        return reaches

    def log_likelihoods(
        self, states: MotionStates, rows: IntArray, centres_xy: StateArray
    ) -> StateArray:
        """Return the log density, per square pixel, of measured centres.

        Args:
            states: N predicted states.
            rows: The state of each measurement, int64 (P,).
            centres_xy: float (P, 2), pixels.
        """
        numbers = states.numbers.take(rows, axis=2)
        variances = numbers[_VARIANCE] + self._measurement_variance
        squared = _lengths_squared(centres_xy.T[:, None] - numbers[_PLACE]) / variances
        density = numbers[_WEIGHT] / variances
        squared *= -0.5
        density *= np.exp(squared)
        logs: StateArray = np.log(np.maximum(np.add.reduce(density), _LEAST_DENSITY))
        logs -= _LOG_TURN
        return logs

    def update(self, states: MotionStates, centres_xy: StateArray) -> MotionStates:
        """Correct predicted states by one measured centre each.

        Args:
            states: N predicted states.
            centres_xy: float (N, 2), pixels, in the order of ``states``.

        Returns:
            N states, more certain than before.
        """
        before, numbers = states.numbers, states.numbers.copy()
        covariances, both = before[_VARIANCE:_SPEED_VARIANCE], before[_COVARIANCE]
        innovation = centres_xy.T[:, None] - before[_PLACE]
        variances = before[_VARIANCE] + self._measurement_variance
        gain, speed_gain = covariances / variances
        place, velocity = numbers[_PLACE], numbers[_VELOCITY]
        place += gain * innovation
        velocity += speed_gain * innovation
        shrunk, shrunk_last = numbers[_VARIANCE:_SPEED_VARIANCE], numbers[_SPEED_VARIANCE]
        shrunk -= gain * covariances
        shrunk_last -= speed_gain * both
        weights = numbers[_WEIGHT]
        # Relative to the likeliest mode: a far measurement leaves no likelihood at all.
        squared = _lengths_squared(innovation) / variances
        squared -= np.minimum.reduce(squared)
        squared *= -0.5
        weights *= np.exp(squared)
        weights /= variances
        weights /= np.add.reduce(weights)
        return MotionStates(numbers=numbers)


def _merged(numbers: StateArray, shares: StateArray) -> StateArray:
    """Return means and covariances of K mixtures of the modes, and the sums of their shares.

    Args:
        numbers: Of N targets in M modes, (8, M, N).
        shares: Of each mode in each mixture, (M, K, N), with any sum.

    Returns:
        float64 (8, K, N).
    """
    merged = np.empty((_NUM_NUMBERS, *shares.shape[1:]))
    merged[:] = numbers[:, :1]
    last = len(shares) - 1
    means, covariances, sums = merged[_MEANS], merged[_COVARIANCES], shares[0]
    for mode in range(1, len(shares)):
        # What is merged already and one more: the spread of two means adds to the covariance.
        sums = sums + shares[mode]
        # Only all modes together are certain to have a probability above 0.
        share = shares[mode] / (sums if mode == last else np.maximum(sums, _LEAST_SUM))
        rest = 1 - share
        apart = numbers[_MEANS, mode, None] - means
        means += share * apart
        covariances += share * _squares(apart)
        covariances *= rest
        covariances += share * numbers[_COVARIANCES, mode, None]
    merged[_WEIGHT] = sums
    return merged


@lru_cache(maxsize=16)
def _step(n: float) -> tuple[StateArray, StateArray]:
    """Return what n frames make of the numbers of a state, and the noise per unit of variance."""
    step = np.eye(_NUM_NUMBERS)
    step[_PLACE, _VELOCITY] = n * np.eye(2)
    step[_COVARIANCES, _COVARIANCES] = np.array([[1, 2 * n, n * n], [0, 1, n], [0, 0, 1]])
    return step, np.array([n**3 / 3 - n / 12, n**2 / 2, n])[:, None]


def _lengths_squared(offsets: StateArray) -> StateArray:
    """Return |xy|^2 of (2, ...)."""
    squares = offsets * offsets
    squared: StateArray = squares[0] + squares[1]
    return squared


def _squares(apart: StateArray) -> StateArray:
    """Return |place|^2, place * velocity, |velocity|^2 of (4, ...), each per axis: (3, ...)."""
    place, velocity = apart[_PLACE], apart[_VELOCITY]
    squares = np.empty((3, *apart.shape[1:]))
    own, mixed = apart * apart, place * velocity
    np.add(own[::2], own[1::2], out=squares[::2])
    np.add(mixed[0], mixed[1], out=squares[1])
    squares *= 0.5
    return squares
