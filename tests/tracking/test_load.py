"""Thousands of detections: the same results as over all pairs, linear work, bounded memory."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import pytest
from dense_tracking import all_pairs
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.config import TrackerConfig
from stdet.registration.frame_motion import NOT_REGISTERED, FrameMotion
from stdet.registration.transform import Transform
from stdet.tracking.neighbours import near_pairs
from stdet.tracking.track_before_detect import (
    FORGET,
    KEEP,
    NEW,
    TrackBeforeDetect,
    track_before_detect,
)
from stdet.tracking.tracker import Tracker
from stdet.types import Detections

CONFIDENCE = 0.5


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame of which nothing but its detections is known."""

    detections: Detections
    from_previous: FrameMotion = NOT_REGISTERED


EAGER = TrackerConfig(false_tracks_per_hour=1e6)


def detections_at(centres, scores, frame_index):
    return Detections.from_unsorted(
        np.concatenate([centres - 3, centres + 3], axis=1).astype(np.float32),
        scores.astype(np.float32),
        frame_index=frame_index,
        image_hw=(4000, 4000),
    )


def moving(num, num_frames, *, seed, side, clutter_share=0.2):
    """Return frames of targets that cross, are missed now and then, and stand among clutter."""
    rng = np.random.default_rng(seed)
    place, velocity = rng.uniform(0, side, (num, 2)), rng.normal(0, 2, (num, 2))
    frame_index = -1
    for _ in range(num_frames):
        frame_index += 1 if rng.random() < 0.9 else int(rng.integers(2, 8))
        place = place + velocity
        seen = (place + rng.normal(0, 0.5, place.shape))[rng.random(num) < 0.85]
        clutter = rng.uniform(0, side, (rng.poisson(clutter_share * num), 2))
        centres = np.concatenate([seen, clutter])
        yield detections_at(centres, rng.uniform(0.2, 0.99, len(centres)), frame_index)


def tracked(frames, config):
    """Return the bytes of the tracks of each frame."""
    tracker = Tracker(config, lookahead=2)
    tracks = [tracker.update(found, confidence=CONFIDENCE) for found in frames]
    tracks += tracker.flush()
    return [
        [
            column.tobytes()
            for column in (
                one.track_ids,
                one.boxes_xyxy,
                one.scores,
                one.class_ids,
                one.detection_indices,
            )
        ]
        for one in tracks
    ]


def scored(frames, lookahead, motions):
    """Return the bytes of the scored detections of each frame."""
    found = track_before_detect(frames, lookahead, motions)
    return [(one.boxes_xyxy.tobytes(), one.scores.tobytes()) for one in found]


@given(
    seed=st.integers(0, 2**32 - 1),
    num=st.integers(0, 200),
    side=st.sampled_from([100.0, 400.0, 2000.0]),
)
@pytest.mark.parametrize("config", [TrackerConfig(), EAGER])
@settings(max_examples=12, deadline=None)
def test_tracks_equal_to_the_byte_those_over_all_pairs(config, seed, num, side):
    frames = list(moving(num, 12, seed=seed, side=side))
    sparse = tracked(frames, config)
    with all_pairs():
        assert tracked(frames, config) == sparse


@given(
    seed=st.integers(0, 2**32 - 1),
    num=st.integers(0, 200),
    side=st.sampled_from([100.0, 400.0, 2000.0]),
    is_grid=st.booleans(),
    lookahead=st.integers(0, 3),
    step_px=st.sampled_from([0.0, 3.0, 20.0]),
)
@settings(max_examples=25, deadline=None)
def test_scores_equal_to_the_byte_those_over_all_pairs(
    seed, num, side, is_grid, lookahead, step_px
):
    steps = np.random.default_rng(seed).normal(0, step_px, (8, 2)).round()
    motions = [FrameMotion.known(Transform.translation(step)) for step in steps]
    frames = list(moving(num, 8, seed=seed, side=side))
    if is_grid:  # Ties everywhere: places, distances and scores.
        frames = [
            detections_at(one.boxes_xyxy[:, :2].round(), one.scores.round(1), one.frame_index)
            for one in frames
        ]
    sparse = scored(frames, lookahead, motions)
    with all_pairs():
        assert scored(frames, lookahead, motions) == sparse


def test_stronger_of_alike_detections_continues_the_track():
    tracker = Tracker(EAGER)
    places = np.array([[50.0, 50.0], [90.0, 90.0]])
    for index in range(8):
        found = detections_at(places, np.full(2, 0.9), index)
        tracker.update(found, confidence=CONFIDENCE)
    twice, scores = np.repeat(places, 2, axis=0), np.array([0.66, 0.8, 0.79, 0.67])
    tracks = tracker.update(detections_at(twice, scores, 8), confidence=CONFIDENCE)
    assert tracks.track_ids.tolist() == [1, 2]
    assert sorted(tracks.scores.tolist()) == pytest.approx([0.79, 0.8])


