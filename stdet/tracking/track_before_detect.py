"""Track before detect: a detection is as credible as the path it lies on.

What one frame shows at a place may be noise. A target was near it a frame ago and will be near it
a frame on, so detections are scored again by the best path through the frames before and after
them, weak detections included, before anything is compared with a threshold.

Let l = log(p / (1 - p)) for a detection of score p. Its evidence from the past is

    F_i(t) = K l_i + (1 - K) max(NEW, F_j(t - 1))

where path j is the one that i follows. With d the distance of i from the place expected of j, in
standard deviations: j is followed by the detection within ``GATE`` with the largest l_i - d^2/2;
i follows, of the paths that have it so, the one with the largest F_j - d^2/2. A path that nothing
follows stays on its course and goes on with K NEW + (1 - K) F_j; a detection that follows none
begins one, as if from NEW. On the first frame F = l. The evidence B from the future is the same
backwards from ``lookahead`` frames later on, and the new score is the logistic function of
(F + B) / 2.

Where the camera moves, paths are carried by the transform of the background between two frames,
forwards and backwards: places and velocities are those in the scene. Since a transform may be
wrong, and targets may leap with the camera, a detection is also compared with the place of a path
that was not carried, and d is the smaller distance.

A cut ends one scene and begins another, with F = l in its first frame and B = l in the last one
before it, as where a sequence begins and ends. It is known with the second frame of the scene:
where nothing waits, scores begin anew there.

Source:
    Dynamic programming over frames: Barniv 1985 (IEEE Trans. AES 21), Tonissen and Evans 1996
    (IEEE Trans. AES 32). They add up images over a fixed number of frames, on a grid of
    velocities; here evidence comes from a detector and decays, and a path has its own velocity.
    The constants and what they do: docs/decisions/0010.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import centres_xy
from stdet.registration.frame_motion import NOT_REGISTERED, FrameMotion
from stdet.registration.transform import Transform
from stdet.tracking.log_odds import log_odds_of
from stdet.tracking.neighbours import near_pairs
from stdet.types import BoolArray, Detections, IntArray

Float64Array = NDArray[np.float64]

KEEP = 0.2
"""K: share of a detection's own log-odds in its evidence."""
NEW = -4.0
"""Log-odds before a path's first detection, and of a frame without one."""
START_STD_PX = 5.0
"""Standard deviation of a path's first step, pixels per frame."""
STEP_STD_PX = 3.0
"""Standard deviation of a later step from the path's velocity, pixels per frame."""
GATE = 3.0
"""Largest deviation at which a path is followed, standard deviations."""
VELOCITY_GAIN = 0.5
"""Share of the newest step in a path's velocity; the first step is all of it."""
FORGET = 0.5
"""A path that nothing follows is forgotten when its evidence exceeds ``NEW`` by less."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Deviations:
    """Of detections from places where they were expected.

    Attributes:
        xy: Pixels (P, 2).
        squared: d^2 (P,), without unit.
    """

    xy: Float64Array
    squared: Float64Array

    @classmethod
    def of(cls, xy: Float64Array, std_px: Float64Array) -> _Deviations:
        return cls(xy=xy, squared=(xy[:, 0] ** 2 + xy[:, 1] ** 2) / std_px**2)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Paths:
    """Ends of paths.

    Attributes:
        xy: Expected place in the next frame (N, 2), pixels.
        stayed_xy: The same if the target does not move with the scene (N, 2), pixels.
        velocity_xy: Pixels per frame (N, 2).
        is_new: Without a step yet (N,).
        age: Frames from the last detection to the next frame (N,).
        evidence: Log-odds (N,).
    """

    xy: Float64Array
    stayed_xy: Float64Array
    velocity_xy: Float64Array
    is_new: BoolArray
    age: Float64Array
    evidence: Float64Array

    @classmethod
    def begin(cls, xy: Float64Array, evidence: Float64Array) -> _Paths:
        return cls(
            xy=xy,
            stayed_xy=xy,
            velocity_xy=np.zeros_like(xy),
            is_new=np.ones(len(xy), np.bool_),
            age=np.ones(len(xy)),
            evidence=evidence,
        )

    def carried(self, transform: Transform) -> _Paths:
        """Return the paths in the coordinates of another frame."""
        xy = transform.apply(self.xy)
        velocity_xy = (transform.linear_at(self.xy) @ self.velocity_xy[:, :, None])[:, :, 0]
        is_leap = np.abs(xy - self.xy).max(initial=0) > STEP_STD_PX  # Else both are in reach.
        return replace(self, xy=xy, stayed_xy=self.xy if is_leap else xy, velocity_xy=velocity_xy)

    def deviations(self, xy: Float64Array, rows: IntArray) -> _Deviations:
        """Return how far detections lie from paths.

        The transform may be wrong, or a target stay in the picture while the scene leaps. What is
        nearer to the place that it has then is measured from there.

        Args:
            xy: A detection for each row (P, 2), pixels.
            rows: Its path (P,).
        """
        std_px = np.where(self.is_new, START_STD_PX, STEP_STD_PX)[rows]
        moved = _Deviations.of(xy - self.xy.take(rows, axis=0), std_px)
        if self.stayed_xy is self.xy:
            return moved
        stayed = _Deviations.of(xy - self.stayed_xy.take(rows, axis=0), std_px)
        return _Deviations(
            xy=np.where((stayed.squared < moved.squared)[:, None], stayed.xy, moved.xy),
            squared=np.minimum(stayed.squared, moved.squared),
        )


class PathEvidence:
    """Evidence along paths in one direction of time: F of the module's equations."""

    def __init__(self) -> None:
        """Start before the first frame."""
        self._paths: _Paths | None = None

    def push(
        self, xy: Float64Array, log_odds: Float64Array, transform: Transform | None = None
    ) -> Float64Array:
        """Take the next frame.

        Args:
            xy: Centres of its detections (N, 2), pixels.
            log_odds: Of their scores (N,).
            transform: Of the background from the frame before to this one, None where unknown.

        Returns:
            Evidence (N,), log-odds.
        """
        if self._paths is None:
            self._paths = _Paths.begin(xy, log_odds)
            return log_odds
        if transform is not None:
            self._paths = self._paths.carried(transform)
        followed = _follow(self._paths, xy, log_odds)
        is_following = followed >= 0
        before = np.full(len(xy), NEW)
        before[is_following] = self._paths.evidence[followed[is_following]]
        evidence: Float64Array = KEEP * log_odds + (1 - KEEP) * np.maximum(before, NEW)
        self._advance(xy, evidence, followed, is_following)
        return evidence

    def _advance(
        self,
        xy: Float64Array,
        evidence: Float64Array,
        followed: IntArray,
        is_following: BoolArray,
    ) -> None:
        """Replace the paths by those that end in this frame and those that wait."""
        assert self._paths is not None
        old, rows = self._paths, followed[is_following]
        new = _Paths.begin(xy, evidence)
        gain = np.where(old.is_new[rows], 1.0, VELOCITY_GAIN)[:, None]
        # The deviation from the expected place has grown over the frames that missed the target.
        deviation_xy = old.deviations(xy[is_following], rows).xy / old.age[rows, None]
        velocity_xy = old.velocity_xy[rows] + gain * deviation_xy
        new.velocity_xy[is_following] = velocity_xy
        new.is_new[is_following] = False
        waiting = KEEP * NEW + (1 - KEEP) * old.evidence
        is_kept = waiting > NEW + FORGET
        is_kept[rows] = False
        expected_xy = np.concatenate([xy + new.velocity_xy, (old.xy + old.velocity_xy)[is_kept]])
        self._paths = _Paths(
            xy=expected_xy,
            stayed_xy=expected_xy,
            velocity_xy=np.concatenate([new.velocity_xy, old.velocity_xy[is_kept]]),
            is_new=np.concatenate([new.is_new, old.is_new[is_kept]]),
            age=np.concatenate([new.age, old.age[is_kept] + 1]),
            evidence=np.concatenate([evidence, waiting[is_kept]]),
        )


