"""What becomes of targets and tracks over time: the questions that IRST users ask.

A track and a target match in a frame by the one-to-one assignment of most pairs, then least total
centre distance, within an inclusive gate. Ignored truth takes part, so that a track on it is not
false, and counts in no score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import centre_distance
from stdet.metrics.counts import add_fields, ratio
from stdet.metrics.detection.matching import match_points
from stdet.types import IntArray, SequenceAnnotation, Tracks

FALSE_TRACK_SHARE = 0.5
"""A track is false when less than this share of its rows matches a target."""


@dataclass(frozen=True, kw_only=True)
class TrackQuality:
    """Counts over the identities and tracks of one or more sequences.

    Attributes:
        num_identities: True identities with at least one row that is not ignored.
        num_confirmed: Of these, how many a confirmed track ever matched.
        frames_to_confirmation: Sum over those of the frames from the first of the target to the
            first in which a track matches it.
        seconds_to_confirmation: The same sum in seconds; NaN as soon as one sequence has no frame
            rate.
        completeness_sum: Sum over identities of the share of their rows that a track matches.
        num_tracks: Tracks.
        num_false_tracks: Tracks of which less than half of the rows match a target.
        purity_sum: Sum over the other tracks of the share of their matched rows that lies on the
            target they match most.
        num_frames: Frames.
        seconds: Duration; NaN as soon as one sequence has no frame rate.
    """

    num_identities: int = 0
    num_confirmed: int = 0
    frames_to_confirmation: int = 0
    seconds_to_confirmation: float = 0.0
    completeness_sum: float = 0.0
    num_tracks: int = 0
    num_false_tracks: int = 0
    purity_sum: float = 0.0
    num_frames: int = 0
    seconds: float = 0.0

    def __add__(self, other: TrackQuality) -> TrackQuality:
        """Return the counts of both."""
        return add_fields(self, other)

    @property
    def mean_frames_to_confirmation(self) -> float:
        """Mean delay of confirmed targets, frames; NaN where none was confirmed."""
        return ratio(self.frames_to_confirmation, self.num_confirmed)

    @property
    def mean_seconds_to_confirmation(self) -> float:
        """Mean delay of confirmed targets, seconds; NaN where the frame rate is not known too."""
        return ratio(self.seconds_to_confirmation, self.num_confirmed)

    @property
    def completeness(self) -> float:
        """Mean share of a target's frames in which a track is on it; NaN without targets."""
        return ratio(self.completeness_sum, self.num_identities)

    @property
    def purity(self) -> float:
        """Mean share of a track's matches that lie on one target; NaN without true tracks."""
        return ratio(self.purity_sum, self.num_tracks - self.num_false_tracks)

    @property
    def false_tracks_per_1000_frames(self) -> float:
        """1000 false tracks / frames."""
        return ratio(1000 * self.num_false_tracks, self.num_frames)


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchedRows:
    """Matches of a whole sequence.

    Attributes:
        gt_rows: int64 (P,), rows of the truth, frames ascending.
        track_rows: int64 (P,), the row of the tracks matched to each.
    """

    gt_rows: IntArray
    track_rows: IntArray


def match_rows(annotation: SequenceAnnotation, tracks: Tracks, *, gate_px: float) -> MatchedRows:
    """Match tracks to truth, frame by frame.

    Args:
        annotation: The truth.
        tracks: Rows of the whole sequence.
        gate_px: Largest centre distance of a match, pixels, inclusive.

    Returns:
        The matches.
    """
    gt_rows, track_rows = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    limit = float(np.nextafter(gate_px, np.inf))
    for frame_index in np.intersect1d(annotation.frame_indices, tracks.frame_indices).tolist():
        rows = annotation.rows_at(frame_index)
        low, high = np.searchsorted(tracks.frame_indices, [frame_index, frame_index + 1])
        matches = match_points(
            centre_distance(tracks.boxes_xyxy[low:high], annotation.boxes_xyxy[rows]),
            limit=limit,
            is_ignored=annotation.is_ignored[rows],
        )
        gt_rows.append(matches.gt_indices + rows.start)
        track_rows.append(matches.pred_indices + low)
    return MatchedRows(gt_rows=np.concatenate(gt_rows), track_rows=np.concatenate(track_rows))


def count_track_quality(
    annotation: SequenceAnnotation, tracks: Tracks, *, gate_px: float
) -> TrackQuality:
    """Count over one sequence.

    Args:
        annotation: The truth, with identities.
        tracks: Rows of the whole sequence.
        gate_px: Largest centre distance of a match, pixels, inclusive.

    Returns:
        The counts.
    """
    found = match_rows(annotation, tracks, gate_px=gate_px)
    is_found = np.zeros(len(annotation), np.bool_)
    is_found[found.gt_rows] = True
    counted = ~annotation.is_ignored
    identities, of_row = np.unique(annotation.track_ids[counted], return_inverse=True)
    frames, is_found = annotation.frame_indices[counted], is_found[counted]
    shares = np.bincount(of_row, is_found) / np.bincount(of_row)
    first, first_found = (np.full(len(identities), annotation.num_frames) for _ in range(2))
    np.minimum.at(first, of_row, frames)
    np.minimum.at(first_found, of_row[is_found], frames[is_found])
    delays = (first_found - first)[shares > 0]
    purities = _purities(annotation.track_ids[found.gt_rows], tracks, found.track_rows)
    num_tracks = len(np.unique(tracks.track_ids))
    seconds_per_frame = 1 / annotation.fps if annotation.fps else float("nan")
    return TrackQuality(
        num_identities=len(shares),
        num_confirmed=len(delays),
        frames_to_confirmation=int(delays.sum()),
        seconds_to_confirmation=float(delays.sum()) * seconds_per_frame,
        completeness_sum=float(shares.sum()),
        num_tracks=num_tracks,
        num_false_tracks=num_tracks - len(purities),
        purity_sum=float(purities.sum()),
        num_frames=annotation.num_frames,
        seconds=annotation.num_frames * seconds_per_frame,
    )


def _purities(identities: IntArray, tracks: Tracks, track_rows: IntArray) -> NDArray[np.float64]:
    """Return the purity of every track that is not false; ``identities`` are those it matched."""
    _, track_of_row = np.unique(tracks.track_ids, return_inverse=True)
    lengths = np.bincount(track_of_row)
    pairs, counts = np.unique(
        np.stack([track_of_row[track_rows], identities], axis=1), axis=0, return_counts=True
    )
    most, matched = np.zeros(len(lengths)), np.zeros(len(lengths))
    np.maximum.at(most, pairs[:, 0], counts)
    np.add.at(matched, pairs[:, 0], counts)
    is_true = matched >= np.maximum(FALSE_TRACK_SHARE * lengths, 1)
    purities: NDArray[np.float64] = most[is_true] / matched[is_true]
    return purities
