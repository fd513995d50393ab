"""Which detection belongs to which track: cost, gate and assignment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from stdet.tracking.motion import StateArray
from stdet.types import IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Assignment:
    """One-to-one pairs of tracks and detections.

    Attributes:
        track_rows: int64 (K,).
        detection_rows: int64 (K,), the partner of each.
    """

    track_rows: IntArray
    detection_rows: IntArray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.track_rows)

    @classmethod
    def concatenate(cls, first: Assignment, second: Assignment) -> Assignment:
        """Return the pairs of both; they must not share a track or a detection."""
        return cls(
            track_rows=np.concatenate([first.track_rows, second.track_rows]),
            detection_rows=np.concatenate([first.detection_rows, second.detection_rows]),
        )


def association_cost(
    predicted_xy: StateArray,
    innovation_covariances: StateArray,
    measured_xy: StateArray,
    *,
    gate_sigma: float,
    gate_px: float,
) -> StateArray:
    """Price each pair of track and detection by how unlikely it is.

    The price is d^2 + log det S, with d^2 = nu' S^-1 nu the squared Mahalanobis distance of the
    innovation nu: twice the negative log likelihood of a Gaussian, up to a constant. Without
    log det S a track that knows little (large S, hence small d) would steal the detections of
    tracks that know much.

    Args:
        predicted_xy: Predicted centres, float (N, 2), pixels.
        innovation_covariances: S of each track, float (N, 2, 2), pixels squared.
        measured_xy: Detected centres, float (M, 2), pixels.
        gate_sigma: Largest d of a possible pair.
        gate_px: Largest Euclidean distance of a possible pair, pixels.

    Returns:
        float64 (N, M), inf where a pair lies outside either gate.
    """
    innovation = measured_xy[None, :, :] - predicted_xy[:, None, :]  # (N, M, 2)
    precision = np.linalg.inv(innovation_covariances)
    distance_squared = np.einsum("nmi,nij,nmj->nm", innovation, precision, innovation)
    log_determinant = np.linalg.slogdet(innovation_covariances).logabsdet
    is_inside = (distance_squared <= gate_sigma**2) & (
        np.hypot(innovation[..., 0], innovation[..., 1]) <= gate_px
    )
    return np.where(is_inside, distance_squared + log_determinant[:, None], np.inf)


def assign(cost: StateArray) -> Assignment:
    """Choose the one-to-one pairs: as many as possible, and among those the cheapest sum.

    Args:
        cost: float (N, M), inf where a pair is impossible. N or M may be 0.

    Returns:
        The pairs, all of finite cost.

    Example:
        >>> pairs = assign(np.array([[1.0, 2.0], [1.5, np.inf]]))
        >>> pairs.track_rows, pairs.detection_rows
        (array([0, 1]), array([1, 0]))
    """
    is_possible = np.isfinite(cost)
    if not is_possible.any():
        nothing = np.zeros(0, np.int64)
        return Assignment(track_rows=nothing, detection_rows=nothing)
    lowest = cost[is_possible].min()
    span = cost[is_possible].max() - lowest
    # One impossible pair costs more than any full set of possible ones.
    forbidden = (span + 1) * (min(cost.shape) + 1)
    rows, columns = linear_sum_assignment(np.where(is_possible, cost - lowest, forbidden))
    kept = is_possible[rows, columns]
    return Assignment(track_rows=rows[kept], detection_rows=columns[kept])
