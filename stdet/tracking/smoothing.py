"""The path of one target from all its detections, earlier and later ones (offline).

A target has the state x = (x, y, vx, vy) of ``motion.py`` and white acceleration. How strongly it
accelerates and how well it is measured differ from target to target. The filter runs with several
values at once, and the most likely pair smooths the path:

    forward    x_{t|t-1} = A x_{t-1},  P_{t|t-1} = A P_{t-1} A' + Q,  then the Kalman update
    backward   C = P_t A' P_{t+1|t}^-1
               x_{t|T} = x_t + C (x_{t+1|T} - x_{t+1|t})
               P_{t|T} = P_t + C (P_{t+1|T} - P_{t+1|t}) C'

A carries the state with the scene, by the transform from one frame to the next. A step that no
acceleration explains is a leap: frames are missing in the recording, or the transform is wrong.
With the prior ``_LEAP_SHARE`` the position is taken as unknown within ``LEAP_STD_PX`` there.

Source:
    Rauch, Tung, Striebel 1965 (AIAA Journal 3). The leaps are a two-component mixture of which the
    likelier component is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.registration.transform import Transform
from stdet.tracking.motion import carried_means

Float = NDArray[np.float64]

ACCELERATION_STDS_PX = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Candidates, pixels per frame squared."""
MEASUREMENT_STDS_PX = (0.3, 1.0)
"""Candidates, pixels."""
START_SPEED_STD_PX = 10.0
"""Of a target before its second detection, pixels per frame."""
LEAP_STD_PX = 15.0
_LEAP_SHARE = 1e-3
_PRIOR_STD = np.log(5.0)
"""Of the logarithm of the acceleration about the middle candidate: short paths say little."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """From one frame of a stream to the next.

    Attributes:
        num_frames: Frames between the two, at least 1.
        transform: Where the background of the first lies in the second; None where not known.
    """

    num_frames: int = 1
    transform: Transform | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SmoothPath:
    """A path in T successive frames of a stream.

    Attributes:
        means: Smoothed states, float64 (T, 4): x, y in pixels, vx, vy in pixels per frame.
        covariances: Of them, float64 (T, 4, 4).
        acceleration_std_px: The most likely candidate, pixels per frame squared.
        measurement_std_px: The most likely candidate, pixels.
    """

    means: Float
    covariances: Float
    acceleration_std_px: float
    measurement_std_px: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Filtered:
    """States of G candidates in one frame, and how they came from the frame before.

    Attributes:
        transition: A, float64 (G, 4, 4).
        predicted: (G, 4).
        predicted_covariances: (G, 4, 4).
        means: (G, 4).
        covariances: (G, 4, 4).
    """

    transition: Float
    predicted: Float
    predicted_covariances: Float
    means: Float
    covariances: Float


def smooth_path(centres_xy: Float, steps: Sequence[Step]) -> SmoothPath:
    """Smooth one path.

    Args:
        centres_xy: Detected centres, float64 (T, 2), pixels; NaN in frames without one, but not in
            the first.
        steps: T - 1, from each frame to the next.
    """
    accelerations, noises = (
        grid.ravel() for grid in np.meshgrid(ACCELERATION_STDS_PX, MEASUREMENT_STDS_PX)
    )
    middle = ACCELERATION_STDS_PX[len(ACCELERATION_STDS_PX) // 2]
    likelihood = -((np.log(accelerations / middle) / _PRIOR_STD) ** 2) / 2
    frames = [_begin(centres_xy[0], noises)]
    for centre_xy, step in zip(centres_xy[1:], steps, strict=True):
        means, covariances, transition = predict(
            frames[-1].means, frames[-1].covariances, step, accelerations
        )
        filtered = _Filtered(
            transition=transition,
            predicted=means,
            predicted_covariances=covariances,
            means=means,
            covariances=covariances,
        )
        if not np.isnan(centre_xy[0]):
            filtered, gain = _update(filtered, centre_xy, noises)
            likelihood += gain
        frames.append(filtered)
    best = int(np.argmax(likelihood))
    means, covariances = _backward(frames, best)
    return SmoothPath(
        means=means,
        covariances=covariances,
        acceleration_std_px=float(accelerations[best]),
        measurement_std_px=float(noises[best]),
    )


def predict(
    means: Float, covariances: Float, step: Step, acceleration_stds_px: Float
) -> tuple[Float, Float, Float]:
    """Move states to the next frame.

    Args:
        means: float64 (G, 4).
        covariances: float64 (G, 4, 4).
        step: To the next frame.
        acceleration_stds_px: float64 (G,), pixels per frame squared.

    Returns:
        Means, covariances, and the transitions A, float64 (G, 4, 4).
    """
    n = float(step.num_frames)
    transition = np.tile(_blocks(1.0, n, 0.0, 1.0), (len(means), 1, 1))
    noise = _blocks(n**3 / 3 - n / 12, n**2 / 2, n**2 / 2, n)
    means = (transition @ means[:, :, None])[:, :, 0]
    covariances = transition @ covariances @ transition.swapaxes(1, 2)
    covariances = covariances + noise * acceleration_stds_px[:, None, None] ** 2
    if step.transform is not None:
        slopes = step.transform.linear_at(means[:, :2])
        linear = np.zeros_like(transition)
        linear[:, :2, :2] = linear[:, 2:, 2:] = slopes
        means = carried_means(means, step.transform, slopes)
        covariances = linear @ covariances @ linear.swapaxes(1, 2)
        transition = linear @ transition
    return means, covariances, transition


def log_normal(differences: Float, covariances: Float) -> Float:
    """Return the logarithm of the normal density at differences (G, D), float64 (G,)."""
    solved = np.linalg.solve(covariances, differences[:, :, None])[:, :, 0]
    squared = (differences * solved).sum(axis=1)
    logs = np.linalg.slogdet(covariances).logabsdet
    density: Float = -(squared + logs + differences.shape[1] * np.log(2 * np.pi)) / 2
    return density


def log_step(differences: Float, covariances: Float) -> Float:
    """Return the logarithm of the density at differences that may hold a leap.

    Args:
        differences: float64 (G, D), the first two of them of positions, pixels.
        covariances: Of them without a leap, float64 (G, D, D).

    Returns:
        float64 (G,), of the likelier of the two: no leap, or one.
    """
    return np.maximum(*_log_parts(differences, covariances))


def _log_parts(differences: Float, covariances: Float) -> tuple[Float, Float]:
    """Return logarithms of the density without a leap and with one, each times its prior."""
    near = np.log1p(-_LEAP_SHARE) + log_normal(differences, covariances)
    far = np.log(_LEAP_SHARE) + log_normal(differences, _leapt(covariances))
    return near, far


def _leapt(covariances: Float) -> Float:
    """Return covariances with the uncertainty of a leap added."""
    leapt = covariances.copy()
    leapt[:, [0, 1], [0, 1]] += LEAP_STD_PX**2
    return leapt


def _begin(centre_xy: Float, noises: Float) -> _Filtered:
    """Return the states of the first frame."""
    num = len(noises)
    means = np.tile([*centre_xy, 0.0, 0.0], (num, 1))
    covariances = np.zeros((num, 4, 4))
    covariances[:, [0, 1], [0, 1]] = noises[:, None] ** 2
    covariances[:, [2, 3], [2, 3]] = START_SPEED_STD_PX**2
    return _Filtered(
        transition=np.tile(np.eye(4), (num, 1, 1)),
        predicted=means,
        predicted_covariances=covariances,
        means=means,
        covariances=covariances,
    )


def _update(frame: _Filtered, centre_xy: Float, noises: Float) -> tuple[_Filtered, Float]:
    """Correct the states by a detected centre; return log-likelihoods (G,) too."""
    measured = noises[:, None, None] ** 2 * np.eye(2)
    innovation = centre_xy - frame.predicted[:, :2]
    predicted = frame.predicted_covariances
    near, far = _log_parts(innovation, predicted[:, :2, :2] + measured)
    predicted = np.where((far > near)[:, None, None], _leapt(predicted), predicted)
    cross = predicted[:, :, :2]
    gain = cross @ np.linalg.inv(predicted[:, :2, :2] + measured)
    covariances = predicted - gain @ cross.swapaxes(1, 2)
    corrected = _Filtered(
        transition=frame.transition,
        predicted=frame.predicted,
        predicted_covariances=predicted,
        means=frame.predicted + (gain @ innovation[:, :, None])[:, :, 0],
        covariances=(covariances + covariances.swapaxes(1, 2)) / 2,
    )
    return corrected, np.maximum(near, far)


def _backward(frames: Sequence[_Filtered], best: int) -> tuple[Float, Float]:
    """Return smoothed means (T, 4) and covariances (T, 4, 4) of one candidate."""
    means = np.stack([frame.means[best] for frame in frames])
    covariances = np.stack([frame.covariances[best] for frame in frames])
    for at in range(len(frames) - 2, -1, -1):
        after = frames[at + 1]
        predicted = after.predicted_covariances[best]
        gain = np.linalg.solve(predicted, after.transition[best] @ covariances[at]).T
        means[at] += gain @ (means[at + 1] - after.predicted[best])
        covariances[at] += gain @ (covariances[at + 1] - predicted) @ gain.T
    return means, covariances


def _blocks(top_left: float, top_right: float, low_left: float, low_right: float) -> Float:
    """Return a 4x4 matrix of four multiples of the 2x2 identity."""
    return np.kron(np.array([[top_left, top_right], [low_left, low_right]]), np.eye(2))
