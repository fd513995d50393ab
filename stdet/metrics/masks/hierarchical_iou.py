"""The mask protocols of PyIRSTDMetrics: two ways of matching, and the hierarchical IoU (hIoU).

Source:
    Pang et al. 2025, "Rethinking Evaluation of Infrared Small Target Detection"
    (arXiv 2509.16888), and what its package PyIRSTDMetrics 1.0.2 prints. ``as_printed`` are the
    numbers of the package. It fills matrices without rows or columns up to one: by its
    overlap-priority matching, a frame without targets counts as one target missed, and a frame
    without predictions as one false target. The other numbers leave these out. Where nothing is
    there to divide by, the package gives 0, and this NaN.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stdet.metrics.counts import add_fields, ratio
from stdet.metrics.masks.compatibility import CENTROID_RADIUS_PX, first_come
from stdet.metrics.masks.components import Components
from stdet.types import BoolArray, IntArray

MIN_OVERLAP = 0.5
"""Pairs with this IoU match before any other."""

Pairs = tuple[IntArray, IntArray]
"""Rows of matched true components, and of the predicted ones, in the same order."""


@dataclass(frozen=True, kw_only=True)
class HierarchicalErrors:
    """What keeps the hierarchical IoU from 1.

    Attributes:
        merging_sum: Sum over hits of (pixels of other targets) / (union of the pair).
        interference_sum: Of (predicted pixels of no target) / union.
        perception_sum: Of (pixels of the target that are not predicted) / union.
        num_interference: Predictions that neither overlap nor near any target makes possible.
        num_perception: Targets that no prediction makes possible.
        num_multiple_to_single: Further predictions that are false although a pair was possible.
        num_single_to_multiple: Further targets that are missed although a pair was possible.
    """

    merging_sum: float = 0.0
    interference_sum: float = 0.0
    perception_sum: float = 0.0
    num_interference: int = 0
    num_perception: int = 0
    num_multiple_to_single: int = 0
    num_single_to_multiple: int = 0

    def __add__(self, other: HierarchicalErrors) -> HierarchicalErrors:
        """Return the sums of both."""
        return add_fields(self, other)


@dataclass(frozen=True, kw_only=True)
class HierarchicalIou:
    """Counts by one way of matching, and the rates that follow from them.

    Attributes:
        num_hits: Matched pairs of components.
        num_missed: True components without a match.
        num_false: Predicted components without a match.
        false_pixels: Pixels of those.
        iou_sum: Sum over matched pairs of their IoU.
        num_pixels: Pixels of all frames.
        phantom_missed: Frames without a target, where the package counts a missed one.
        phantom_false: Frames without a prediction, where it counts a false one.
        errors: What keeps hIoU from 1; by overlap-priority matching alone.
    """

    num_hits: int = 0
    num_missed: int = 0
    num_false: int = 0
    false_pixels: int = 0
    iou_sum: float = 0.0
    num_pixels: int = 0
    phantom_missed: int = 0
    phantom_false: int = 0
    errors: HierarchicalErrors = field(default_factory=HierarchicalErrors)

    def __add__(self, other: HierarchicalIou) -> HierarchicalIou:
        """Return the counts of both."""
        return add_fields(self, other)

    @property
    def as_printed(self) -> HierarchicalIou:
        """The counts of the package, with a target missed or false in frames without any."""
        errors = dataclasses.replace(
            self.errors,
            num_interference=self.errors.num_interference + self.phantom_false,
            num_perception=self.errors.num_perception + self.phantom_missed,
        )
        return dataclasses.replace(
            self,
            num_missed=self.num_missed + self.phantom_missed,
            num_false=self.num_false + self.phantom_false,
            errors=errors,
        )

    @property
    def pd(self) -> float:
        """Hits / targets."""
        return ratio(self.num_hits, self.num_hits + self.num_missed)

    @property
    def false_pixel_fraction(self) -> float:
        """Pixels of false components / all pixels."""
        return ratio(self.false_pixels, self.num_pixels)

    @property
    def segmentation_iou(self) -> float:
        """Mean IoU of the matched pairs."""
        return ratio(self.iou_sum, self.num_hits)

    @property
    def location_iou(self) -> float:
        """Hits / (hits + missed + false)."""
        return ratio(self.num_hits, self.num_all)

    @property
    def hiou(self) -> float:
        """Segmentation IoU times location IoU; 0 where there are components but no hit."""
        return ratio(self.iou_sum, self.num_all)

    @property
    def num_all(self) -> int:
        """Hits + missed + false, the denominator of the location IoU."""
        return self.num_hits + self.num_missed + self.num_false


def distance_only(found: Components, targets: Components) -> HierarchicalIou:
    """Match by centroids: first come, first served within 3 px, as BasicIRSTD.

    Args:
        found: Components of the prediction.
        targets: Components of the truth, a mask of the same size.
    """
    return _count(found, targets, first_come(found, targets), _overlap_pixels(found, targets))


def overlap_priority(found: Components, targets: Components) -> HierarchicalIou:
    """Match by overlap, then by distance ("overlap priority with distance compensation").

    Rule: all components are assigned one to one so that the sum of their centroid distances is
    least; assigned pairs with an IoU of 0.5 and more hit. The rest are assigned again in the same
    way; pairs with centroids closer than 3 px hit.

    The sum runs over pairs that can never hit as well. So it may give up a pair of 1 px for a
    smaller sum elsewhere, and hit less than the best assignment.

    Args:
        found: Components of the prediction.
        targets: Components of the truth, a mask of the same size.
    """
    shared = _overlap_pixels(found, targets)
    if not len(found) or not len(targets):
        none = np.zeros(0, np.int64)
        alone = _count(found, targets, (none, none), shared)
        errors = HierarchicalErrors(num_interference=len(found), num_perception=len(targets))
        return dataclasses.replace(
            alone,
            phantom_missed=int(not len(targets)),
            phantom_false=int(not len(found)),
            errors=errors,
        )
    distances = np.linalg.norm(targets.centroids_rc[:, None] - found.centroids_rc[None], axis=2)
    is_overlap = shared / _unions(found, targets, shared) >= MIN_OVERLAP
    is_near = distances < CENTROID_RADIUS_PX
    pairs = _match_in_two_steps(distances, is_overlap, is_near)
    counts = _count(found, targets, pairs, shared)
    errors = _count_errors(found, targets, pairs, shared, is_overlap | is_near)
    return dataclasses.replace(counts, errors=errors)


def _match_in_two_steps(
    distances: NDArray[np.float64], is_overlap: BoolArray, is_near: BoolArray
) -> Pairs:
    """Return the pairs of ``overlap_priority``, (M, N) to rows of both."""
    rows, columns = linear_sum_assignment(distances)
    is_hit = is_overlap[rows, columns]
    rows, columns = rows[is_hit], columns[is_hit]
    free_rows = np.setdiff1d(np.arange(len(distances)), rows)
    free_columns = np.setdiff1d(np.arange(distances.shape[1]), columns)
    more_rows, more_columns = linear_sum_assignment(distances[np.ix_(free_rows, free_columns)])
    more_rows, more_columns = free_rows[more_rows], free_columns[more_columns]
    is_hit = is_near[more_rows, more_columns]
    return (
        np.concatenate([rows, more_rows[is_hit]]),
        np.concatenate([columns, more_columns[is_hit]]),
    )


def _overlap_pixels(found: Components, targets: Components) -> IntArray:
    """Count the pixels that each pair of components shares, int64 (M, N)."""
    shared = np.zeros((len(targets) + 1, len(found) + 1), np.int64)
    is_both = (targets.labels > 0) & (found.labels > 0)
    np.add.at(shared, (targets.labels[is_both], found.labels[is_both]), 1)
    return shared[1:, 1:]


def _unions(found: Components, targets: Components, shared: IntArray) -> IntArray:
    """Count the pixels of the union of each pair, int64 (M, N)."""
    unions: IntArray = targets.areas[:, None] + found.areas[None] - shared
    return unions


def _count(
    found: Components, targets: Components, pairs: Pairs, shared: IntArray
) -> HierarchicalIou:
    """Return the counts of matched pairs, without errors."""
    ious = shared[pairs] / _unions(found, targets, shared)[pairs]
    return HierarchicalIou(
        num_hits=len(ious),
        num_missed=len(targets) - len(ious),
        num_false=len(found) - len(ious),
        false_pixels=int(found.areas.sum() - found.areas[pairs[1]].sum()),
        iou_sum=float(ious.sum()),
        num_pixels=found.labels.size,
    )


def _count_errors(
    found: Components, targets: Components, pairs: Pairs, shared: IntArray, is_possible: BoolArray
) -> HierarchicalErrors:
    """Return what went wrong within pairs and with components that have none."""
    unions, own = _unions(found, targets, shared)[pairs], shared[pairs]
    of_others = shared.sum(axis=0)[pairs[1]] - own
    num_missed, num_false = len(targets) - len(own), len(found) - len(own)
    num_hopeless_targets = int((~is_possible.any(axis=1)).sum())
    num_hopeless_found = int((~is_possible.any(axis=0)).sum())
    return HierarchicalErrors(
        merging_sum=float((of_others / unions).sum()),
        interference_sum=float(((found.areas[pairs[1]] - own - of_others) / unions).sum()),
        perception_sum=float(((targets.areas[pairs[0]] - own) / unions).sum()),
        num_interference=num_hopeless_found,
        num_perception=num_hopeless_targets,
        num_multiple_to_single=num_false - num_hopeless_found,
        num_single_to_multiple=num_missed - num_hopeless_targets,
    )
