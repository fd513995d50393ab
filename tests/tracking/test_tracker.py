"""The life of tracks, counted by hand, and what must hold in any scene."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_camera import moving_cameras, steps_of
from numpy.typing import NDArray

from stdet.boxes import box_iou, centres_xy
from stdet.config import TrackerConfig
from stdet.registration.transform import Transform
from stdet.tracking.track_before_detect import track_before_detect
from stdet.tracking.tracker import MIN_SIZE_PX, Tracker
from stdet.types import Detections, Tracks

HW = (256, 256)
Points = Sequence[Sequence[float]] | NDArray[np.float64]


def detections_at(
    frame_index: int,
    centres: Points,
    *,
    size: float = 5.0,
    score: float | NDArray[np.float64] = 0.9,
    class_id: int = 0,
) -> Detections:
    """Return square boxes of equal or given scores about the given centres."""
    points = np.array(centres, np.float64).reshape(-1, 2)
    return Detections.from_unsorted(
        np.concatenate([points - size / 2, points + size / 2], axis=1),
        np.full(len(points), score),
        frame_index=frame_index,
        image_hw=HW,
        class_ids=np.full(len(points), class_id),
    )


def run(tracker: Tracker, frames: Sequence[Points], *, first: int = 0) -> Tracks:
    """Give the tracker one list of centres per frame."""
    parts = [tracker.update(detections_at(first + i, centres)) for i, centres in enumerate(frames)]
    return Tracks.concatenate(parts)


def careful(**changes: float) -> TrackerConfig:
    """Return settings that confirm after three hits in five frames, for single-frame scores."""
    return TrackerConfig(**({"confirm_hits": 3, "confirm_window": 5} | changes))


def run_pattern(pattern: str, config: TrackerConfig) -> dict[int, list[tuple[int, int]]]:
    """Track a still target seen at each H and missed at each dot: {frame: [(id, row)]}."""
    frames = [[[50.0, 50.0]] if letter == "H" else [] for letter in pattern]
    tracks = run(Tracker(config), frames)
    rows: dict[int, list[tuple[int, int]]] = {}
    for frame, track_id, row in zip(
        tracks.frame_indices, tracks.track_ids, tracks.detection_indices, strict=True
    ):
        rows.setdefault(int(frame), []).append((int(track_id), int(row)))
    return rows


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        # Third hit confirms; the row of that frame is the first.
        ("HHH", {2: [(1, 0)]}),
        # Three of five, the last possible frame.
        ("H.H.H", {4: [(1, 0)]}),
        ("HH..H", {4: [(1, 0)]}),
        # The third miss makes three of five impossible: the hit after it is a new target,
        # which needs three hits of its own.
        ("H...HH", {}),
        ("H...HHH", {6: [(1, 0)]}),
        ("HH...HH", {}),
        # Two coasted frames, then it is shown no more.
        ("HHH...", {2: [(1, 0)], 3: [(1, -1)], 4: [(1, -1)]}),
        # Back in time: the same id, and the allowance starts anew.
        (
            "HHH..H..",
            {2: [(1, 0)], 3: [(1, -1)], 4: [(1, -1)], 5: [(1, 0)], 6: [(1, -1)], 7: [(1, -1)]},
        ),
        # Lost for a frame, found again: the same id at once.
        ("HHH...H", {2: [(1, 0)], 3: [(1, -1)], 4: [(1, -1)], 6: [(1, 0)]}),
        # The fourth miss is the last that is remembered: here found just in time ...
        ("HHH....H", {2: [(1, 0)], 3: [(1, -1)], 4: [(1, -1)], 7: [(1, 0)]}),
        # ... and here one frame too late: a new id, the next number.
        ("HHH.....HHH", {2: [(1, 0)], 3: [(1, -1)], 4: [(1, -1)], 10: [(2, 0)]}),
        ("", {}),
        ("....", {}),
    ],
)
def test_life_cycle_equals_the_hand_count(
    pattern: str, expected: dict[int, list[tuple[int, int]]]
) -> None:
    assert run_pattern(pattern, careful(max_lost=4)) == expected


def test_one_hit_confirms_and_no_coast_ends_at_once_where_configured() -> None:
    config = TrackerConfig(confirm_hits=1, confirm_window=1, max_coast=0, max_lost=0)
    assert run_pattern("H.H", config) == {0: [(1, 0)], 2: [(2, 0)]}


@pytest.mark.parametrize("max_coast", [1, 2, 5])
def test_moving_target_keeps_its_id_through_max_coast_missed_frames(max_coast: int) -> None:
    tracker = Tracker(careful(max_coast=max_coast))
    seen = [[[20.0 + 6 * i, 30.0 + 2 * i]] for i in range(20)]
    frames: list[Points] = [[] if 10 <= i < 10 + max_coast else seen[i] for i in range(20)]
    tracks = run(tracker, frames)
    assert set(tracks.track_ids.tolist()) == {1}
    assert tracks.frame_indices.tolist() == list(range(2, 20))
    is_coasted = (tracks.frame_indices >= 10) & (tracks.frame_indices < 10 + max_coast)
    np.testing.assert_array_equal(tracks.detection_indices == -1, is_coasted)
    # The coasted boxes go on along the path.
    error = centres_xy(tracks.boxes_xyxy) - np.array(seen)[2:, 0]
    assert np.abs(error).max() < 1.5


@pytest.mark.parametrize("speed", [6.0, 8.0, 10.0])
def test_target_that_outruns_its_own_box_keeps_its_id(speed: float) -> None:
    frames = [[[10 + speed * i, 200 - speed * i / 2]] for i in range(20)]
    first, second = detections_at(0, frames[0]), detections_at(1, frames[1])
    assert box_iou(first.boxes_xyxy, second.boxes_xyxy).item() == 0
    tracks = run(Tracker(careful()), frames)
    assert tracks.track_ids.tolist() == [1] * 18


def test_crossing_targets_keep_their_ids() -> None:
    # They meet at (100, 100) in frame 20 exactly, where either could be the other.
    steps = np.arange(-20, 21)
    right = np.stack([100 + 4.0 * steps, 100 + 1.0 * steps], axis=1)
    left = np.stack([100 - 4.0 * steps, 100 + 1.0 * steps], axis=1)
    noise = np.random.default_rng(1).normal(scale=0.3, size=(2, 41, 2))
    frames = np.stack([right + noise[0], left + noise[1]], axis=1)
    tracks = run(Tracker(careful()), list(frames))
    assert set(tracks.track_ids.tolist()) == {1, 2}
    for track_id in (1, 2):
        rows = tracks.track_ids == track_id
        path = centres_xy(tracks.boxes_xyxy[rows])
        truth = right if path[0, 0] < 100 else left
        assert np.abs(path - truth[tracks.frame_indices[rows]]).max() < 2


def test_random_clutter_confirms_at_most_one_track_in_2000_frames() -> None:
    # 0.5 false alarms a frame on 256 x 256 px; a measured rate is 1 track in 10,000 frames.
    rng = np.random.default_rng(0)
    tracks = run(Tracker(careful()), [rng.uniform(0, 256, (n, 2)) for n in rng.poisson(0.5, 2000)])
    assert len(set(tracks.track_ids.tolist())) <= 1


def test_unconfirmed_track_does_not_take_a_confirmed_tracks_detection() -> None:
    # Both could take the one detection of frame 6, the unconfirmed track even at a lower cost.
    config = TrackerConfig(confirm_hits=3, confirm_window=6)
    tracker = Tracker(config)
    run(tracker, [[[50.0, 50.0]]] * 5)
    tracker.update(detections_at(5, [[50.0, 50.0], [54.0, 50.0]]))
    tracks = tracker.update(detections_at(6, [[54.0, 50.0]]))
    assert tracks.track_ids.tolist() == [1]
    assert tracks.detection_indices.tolist() == [0]


def both(frame_index: int, strong: Points, weak: Points) -> Detections:
    """Return detections with scores of 0.9 and 0.6."""
    points = np.array([*strong, *weak], np.float64).reshape(-1, 2)
    return Detections.from_unsorted(
        np.concatenate([points - 2.5, points + 2.5], axis=1),
        np.array([0.9] * len(strong) + [0.6] * len(weak)),
        frame_index=frame_index,
        image_hw=HW,
    )


def test_weak_detections_continue_a_track_and_start_none() -> None:
    tracker = Tracker(careful(max_coast=0, max_lost=0, continue_share=0.7))
    # 0.6 is above 0.7 x 0.8 and below 0.8: it is weak.
    frames = [both(i, [[50, 50]] if i < 3 else [], [[50, 50], [150, 150]]) for i in range(8)]
    parts = [tracker.update(found, confidence=0.8) for found in frames]
    assert [part.track_ids.tolist() for part in parts] == [[], []] + [[1]] * 6
    assert [part.detection_indices.tolist() for part in parts[3:]] == [[0]] * 5
    # Below 0.7 x 0.9 it is nothing.
    assert len(tracker.update(both(8, [], [[50, 50]]), confidence=0.9)) == 0


def test_strong_detection_goes_first_even_where_a_weak_one_is_nearer() -> None:
    tracker = Tracker(careful())
    for i in range(4):
        tracker.update(both(i, [[50, 50]], []), confidence=0.8)
    tracks = tracker.update(both(4, [[51, 50]], [[50, 50]]), confidence=0.8)
    assert tracks.detection_indices.tolist() == [0]
    assert tracks.scores.tolist() == pytest.approx([0.9])


def test_lost_track_is_not_continued_by_a_weak_detection() -> None:
    tracker = Tracker(careful(max_coast=1, max_lost=20))
    for i in range(4):
        tracker.update(both(i, [[50, 50]], []), confidence=0.8)
    for i in (4, 5):
        tracker.update(both(i, [], []), confidence=0.8)
    assert len(tracker.update(both(6, [], [[50, 50]]), confidence=0.8)) == 0
    assert tracker.update(both(7, [[50, 50]], []), confidence=0.8).track_ids.tolist() == [1]


def test_lost_track_does_not_take_the_detection_of_one_that_is_shown() -> None:
    # Track 1 is lost near track 2, and so uncertain that it could take 2's detection.
    tracker = Tracker(careful())
    run(tracker, [[[50.0, 50.0], [70.0, 50.0]]] * 6)
    run(tracker, [[[70.0, 50.0]]] * 8, first=6)
    tracks = tracker.update(detections_at(14, [[66.0, 50.0]]))
    assert tracks.track_ids.tolist() == [2]


def test_ids_are_dense_and_given_in_order_of_confirmation() -> None:
    # The older target is seen in every second frame, so the younger is confirmed first.
    far, near = [10.0, 10.0], [200.0, 200.0]
    tracks = run(Tracker(careful()), [[far], [near], [far, near], [near], [far], [far, near]])
    at_end = tracks.at_frame(5)
    assert at_end.track_ids.tolist() == [1, 2]
    np.testing.assert_allclose(centres_xy(at_end.boxes_xyxy), [near, far], atol=0.1)


def test_rows_carry_the_last_detections_score_and_class_and_the_smoothed_size() -> None:
    tracker = Tracker(TrackerConfig(confirm_hits=1, size_smoothing=0.25))
    tracker.update(detections_at(0, [[50, 50]], size=4, score=0.5, class_id=0))
    hit = tracker.update(detections_at(1, [[50, 50]], size=8, score=0.75, class_id=3))
    coasted = tracker.update(detections_at(2, []))
    for tracks in (hit, coasted):
        # 4 + 0.25 * (8 - 4) = 5.
        np.testing.assert_allclose(tracks.boxes_xyxy, [[47.5, 47.5, 52.5, 52.5]], atol=1e-5)
        assert tracks.scores.tolist() == [0.75]
        assert tracks.class_ids.tolist() == [3]
    assert (hit.detection_indices.item(), coasted.detection_indices.item()) == (0, -1)


def test_track_begins_with_the_first_detection_above_the_threshold() -> None:
    """One detection confirms: a track-before-detect score of 0.5 takes a few hits already."""
    assert Tracker(TrackerConfig()).update(detections_at(0, [[9, 9]])).track_ids.tolist() == [1]
    lookahead = TrackerConfig().lookahead
    assert lookahead is not None

    def best(num_hits: int, score: float) -> float:
        frames = [[[50, 50]] if 10 <= frame < 10 + num_hits else [] for frame in range(25)]
        detections = [
            detections_at(frame, centres, score=score) for frame, centres in enumerate(frames)
        ]
        found = track_before_detect(detections, lookahead)
        return float(max(scored.scores.max() for scored in found if len(scored)))

    assert best(3, 0.999) < 0.5 < best(4, 0.999)
    assert best(6, 0.9) < 0.5 < best(7, 0.9)


def test_detection_without_area_gives_a_box_with_area() -> None:
    tracks = Tracker(TrackerConfig(confirm_hits=1)).update(detections_at(0, [[9, 9]], size=0))
    np.testing.assert_allclose(
        tracks.boxes_xyxy[:, 2:] - tracks.boxes_xyxy[:, :2], MIN_SIZE_PX, rtol=1e-4
    )


def test_dropped_frames_keep_the_id_and_use_the_true_time() -> None:
    tracker = Tracker(careful())
    indices = [0, 1, 2, 3, 6, 7, 12, 13]
    parts = [tracker.update(detections_at(i, [[20.0 + 8 * i, 40.0]])) for i in indices]
    assert [part.track_ids.tolist() for part in parts] == [[], []] + [[1]] * 6


def test_every_third_frame_alone_still_confirms_a_track() -> None:
    tracker = Tracker(careful())
    parts = [tracker.update(detections_at(i, [[20.0 + 2 * i, 40.0]])) for i in (0, 3, 6)]
    assert parts[-1].track_ids.tolist() == [1]


def test_track_does_not_survive_a_jump_that_leaves_its_place_unknown() -> None:
    tracker = Tracker(careful())
    run(tracker, [[[50.0, 50.0]]] * 4)
    after = run(tracker, [[[50.0, 50.0]]] * 3, first=1000)
    assert after.track_ids.tolist() == [2]
    assert after.frame_indices.tolist() == [1002]


@pytest.mark.parametrize("frame_index", [3, 2, 0])
def test_frame_index_that_does_not_increase_is_an_error_and_changes_nothing(
    frame_index: int,
) -> None:
    tracker = Tracker(careful())
    run(tracker, [[[50.0, 50.0]]] * 4)
    with pytest.raises(ValueError, match=rf"frame {frame_index} after frame 3.*reset\(\)"):
        tracker.update(detections_at(frame_index, []))
    assert tracker.update(detections_at(4, [[50.0, 50.0]])).track_ids.tolist() == [1]


def test_reset_forgets_tracks_ids_and_time() -> None:
    tracker = Tracker(careful())
    before = run(tracker, [[[50.0, 50.0]]] * 4)
    tracker.reset()
    after = run(tracker, [[[50.0, 50.0]]] * 4)
    np.testing.assert_array_equal(before.frame_indices, after.frame_indices)
    np.testing.assert_array_equal(before.track_ids, after.track_ids)


def test_two_trackers_in_one_process_do_not_disturb_each_other() -> None:
    frames = random_scene(seed=3)
    alone = run(Tracker(careful()), frames)
    one, other = Tracker(careful()), Tracker(careful())
    parts = []
    for i, centres in enumerate(frames):
        parts.append(one.update(detections_at(i, centres)))
        other.update(detections_at(i, centres[::-1] + 40))
    assert_same_tracks(Tracks.concatenate(parts), alone)


def test_empty_frames_for_ever_leave_nothing_in_memory() -> None:
    tracker = Tracker(careful())
    run(tracker, random_scene(seed=4))
    run(tracker, [[]] * (careful().max_lost + 1), first=20)
    assert len(tracker._states) == len(tracker._records) == 0


def random_scene(seed: int, *, num_frames: int = 15) -> list[NDArray[np.float64]]:
    """Return frames of moving targets, missed now and then, among clutter."""
    rng = np.random.default_rng(seed)
    start, speed = rng.uniform(30, 220, (4, 2)), rng.normal(0, 3, (4, 2))
    frames = []
    for i in range(num_frames):
        seen = (start + speed * i + rng.normal(0, 0.5, (4, 2)))[rng.random(4) < 0.85]
        frames.append(np.concatenate([seen, rng.uniform(0, 256, (rng.poisson(1), 2))]))
    return frames


def assert_same_tracks(
    actual: Tracks, expected: Tracks, *, shift_xy: tuple[float, float] = (0.0, 0.0)
) -> None:
    np.testing.assert_array_equal(actual.frame_indices, expected.frame_indices)
    np.testing.assert_array_equal(actual.track_ids, expected.track_ids)
    np.testing.assert_allclose(
        actual.boxes_xyxy, expected.boxes_xyxy + np.tile(shift_xy, 2), atol=1e-3
    )


@given(
    seed=st.integers(0, 10_000),
    shift_xy=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
@pytest.mark.parametrize("config", [TrackerConfig(), careful()])
@settings(max_examples=15, deadline=None)
def test_shifting_the_scene_shifts_the_boxes(
    config: TrackerConfig, seed: int, shift_xy: tuple[float, float]
) -> None:
    frames = random_scene(seed)
    moved = run(Tracker(config), [centres + shift_xy for centres in frames])
    assert_same_tracks(moved, run(Tracker(config), frames), shift_xy=shift_xy)


@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("config", [TrackerConfig(), careful()])
@settings(max_examples=15, deadline=None)
def test_order_of_equal_detections_does_not_matter(config: TrackerConfig, seed: int) -> None:
    frames = random_scene(seed)
    rng = np.random.default_rng(seed + 1)
    orders = [rng.permutation(len(centres)) for centres in frames]
    shuffled = [centres[order] for centres, order in zip(frames, orders, strict=True)]
    tracks = run(Tracker(config), frames)
    other = run(Tracker(config), shuffled)
    assert_same_tracks(other, tracks)
    for frame, row, other_row in zip(
        tracks.frame_indices, tracks.detection_indices, other.detection_indices, strict=True
    ):
        assert row == (-1 if other_row == -1 else orders[frame][other_row])


@given(
    frames=st.lists(
        st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=6), max_size=12
    )
)
@settings(max_examples=60, deadline=None)
def test_rows_are_always_sound(frames: list[list[tuple[int, int]]]) -> None:
    # Few places, so that ties and repeated points are frequent. Tracks checks order and boxes.
    tracker = Tracker(TrackerConfig(confirm_hits=2, confirm_window=3))
    seen: set[int] = set()
    for i, centres in enumerate(frames):
        detections = detections_at(i, centres)
        tracks = tracker.update(detections)
        rows = tracks.detection_indices[tracks.detection_indices >= 0]
        assert len(set(rows.tolist())) == len(rows)
        assert rows.max(initial=-1) < len(detections)
        seen |= set(tracks.track_ids.tolist())
    assert seen == set(range(1, len(seen) + 1))


def test_fifty_targets_take_less_than_five_milliseconds_a_frame() -> None:
    rng = np.random.default_rng(0)
    start, speed = rng.uniform(0, 500, (50, 2)), rng.normal(0, 3, (50, 2))
    tracker = Tracker(careful())
    durations = []
    for i in range(30):
        detections = detections_at(i, start + speed * i)
        begin = time.process_time()
        tracker.update(detections)
        durations.append(time.process_time() - begin)
    assert np.median(durations) < 5e-3


def run_moving(
    config: TrackerConfig, frames: Sequence[Points], transforms: Sequence[Transform | None]
) -> Tracks:
    """Track frames, between which the background has moved by the transforms.

    No two scores are equal, since the places in the picture break ties.
    """
    tracker, parts = Tracker(config), []
    for i, (centres, step) in enumerate(zip(frames, [None, *transforms], strict=True)):
        found = detections_at(i, centres, score=np.linspace(0.9, 0.8, len(centres)))
        parts.append(tracker.update(found, transform=step))
    return Tracks.concatenate(parts)


@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("config", [TrackerConfig(), careful()])
@settings(max_examples=15, deadline=None)
def test_moving_the_picture_by_known_transforms_moves_the_boxes(
    config: TrackerConfig, seed: int
) -> None:
    frames = random_scene(seed)
    # So far that nothing lies near the place where it was before by chance.
    cameras = moving_cameras(len(frames), np.random.default_rng(seed), step_px=600)
    moved = [camera.apply(centres) for camera, centres in zip(cameras, frames, strict=True)]
    tracks = run_moving(config, moved, steps_of(cameras))
    expected = run_moving(config, frames, [None] * (len(frames) - 1))
    np.testing.assert_array_equal(tracks.frame_indices, expected.frame_indices)
    np.testing.assert_array_equal(tracks.track_ids, expected.track_ids)
    centres = centres_xy(expected.boxes_xyxy).astype(np.float64)
    for frame, camera in enumerate(cameras):
        rows = expected.frame_indices == frame
        np.testing.assert_allclose(
            centres_xy(tracks.boxes_xyxy[rows]), camera.apply(centres[rows]), atol=5e-3
        )


@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("config", [TrackerConfig(), careful()])
@settings(max_examples=15, deadline=None)
def test_camera_at_rest_changes_no_bit(config: TrackerConfig, seed: int) -> None:
    frames = random_scene(seed)
    tracks = run_moving(config, frames, [Transform.identity()] * (len(frames) - 1))
    expected = run_moving(config, frames, [None] * (len(frames) - 1))
    for name in ("frame_indices", "track_ids", "boxes_xyxy", "scores", "detection_indices"):
        np.testing.assert_array_equal(getattr(tracks, name), getattr(expected, name))


@pytest.mark.parametrize("shift_xy", [(35.0, 0.0), (-30.0, 60.0), (400.0, 400.0)])
def test_jerk_of_a_known_camera_leaves_the_id(shift_xy: tuple[float, float]) -> None:
    frames = [[np.array([60.0 + 2 * i, 60]) + np.multiply(shift_xy, i >= 5)] for i in range(10)]
    transforms = [Transform.translation(np.multiply(shift_xy, i == 5)) for i in range(1, 10)]
    assert set(run(Tracker(), frames).track_ids.tolist()) == {1, 2}
    tracks = run_moving(TrackerConfig(), frames, transforms)
    assert tracks.track_ids.tolist() == [1] * 10
    assert (tracks.detection_indices == 0).all()


@given(
    shifts_xy=st.lists(
        st.tuples(st.floats(-300, 300), st.floats(-300, 300)), min_size=11, max_size=11
    )
)
@settings(max_examples=40, deadline=None)
def test_wrong_transforms_take_no_id_from_a_target_alone(
    shifts_xy: list[tuple[float, float]],
) -> None:
    frames = [[[60.0 + 2 * i, 60 - i]] for i in range(12)]
    tracks = run_moving(TrackerConfig(), frames, [Transform.translation(s) for s in shifts_xy])
    assert tracks.track_ids.tolist() == [1] * 12
    assert (tracks.detection_indices == 0).all()


def test_transform_over_missing_frames_is_that_from_the_frame_given_before() -> None:
    tracker = Tracker(careful(confirm_hits=1, confirm_window=1))
    for i in range(6):
        tracker.update(detections_at(i, [[40.0 + 3 * i, 50]]))
    tracks = tracker.update(
        detections_at(9, [[40.0 + 27, 250]]), transform=Transform.translation((0.0, 200.0))
    )
    assert tracks.track_ids.tolist() == [1]
    assert tracks.detection_indices.tolist() == [0]


def test_tracks_are_lost_at_once_in_another_scene_and_found_again_in_their_own():
    tracker = Tracker(TrackerConfig())
    shown = []
    for index in range(16):
        is_other = index == 10
        found = detections_at(index, [] if is_other else [[20.0 + index, 20]])
        shown.append(tracker.update(found, is_same_scene=not is_other).track_ids.tolist())
    assert shown[9] == [1]
    assert shown[10] == []
    assert shown[11] == [1]


@pytest.mark.parametrize("turn_deg", [0, 40])
def test_box_of_a_coasting_track_grows_with_the_zoom_and_keeps_its_shape(turn_deg: float) -> None:
    turn = np.radians(turn_deg)
    linear = 1.1 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    tracker = Tracker(TrackerConfig())
    box = np.array([[40.0, 40, 44, 42]])
    tracker.update(Detections.from_unsorted(box, np.ones(1), frame_index=0, image_hw=(99, 99)))
    for index in (1, 2):
        nothing = Detections.empty(frame_index=index, image_hw=(99, 99))
        shown = tracker.update(nothing, transform=Transform.affine(linear, (0.0, 0.0)))
    ((x1, y1, x2, y2),) = shown.boxes_xyxy
    np.testing.assert_allclose((x2 - x1, y2 - y1), (4 * 1.21, 2 * 1.21), rtol=1e-5)


def test_box_of_a_track_that_stays_against_the_transform_keeps_its_size() -> None:
    tracker = Tracker(TrackerConfig())
    for index in range(2):
        found = detections_at(index, [[60.0, 60]])
        before = tracker.update(found)
    zoom = Transform.affine(3 * np.eye(2), (0.0, 0.0))
    after = tracker.update(detections_at(2, [[60.0, 60]]), transform=zoom)
    assert after.track_ids.tolist() == [1]
    np.testing.assert_allclose(after.boxes_xyxy, before.boxes_xyxy, atol=1e-4)
