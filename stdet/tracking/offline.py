"""Finished tracks made better by what came after: smoothed, without gaps, joined (offline).

1. Each track is smoothed from its detections (``smoothing.py``).
2. A track that ends and one that begins later are joined where that is likelier than two
   targets. With x the state at the first detection of the later one, and S its covariance plus
   that of the earlier one predicted to that frame, the log-likelihood ratio is

       log p(x - x_predicted; S) - log(1 / area) - log N(v; 0, START_SPEED_STD_PX^2 I)
           - GAP_COST frames

   where p is normal, or that of a leap. Pairs are chosen together, by the largest sum, and never
   across a cut.
3. Joined tracks are smoothed again. A gap is filled if the target was detected at least as often
   before it as the gap is long, and after it, too. Things that appear for a moment, now and then,
   are not made to be there all the time.
4. Tracks with fewer than ``MIN_DETECTIONS`` detections are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import boxes_about, centres_xy
from stdet.registration.frame_motion import FrameMotion
from stdet.tracking.association import ValuedPairs, assign
from stdet.tracking.smoothing import (
    ACCELERATION_STDS_PX,
    START_SPEED_STD_PX,
    SmoothPath,
    Step,
    log_normal,
    log_step,
    predict,
    smooth_path,
)
from stdet.types import Detections, IntArray, Tracks

Float = NDArray[np.float64]

MAX_GAP = 60
"""Frames between two tracks that may be joined."""
GAP_COST = 0.03
"""Log-likelihood of each frame in which a target is not found. It is small, since what hides a
target hides it for a while."""
ALWAYS_FILLED = 10
"""Longest gap that is filled whatever was seen before and after it, frames."""
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
    by_id = np.argsort(rows.track_ids, kind="stable")
    track_ids, starts = np.unique(rows.track_ids[by_id], return_index=True)
    for track_id, start, stop in zip(track_ids, starts, [*starts[1:], len(by_id)], strict=False):
        own = by_id[start:stop]
        hits = np.flatnonzero(~np.isnan(centres[own, 0]))
        if len(hits):
            own = own[hits[0] : hits[-1] + 1]
            found.append(_smoothed(int(track_id), positions[own], rows[own], centres[own], steps))
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
    before, after, gains = _possible_joins(
        tracks, _Beginnings.of(tracks, area_px2), steps, part_of_frame
    )
    possible = ValuedPairs(track_rows=before, detection_rows=after, values=gains)
    joins = assign(possible[gains > 0])
    next_of = dict(zip(joins.track_rows.tolist(), joins.detection_rows.tolist(), strict=True))
    joined = []
    for number in sorted(set(range(len(tracks))) - set(next_of.values())):
        chain = [tracks[number]]
        while number in next_of:
            number = next_of[number]
            chain.append(tracks[number])
        joined.append(chain[0] if len(chain) == 1 else _one_of(chain, steps))
    return joined


@dataclass(frozen=True, kw_only=True, eq=False)
class _Beginnings:
    """How N tracks begin.

    Attributes:
        numbers_at: Numbers of the tracks by the position of their first frame.
        means: Smoothed states of the first frame (N, 4).
        covariances: Of them (N, 4, 4).
        strengths: Number of their acceleration among the candidates, int64 (N,).
        log_new: Log-density of such a beginning of a new target (N,).
    """

    numbers_at: Mapping[int, list[int]]
    means: Float
    covariances: Float
    strengths: IntArray
    log_new: Float

    @classmethod
    def of(cls, tracks: Sequence[_Track], area_px2: float) -> _Beginnings:
        """Gather them."""
        numbers_at: dict[int, list[int]] = {}
        for number, track in enumerate(tracks):
            numbers_at.setdefault(track.first, []).append(number)
        means = np.stack([track.path.means[0] for track in tracks])
        any_speed = np.tile(START_SPEED_STD_PX**2 * np.eye(2), (len(tracks), 1, 1))
        return cls(
            numbers_at=numbers_at,
            means=means,
            covariances=np.stack([track.path.covariances[0] for track in tracks]),
            strengths=np.array([_strength_of(track) for track in tracks], np.int64),
            log_new=log_normal(means[:, 2:], any_speed) - np.log(area_px2),
        )


def _strength_of(track: _Track) -> int:
    return ACCELERATION_STDS_PX.index(track.path.acceleration_std_px)


def _possible_joins(
    tracks: Sequence[_Track],
    begin: _Beginnings,
    steps: Sequence[Step],
    part_of_frame: IntArray,
) -> tuple[IntArray, IntArray, Float]:
    """Return pairs of an earlier and a later track that gain by a join, and what they gain."""
    before, after, gains = [], [], []
    candidates = np.array(ACCELERATION_STDS_PX)
    for number, one in enumerate(tracks):
        means = np.tile(one.path.means[-1], (len(candidates), 1))
        covariances = np.tile(one.path.covariances[-1], (len(candidates), 1, 1))
        for position in range(one.last + 1, min(one.last + MAX_GAP, len(steps)) + 1):
            if part_of_frame[position] != part_of_frame[one.last]:
                break
            means, covariances, _ = predict(means, covariances, steps[position - 1], candidates)
            others = np.array(begin.numbers_at.get(position, []), np.int64)
            if not len(others):
                continue
            strongest = np.maximum(begin.strengths[others], _strength_of(one))
            gain = log_step(
                begin.means[others] - means[strongest],
                begin.covariances[others] + covariances[strongest],
            )
            gain -= begin.log_new[others] + GAP_COST * (position - one.last - 1)
            before += [number] * int((gain > 0).sum())
            after += others[gain > 0].tolist()
            gains += gain[gain > 0].tolist()
    return np.array(before, np.int64), np.array(after, np.int64), np.array(gains, np.float64)


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
    """Return the rows of a track, its gaps filled."""
    every = np.arange(track.first, track.last + 1)
    hits = track.positions[~np.isnan(track.centres_xy[:, 0])]
    num_before = np.searchsorted(hits, every)
    num_around = np.minimum(num_before, len(hits) - num_before)
    gaps = np.diff(hits, prepend=hits[0] - 1)[num_before] - 1
    is_filled = gaps <= np.maximum(num_around, ALWAYS_FILLED)
    every = every[(hits[num_before] == every) | is_filled]
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
    centres = track.path.means[every - track.first, :2]
    return Tracks(
        frame_indices=frame_indices[every],
        track_ids=np.full(len(every), track.track_id, np.int64),
        boxes_xyxy=boxes_about(centres, sides),
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
        for name in (field.name for field in fields(Tracks))
    }
    order = np.lexsort((columns["track_ids"], columns["frame_indices"]))
    return Tracks(**{name: column[order] for name, column in columns.items()})
