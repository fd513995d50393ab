from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.registration.frame_motion import NOT_REGISTERED, OTHER_SCENE, FrameMotion
from stdet.registration.transform import Transform
from stdet.tracking.offline import ALWAYS_FILLED, MIN_DETECTIONS, smooth_tracks
from stdet.types import Detections, Tracks

HW = (200, 300)


@dataclass(frozen=True)
class OnlineFrame:
    """What the online tracker left of a frame."""

    index: int
    detections: Detections
    tracks: Tracks
    follows_gap: bool = False
    from_previous: FrameMotion = NOT_REGISTERED


def frame(index, rows, **changes):
    """Return a frame from rows of (id, x, y), or (id, x, y, None) where the track coasted."""
    rows = sorted(rows)
    centres = np.array([row[1:3] for row in rows], np.float32).reshape(-1, 2)
    boxes = np.concatenate([centres - 2, centres + 2], axis=1)
    is_hit = np.array([len(row) == 3 for row in rows], bool)
    num = len(rows)
    tracks = Tracks(
        frame_indices=np.full(num, index, np.int64),
        track_ids=np.array([row[0] for row in rows], np.int64),
        boxes_xyxy=boxes,
        scores=np.full(num, 0.75, np.float32),
        probabilities=np.full(num, 0.5, np.float32),
        class_ids=np.zeros(num, np.int64),
        detection_indices=np.where(is_hit, np.cumsum(is_hit) - 1, -1),
    )
    detections = Detections.from_unsorted(
        boxes[is_hit], np.full(int(is_hit.sum()), 0.75), frame_index=index, image_hw=HW
    )
    return OnlineFrame(index=index, detections=detections, tracks=tracks, **changes)


def flight(ids, *, speed=(3.0, 1.0), start=(40.0, 50.0)):
    """Return a frame for each id: a straight flight, None where the target is not found."""
    return [
        frame(t, [] if track_id is None else [(track_id, *(start + t * np.array(speed)))])
        for t, track_id in enumerate(ids)
    ]


def centres(tracks):
    return (tracks.boxes_xyxy[:, :2] + tracks.boxes_xyxy[:, 2:]) / 2


def test_gap_of_a_track_is_filled():
    found = smooth_tracks(flight([1] * 10 + [None] * 8 + [1] * 10))
    assert found.frame_indices.tolist() == list(range(28))
    assert set(found.track_ids.tolist()) == {1}
    expected = np.array([40.0, 50.0]) + np.outer(np.arange(28), [3.0, 1.0])
    np.testing.assert_allclose(centres(found), expected, atol=0.3)
    assert (found.detection_indices[10:18] == -1).all()
    assert (found.detection_indices[:10] == 0).all()
    assert set(found.scores.tolist()) == {0.75}


def test_tracks_of_one_target_are_joined_under_the_first_id():
    found = smooth_tracks(flight([2] * 12 + [None] * 12 + [5] * 12))
    assert found.frame_indices.tolist() == list(range(36))
    assert set(found.track_ids.tolist()) == {2}


def test_gap_longer_than_what_was_seen_around_it_is_joined_but_not_filled():
    for before, after in ((12, 20), (20, 12)):
        found = smooth_tracks(flight([2] * before + [None] * 13 + [5] * after))
        resumed = before + 13
        assert found.frame_indices.tolist() == [
            *range(before),
            *range(resumed, resumed + after),
        ]
        assert set(found.track_ids.tolist()) == {2}


def test_short_gap_is_filled_wherever_it_is():
    found = smooth_tracks(flight([1] + [None] * ALWAYS_FILLED + [1] * 5))
    assert found.frame_indices.tolist() == list(range(6 + ALWAYS_FILLED))
    found = smooth_tracks(flight([1] + [None] * (ALWAYS_FILLED + 1) + [1] * 5))
    assert len(found) == 6


def test_three_tracks_of_one_target_are_joined():
    found = smooth_tracks(flight([2] * 8 + [None] * 4 + [5] * 8 + [None] * 4 + [6] * 8))
    assert set(found.track_ids.tolist()) == {2}
    assert len(found) == 32


