"""Finished tracks made better by what came after: smoothed, without gaps, joined (offline).

1. Each track is smoothed from its detections (``smoothing.py``).
2. A track that ends and one that begins later are joined where that is likelier than two
   targets. With x the state at the first detection of the later one, and S its covariance plus
   that of the earlier one predicted to that frame, the log-likelihood ratio is

       log p(x - x_predicted; S) - log(1 / area) - log N(v; 0, START_SPEED_STD_PX^2 I)
           - GAP_COST frames

   where p is normal, or that of a leap. Pairs are chosen together, by the largest sum, and never
   across a cut.
3. Joined tracks are smoothed again, with a row in every frame from their first detection to
   their last one.
4. Tracks with fewer than ``MIN_DETECTIONS`` detections are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stdet.boxes import centres_xy
from stdet.registration.frame_motion import FrameMotion
from stdet.tracking.smoothing import (
    START_SPEED_STD_PX,
    SmoothPath,
    Step,
    log_normal,
    log_step,
    predict,
    smooth_path,
)
from stdet.types import Detections, FloatArray, IntArray, Tracks

Float = NDArray[np.float64]

MAX_GAP = 60
"""Frames between two tracks that may be joined."""
GAP_COST = 0.03
"""Log-likelihood of each frame in which a target is not found. It is small, since what hides a
target hides it for a while."""
MIN_DETECTIONS = 4


class FrameOfTracks(Protocol):
    """A frame of a stream with its online tracks, in order of time."""

    @property
    def index(self) -> int:
        """Counted from 0; jumps where frames are missing."""
        ...

    @property
    def follows_gap(self) -> bool:
        """Whether an unknown number of frames is missing before it."""
        ...

    @property
    def from_previous(self) -> FrameMotion:
        """Of the background since the frame before."""
        ...

    @property
    def detections(self) -> Detections:
        """Of the frame."""
        ...

    @property
    def tracks(self) -> Tracks:
        """Of the frame; ``detection_indices`` refer to its detections."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class _Track:
    """One online track, or several joined ones.

    Attributes:
        track_id: Of the first of them.
        positions: Of the frames with a row, in the list of frames, int64 (M,), increasing.
        rows: Of all tracks, (M,).
        centres_xy: Detected centres (M, 2), pixels; NaN where it coasted.
        path: From the first detection to the last one.
    """

    track_id: int
    positions: IntArray
    rows: Tracks
    centres_xy: Float
    path: SmoothPath

    @property
    def first(self) -> int:
        """Position of the frame of the first detection."""
        return int(self.positions[0])

    @property
    def last(self) -> int:
        """Position of the frame of the last detection."""
        return int(self.positions[-1])


def smooth_tracks(frames: Sequence[FrameOfTracks]) -> Tracks:
    """Smooth, join, fill and prune the tracks of a whole stream.

    Args:
        frames: All frames, in order.

    Returns:
        Rows of the whole stream. ``detection_indices`` is -1 in filled rows; their scores,
        probabilities and classes are those of the row before.
    """
    steps = [
        Step(num_frames=after.index - before.index, transform=after.from_previous.transform)
        for before, after in itertools.pairwise(frames)
    ]
    tracks = _split(frames, steps)
    if not tracks:
        return Tracks.empty()
    height, width = frames[0].detections.image_hw
    part_of_frame = np.cumsum(
        [frame.follows_gap or not frame.from_previous.is_same_scene for frame in frames]
    )
    joined = _join(tracks, steps, area_px2=height * width, part_of_frame=part_of_frame)
    kept = [one for one in joined if (~np.isnan(one.centres_xy[:, 0])).sum() >= MIN_DETECTIONS]
    frame_indices = np.array([frame.index for frame in frames], np.int64)
    return _sorted([_rows_of(one, frame_indices) for one in kept])


def _split(frames: Sequence[FrameOfTracks], steps: Sequence[Step]) -> list[_Track]:
    """Return every online track from its first detection to its last one, smoothed."""
    rows = Tracks.concatenate([frame.tracks for frame in frames])
    counts = [len(frame.tracks) for frame in frames]
    positions = np.repeat(np.arange(len(frames)), counts)
    centres = np.concatenate([np.zeros((0, 2)), *(_measured(frame) for frame in frames)])
    found = []
    for track_id in np.unique(rows.track_ids).tolist():
        own = np.flatnonzero(rows.track_ids == track_id)
        hits = np.flatnonzero(~np.isnan(centres[own, 0]))
        if len(hits):
            own = own[hits[0] : hits[-1] + 1]
            found.append(_smoothed(track_id, positions[own], rows[own], centres[own], steps))
    return found


