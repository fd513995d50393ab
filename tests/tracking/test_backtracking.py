"""Tracks that reach back: counted by hand, and what must hold in any scene."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.boxes import centres_xy
from stdet.config import TrackerConfig
from stdet.tracking.backtracking import BacktrackingTracker
from stdet.tracking.tracker import Tracker
from stdet.types import Detections, Tracks

CONFIDENCE = 0.5


def frame(index, *rows):
    """Build one frame from rows of (x, y, score)."""
    rows = np.array(rows, np.float64).reshape(-1, 3)
    return Detections.from_unsorted(
        np.concatenate([rows[:, :2] - 2, rows[:, :2] + 2], axis=1),
        rows[:, 2],
        frame_index=index,
        image_hw=(200, 200),
    )


def tracked(frames, **changes):
    """Track frames; return the rows, and the frames that came out."""
    tracker = BacktrackingTracker(TrackerConfig(**changes))
    done = [out for found in frames for out in tracker.push(found, confidence=CONFIDENCE)]
    done += tracker.flush()
    return Tracks.concatenate([frame.tracks for frame in done]), [f.detections for f in done]


def moving(scores, *, x=20.0, speed=4.0):
    """Return frames of one target; a score of 0 is a miss."""
    return [
        frame(t, (x + speed * t, 50, score)) if score else frame(t)
        for t, score in enumerate(scores)
    ]


def frames_of(tracks, track_id=1):
    return tracks.frame_indices[tracks.track_ids == track_id].tolist()


@pytest.mark.parametrize(
    ("scores", "backtrack", "expected"),
    [
        ([0.4, 0.4, 0.4, 0.9, 0.9], 5, [0, 1, 2, 3, 4]),
        ([0.4, 0.4, 0.4, 0.9, 0.9], 2, [1, 2, 3, 4]),
        ([0.4, 0.4, 0.4, 0.9, 0.9], 0, [3, 4]),
        # 0.7 of the operating point is 0.35: less does not go on, and counts as a miss.
        ([0.4, 0.34, 0.34, 0.34, 0.9], 9, [4]),
        # Two misses are bridged, at the far end none is added.
        ([0, 0.4, 0, 0, 0.9, 0.9], 9, [1, 2, 3, 4, 5]),
        ([0.4, 0, 0, 0, 0.9], 9, [4]),
    ],
)
def test_track_reaches_back_over_weak_detections(scores, backtrack, expected):
    tracks, _ = tracked(moving(scores), backtrack=backtrack)
    assert frames_of(tracks) == expected
    found = tracks.detection_indices >= 0
    assert (tracks.frame_indices[~found] == [t for t in expected if not scores[t]]).all()
    x = centres_xy(tracks.boxes_xyxy)[:, 0]
    np.testing.assert_allclose(x, 20 + 4 * tracks.frame_indices, atol=2)


def test_rows_added_point_at_their_detection():
    # The first row of frame 0 has a track of its own, the second none.
    frames = [
        frame(0, (150, 150, 0.9), (90, 90, 0.45), (20, 50, 0.4)),
        frame(1, (150, 150, 0.9), (24, 50, 0.8)),
    ]
    tracks, found = tracked(frames)
    assert tracks.track_ids.tolist() == [1, 2, 1, 2]
    assert tracks.detection_indices.tolist() == [0, 2, 0, 1]
    assert tracks.scores.tolist() == [np.float32(s) for s in (0.9, 0.4, 0.9, 0.8)]
    assert [d.frame_index for d in found] == [0, 1]


def test_jumps_in_frame_indices_count_as_time():
    # 8 px per frame looked at, 4 px per frame of the sequence.
    weak_then_strong = [
        frame(t, (20 + 4 * t, 50, score)) for t, score in ((0, 0.4), (2, 0.4), (4, 0.9), (6, 0.9))
    ]
    tracks, _ = tracked(weak_then_strong)
    assert frames_of(tracks) == [0, 2, 4, 6]
    # After a jump of 50 frames nobody knows where it was.
    tracks, _ = tracked([frame(0, (20, 50, 0.4)), frame(50, (20, 50, 0.9))])
    assert frames_of(tracks) == [50]


def test_box_between_two_detections_lies_between_them_by_time():
    frames = [frame(0, (20, 50, 0.4)), frame(2), frame(3, (32, 50, 0.9))]
    tracks, _ = tracked(frames)
    assert frames_of(tracks) == [0, 2, 3]
    assert tracks.detection_indices.tolist() == [0, -1, 0]
    first, between, last = tracks.boxes_xyxy
    np.testing.assert_allclose(between, first / 3 + last * 2 / 3, rtol=1e-6)
    assert tracks.scores[1] == tracks.scores[2]


def test_detection_of_another_track_is_not_taken():
    # A target that is tracked passes where another begins.
    frames = [frame(t, (40 + t, 50, 0.9)) for t in range(3)]
    frames.append(frame(3, (43, 50, 0.9), (37, 50, 0.8)))
    tracks, _ = tracked(frames)
    assert frames_of(tracks, 2) == [3]


def test_two_that_begin_together_share_no_detection():
    frames = [frame(0, (50, 50, 0.4)), frame(1, (47, 50, 0.9), (53, 50, 0.9))]
    tracks, _ = tracked(frames)
    assert sorted(len(frames_of(tracks, i)) for i in (1, 2)) == [1, 2]


def test_two_that_begin_together_keep_their_own_pasts():
    rows = [(20, 50, 0.36), (150, 150, 0.4)]
    frames = [frame(0, *rows), frame(1, *rows), frame(2, (20, 50, 0.9), (150, 150, 0.8))]
    tracks, _ = tracked(frames)
    for track_id, x in ((1, 20), (2, 150)):
        mine = tracks.track_ids == track_id
        assert tracks.frame_indices[mine].tolist() == [0, 1, 2]
        np.testing.assert_allclose(centres_xy(tracks.boxes_xyxy[mine])[:, 0], x, atol=0.5)


def test_later_confirmation_is_reported_from_the_first_hit():
    tracks, _ = tracked(moving([0.9] * 5), confirm_hits=3, confirm_window=5)
    assert frames_of(tracks) == [0, 1, 2, 3, 4]


def test_track_found_again_is_followed_back_into_its_gap():
    # Shown until frame 3 (one coast), lost in 4 and 5, found in 6; 5 has a weak detection.
    scores = [0.9, 0.9, 0.9, 0, 0, 0.4, 0.9]
    lost, _ = tracked(moving(scores), backtrack=0, max_coast=1)
    assert frames_of(lost) == [0, 1, 2, 3, 6]
    tracks, _ = tracked(moving(scores), max_coast=1)
    assert frames_of(tracks) == [0, 1, 2, 3, 5, 6]
    assert len(set(tracks.track_ids.tolist())) == 1


def test_what_is_no_longer_followed_takes_nothing():
    # Track 1 is shown until frame 6, lost in 7, and found again in 8, as track 2 begins. It is not
    # followed into frame 6, where the weak detection of track 2 lies beside it.
    frames = [frame(t, (50, 50, 0.9)) for t in range(6)]
    frames += [frame(6, (62, 50, 0.4)), frame(7, (72, 50, 0.4))]
    frames.append(frame(8, (50, 50, 0.9), (90, 50, 0.8)))
    tracks, _ = tracked(frames, max_coast=1)
    assert frames_of(tracks, 1) == [0, 1, 2, 3, 4, 5, 6, 8]
    assert frames_of(tracks, 2) == [6, 7, 8]


def test_what_begins_on_the_way_back_takes_nothing():
    # Two hits confirm, so that the strong clutter of frame 1 has no track. On the way back it must
    # not become one that takes the detection of the braking target in frame 0.
    frames = [
        frame(0, (14, 50, 0.4)),
        frame(1, (14, 54, 0.9), (24, 50, 0.4)),
        frame(2, (32, 50, 0.9)),
        frame(3, (36, 50, 0.9)),
    ]
    tracks, _ = tracked(frames, confirm_hits=2, confirm_window=2)
    assert frames_of(tracks) == [0, 1, 2, 3]


def test_frames_that_came_out_are_left_alone():
    tracker = BacktrackingTracker(TrackerConfig(backtrack=9))
    frames = moving([0.4, 0.4, 0.9])
    for found in frames[:2]:
        assert tracker.push(found, confidence=CONFIDENCE) == []
    assert [len(frame.tracks) for frame in tracker.flush()] == [0, 0]
    tracker.push(frames[2], confidence=CONFIDENCE)
    (last,) = tracker.flush()
    assert last.tracks.track_ids.tolist() == [1]


def test_reset_forgets_what_waits():
    tracker = BacktrackingTracker(TrackerConfig())
    for found in moving([0.4, 0.9]):
        tracker.push(found, confidence=CONFIDENCE)
    tracker.reset()
    assert tracker.flush() == []
    tracker.push(frame(0, (9, 9, 0.9)), confidence=CONFIDENCE)
    assert [frame.tracks.track_ids.tolist() for frame in tracker.flush()] == [[1]]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 8), st.booleans())
def test_in_any_scene(seed, backtrack, is_slow):
    rng = np.random.default_rng(seed)
    frames, times = [], []
    index = 0
    for _ in range(rng.integers(1, 25)):
        count = rng.poisson(4)
        rows = np.column_stack([rng.uniform(0, 60, (count, 2)), rng.uniform(0.1, 0.9, count)])
        frames.append(frame(index, *rows))
        times.append(index)
        index += int(rng.integers(1, 3))
    changes = {"confirm_hits": 2, "confirm_window": 4} if is_slow else {}
    tracks, found = tracked(frames, backtrack=backtrack, **changes)
    plain = Tracker(TrackerConfig(**changes))
    wanted = Tracks.concatenate([plain.update(f, confidence=CONFIDENCE) for f in frames])

    assert found == frames
    if backtrack == 0:
        assert_same(tracks, wanted)
    keys = list(zip(tracks.frame_indices.tolist(), tracks.track_ids.tolist(), strict=True))
    assert keys == sorted(set(keys))
    rows_of = {key: row for row, key in enumerate(keys)}
    kept = [
        rows_of[key]
        for key in zip(wanted.frame_indices.tolist(), wanted.track_ids.tolist(), strict=True)
    ]
    assert_same(tracks[np.array(kept, np.int64)], wanted)
    # Nothing is taken twice, and what is added was seen or lies between what was.
    for at, detections in zip(times, frames, strict=True):
        here = tracks.at_frame(at)
        taken = here.detection_indices[here.detection_indices >= 0]
        assert len(set(taken.tolist())) == len(taken)
        assert (taken < len(detections)).all()
        assert (detections.scores[taken] >= np.float32(0.7 * CONFIDENCE)).all()
        seen = here.detection_indices >= 0
        np.testing.assert_array_equal(here.scores[seen], detections.scores[taken])
    place_of = {at: place for place, at in enumerate(times)}
    added = np.ones(len(tracks), np.bool_)
    added[kept] = False
    for track_id in set(tracks.track_ids.tolist()):
        mine = tracks.track_ids == track_id
        assert tracks.detection_indices[mine][0] >= 0
        # Each run of added rows ends where the track begins or is found again, at most
        # ``backtrack`` frames later, and bridges at most ``max_coast`` frames without detection.
        begun = [place_of[at] for at in tracks.frame_indices[mine & ~added].tolist()]
        missed = 0
        for at, row in zip(
            tracks.frame_indices[mine & added].tolist(),
            tracks.detection_indices[mine & added].tolist(),
            strict=True,
        ):
            later = min(place for place in begun if place > place_of[at])
            assert later - place_of[at] <= backtrack
            missed = 0 if row >= 0 else missed + 1
            assert missed <= TrackerConfig().max_coast


def assert_same(tracks, wanted):
    """Assert that rows are equal to the bit."""
    for name in ("frame_indices", "track_ids", "boxes_xyxy", "scores", "class_ids"):
        np.testing.assert_array_equal(getattr(tracks, name), getattr(wanted, name))
    np.testing.assert_array_equal(tracks.detection_indices, wanted.detection_indices)
