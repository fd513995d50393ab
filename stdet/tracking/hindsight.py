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
    """Return G, float64 (2, 2, 1, N): columns, rows, both axes of the picture, states.

    Args:
        filtered: (p, c, u) of N states, float64 (3, N).
        predicted: The same, so many frames later.
        num_frames: Between the two.
    """
    place, both, velocity = predicted
    place, both, velocity = predicted / (place * velocity - both * both)
    kept = filtered[1:]
    carried = filtered[:2] + (kept if num_frames == 1 else num_frames * kept)
    gains = np.empty((2, 2, 1, filtered.shape[1]))
    np.subtract(carried * velocity, kept * both, out=gains[0, :, 0])
    np.subtract(kept * place, carried * both, out=gains[1, :, 0])
    return gains


def gain(gains: Float, changes: Float) -> None:
    """Replace changes of state by G times them.

    Args:
        gains: Of N states, as ``smoothing_gains`` returns them.
        changes: x, y in pixels, vx, vy in pixels per frame, float64 (4, N), without gaps.
    """
    by_place, by_velocity = gains
    whole = by_place * changes[:2]
    whole += by_velocity * changes[2:]
    changes[:] = whole.reshape(changes.shape)
