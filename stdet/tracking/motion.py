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


@dataclass(frozen=True, kw_only=True, eq=False)
class PointStates:
    """Gaussian states of N targets.

    Attributes:
        means: float64 (N, 4): x, y in pixels, vx, vy in pixels per frame.
        covariances: float64 (N, 3): variance of the place, covariance of place and velocity,
            variance of the velocity, along either axis.
    """

    means: StateArray
    covariances: StateArray

    def __len__(self) -> int:
        """Return the number of targets."""
        return len(self.means)

    def __getitem__(self, rows: BoolArray | IntArray) -> PointStates:
        """Return the chosen targets."""
        return PointStates(means=self.means[rows], covariances=self.covariances[rows])

    def put(self, rows: IntArray | int, states: PointStates) -> None:
        """Replace the states of some targets."""
        self.means[rows] = states.means
        self.covariances[rows] = states.covariances


@dataclass(frozen=True, kw_only=True, eq=False)
class MotionStates:
    """States of N targets in each of M modes.

    Attributes:
        means: float64 (N, M, 4), as in ``PointStates``.
        covariances: float64 (N, M, 3), as in ``PointStates``.
        weights: Probability of each mode, float64 (N, M).
    """

    means: StateArray
    covariances: StateArray
    weights: StateArray

    def __len__(self) -> int:
        """Return the number of targets."""
        return len(self.means)

    def __getitem__(self, rows: BoolArray | IntArray) -> MotionStates:
        """Return the chosen targets."""
        return MotionStates(
            means=self.means[rows],
            covariances=self.covariances[rows],
            weights=self.weights[rows],
        )

    def put(self, rows: IntArray | int, states: MotionStates) -> None:
        """Replace the states of some targets."""
        self.means[rows] = states.means
        self.covariances[rows] = states.covariances
        self.weights[rows] = states.weights

    @classmethod
    def concatenate(cls, first: MotionStates, second: MotionStates) -> MotionStates:
        """Return the targets of both, in order."""
        return cls(
            means=np.concatenate([first.means, second.means]),
            covariances=np.concatenate([first.covariances, second.covariances]),
            weights=np.concatenate([first.weights, second.weights]),
        )

    def combined(self) -> PointStates:
        """Return mean and covariance over the modes."""
        base, means, covariances = self._over_modes(self.weights[:, None])
        return PointStates(means=base + means[:, 0], covariances=covariances[:, 0])

    def mixed(self, transitions: StateArray) -> Mixture:
        """Return the states from which each mode goes on, by probabilities (from, to)."""
        num, num_modes = self.weights.shape
        weights = self.weights @ transitions
        came_from = np.empty((num, num_modes + 1, num_modes))
        np.multiply(self.weights[:, None], transitions.T, out=came_from[:, :-1])
        came_from[:, :-1] /= weights[:, :, None]
        came_from[:, -1] = self.weights
        base, means, covariances = self._over_modes(came_from)
        means += base[:, None]
        return Mixture(
            states=MotionStates(
                means=means[:, :-1], covariances=covariances[:, :-1], weights=weights
            ),
            combined=PointStates(means=means[:, -1], covariances=covariances[:, -1]),
        )

    def _over_modes(self, weights: StateArray) -> tuple[StateArray, StateArray, StateArray]:
        """Return means and covariances of K mixtures of the modes.

        Args:
            weights: Of each mode in each mixture, (N, K, M).

        Returns:
            A state of each target (N, 4), the means relative to it (N, K, 4), and covariances
            (N, K, 3). Differences of states are small numbers.
        """
        base = self.means[:, 0]
        offsets = self.means - base[:, None]
        means = weights @ offsets
        covariances = weights @ (self.covariances + _squares(offsets)) - _squares(means)
        return base, means, covariances

    def carried(self, transform: Transform) -> MotionStates:
        """Return the targets in the coordinates of another frame.

        A camera that moves moves every target in the picture. With L the linear part of the
        transform at a centre, the centre goes where the transform takes it, the velocity v becomes
        L v, and the covariance grows as areas do, by |det L|.
        """
        flat = self.means.reshape(-1, 4)
        linear = transform.linear_at(flat[:, :2])
        growth = np.abs(np.linalg.det(linear)).reshape(*self.weights.shape, 1)
        means = carried_means(flat, transform, linear)
        return MotionStates(
            means=means.reshape(self.means.shape),
            covariances=self.covariances * growth,
            weights=self.weights,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """N targets, in each mode and over all.

    Attributes:
        states: In each mode, as each is likely to have begun.
        combined: Over the modes.
    """

    states: MotionStates
    combined: PointStates

    def __len__(self) -> int:
        """Return the number of targets."""
        return len(self.states)

    def __getitem__(self, rows: BoolArray | IntArray) -> Mixture:
        """Return the chosen targets."""
        return Mixture(states=self.states[rows], combined=self.combined[rows])

    def put(self, rows: IntArray, mixture: Mixture) -> None:
        """Replace some targets."""
        self.states.put(rows, mixture.states)
        self.combined.put(rows, mixture.combined)


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
        self._measurement_variance = measurement_std_px**2
        self._acceleration_variances = np.square(acceleration_stds_px)
        self._start_covariance = np.array([measurement_std_px**2, 0.0, initial_speed_std_px**2])
        num_modes = len(acceleration_stds_px)
        leave = (1 - STAY) / max(num_modes - 1, 1)
        self._transitions = np.full((num_modes, num_modes), leave)
        np.fill_diagonal(self._transitions, STAY if num_modes > 1 else 1.0)

    def start(self, centres_xy: StateArray) -> MotionStates:
        """Begin targets at measured centres, with unknown velocity of mean zero.

        Args:
            centres_xy: float (N, 2), pixels.

        Returns:
            N states, every mode as likely.
        """
        num, num_modes = len(centres_xy), len(self._transitions)
        means, covariances = np.zeros((num, num_modes, 4)), np.empty((num, num_modes, 3))
        means[:, :, :2] = centres_xy[:, None]
        covariances[:] = self._start_covariance
        weights = np.full((num, num_modes), 1 / num_modes)
        return MotionStates(means=means, covariances=covariances, weights=weights)

    def mix(self, states: MotionStates) -> Mixture:
        """Return targets as they go on: each may change its mode before the next frame."""
        return states.mixed(self._transitions)

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
        states, combined, n = mixture.states, mixture.combined, float(num_frames)
        growth, noise = _growth(n)
        noises = self._acceleration_variances[:, None] * noise
        return Mixture(
            states=MotionStates(
                means=_moved(states.means, n),
                covariances=states.covariances @ growth + noises,
                weights=states.weights,
            ),
            combined=PointStates(
                means=_moved(combined.means, n),
                covariances=combined.covariances @ growth + states.weights @ noises,
            ),
        )

    def reaches_px(self, states: MotionStates, num_std: float) -> StateArray:
        """Return how far measured centres may lie from predicted ones, float64 (N,), pixels."""
        variances = states.covariances[:, :, 0].max(axis=1, initial=0.0)
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
        variances = states.covariances[:, :, 0] + self._measurement_variance
        innovation = centres_xy[:, None] - states.means[:, :, :2].take(rows, axis=0)
        squared = _lengths_squared(innovation) / variances.take(rows, axis=0)
        peaks = states.weights / (2 * np.pi * variances)
        density = (peaks.take(rows, axis=0) * np.exp(-squared / 2)).sum(axis=1)
        logs: StateArray = np.log(np.maximum(density, np.finfo(np.float64).tiny))
        return logs

    def update(self, states: MotionStates, centres_xy: StateArray) -> MotionStates:
        """Correct predicted states by one measured centre each.

        Args:
            states: N predicted states.
            centres_xy: float (N, 2), pixels, in the order of ``states``.

        Returns:
            N states, more certain than before.
        """
        covariances = states.covariances
        innovation = centres_xy[:, None] - states.means[:, :, :2]
        variances = covariances[:, :, 0] + self._measurement_variance
        gains = covariances[:, :, :2] / variances[:, :, None]
        corrections = gains[:, :, :, None] * innovation[:, :, None]
        shrunk = covariances.copy()
        shrunk[:, :, :2] -= gains[:, :, :1] * covariances[:, :, :2]
        shrunk[:, :, 2] -= gains[:, :, 1] * covariances[:, :, 1]
        squared = _lengths_squared(innovation) / variances
        # Relative to the likeliest mode: a far measurement leaves no likelihood at all.
        likelihood = np.exp((squared.min(axis=1, keepdims=True) - squared) / 2) / variances
        weights = states.weights * likelihood
        return MotionStates(
            means=states.means + corrections.reshape(states.means.shape),
            covariances=shrunk,
            weights=weights / weights.sum(axis=1, keepdims=True),
        )


def _moved(means: StateArray, n: float) -> StateArray:
    """Return states (..., 4) n frames later."""
    moved = means.copy()
    moved[..., :2] += n * means[..., 2:]
    return moved


@lru_cache(maxsize=16)
def _growth(n: float) -> tuple[StateArray, StateArray]:
    """Return what n frames make of (p, c, u), by columns, and the noise per unit of variance."""
    step = np.array([[1.0, 0.0, 0.0], [2 * n, 1.0, 0.0], [n * n, n, 1.0]])
    return step, np.array([n**3 / 3 - n / 12, n**2 / 2, n])


def _lengths_squared(offsets: StateArray) -> StateArray:
    """Return |xy|^2 of (..., 2)."""
    x, y = offsets[..., 0], offsets[..., 1]
    squared: StateArray = x * x + y * y
    return squared


def _squares(means: StateArray) -> StateArray:
    """Return |place|^2, place * velocity, |velocity|^2 of (..., 4), each per axis: (..., 3)."""
    halves, squares = means / 2, np.empty((*means.shape[:-1], 3))
    own, mixed = halves * means, halves[..., :2] * means[..., 2:]
    np.add(own[..., ::2], own[..., 1::2], out=squares[..., ::2])
    np.add(mixed[..., 0], mixed[..., 1], out=squares[..., 1])
    return squares