def _measured(frame: FrameOfTracks) -> Float:
    """Return the detected centre of each row (M, 2); NaN where the track coasted."""
    found = frame.tracks.detection_indices
    centres = np.full((len(found), 2), np.nan)
    is_hit = found >= 0
    centres[is_hit] = centres_xy(frame.detections.boxes_xyxy[found[is_hit]])
    return centres


def _smoothed(
    track_id: int, positions: IntArray, rows: Tracks, centres: Float, steps: Sequence[Step]
) -> _Track:
    first, last = int(positions[0]), int(positions[-1])
    every = np.full((last - first + 1, 2), np.nan)
    every[positions - first] = centres
    return _Track(
        track_id=track_id,
        positions=positions,
        rows=rows,
        centres_xy=centres,
        path=smooth_path(every, steps[first:last]),
    )


def _join(
    tracks: Sequence[_Track], steps: Sequence[Step], *, area_px2: float, part_of_frame: IntArray
) -> list[_Track]:
    """Return the tracks, those of one target joined."""
    gains = np.zeros((len(tracks), len(tracks)))
    firsts = np.array([one.first for one in tracks])
    for number, one in enumerate(tracks):
        is_near = (firsts > one.last) & (firsts <= one.last + MAX_GAP)
        is_near &= part_of_frame[firsts] == part_of_frame[one.last]
        for other in np.flatnonzero(is_near).tolist():
            gains[number, other] = _gain(one, tracks[other], steps, area_px2)
    before, after = linear_sum_assignment(gains, maximize=True)
    is_joined = gains[before, after] > 0
    next_of = dict(zip(before[is_joined].tolist(), after[is_joined].tolist(), strict=True))
    begun = set(range(len(tracks))) - set(next_of.values())
    joined = []
    for number in sorted(begun):
        chain = [tracks[number]]
        while number in next_of:
            number = next_of[number]
            chain.append(tracks[number])
        joined.append(chain[0] if len(chain) == 1 else _one_of(chain, steps))
    return joined


def _gain(one: _Track, other: _Track, steps: Sequence[Step], area_px2: float) -> float:
    """Return the log-likelihood ratio of a join, 0 where it is ruled out."""
    means, covariances = one.path.means[-1:], one.path.covariances[-1:]
    strongest = max(one.path.acceleration_std_px, other.path.acceleration_std_px)
    for step in steps[one.last : other.first]:
        means, covariances, _ = predict(means, covariances, step, np.array([strongest]))
    difference = other.path.means[:1] - means
    spread = covariances + other.path.covariances[:1]
    velocity = other.path.means[:1, 2:]
    as_new = log_normal(velocity, START_SPEED_STD_PX**2 * np.eye(2)[None]) - np.log(area_px2)
    num_missed = other.first - one.last - 1
    ratio = log_step(difference, spread) - as_new - GAP_COST * num_missed
    return max(float(ratio[0]), 0.0)


def _one_of(chain: Sequence[_Track], steps: Sequence[Step]) -> _Track:
    """Return several tracks as one, under the first id."""
    track_id = chain[0].track_id
    rows = Tracks.concatenate([one.rows for one in chain])
    return _smoothed(
        track_id,
        np.concatenate([one.positions for one in chain]),
        rows,
        np.concatenate([one.centres_xy for one in chain]),
        steps,
    )


def _rows_of(track: _Track, frame_indices: IntArray) -> Tracks:
    """Return a row for every frame of a track."""
    every = np.arange(track.first, track.last + 1)
    before = np.searchsorted(track.positions, every, side="right") - 1
    is_own = track.positions[before] == every
    boxes = track.rows.boxes_xyxy.astype(np.float64)
    sides = np.stack(
        [
            np.interp(every, track.positions, boxes[:, axis + 2] - boxes[:, axis])
            for axis in (0, 1)
        ],
        axis=1,
    )
    centres = track.path.means[:, :2]
    smoothed: FloatArray = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    return Tracks(
        frame_indices=frame_indices[every],
        track_ids=np.full(len(every), track.track_id, np.int64),
        boxes_xyxy=smoothed.astype(np.float32),
        scores=track.rows.scores[before],
        probabilities=track.rows.probabilities[before],
        class_ids=track.rows.class_ids[before],
        detection_indices=np.where(is_own, track.rows.detection_indices[before], -1),
    )


def _sorted(parts: Sequence[Tracks]) -> Tracks:
    """Return the rows of all tracks by frame, then id."""
    if not parts:
        return Tracks.empty()
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (
            "frame_indices",
            "track_ids",
            "boxes_xyxy",
            "scores",
            "probabilities",
            "class_ids",
            "detection_indices",
        )
    }
    order = np.lexsort((columns["track_ids"], columns["frame_indices"]))
    return Tracks(**{name: column[order] for name, column in columns.items()})
