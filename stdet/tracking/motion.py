"""Constant-velocity Kalman filter on target centres.

The state of a target is x = (x, y, vx, vy): its centre in pixels and its velocity in pixels per
frame. Between two frames the acceleration is constant, and from frame to frame it is independent
with standard deviation sigma_a ("white"). One frame therefore moves the state by

    x' = F x + G a,     F = | I  I |,   G = | I/2 |,   a ~ N(0, sigma_a^2 I)
                            | 0  I |        |  I  |

and n frames by F^n and the noise that adds up on the way:

    F^n = | I  nI |     Q_n = sum_{k<n} F^k G G' F'^k sigma_a^2
          | 0   I |
                            | (n^3/3 - n/12) I   n^2/2 I |
                          = |                            | sigma_a^2
                            |     n^2/2 I            n I |

so that predicting n frames at once equals predicting n times one frame. The detector measures the
centre, z = H x + noise, H = (I 0), R = sigma_z^2 I:

    predict    x <- F^n x                P <- F^n P F'^n + Q_n
    innovate   nu = z - H x              S = H P H' + R
    update     K = P H' S^-1             x <- x + K nu
               P <- (I - K H) P (I - K H)' + K R K'     (Joseph's form)

Joseph's form is a sum of two symmetric positive terms and stays so under rounding, which the
shorter P - K S K' does not.

Symbols: P ``covariances``, S ``innovation covariances``, K ``gain``, sigma_a
``acceleration_std_px``, sigma_z ``measurement_std_px``, n ``num_frames``.

Source:
    Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation, 2001,
    sections 5.2 (filter) and 6.3.2 (piecewise constant white acceleration). The closed form of
    Q_n for n > 1 is worked out here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.registration.transform import Transform
from stdet.types import BoolArray, IntArray

StateArray = NDArray[np.float64]

_MEASURE = np.eye(2, 4)  # H: the centre is the first half of the state.


@dataclass(frozen=True, kw_only=True, eq=False)
class MotionStates:
    """Gaussian states of N targets.

    Attributes:
        means: float64 (N, 4): x, y in pixels, vx, vy in pixels per frame.
        covariances: float64 (N, 4, 4), symmetric positive definite.
    """

    means: StateArray
    covariances: StateArray

    def __len__(self) -> int:
        """Return the number of targets."""
        return len(self.means)

    def __getitem__(self, rows: BoolArray | IntArray) -> MotionStates:
        """Return the chosen targets."""
        return MotionStates(means=self.means[rows], covariances=self.covariances[rows])

    @property
    def centres_xy(self) -> StateArray:
        """Centres in pixels, float64 (N, 2)."""
        return self.means[:, :2]

    def carried(self, transform: Transform) -> MotionStates:
        """Return the targets in the coordinates of another frame.

        A camera that moves moves every target in the picture. With L the linear part of the
        transform at a centre, the centre goes where the transform takes it, the velocity v becomes
        L v, and P becomes diag(L, L) P diag(L, L)'.
        """
        slopes = transform.linear_at(self.centres_xy)
        linear = np.zeros_like(self.covariances)
        linear[:, :2, :2] = linear[:, 2:, 2:] = slopes
        velocities = (slopes @ self.means[:, 2:, None])[:, :, 0]
        return MotionStates(
            means=np.concatenate([transform.apply(self.centres_xy), velocities], axis=1),
            covariances=linear @ self.covariances @ linear.swapaxes(1, 2),
        )

    def put(self, rows: IntArray, states: MotionStates) -> None:
        """Replace the states of some targets."""
        self.means[rows] = states.means
        self.covariances[rows] = states.covariances

    @classmethod
    def empty(cls) -> MotionStates:
        """Return no targets."""
        return cls(means=np.zeros((0, 4)), covariances=np.zeros((0, 4, 4)))

    @classmethod
    def concatenate(cls, first: MotionStates, second: MotionStates) -> MotionStates:
        """Return the targets of both, in order."""
        return cls(
            means=np.concatenate([first.means, second.means]),
            covariances=np.concatenate([first.covariances, second.covariances]),
        )


class ConstantVelocityFilter:
    """The filter of the module docstring, over all targets at once; holds no state of its own.

    Args:
        measurement_std_px: Standard deviation of a measured centre, pixels.
        acceleration_std_px: Standard deviation of the acceleration, pixels per frame squared.
        initial_speed_std_px: Standard deviation of a new target's velocity, pixels per frame.

    Example:
        >>> motion = ConstantVelocityFilter(
        ...     measurement_std_px=1.0, acceleration_std_px=1.0, initial_speed_std_px=4.0)
        >>> states = motion.start(np.array([[10.0, 20.0]]))
        >>> states = motion.update(motion.predict(states, 1), np.array([[18.0, 20.0]]))
        >>> states.means.round(2)
        array([[17.56, 20.  ,  7.23,  0.  ]])
    """

    def __init__(
        self,
        *,
        measurement_std_px: float,
        acceleration_std_px: float,
        initial_speed_std_px: float,
    ) -> None:
        """Store the noise levels."""
        self._measurement_covariance = measurement_std_px**2 * np.eye(2)
        self._acceleration_variance = acceleration_std_px**2
        self._start_covariance = np.diag(
            [measurement_std_px**2] * 2 + [initial_speed_std_px**2] * 2
        )

    def start(self, centres_xy: StateArray) -> MotionStates:
        """Begin targets at measured centres, with unknown velocity of mean zero.

        Args:
            centres_xy: float (N, 2), pixels.

        Returns:
            N states.
        """
        num = len(centres_xy)
        return MotionStates(
            means=np.concatenate([centres_xy, np.zeros((num, 2))], axis=1, dtype=np.float64),
            covariances=np.tile(self._start_covariance, (num, 1, 1)),
        )

    def predict(self, states: MotionStates, num_frames: int) -> MotionStates:
        """Move targets forward in time.

        Args:
            states: N states.
            num_frames: Frames to move, at least 1.

        Returns:
            N states, less certain than before.

        Raises:
            ValueError: If ``num_frames`` is below 1.
        """
        if num_frames < 1:
            raise ValueError(f"num_frames is {num_frames}; expected at least 1.")
        n = float(num_frames)
        transition = _blocks(1.0, n, 0.0, 1.0)
        noise = _blocks(n**3 / 3 - n / 12, n**2 / 2, n**2 / 2, n) * self._acceleration_variance
        return MotionStates(
            means=states.means @ transition.T,
            covariances=_symmetric(transition @ states.covariances @ transition.T + noise),
        )

    def innovation_covariances(self, states: MotionStates) -> StateArray:
        """Say how far measured centres will scatter about predicted ones.

        Args:
            states: N predicted states.

        Returns:
            S, float64 (N, 2, 2), pixels squared.
        """
        return states.covariances[:, :2, :2] + self._measurement_covariance

    def update(self, states: MotionStates, centres_xy: StateArray) -> MotionStates:
        """Correct predicted states by one measured centre each.

        Args:
            states: N predicted states.
            centres_xy: float (N, 2), pixels, in the order of ``states``.

        Returns:
            N states, more certain than before.
        """
        innovation = centres_xy - states.centres_xy
        cross_covariance = states.covariances[:, :, :2]  # P H', (N, 4, 2)
        gain = cross_covariance @ np.linalg.inv(self.innovation_covariances(states))
        keep = np.eye(4) - gain @ _MEASURE
        covariances = keep @ states.covariances @ keep.swapaxes(
            1, 2
        ) + gain @ self._measurement_covariance @ gain.swapaxes(1, 2)
        return MotionStates(
            means=states.means + (gain @ innovation[:, :, None])[:, :, 0],
            covariances=_symmetric(covariances),
        )


def _blocks(top_left: float, top_right: float, low_left: float, low_right: float) -> StateArray:
    """Return a 4x4 matrix of four multiples of the 2x2 identity."""
    return np.kron(np.array([[top_left, top_right], [low_left, low_right]]), np.eye(2))


def _symmetric(matrices: StateArray) -> StateArray:
    """Remove the asymmetry that rounding leaves in products, (N, 4, 4)."""
    symmetric: StateArray = (matrices + matrices.swapaxes(1, 2)) / 2
    return symmetric
