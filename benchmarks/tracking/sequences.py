"""Generated sequences: exact truth, an imperfect detector, and the motion of the camera.

Scores are drawn from those of `stdet_n` on left-out footage (DAUB, Drone-detection-dataset), of
detections scored 0.1 or more, and of weaker ones where a family has them. The score of a target
changes slowly, that of clutter does not last.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.tracking.camera import handed_on, poses
from benchmarks.tracking.families import Family
from benchmarks.tracking.flights import FLIGHTS, meeting
from stdet.boxes import boxes_about
from stdet.metrics.sequence_result import SequenceResult
from stdet.registration.transform import Transform
from stdet.types import BoolArray, Detections, IntArray, SequenceAnnotation, Tracks

Float = NDArray[np.float64]

IMAGE_HW = (512, 640)
FPS = 25.0
NUM_FRAMES = 200
BOX_PX = 8.0
"""Sides of a true box, as points are labelled in DAUB."""
MEASUREMENT_STD_PX = 0.3
"""Of a detected centre along each axis, and of the sides of its box."""
MERGED_PX = 3.0
"""Of two targets closer than this the stronger detection alone is seen."""
EDGE_PX = 30.0
"""A target that replaces another one appears so close to an edge of the picture, or closer."""
MEETING_FRAMES = 100
"""Pairs that cross live so long."""
OMISSION_SHARE = 1 / 40
LEAP_PX = (17.0, 33.0)
OCCLUSION_SHARE = 1 / 60
OCCLUDED_FRAMES = (8, 20)
NUM_CLUMPS = 4
CLUMP_STD_PX = 12.0
"""False alarms in a clump scatter so far about its place along each axis."""
SCORE_MEMORY = 0.8
"""Correlation of a target's scores from frame to frame."""
_QUANTILES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
_TARGET_SCORES = (0.1, 0.285, 0.439, 0.654, 0.736, 0.799, 0.816, 0.823, 0.912)
_CLUTTER_SCORES = (0.1, 0.107, 0.114, 0.14, 0.214, 0.373, 0.622, 0.714, 0.785)
_WEAK_SHARE = 0.85
"""Of missed targets that have a weak detection."""
_WEAK_TARGET_SCORES = (0.0012, 0.0024, 0.0063, 0.013, 0.033, 0.06, 0.082, 0.09, 0.097)
_WEAK_CLUTTER_SCORES = (0.001, 0.0011, 0.0011, 0.0013, 0.0021, 0.0049, 0.017, 0.034, 0.1)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Life:
    """A target while it is in the picture.

    Attributes:
        first: Frame.
        xy: Centres in successive frames (N, 2), pixels of the frame.
    """

    first: int
    xy: Float

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.first + len(self.xy)


def make_sequence(family: Family, seed: int, *, num_frames: int = NUM_FRAMES) -> SequenceResult:
    """Return a sequence without tracks; equal arguments give an equal sequence.

    Args:
        family: What it is like.
        seed: Which one of the family.
        num_frames: Its length.
    """
    rng = np.random.default_rng([zlib.crc32(family.name.encode()), seed])
    camera = poses(family.camera, num_frames, IMAGE_HW, rng)
    lives = _fly(family, camera, rng)
    annotation = _truth(lives, name=f"{family.name}, seed {seed}", num_frames=num_frames)
    return SequenceResult(
        annotation=annotation,
        detections=_detect(family, annotation, camera, rng),
        tracks=Tracks.empty(),
        motions=handed_on(family, camera, rng),
    )