def _follow(paths: _Paths, xy: Float64Array, log_odds: Float64Array) -> IntArray:
    """Return the path that each detection follows, -1 for none."""
    near = near_pairs(xy, paths.xy, GATE * START_STD_PX)
    rows, columns = near.rows, near.columns
    if paths.stayed_xy is not paths.xy:
        stayed = near_pairs(xy, paths.stayed_xy, GATE * START_STD_PX)
        # A pair that is near in both ways may occur twice.
        rows = np.concatenate([rows, stayed.rows])
        columns = np.concatenate([columns, stayed.columns])
    squared = paths.deviations(xy.take(rows, axis=0), columns).squared
    is_inside = squared <= GATE**2
    rows, columns = rows[is_inside], columns[is_inside]
    likely = paths.evidence[columns] - squared[is_inside] / 2
    follower = _best_partner(columns, rows, likely + log_odds[rows], len(paths.xy))
    is_offered = follower[columns] == rows
    return _best_partner(rows[is_offered], columns[is_offered], likely[is_offered], len(xy))


def _best_partner(
    owners: IntArray, partners: IntArray, values: Float64Array, num_owners: int
) -> IntArray:
    """Return each owner's partner of the largest value, the first of equal ones, -1 for none."""
    largest = np.full(num_owners, -np.inf)
    np.maximum.at(largest, owners, values)
    is_best = values == largest[owners]
    none = np.iinfo(np.int64).max
    best = np.full(num_owners, none)
    np.minimum.at(best, owners[is_best], partners[is_best])
    return np.where(best == none, -1, best)