def test_target_elsewhere_or_on_another_course_is_another_one():
    away = flight([1] * 12 + [None] * 5 + [2] * 12)
    for t in range(17, 29):
        away[t] = frame(t, [(2, 250 - 3 * (t - 17), 150 + t)])
    found = smooth_tracks(away)
    assert set(found.track_ids.tolist()) == {1, 2}


@pytest.mark.parametrize(
    "cut", [{"follows_gap": True}, {"from_previous": FrameMotion.unknown(OTHER_SCENE)}]
)
def test_nothing_is_joined_across_a_cut(cut):
    frames = flight([1] * 12 + [None] * 3 + [2] * 12)
    assert set(smooth_tracks(frames).track_ids.tolist()) == {1}
    frames[13] = replace(frames[13], **cut)
    assert set(smooth_tracks(frames).track_ids.tolist()) == {1, 2}


def test_tracks_of_few_detections_are_left_out():
    assert len(smooth_tracks(flight([1] * (MIN_DETECTIONS - 1)))) == 0
    assert len(smooth_tracks(flight([1] * MIN_DETECTIONS))) == MIN_DETECTIONS


def test_rows_before_the_first_and_after_the_last_detection_are_left_out():
    frames = flight([1] * 10)
    frames += [frame(10, [(1, 70.0, 60.0, None)]), frame(11, [(1, 73.0, 61.0, None)])]
    assert smooth_tracks(frames).frame_indices.tolist() == list(range(10))


def test_two_targets_that_cross_keep_their_courses():
    # Both tracks end before they meet; others begin behind.
    frames = []
    for t in range(30):
        low, high = (t, 40.0 + 4 * t, 60.0 + t), (t, 40.0 + 4 * t, 90.0 - t)
        ids = (1, 2) if t < 13 else (3, 4)
        rows = [] if 13 <= t < 17 else [(ids[0], *low[1:]), (ids[1], *high[1:])]
        frames.append(frame(t, rows))
    found = smooth_tracks(frames)
    assert set(found.track_ids.tolist()) == {1, 2}
    last = found.at_frame(29)
    np.testing.assert_allclose(centres(last)[:, 1], [89.0, 61.0], atol=0.5)


def test_path_follows_the_scene_through_a_gap():
    # The camera pans by 10 px a frame while the target is not found.
    frames = []
    for t in range(30):
        pan = 10.0 * min(max(t - 10, 0), 8)
        rows = [] if 10 < t < 18 else [(1, 150.0 - pan, 80.0)]
        shift = -10.0 if 10 < t <= 18 else 0.0
        motion = FrameMotion.known(Transform.translation((shift, 0.0)))
        frames.append(frame(t, rows, from_previous=motion))
    found = smooth_tracks(frames)
    np.testing.assert_allclose(centres(found)[:, 0], [
        150.0 - 10.0 * min(max(t - 10, 0), 8) for t in range(30)
    ], atol=0.2)  # fmt: skip


def test_frames_that_are_missing_are_time_that_passes():
    frames = [frame(t, [(1, 40 + 2 * t, 50)]) for t in (*range(10), *range(13, 25))]
    found = smooth_tracks(frames)
    assert found.frame_indices.tolist() == [*range(10), *range(13, 25)]
    np.testing.assert_allclose(centres(found)[:, 0], 40 + 2 * found.frame_indices, atol=0.2)


def test_no_frames_and_no_tracks_give_none():
    assert len(smooth_tracks([])) == 0
    assert len(smooth_tracks(flight([None] * 5))) == 0


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_names_do_not_matter_and_a_flipped_scene_flips_the_tracks(seed):
    rng = np.random.default_rng(seed)
    starts, speeds = rng.uniform(50, 150, (3, 2)), rng.normal(0, 2, (3, 2))
    is_found = rng.random((25, 3)) < 0.8

    def frames(names, sign):
        made = []
        for t in range(25):
            places = starts + t * speeds
            made.append(
                frame(
                    t,
                    [
                        (names[n], sign * places[n, 0], places[n, 1])
                        for n in range(3)
                        if is_found[t, n]
                    ],
                )
            )
        return made

    one, other = (smooth_tracks(frames(*case)) for case in (((1, 2, 3), 1), ((4, 5, 6), -1)))
    np.testing.assert_array_equal(one.frame_indices, other.frame_indices)
    np.testing.assert_allclose(centres(one) * [-1, 1], centres(other), atol=1e-3)
