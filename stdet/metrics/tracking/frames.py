"""Truth and tracks of a sequence, frame by frame: who is there, and how far apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.metrics.detection.matching import match_points
from stdet.types import FloatArray, IntArray, SequenceAnnotation, Tracks

Distance = Callable[[FloatArray, FloatArray], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackingFrame:
    """One frame of tracking: who is there, and how far apart.

    Attributes:
        gt_ids: int64 (N,), identities numbered from 0 without gaps over the sequence.
        pred_ids: int64 (M,), likewise.
        distances: float64 (N, M), pixels or 1 - IoU.
    """

    gt_ids: IntArray
    pred_ids: IntArray
    distances: NDArray[np.float64]


def busy_frames(annotation: SequenceAnnotation, tracks: Tracks) -> IntArray:
    """Return the frames that hold a target or a track; no count depends on the others."""
    return np.union1d(annotation.frame_indices, tracks.frame_indices)


def pair_frames(
    annotation: SequenceAnnotation, tracks: Tracks, *, distance: Distance, gate: float
) -> list[TrackingFrame]:
    """Pair truth and tracks in every busy frame, without what is ignored.

    Ignored truth, and the track rows matched to it within the gate once the counted targets of the
    frame are served, are left out.

    Args:
        annotation: The truth, with identities.
        tracks: Rows of the whole sequence.
        distance: Of each predicted box to each true one, (N, 4) and (M, 4) to (N, M).
        gate: Largest distance of a match, inclusive.

    Raises:
        ValueError: If the truth has no identities.
    """
    if not annotation.has_identities:
        raise ValueError(
            f"{annotation.name}: truth has no identities; expected every track id known. Link it "
            "with identify_truth first."
        )
    _, gt_ids = np.unique(annotation.track_ids, return_inverse=True)
    _, pred_ids = np.unique(tracks.track_ids, return_inverse=True)
    frames = []
    for frame_index in busy_frames(annotation, tracks).tolist():
        gt_rows = annotation.rows_at(frame_index)
        low, high = np.searchsorted(tracks.frame_indices, [frame_index, frame_index + 1])
        distances = distance(tracks.boxes_xyxy[low:high], annotation.boxes_xyxy[gt_rows])
        is_ignored = annotation.is_ignored[gt_rows]
        is_kept = np.ones(high - low, np.bool_)
        if is_ignored.any():
            matches = match_points(
                distances, limit=np.nextafter(gate, np.inf), is_ignored=is_ignored
            )
            is_kept[matches.pred_indices[is_ignored[matches.gt_indices]]] = False
        frames.append(
            TrackingFrame(
                gt_ids=gt_ids[gt_rows][~is_ignored],
                pred_ids=pred_ids[low:high][is_kept],
                distances=distances[is_kept][:, ~is_ignored].T,
            )
        )
    return frames
