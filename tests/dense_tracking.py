"""Pairings of tracker and track-before-detect scores over all pairs: slow, and plain to read.

Oracles for the sparse ones in ``stdet/tracking``: every track against every detection, one matrix
for the whole frame.
"""

from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
from scipy.optimize import linear_sum_assignment

from stdet.tracking import track_before_detect, tracker
from stdet.tracking.association import Assignment, PricedPairs
from stdet.tracking.track_before_detect import GATE, START_STD_PX, STEP_STD_PX


def dense_cost(predicted_xy, innovation_covariances, measured_xy, *, gate_sigma, gate_px):
    """Price all pairs, (N, M); inf outside the gates."""
    innovation = measured_xy[None, :, :] - predicted_xy[:, None, :]  # (N, M, 2)
    precision = np.linalg.inv(innovation_covariances)
    distance_squared = np.einsum("nmi,nij,nmj->nm", innovation, precision, innovation)
    log_determinant = np.linalg.slogdet(innovation_covariances).logabsdet
    is_inside = (distance_squared <= gate_sigma**2) & (
        np.hypot(innovation[..., 0], innovation[..., 1]) <= gate_px
    )
    return np.where(is_inside, distance_squared + log_determinant[:, None], np.inf)


def dense_pairs(*args, **gates):
    """Do as ``possible_pairs`` does."""
    cost = dense_cost(*args, **gates)
    rows, columns = np.nonzero(np.isfinite(cost))
    return PricedPairs(track_rows=rows, detection_rows=columns, costs=cost[rows, columns])


def dense_assign(pairs):
    """Do as ``assign`` does."""
    if not len(pairs):
        return Assignment.concatenate()
    costs = pairs.costs - pairs.costs.min()
    shape = (pairs.track_rows.max() + 1, pairs.detection_rows.max() + 1)
    forbidden = (costs.max() + 1) * (min(shape) + 1)
    matrix = np.full(shape, forbidden)
    matrix[pairs.track_rows, pairs.detection_rows] = costs
    rows, columns = linear_sum_assignment(matrix)
    is_possible = matrix[rows, columns] < forbidden
    return Assignment(track_rows=rows[is_possible], detection_rows=columns[is_possible])


def dense_follow(paths, xy, log_odds):
    """Do as ``track_before_detect._follow`` does."""
    if not len(xy) or not len(paths.xy):
        return np.full(len(xy), -1, np.int64)
    std_px = np.where(paths.is_new, START_STD_PX, STEP_STD_PX)
    moved, stayed = (
        ((xy[:, None] - places) ** 2).sum(axis=-1) / std_px**2
        for places in (paths.xy, paths.stayed_xy)
    )
    squared = np.minimum(moved, stayed)
    likely = np.where(squared <= GATE**2, paths.evidence - squared / 2, -np.inf)
    follower = (likely + log_odds[:, None]).argmax(axis=0)
    is_offered = np.zeros(likely.shape, np.bool_)
    is_offered[follower, np.arange(len(paths.xy))] = True
    offers = np.where(is_offered, likely, -np.inf)
    best = offers.argmax(axis=1)
    return np.where(np.isfinite(offers[np.arange(len(xy)), best]), best, -1)


@contextmanager
def all_pairs():
    """Let the tracker and the track-before-detect scores look at all pairs for a while."""
    with (
        patch.multiple(tracker, possible_pairs=dense_pairs, assign=dense_assign),
        patch.object(track_before_detect, "_follow", dense_follow),
    ):
        yield