def _fly(family: Family, camera: list[Transform], rng: np.random.Generator) -> list[_Life]:
    """Return every target's life."""
    times = _instants(family, len(camera), rng)
    lives: list[_Life] = []
    for _ in range(family.num_targets // 2 if family.flight == "crossing" else family.num_targets):
        if family.flight == "crossing":
            lives += _meetings(family, camera, rng)
        else:
            lives += _successors(family, camera, times, rng)
    return lives


def _instants(family: Family, num_frames: int, rng: np.random.Generator) -> IntArray:
    """Return when each frame was taken, in frames, int64 (F,)."""
    steps = np.ones(num_frames, np.int64)
    if family.omits_frames:
        leaps = rng.uniform(*LEAP_PX, num_frames) / family.speed_px
        is_omission = rng.random(num_frames) < OMISSION_SHARE
        steps[is_omission] = np.rint(leaps[is_omission])
    times: IntArray = np.cumsum(steps) - steps[0]
    return times


def _successors(
    family: Family, camera: list[Transform], times: IntArray, rng: np.random.Generator
) -> Iterator[_Life]:
    """Yield a target, and whenever it has left the picture another one."""
    height, width = IMAGE_HW
    fly = FLIGHTS[family.flight]
    first = 0
    while first < len(camera):
        start = rng.uniform(0, (width, height))
        if first:
            start = _near_an_edge(rng)
        aim = rng.uniform((0.3 * width, 0.3 * height), (0.7 * width, 0.7 * height))
        heading = np.arctan2(*(aim - start)[::-1])
        start_xy = camera[first].inverse().apply(start)
        ages = times[first:] - times[first]
        path = fly(start_xy, float(heading), family.speed_px, int(ages[-1]) + 1, rng)
        life = _seen(path[ages], camera, first)
        yield life
        first = max(life.end, first + 1)


def _near_an_edge(rng: np.random.Generator) -> Float:
    """Return a place close to an edge of the picture (2,), pixels."""
    place = rng.uniform(0, IMAGE_HW[::-1])
    axis = int(rng.integers(2))
    depth = rng.uniform(0, EDGE_PX)
    place[axis] = depth if rng.random() < 0.5 else IMAGE_HW[1 - axis] - depth
    return place


def _meetings(
    family: Family, camera: list[Transform], rng: np.random.Generator
) -> Iterator[_Life]:
    """Yield pairs that cross, one pair after the other."""
    height, width = IMAGE_HW
    for first in range(0, len(camera), MEETING_FRAMES):
        num = min(MEETING_FRAMES, len(camera) - first)
        point = rng.uniform((0.3 * width, 0.3 * height), (0.7 * width, 0.7 * height))
        point_xy = camera[first + num // 2].inverse().apply(point)
        for path in meeting(point_xy, family.speed_px, num, rng):
            yield _seen(path, camera, first)


def _seen(path_xy: Float, camera: list[Transform], first: int) -> _Life:
    """Return the first stretch of a path in the scene that lies in the picture."""
    views = camera[first : first + len(path_xy)]
    seen = np.stack([view.apply(xy) for view, xy in zip(views, path_xy, strict=True)])
    is_inside = np.all((seen > 0) & (seen < IMAGE_HW[::-1]), axis=1)
    begin = int(np.argmax(is_inside))
    outside = np.flatnonzero(~is_inside[begin:])
    end = begin + int(outside[0]) if len(outside) else len(seen)
    return _Life(first=first + begin, xy=seen[begin:end])


def _truth(lives: list[_Life], *, name: str, num_frames: int) -> SequenceAnnotation:
    """Return the truth, ids counting from 1 in order of the first frame."""
    lives = sorted((life for life in lives if len(life.xy)), key=lambda life: life.first)
    frames = [np.zeros(0, np.int64), *(np.arange(life.first, life.end) for life in lives)]
    ids = [np.zeros(0, np.int64), *(np.full(len(life.xy), i) for i, life in enumerate(lives, 1))]
    centres = np.concatenate([np.zeros((0, 2)), *(life.xy for life in lives)])
    frame_indices, track_ids = np.concatenate(frames), np.concatenate(ids)
    order = np.lexsort((track_ids, frame_indices))
    boxes = np.concatenate([centres - BOX_PX / 2, centres + BOX_PX / 2], axis=1)[order]
    return SequenceAnnotation(
        name=name,
        num_frames=num_frames,
        image_hw=IMAGE_HW,
        fps=FPS,
        frame_indices=frame_indices[order],
        track_ids=track_ids[order],
        boxes_xyxy=boxes.astype(np.float32),
        class_ids=np.zeros(len(order), np.int64),
        is_ignored=np.zeros(len(order), np.bool_),
    )


def _detect(
    family: Family,
    truth: SequenceAnnotation,
    camera: list[Transform],
    rng: np.random.Generator,
) -> tuple[Detections, ...]:
    """Return the detections of every frame."""
    is_found = ~_is_missed(family, truth, rng)
    scores = _target_scores(truth, rng)
    if family.weak_false_alarms:
        is_weak = ~is_found & (rng.random(len(truth)) < _WEAK_SHARE)
        scores[is_weak] = _drawn(_WEAK_TARGET_SCORES, int(is_weak.sum()), rng)
        is_found |= is_weak
    clumps_xy = rng.uniform(0, IMAGE_HW[::-1], (NUM_CLUMPS, 2))
    frames = []
    for frame_index, view in enumerate(camera):
        rows = truth.rows_at(frame_index)
        boxes = truth.boxes_xyxy[rows][is_found[rows]].astype(np.float64)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        centres += rng.normal(0, MEASUREMENT_STD_PX, centres.shape)
        strengths = scores[rows][is_found[rows]]
        is_alone = _is_strongest_near(centres, strengths)
        false_xy = _false_alarms(family, view.apply(clumps_xy), rng)
        false_scores = _drawn(_CLUTTER_SCORES, len(false_xy), rng)
        weak_xy = np.zeros((0, 2))
        if family.weak_false_alarms:
            num_weak = rng.poisson(family.weak_false_alarms)
            weak_xy = rng.uniform(0, IMAGE_HW[::-1], (num_weak, 2))
        weak_scores = _drawn(_WEAK_CLUTTER_SCORES, len(weak_xy), rng)
        frames.append(
            _detections(
                np.concatenate([centres[is_alone], false_xy, weak_xy]),
                np.concatenate([strengths[is_alone], false_scores, weak_scores]),
                frame_index,
                rng,
            )
        )
    return tuple(frames)


def _drawn(quantiles: tuple[float, ...], num: int, rng: np.random.Generator) -> Float:
    """Return scores of a measured distribution (N,)."""
    drawn: Float = np.interp(rng.random(num), _QUANTILES, quantiles)
    return drawn


def _is_missed(family: Family, truth: SequenceAnnotation, rng: np.random.Generator) -> BoolArray:
    """Return of each row of the truth whether no detection is made of it, bool (M,)."""
    is_missed = rng.random(len(truth)) < family.miss_share
    if family.is_occluded:
        for track_id in np.unique(truth.track_ids):
            rows = np.flatnonzero(truth.track_ids == track_id)
            for at in np.flatnonzero(rng.random(len(rows)) < OCCLUSION_SHARE):
                is_missed[rows[at : at + int(rng.integers(*OCCLUDED_FRAMES, endpoint=True))]] = (
                    True
                )
    return is_missed


def _target_scores(truth: SequenceAnnotation, rng: np.random.Generator) -> Float:
    """Return the score of each row of the truth, (M,)."""
    scores = np.zeros(len(truth))
    for track_id in np.unique(truth.track_ids):
        rows = np.flatnonzero(truth.track_ids == track_id)
        fresh = rng.normal(size=len(rows))
        level = fresh[0]
        for at, row in enumerate(rows):
            if at:
                level = SCORE_MEMORY * level + np.sqrt(1 - SCORE_MEMORY**2) * fresh[at]
            scores[row] = level
    drawn: Float = np.interp(norm.cdf(scores), _QUANTILES, _TARGET_SCORES)
    return drawn


def _is_strongest_near(centres_xy: Float, scores: Float) -> BoolArray:
    """Return of each detection whether no stronger one is within ``MERGED_PX``, bool (N,)."""
    distances = np.linalg.norm(centres_xy[:, None] - centres_xy[None], axis=2)
    is_beaten = (distances < MERGED_PX) & (scores[None] > scores[:, None])
    is_strongest: BoolArray = ~is_beaten.any(axis=1)
    return is_strongest


def _false_alarms(family: Family, clumps_xy: Float, rng: np.random.Generator) -> Float:
    """Return their centres (N, 2), pixels."""
    num = rng.poisson(family.false_alarms)
    if family.clutter == "uniform":
        return rng.uniform(0, IMAGE_HW[::-1], (num, 2))
    chosen = clumps_xy[rng.integers(NUM_CLUMPS, size=num)]
    return chosen + rng.normal(0, CLUMP_STD_PX, (num, 2))


def _detections(
    centres_xy: Float, scores: Float, frame_index: int, rng: np.random.Generator
) -> Detections:
    """Return the detections of a frame."""
    sides = BOX_PX + rng.normal(0, MEASUREMENT_STD_PX, (len(centres_xy), 2))
    boxes = boxes_about(centres_xy, sides)
    return Detections.from_unsorted(
        boxes,
        scores.astype(np.float32),
        frame_index=frame_index,
        image_hw=IMAGE_HW,
    )
