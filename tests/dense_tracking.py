"""Pairings of tracker and track-before-detect scores over all pairs: slow, and plain to read.

Oracles for the sparse ones in ``stdet/tracking``: every track against every detection, one matrix
for the whole frame.
"""

from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
from scipy.optimize import linear_sum_assignment

from stdet.tracking import pairing, track_before_detect
from stdet.tracking.association import Assignment
from stdet.tracking.neighbours import NearPairs
from stdet.tracking.track_before_detect import GATE, START_STD_PX, STEP_STD_PX


def dense_assign(pairs):
    """Do as ``assign`` does."""
    if not len(pairs):
        return Assignment.concatenate()
    matrix = np.zeros((pairs.track_rows.max() + 1, pairs.detection_rows.max() + 1))
    matrix[pairs.track_rows, pairs.detection_rows] = pairs.values
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    is_possible = matrix[rows, columns] > 0
    return Assignment(track_rows=rows[is_possible], detection_rows=columns[is_possible])


def all_within(first_xy, second_xy, radii_px):
    """Do as ``pairs_within`` does."""
    squared = ((second_xy - first_xy[:, None]) ** 2).sum(axis=-1)
    rows, columns = np.nonzero(squared <= radii_px[:, None] ** 2)
    return NearPairs(rows=rows, columns=columns)


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
        patch.multiple(pairing, pairs_within=all_within, assign=dense_assign),
        patch.object(track_before_detect, "_follow", dense_follow),
    ):
        yield
