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

from functools import lru_cache

import numpy as np

from stdet.registration.transform import Transform
from stdet.tracking.states import (
    COVARIANCE,
    COVARIANCES,
    NUM_NUMBERS,
    PLACE,
    SPEED_VARIANCE,
    VARIANCE,
    VELOCITY,
    WEIGHT,
    Mixture,
    MotionStates,
    StateArray,
    merged_modes,
)
from stdet.types import IntArray

STAY = 0.95
"""Probability that a target stays in its mode from one frame to the next."""
_LOG_TURN = float(np.log(2 * np.pi))
_LEAST_DENSITY = float(2 * np.pi * np.finfo(np.float64).tiny)
"""Of what no mode explains, times 2 pi."""


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
        self._new = np.zeros((NUM_NUMBERS, num_modes, 1))
        self._new[VARIANCE] = measurement_std_px**2
        self._new[SPEED_VARIANCE] = initial_speed_std_px**2
        self._new[WEIGHT] = 1 / num_modes
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
        numbers[PLACE] = centres_xy.T[:, None]
        return MotionStates(numbers=numbers)

    def mix(self, states: MotionStates) -> Mixture:
        """Return targets as they go on: each may change its mode before the next frame."""
        shares = states.numbers[WEIGHT, :, None] * self._transitions
        return Mixture(numbers=merged_modes(states.numbers, shares))

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
        predicted = (step @ numbers.reshape(NUM_NUMBERS, -1)).reshape(numbers.shape)
        of_modes, of_all = predicted[COVARIANCES, :-1], predicted[COVARIANCES, -1]
        of_modes += (noise * self._acceleration_variances)[:, :, None]
        of_all += noise * (self._acceleration_variances @ numbers[WEIGHT, :-1])
        return Mixture(numbers=predicted)

    def reaches_px(self, states: MotionStates, num_std: float) -> StateArray:
        """Return how far measured centres may lie from predicted ones, float64 (N,), pixels."""
        variances = np.maximum.reduce(states.numbers[VARIANCE])
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
        variances = numbers[VARIANCE] + self._measurement_variance
        squared = _lengths_squared(centres_xy.T[:, None] - numbers[PLACE]) / variances
        density = numbers[WEIGHT] / variances
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
        covariances, both = before[VARIANCE:SPEED_VARIANCE], before[COVARIANCE]
        innovation = centres_xy.T[:, None] - before[PLACE]
        variances = before[VARIANCE] + self._measurement_variance
        gain, speed_gain = covariances / variances
        place, velocity = numbers[PLACE], numbers[VELOCITY]
        place += gain * innovation
        velocity += speed_gain * innovation
        shrunk, shrunk_last = numbers[VARIANCE:SPEED_VARIANCE], numbers[SPEED_VARIANCE]
        shrunk -= gain * covariances
        shrunk_last -= speed_gain * both
        weights = numbers[WEIGHT]
        # Relative to the likeliest mode: a far measurement leaves no likelihood at all.
        squared = _lengths_squared(innovation) / variances
        squared -= np.minimum.reduce(squared)
        squared *= -0.5
        weights *= np.exp(squared)
        weights /= variances
        weights /= np.add.reduce(weights)
        return MotionStates(numbers=numbers)


@lru_cache(maxsize=16)
def _step(n: float) -> tuple[StateArray, StateArray]:
    """Return what n frames make of the numbers of a state, and the noise per unit of variance."""
    step = np.eye(NUM_NUMBERS)
    step[PLACE, VELOCITY] = n * np.eye(2)
    step[COVARIANCES, COVARIANCES] = np.array([[1, 2 * n, n * n], [0, 1, n], [0, 0, 1]])
    return step, np.array([n**3 / 3 - n / 12, n**2 / 2, n])[:, None]


def _lengths_squared(offsets: StateArray) -> StateArray:
    """Return |xy|^2 of (2, ...)."""
    squares = offsets * offsets
    squared: StateArray = squares[0] + squares[1]
    return squared
