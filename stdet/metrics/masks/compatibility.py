"""What widely used mask code prints, so that numbers can be set beside published tables.

Three rules, each under its own name, none of them this project's definition (``mask_pd_fa``):

    basicirstd  components, matched first come, first served
    area_key    the same match; false components are told apart by their area only
    dtum        the shooting rule: windows of 1 and 4 px about true pixels, no components

They are written from what the public code does, read in the repositories named below, and checked
by ``tests/golden/masks.json``, whose numbers the public code printed. Their radii are fixed: a
mode with another radius would be nobody's. Which mode a paper used is not always said; the name of
a table's network is no proof, since code was copied and changed between projects.

Not reproduced: the score threshold (BasicIRSTD counts pixels above 0.5, DTUM those at 0.5 as
well), soft truth (BasicIRSTD cuts truth off to whole numbers, so that only full scale is target),
DNANet's fixed 256 x 256 frame in the denominator of Fa and its thresholds in steps of 25.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stdet.metrics.counts import add_fields, ratio
from stdet.metrics.masks.components import Components, check_masks, find_components
from stdet.types import BoolArray, IntArray

CENTROID_RADIUS_PX = 3.0
"""``basicirstd`` and ``area_key``: centroids strictly closer than this hit."""

HIT_REACH_PX = 1
"""``dtum``: a predicted pixel within this many rows and columns of a true one hits."""

FALSE_REACH_PX = 4
"""``dtum``: predicted pixels within this many rows and columns of a true one are never false."""


@dataclass(frozen=True, kw_only=True)
class PublishedCounts:
    """Counts by one published rule, and the rates that follow from them.

    Attributes:
        num_targets: 8-connected components of the truth.
        num_hits: Those of them that the rule calls detected.
        false_pixels: Predicted pixels that the rule calls false.
        num_pixels: Pixels of all frames.
    """

    num_targets: int = 0
    num_hits: int = 0
    false_pixels: int = 0
    num_pixels: int = 0

    def __add__(self, other: PublishedCounts) -> PublishedCounts:
        """Return the counts of both."""
        return add_fields(self, other)

    @property
    def pd(self) -> float:
        """Hits / targets; the public code divides by zero where there are no targets."""
        return ratio(self.num_hits, self.num_targets)

    @property
    def false_pixel_fraction(self) -> float:
        """False pixels / all pixels: what the code prints as Fa."""
        return ratio(self.false_pixels, self.num_pixels)


@dataclass(frozen=True, kw_only=True)
class PublishedModes:
    """The counts of all three rules; see ``basicirstd``, ``area_key`` and ``dtum``."""

    basicirstd: PublishedCounts = field(default_factory=PublishedCounts)
    area_key: PublishedCounts = field(default_factory=PublishedCounts)
    dtum: PublishedCounts = field(default_factory=PublishedCounts)

    def __add__(self, other: PublishedModes) -> PublishedModes:
        """Return the counts of both."""
        return add_fields(self, other)


def published_modes(prediction: BoolArray, truth: BoolArray) -> PublishedModes:
    """Count one pair of masks by all three rules.

    Args:
        prediction: bool (H, W).
        truth: bool (H, W).

    Raises:
        ValueError: If the masks are not bool or differ in shape.
    """
    check_masks(prediction, truth)
    found, targets = find_components(prediction), find_components(truth)
    return PublishedModes(
        basicirstd=basicirstd(found, targets),
        area_key=area_key(found, targets),
        dtum=dtum(found, targets),
    )


def basicirstd(found: Components, targets: Components) -> PublishedCounts:
    """Count as ``PD_FA`` of BasicIRSTD does since January 2024.

    Rule: true components, in the order of their first pixel (row by row), each take the first
    predicted component, in the same order and not yet taken, whose centroid is strictly closer
    than 3 px; not the nearest one. False pixels are those of components that nobody took.

    Used by: BasicIRSTD (github.com/XinyiYing/BasicIRSTD, ``metrics.py``) and the many projects
    that took its file over. Until its issue 12 (January 2024) the same file followed ``area_key``,
    so a table printed with BasicIRSTD may be of either rule.

    Differs from ``mask_pd_fa`` where components are close together: the first comer may take the
    component that another target needed (golden M3: 1 hit of 2 and 1 false pixel; the definition
    finds 2 hits and none). The answer changes when such an image is flipped. Distances are not
    rounded: centroids that are exactly 3 px apart but no binary fractions may hit.

    Args:
        found: Components of the prediction.
        targets: Components of the truth, a mask of the same size.
    """
    _, taken = first_come(found, targets)
    return PublishedCounts(
        num_targets=len(targets),
        num_hits=len(taken),
        false_pixels=int(found.areas.sum() - found.areas[taken].sum()),
        num_pixels=found.labels.size,
    )


def area_key(found: Components, targets: Components) -> PublishedCounts:
    """Count as the ``PD_FA`` of DNANet and its descendants does.

    Rule: hits as in ``basicirstd``. A predicted component is false only if its area equals that of
    no component taken in the same image: areas serve as keys, and a false alarm as large as a hit
    disappears.

    Used by: DNANet (github.com/YeRen123455/Infrared-Small-Target-Detection, ``model/metric.py``),
    BasicIRSTD until January 2024, SCTransNet (github.com/xdFai/SCTransNet, ``metrics.py``; its
    issue 14 discusses the rule), LMAFormer (github.com/lifier/LMAFormer, class ``PD0_FA0``; its
    class ``PD_FA`` is yet another rule, hits by overlap and plain false pixels), and RFR.

    Differs from ``mask_pd_fa`` where ``basicirstd`` does, and has a lower Fa than that wherever a
    false component is as large as a hit (golden M1: 0 false pixels of 4; M10: 0 of 1; M3: 1 hit of
    2, yet no false pixel). One-pixel noise in an image with a one-pixel hit never counts.

    Args:
        found: Components of the prediction.
        targets: Components of the truth, a mask of the same size.
    """
    _, taken = first_come(found, targets)
    has_unseen_area = ~np.isin(found.areas, found.areas[taken])
    return PublishedCounts(
        num_targets=len(targets),
        num_hits=len(taken),
        false_pixels=int(found.areas[has_unseen_area].sum()),
        num_pixels=found.labels.size,
    )


def dtum(found: Components, targets: Components) -> PublishedCounts:
    """Count by the shooting rules of DTUM.

    Rule: a true component is hit when any predicted pixel lies within 1 row and 1 column of any of
    its pixels. Predicted pixels farther than 4 rows or 4 columns from every true pixel are false.
    Predicted components are never looked at, and one blob may hit several targets.

    The windows are array slices whose start is not clipped at 0, and a negative start counts from
    the far border: there the window is empty (in frames of 9 px or more). So true pixels in row or
    column 0 hit nothing, and about true pixels in rows or columns 0 to 3 nothing is excused. The
    bottom and right borders are as they should be. It is part of what the code prints, and kept.

    Used by: DTUM (github.com/TinaLRJ/Multi-frame-infrared-small-target-detection-DTUM,
    ``ShootingRules.py``) and tables on NUDT-MIRSDT in its line. The copy of the file in DeepPro,
    of the same authors, has windows of 2 and 5 px in a public state: that is not this mode.

    Differs from ``mask_pd_fa``: an answer 2 px beside a one-pixel target misses (golden M2b: 0
    hits of 1; M3: 0 of 2); one bar across two targets hits both (M6: 2; the definition says 1); a
    miss within 4 px is not false (M2a: 0 false pixels of 1), nor is a second answer there (M10);
    and near the upper and left border hits are lost or count as false (M8a: 0 hits and 1 false
    pixel for a perfect answer; M8b: 1 false pixel; M1: 8 false pixels, 4 of them the hit's own).

    Args:
        found: Components of the prediction.
        targets: Components of the truth, a mask of the same size.
    """
    is_predicted = found.labels > 0
    is_far = np.ones_like(is_predicted)
    is_hit = np.zeros(len(targets) + 1, np.bool_)
    for row, column in np.argwhere(targets.labels).tolist():
        if is_predicted[_window(row, column, HIT_REACH_PX)].any():
            is_hit[targets.labels[row, column]] = True
        is_far[_window(row, column, FALSE_REACH_PX)] = False
    return PublishedCounts(
        num_targets=len(targets),
        num_hits=int(is_hit.sum()),
        false_pixels=int((is_predicted & is_far).sum()),
        num_pixels=found.labels.size,
    )


def first_come(found: Components, targets: Components) -> tuple[IntArray, IntArray]:
    """Return rows of targets and of the predicted components that they took, first come first."""
    free = list(range(len(found)))
    served, taken = [], []
    for number, target in enumerate(targets.centroids_rc):
        for row in free:
            # The norm of one vector at a time, as in the public code: exactly at 3 px the last bit
            # decides.
            if np.linalg.norm(found.centroids_rc[row] - target) < CENTROID_RADIUS_PX:
                served.append(number)
                taken.append(row)
                free.remove(row)
                break
    return np.array(served, np.int64), np.array(taken, np.int64)


def _window(row: int, column: int, reach: int) -> tuple[slice, slice]:
    """Return the window about a pixel, its start deliberately not clipped at 0; see ``dtum``."""
    return (
        slice(row - reach, row + reach + 1),
        slice(column - reach, column + reach + 1),
    )
