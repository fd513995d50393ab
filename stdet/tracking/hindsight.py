"""The step back of a smoother: what the next frame says of this one.

With P = (p, c, u) the covariance of a state along either axis (``motion.py``) and P_1 = (p_1, c_1,
u_1) that predicted from it n frames later,

    smoothed = filtered + G (smoothed later - predicted),    G = P F' P_1^-1

    G = | p + n c  c |  |  u_1 -c_1 |  / (p_1 u_1 - c_1^2)
        | c + n u  u |  | -c_1  p_1 |

Source:
    Rauch, Tung, Striebel 1965 (AIAA Journal 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def smoothing_gains(filtered: Float, predicted: Float, num_frames: int) -> Float:
    """Return G, float64 (N, 2, 2).

    Args:
        filtered: (p, c, u) of N states, float64 (N, 3).
        predicted: The same, so many frames later.
        num_frames: Between the two.
    """
    p1, c1, u1 = predicted.T[:, :, None]
    carried, kept = filtered[:, :2] + num_frames * filtered[:, 1:], filtered[:, 1:]
    gains = np.empty((len(filtered), 2, 2))
    np.subtract(carried * u1, kept * c1, out=gains[:, :, 0])
    np.subtract(kept * p1, carried * c1, out=gains[:, :, 1])
    gains /= (p1 * u1 - c1 * c1)[:, :, None]
    return gains


def gained(gains: Float, changes: Float) -> Float:
    """Return G times changes of state, float64 (N, 4).

    Args:
        gains: float64 (N, 2, 2).
        changes: x, y in pixels, vx, vy in pixels per frame, float64 (N, 4).
    """
    parts = gains[:, :, :, None] * changes.reshape(-1, 1, 2, 2)
    return np.add(parts[:, :, 0], parts[:, :, 1]).reshape(-1, 4)