class HasDetections(Protocol):
    """A frozen dataclass that holds the detections of a frame, whatever else it holds."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def detections(self) -> Detections:
        """Of the frame."""
        ...

    @property
    def from_previous(self) -> FrameMotion:
        """Of the background since the frame before."""
        ...


Frame = TypeVar("Frame", bound=HasDetections)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredFrame(Generic[Frame]):
    """A frame whose detections have been scored.

    Attributes:
        frame: With its detections in the order of their new scores.
        rows: Where each of them was among the detections that came in, int64 (N,).
    """

    frame: Frame
    rows: IntArray

    @classmethod
    def unchanged(cls, frame: Frame) -> ScoredFrame[Frame]:
        """Return a frame with the scores that it has."""
        return cls(frame=frame, rows=np.arange(len(frame.detections)))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Waiting(Generic[Frame]):
    """A frame whose future has not come yet.

    Attributes:
        frame: As it came.
        xy: Centres of its detections (N, 2), pixels.
        log_odds: Of their scores (N,).
        past: F (N,).
        to_previous: Of the background to the frame before; None where unknown.
        begins_scene: Whether a cut lies before it.
    """

    frame: Frame
    xy: Float64Array
    log_odds: Float64Array
    past: Float64Array
    to_previous: Transform | None
    begins_scene: bool = False


class TrackBeforeDetect(Generic[Frame]):
    """Score the detections of one sequence by the paths they lie on.

    Frames go in and come out in order, with all that they hold besides.

    Args:
        lookahead: Frames after a frame that its scores wait for; 0 looks at the past alone, and
            the score is the logistic function of (F + l) / 2.
    """

    def __init__(self, lookahead: int) -> None:
        """Start before the first frame."""
        self._lookahead = lookahead
        self._past = PathEvidence()
        self._waiting: deque[_Waiting[Frame]] = deque()
        self._newest = np.empty((0, 2)), np.empty(0)  # Places and log-odds in the newest frame.
        self._num_others = 0  # Newest frames in a row that show another scene than the one before.

    def push(self, frame: Frame) -> list[ScoredFrame[Frame]]:
        """Take the next frame.

        Returns:
            The frame that can be scored now, if any, as a list: the same boxes, with their new
            scores.
        """
        detections = frame.detections
        xy = centres_xy(detections.boxes_xyxy).astype(np.float64)
        log_odds = log_odds_of(detections.scores)
        self._notice_cut(frame.from_previous)
        self._newest = xy, log_odds
        transform = frame.from_previous.transform
        past = self._past.push(xy, log_odds, transform)
        to_previous = None if transform is None else transform.inverse()
        self._waiting.append(
            _Waiting(frame=frame, xy=xy, log_odds=log_odds, past=past, to_previous=to_previous)
        )
        return [self._score_oldest()] if len(self._waiting) > self._lookahead else []

    def flush(self) -> list[ScoredFrame[Frame]]:
        """Return the frames that still wait, scored with what came after them."""
        return [self._score_oldest() for _ in range(len(self._waiting))]

    def _notice_cut(self, motion: FrameMotion) -> None:
        """Begin anew with the newest frame where the next one shows that it began a scene.

        A spoilt frame is unlike the one before it and the one after it, and ends nothing.
        """
        num_others = self._num_others
        self._num_others = 0 if motion.is_same_scene else num_others + 1
        if num_others == 1 and motion.is_same_scene:
            self._past = PathEvidence()
            past = self._past.push(*self._newest)
            if self._waiting:  # Else it has come out, and what it holds counts as the past alone.
                self._waiting[-1] = replace(self._waiting[-1], past=past, begins_scene=True)

    def _score_oldest(self) -> ScoredFrame[Frame]:
        """Score the oldest frame that waits, and let it go."""
        future, back = PathEvidence(), None
        for later in reversed(self._waiting):
            evidence = future.push(later.xy, later.log_odds, back)
            back = later.to_previous
            if later.begins_scene:
                future, back = PathEvidence(), None
        oldest = self._waiting.popleft()
        odds = np.exp(-(oldest.past + evidence) / 2)
        detections = oldest.frame.detections
        scores = (1 / (1 + odds)).astype(np.float32)
        rows = np.argsort(-scores, kind="stable")
        scored = Detections(
            boxes_xyxy=detections.boxes_xyxy[rows],
            scores=scores[rows],
            class_ids=detections.class_ids[rows],
            frame_index=detections.frame_index,
            image_hw=detections.image_hw,
        )
        return ScoredFrame(frame=replace(oldest.frame, detections=scored), rows=rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class _FrameDetections:
    """The detections of a frame, and how the background moved before it."""

    detections: Detections
    from_previous: FrameMotion


def track_before_detect(
    detections: Iterable[Detections],
    lookahead: int,
    motions: Sequence[FrameMotion] = (),
) -> Iterator[Detections]:
    """Yield the detections of one sequence, frame by frame, with their new scores.

    Args:
        detections: Of each frame.
        lookahead: See ``TrackBeforeDetect``.
        motions: Of the background before each frame; none where nothing is known of it.
    """
    scores: TrackBeforeDetect[_FrameDetections] = TrackBeforeDetect(lookahead)
    known = motions or itertools.repeat(NOT_REGISTERED)
    for found, motion in zip(detections, known, strict=False):
        for scored in scores.push(_FrameDetections(detections=found, from_previous=motion)):
            yield scored.frame.detections
    for scored in scores.flush():
        yield scored.frame.detections
