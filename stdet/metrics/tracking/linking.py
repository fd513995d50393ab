"""Identities for truth that has none.

No infrared data set of the field labels identities, and no tracking metric exists without them.
Where a sequence never has two targets that count in one frame, the identity is given. Elsewhere
the truth is linked by one rule, and reports name the sequences where that happened, because links
are a guess.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from stdet.boxes import centre_distance
from stdet.metrics.detection.matching import match_points
from stdet.types import IntArray, SequenceAnnotation


@dataclass(frozen=True, kw_only=True, eq=False)
class IdentifiedTruth:
    """Truth with identities.

    Attributes:
        annotation: Every row has a track id.
        is_linked: Whether ids were guessed by linking, rather than given.
    """

    annotation: SequenceAnnotation
    is_linked: bool


def identify_truth(annotation: SequenceAnnotation, *, link_gate_px: float) -> IdentifiedTruth:
    """Give each target an identity.

    Identities in the file are kept. With one target per frame at most, it is identity 1, gaps
    included, and those to ignore beside it have others. Otherwise targets of consecutive frames
    are linked by the one-to-one assignment of smallest total centre distance among those with most
    links; a target without a predecessor within the gate is new, so one that is absent for a frame
    comes back under a new id.

    Args:
        annotation: The truth.
        link_gate_px: Largest step that links, pixels, inclusive.

    Returns:
        The truth with identities, rows sorted by (frame, id).
    """
    if annotation.has_identities:
        return IdentifiedTruth(annotation=annotation, is_linked=False)
    if (np.diff(annotation.frame_indices[~annotation.is_ignored]) > 0).all():
        order = np.lexsort((annotation.is_ignored, annotation.frame_indices))
        frames = annotation.frame_indices[order]
        given = 1 + np.arange(len(frames)) - np.searchsorted(frames, frames)
        return IdentifiedTruth(annotation=_in_order(annotation, order, given), is_linked=False)
    track_ids = _link(annotation, link_gate_px)
    order = np.lexsort((track_ids, annotation.frame_indices))
    linked = _in_order(annotation, order, track_ids[order])
    return IdentifiedTruth(annotation=linked, is_linked=True)


def _in_order(
    annotation: SequenceAnnotation, order: IntArray, track_ids: IntArray
) -> SequenceAnnotation:
    """Return the truth with its rows in another order, which ids are given in."""
    return dataclasses.replace(
        annotation,
        frame_indices=annotation.frame_indices[order],
        track_ids=track_ids,
        boxes_xyxy=annotation.boxes_xyxy[order],
        class_ids=annotation.class_ids[order],
        is_ignored=annotation.is_ignored[order],
    )


def _link(annotation: SequenceAnnotation, link_gate_px: float) -> IntArray:
    """Return one track id per row, counted from 1."""
    track_ids = np.zeros(len(annotation), np.int64)
    boxes, num_ids = annotation.boxes_xyxy, 0
    previous, last = slice(0, 0), -1
    for frame_index in np.unique(annotation.frame_indices).tolist():
        if frame_index > last + 1:  # Nothing was there in the frame before.
            previous = slice(0, 0)
        last = frame_index
        rows = annotation.rows_at(frame_index)
        matches = match_points(
            centre_distance(boxes[rows], boxes[previous]),
            limit=np.nextafter(link_gate_px, np.inf),
        )
        frame_ids = track_ids[rows]  # A view: writing to it fills track_ids.
        frame_ids[matches.pred_indices] = track_ids[previous][matches.gt_indices]
        is_new = frame_ids == 0
        frame_ids[is_new] = num_ids + 1 + np.arange(is_new.sum())
        num_ids += int(is_new.sum())
        previous = rows
    return track_ids