def test_pairs_looked_at_grow_as_detections_do_at_one_density():
    num_pairs = {}
    for num in (1000, 4000):
        side = np.sqrt(num / 0.003)
        one, other = np.random.default_rng(0).uniform(0, side, (2, num, 2))
        near = near_pairs(one, other, 15.0)
        num_pairs[num] = len(near.rows)
    assert num_pairs[4000] < 4.6 * num_pairs[1000]
    assert num_pairs[4000] < 4 * 4000


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((500, 2)),
        np.column_stack([np.arange(500.0), np.zeros(500)]),
        np.column_stack([np.full(500, 1e9), np.arange(500.0)]),
    ],
    ids=["one place", "a line", "far away"],
)
def test_near_pairs_equal_all_pairs_where_a_tree_has_a_hard_time(points):
    found = near_pairs(points, points, 5.0)
    distances = np.hypot(*(points[:, None] - points[None]).T)
    expected = set(zip(*(rows.tolist() for rows in np.nonzero(distances <= 5.0)), strict=True))
    assert set(zip(found.rows.tolist(), found.columns.tolist(), strict=True)) == expected


def test_ten_thousand_detections_give_ten_thousand_tracks():
    tracker, scores = Tracker(EAGER, lookahead=1), TrackBeforeDetect(1)
    rng = np.random.default_rng(0)
    # 40 px apart: farther than any gate.
    place = np.stack(np.meshgrid(np.arange(100.0), np.arange(100.0)), axis=-1).reshape(-1, 2) * 40
    for index in range(6):
        found = detections_at(place + rng.normal(0, 0.3, place.shape), np.full(10_000, 0.9), index)
        scores.push(Frame(detections=found))
        tracks = tracker.update(found, confidence=CONFIDENCE)
    assert tracks.track_ids.tolist() == list(range(1, 10_001))
    assert (tracks.detection_indices >= 0).all()
    assert [len(one.frame.detections) for one in scores.flush()] == [10_000]


def test_clutter_for_ever_leaves_bounded_memory():
    config = TrackerConfig()
    tracker, scores = Tracker(config, lookahead=2), TrackBeforeDetect(2)
    num, sizes = 60, []
    rng = np.random.default_rng(0)
    for index in range(200):
        clutter = detections_at(rng.uniform(0, 600, (num, 2)), np.full(num, 0.9), index)
        scores.push(Frame(detections=clutter))
        tracker.update(clutter, confidence=CONFIDENCE)
        sizes.append((len(tracker._records), len(scores._past._paths.xy)))
    assert len(tracker._mixture) == len(tracker._records)
    # A track is forgotten after max_lost frames, a path when its evidence has decayed.
    start = np.log(0.9 / 0.1) - NEW
    num_frames = np.ceil(np.log(FORGET / start) / np.log(1 - KEEP))
    assert max(tracks for tracks, _ in sizes) <= num * (config.max_lost + 1)
    assert len(tracker._window._frames) == 2
    assert len(tracker._clutter._num_places) <= 25
    assert max(paths for _, paths in sizes) <= num * (num_frames + 1)
    assert len(scores._waiting) == 2


def num_held(value, seen=None):
    """Return how many numbers and entries an object holds, all that it refers to included."""
    seen = set() if seen is None else seen
    if id(value) in seen or value is None or isinstance(value, type | str):
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return value.size
    if isinstance(value, dict):
        return len(value) + num_held(list(value.values()), seen)
    if isinstance(value, list | tuple | set | deque):
        return len(value) + sum(num_held(one, seen) for one in value)
    return num_held(vars(value), seen) if hasattr(value, "__dict__") else 1


def test_state_of_a_long_stream_does_not_grow():
    """Targets come and go, the camera pans and jerks, frames are missing, scenes are cut."""
    rng = np.random.default_rng(0)
    tracker, scores = Tracker(TrackerConfig(), lookahead=5), TrackBeforeDetect(5)
    index, num_ids, held = 0, 0, []
    paths_xy, speeds = rng.uniform(0, 600, (8, 2)), rng.normal(0, 3, (8, 2))
    for count in range(4000):
        index += 1 if rng.random() < 0.99 else 7
        shift_xy = rng.normal(0, 1.0 if rng.random() < 0.95 else 30.0, 2)
        motion = FrameMotion.known(Transform.translation(shift_xy))
        if rng.random() < 0.05:
            motion = NOT_REGISTERED
        if count % 500 == 499:
            tracker.end_tracks()
        paths_xy = paths_xy + speeds + shift_xy
        is_gone = np.any((paths_xy < 0) | (paths_xy > 600), axis=1)
        paths_xy[is_gone] = rng.uniform(0, 600, (int(is_gone.sum()), 2))
        centres = np.concatenate([paths_xy, rng.uniform(0, 600, (rng.poisson(2), 2))])
        found = detections_at(centres, rng.uniform(0.1, 0.9, len(centres)), index)
        scores.push(Frame(detections=found, from_previous=motion))
        tracks = tracker.update(found, motion.transform, confidence=CONFIDENCE)
        num_ids = max(num_ids, *tracks.track_ids.tolist(), 0)
        if count % 20 == 0:
            held.append(num_held(tracker) + num_held(scores))
    assert num_ids > 100
    assert max(held[100:]) <= 1.3 * max(held[10:100])
    assert max(held[100:]) < 20_000
