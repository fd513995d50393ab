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
from stdet.tracking.track_records import MIN_SIZE_PX
from stdet.tracking.tracker import Tracker
from stdet.types import Detections, Tracks

HW = (512, 640)
WIDE_HW = (20_000, 20_000)
"""Nothing leaves such a picture."""
MIDDLE = 10_000.0
Points = Sequence[Sequence[float]] | NDArray[np.float64]


def detections_at(
    frame_index: int,
    centres: Points,
    *,
    size: float = 5.0,
    score: float | NDArray[np.float64] = 0.9,
    class_id: int = 0,
    hw: tuple[int, int] = HW,
) -> Detections:
    """Return square boxes of equal or given scores about the given centres."""
    points = np.array(centres, np.float64).reshape(-1, 2)
    return Detections.from_unsorted(
        np.concatenate([points - size / 2, points + size / 2], axis=1),
        np.full(len(points), score),
        frame_index=frame_index,
        image_hw=hw,
        class_ids=np.full(len(points), class_id),
    )


def run(
    tracker: Tracker, frames: Sequence[Points], *, first: int = 0, hw: tuple[int, int] = HW
) -> Tracks:
    """Give the tracker one list of centres per frame, and take all that it puts out."""
    parts = [
        tracker.update(detections_at(first + i, centres, hw=hw))
        for i, centres in enumerate(frames)
    ]
    return Tracks.concatenate(parts + tracker.flush())


def eager(**changes: float) -> TrackerConfig:
    """Return settings that confirm with the second detection."""
    return TrackerConfig(**({"false_tracks_per_hour": 1e6} | changes))


def run_pattern(
    pattern: str, config: TrackerConfig, *, lookahead: int = 0
) -> dict[int, list[tuple[int, int]]]:
    """Track a still target seen at each H and missed at each dot: {frame: [(id, row)]}."""
    frames = [[[50.0, 50.0]] if letter == "H" else [] for letter in pattern]
    tracks = run(Tracker(config, lookahead=lookahead), frames)
    rows: dict[int, list[tuple[int, int]]] = {}
    for frame, track_id, row in zip(
        tracks.frame_indices, tracks.track_ids, tracks.detection_indices, strict=True
    ):
        rows.setdefault(int(frame), []).append((int(track_id), int(row)))
    return rows


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        # The second hit confirms; the row of that frame is the first.
        ("HH", {1: [(1, 0)]}),
        ("H.H", {2: [(1, 0)]}),
        # Two coasted frames, then it is shown no more.
        ("HH...", {1: [(1, 0)], 2: [(1, -1)], 3: [(1, -1)]}),
        # Back in time: the same id, and the allowance starts anew.
        (
            "HH..H..",
            {1: [(1, 0)], 2: [(1, -1)], 3: [(1, -1)], 4: [(1, 0)], 5: [(1, -1)], 6: [(1, -1)]},
        ),
        # The fourth miss is the last that is remembered: here found just in time ...
        ("HH....H", {1: [(1, 0)], 2: [(1, -1)], 3: [(1, -1)], 6: [(1, 0)]}),
        # ... and here one frame too late: a new id, the next number.
        ("HH.....HH", {1: [(1, 0)], 2: [(1, -1)], 3: [(1, -1)], 8: [(2, 0)]}),
        ("H", {}),
        ("", {}),
        ("....", {}),
    ],
)
def test_life_cycle_equals_the_hand_count(
    pattern: str, expected: dict[int, list[tuple[int, int]]]
) -> None:
    assert run_pattern(pattern, eager(max_lost=4)) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        # Rows begin with the first hit, gaps are bridged, and nothing follows the last hit.
        ("HH....", {0: [(1, 0)], 1: [(1, 0)]}),
        ("H..H..", {0: [(1, 0)], 1: [(1, -1)], 2: [(1, -1)], 3: [(1, 0)]}),
        # Of the gap of six frames the last three are seen to end when they come out.
        (
            "HH......H",
            {0: [(1, 0)], 1: [(1, 0)], **{i: [(1, -1)] for i in (5, 6, 7)}, 8: [(1, 0)]},
        ),
    ],
)
def test_hindsight_equals_the_hand_count(
    pattern: str, expected: dict[int, list[tuple[int, int]]]
) -> None:
    assert run_pattern(pattern, eager(), lookahead=3) == expected


def test_lookahead_comes_out_late_and_whole() -> None:
    tracker = Tracker(eager(), lookahead=2)
    late = [tracker.update(detections_at(i, [[50.0 + i, 50.0]])) for i in range(5)]
    assert [part.frame_indices.tolist() for part in late] == [[], [], [0], [1], [2]]
    assert [part.frame_indices.tolist() for part in tracker.flush()] == [[3], [4]]
    assert tracker.flush() == []


def test_bridged_places_lie_on_the_path_and_noise_is_smoothed() -> None:
    rng = np.random.default_rng(0)
    truth = [[20.0 + 6 * i, 30.0 + 2 * i] for i in range(60)]
    noisy = np.array(truth) + rng.normal(0, 0.5, (60, 2))
    frames = [[] if i % 10 in (4, 5, 6) else [noisy[i]] for i in range(60)]
    errors = {}
    for lookahead in (0, 5):
        tracks = run(Tracker(eager(max_coast=3), lookahead=lookahead), frames)
        late = tracks[tracks.frame_indices >= 10]
        assert set(tracks.track_ids.tolist()) == {1}
        assert late.frame_indices.tolist() == list(range(10, 60))
        errors[lookahead] = np.linalg.norm(
            centres_xy(late.boxes_xyxy) - np.array(truth)[late.frame_indices], axis=1
        )
    assert errors[5].max() < 1
    assert errors[5].mean() < 0.6 * errors[0].mean()


@pytest.mark.parametrize("speed", [6.0, 8.0, 10.0])
def test_target_that_outruns_its_own_box_keeps_its_id(speed: float) -> None:
    frames = [[[10 + speed * i, 200 - speed * i / 2]] for i in range(20)]
    first, second = detections_at(0, frames[0]), detections_at(1, frames[1])
    assert box_iou(first.boxes_xyxy, second.boxes_xyxy).item() == 0
    tracks = run(Tracker(lookahead=5), frames)
    assert tracks.track_ids.tolist() == [1] * 20


def test_crossing_targets_keep_their_ids() -> None:
    # They meet at (100, 100) in frame 20 exactly, where either could be the other.
    steps = np.arange(-20, 21)
    right = np.stack([100 + 4.0 * steps, 100 + 1.0 * steps], axis=1)
    left = np.stack([100 - 4.0 * steps, 100 + 1.0 * steps], axis=1)
    noise = np.random.default_rng(1).normal(scale=0.3, size=(2, 41, 2))
    frames = np.stack([right + noise[0], left + noise[1]], axis=1)
    tracks = run(Tracker(), list(frames))
    assert set(tracks.track_ids.tolist()) == {1, 2}
    for track_id in (1, 2):
        rows = tracks.track_ids == track_id
        path = centres_xy(tracks.boxes_xyxy[rows])
        truth = right if path[0, 0] < 100 else left
        assert np.abs(path - truth[tracks.frame_indices[rows]]).max() < 2


@pytest.mark.parametrize(("rate", "most"), [(2, 0), (20, 3)])
def test_clutter_gives_few_tracks(rate: int, most: int) -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(rate, 1000)
    tracks = run(Tracker(lookahead=5), [rng.uniform(0, HW[::-1], (n, 2)) for n in counts])
    assert len(set(tracks.track_ids.tolist())) <= most


def test_more_false_tracks_allowed_confirm_earlier() -> None:
    rng = np.random.default_rng(0)
    first = {}
    for allowed in (1e-3, 1e6):
        tracker = Tracker(TrackerConfig(false_tracks_per_hour=allowed))
        frames = [
            np.concatenate([[[100.0 + 2 * i, 100.0]], rng.uniform(0, HW[::-1], (20, 2))])
            for i in range(30)
        ]
        tracks = run(tracker, frames)
        near = np.abs(centres_xy(tracks.boxes_xyxy)[:, 1] - 100) < 2
        first[allowed] = tracks.frame_indices[near].min()
    assert first[1e6] < first[1e-3] < 15


def test_probability_grows_with_the_evidence() -> None:
    rng = np.random.default_rng(0)
    frames = [
        np.concatenate([[[100.0 + 2 * i, 100.0]], rng.uniform(0, HW[::-1], (2, 2))])
        for i in range(20)
    ]
    tracks = run(Tracker(eager()), frames)
    is_near = np.abs(centres_xy(tracks.boxes_xyxy)[:, 1] - 100) < 1
    of_target = tracks.probabilities[is_near]
    assert of_target[0] < of_target[-1]
    assert of_target[-1] > 0.999


def scored(frame_index: int, score: float) -> Detections:
    return detections_at(frame_index, [[50.0, 50.0]], score=score)


def test_scores_below_the_operating_point_begin_no_track() -> None:
    for score, expected in ((0.7, {1}), (0.45, set())):
        tracker = Tracker(eager())
        parts = [tracker.update(scored(i, score), confidence=0.5) for i in range(40)]
        assert set(Tracks.concatenate(parts).track_ids.tolist()) == expected


@pytest.mark.parametrize(
    ("num_strong", "num_weak", "expected"),
    [
        # One target says nothing about others.
        (1, 1, 1),
        (1, 5, 1),
        # Needed log-odds fall by log(5 / 2) = 0.92: 0.35 has -0.62.
        (5, 1, 6),
        # By log(5 / 5) = 0: as many paths of clutter as of targets.
        (5, 4, 5),
    ],
)
def test_paths_of_low_scores_are_targets_where_most_paths_are(
    num_strong: int, num_weak: int, expected: int
) -> None:
    tracks = track_beside(num_strong, num_weak)
    assert len(set(tracks.track_ids.tolist())) == expected


def track_beside(num_strong: int, num_weak: int) -> Tracks:
    """Track what stands apart for 60 frames, strong ones of score 0.9 and weak ones of 0.35."""
    num = num_strong + num_weak
    centres = np.column_stack([40.0 + 60.0 * np.arange(num), np.full(num, 100.0)])
    scores = np.array([0.9] * num_strong + [0.35] * num_weak)
    tracker = Tracker(eager())
    return Tracks.concatenate(
        [
            tracker.update(detections_at(i, centres, score=scores), confidence=0.5)
            for i in range(60)
        ]
    )


def test_what_was_learnt_of_targets_ends_with_them() -> None:
    tracker = Tracker(eager())
    centres = 60.0 * np.arange(1, 6)[:, None]
    for i in range(20):
        tracker.update(detections_at(i, np.hstack([centres, centres])), confidence=0.5)
    for i in range(20, 45):  # Longer than lost tracks are remembered.
        tracker.update(detections_at(i, []), confidence=0.5)
    parts = [tracker.update(scored(i, 0.35), confidence=0.5) for i in range(45, 85)]
    assert not len(Tracks.concatenate(parts))


def test_track_is_shown_while_its_scores_are_near_the_operating_point() -> None:
    tracker = Tracker(eager())
    scores = [0.8] * 20 + [0.4] * 20 + [0.12] * 20 + [0.8] * 20
    shown = [
        tracker.update(scored(i, score), confidence=0.5).track_ids.tolist()
        for i, score in enumerate(scores)
    ]
    assert shown[19:40] == [[1]] * 21
    assert shown[59] == []
    assert shown[79] == [1]


def test_weak_detections_where_a_track_is_expected_end_it_earlier_than_none() -> None:
    lengths = []
    for weak in ([], [[50.0, 50.0]]):
        tracker = Tracker(eager(max_coast=20))
        for i in range(20):
            tracker.update(scored(i, 0.7), confidence=0.5)
        parts = [
            tracker.update(detections_at(i, weak, score=0.01), confidence=0.5)
            for i in range(20, 40)
        ]
        lengths.append(sum(len(part) for part in parts))
    assert lengths[1] < lengths[0]


def test_detector_without_scores_is_tracked_as_well() -> None:
    rng = np.random.default_rng(3)
    frames = [
        np.concatenate([[[100.0 + 2 * i, 100.0]], rng.uniform(0, HW[::-1], (5, 2))])
        for i in range(100)
    ]
    tracker = Tracker(lookahead=5)
    parts = [tracker.update(detections_at(i, found, score=1.0)) for i, found in enumerate(frames)]
    tracks = Tracks.concatenate(parts + tracker.flush())
    assert set(tracks.track_ids.tolist()) == {1}
    assert len(tracks) >= 98


def test_ids_are_dense_and_given_in_order_of_confirmation() -> None:
    # The older target is seen in every second frame, so the younger is confirmed first.
    far, near = [10.0, 10.0], [200.0, 200.0]
    tracks = run(Tracker(eager()), [[far], [near], [near], [far, near], [near], [far, near]])
    at_end = tracks.at_frame(5)
    assert at_end.track_ids.tolist() == [1, 2]
    np.testing.assert_allclose(centres_xy(at_end.boxes_xyxy), [near, far], atol=0.1)


def test_rows_carry_the_last_detections_score_and_class_and_the_smoothed_size() -> None:
    tracker = Tracker(eager(size_smoothing=0.25))
    tracker.update(detections_at(0, [[50, 50]], size=4, score=0.5, class_id=0))
    hit = tracker.update(detections_at(1, [[50, 50]], size=8, score=0.75, class_id=3))
    coasted = tracker.update(detections_at(2, []))
    for tracks in (hit, coasted):
        # 4 + 0.25 * (8 - 4) = 5.
        np.testing.assert_allclose(tracks.boxes_xyxy, [[47.5, 47.5, 52.5, 52.5]], atol=1e-5)
        assert tracks.scores.tolist() == [0.75]
        assert tracks.class_ids.tolist() == [3]
    assert (hit.detection_indices.item(), coasted.detection_indices.item()) == (0, -1)


def test_detection_without_area_gives_a_box_with_area() -> None:
    tracker = Tracker(eager())
    tracker.update(detections_at(0, [[9, 9]], size=0))
    tracks = tracker.update(detections_at(1, [[9, 9]], size=0))
    np.testing.assert_allclose(
        tracks.boxes_xyxy[:, 2:] - tracks.boxes_xyxy[:, :2], MIN_SIZE_PX, rtol=1e-4
    )


def test_dropped_frames_keep_the_id_and_use_the_true_time() -> None:
    tracker = Tracker()
    indices = [0, 1, 2, 3, 6, 7, 12, 13]
    parts = [tracker.update(detections_at(i, [[20.0 + 8 * i, 40.0]])) for i in indices]
    assert [part.track_ids.tolist() for part in parts] == [[], []] + [[1]] * 6


@pytest.mark.parametrize("leap_xy", [(17.0, 0.0), (-20.0, 26.0)])
def test_target_that_leaps_over_a_scene_at_rest_keeps_its_id(leap_xy: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    frames = [
        np.concatenate(
            [
                [np.array([300.0 + 2 * i, 200]) + np.multiply(leap_xy, i >= 20)],
                rng.uniform(0, HW[::-1], (2, 2)),
            ]
        )
        for i in range(40)
    ]
    tracks = run(Tracker(lookahead=5), frames)
    assert set(tracks.track_ids.tolist()) == {1}
    assert tracks.frame_indices.tolist() == list(range(40))
    errors = centres_xy(tracks.boxes_xyxy) - np.array([frame[0] for frame in frames])
    assert np.abs(errors).max() < 2


def test_track_does_not_survive_a_jump_that_leaves_its_place_unknown() -> None:
    tracker = Tracker(eager())
    run(tracker, [[[50.0, 50.0]]] * 4)
    after = run(tracker, [[[50.0, 50.0]]] * 3, first=1000)
    assert after.track_ids.tolist() == [2, 2]
    assert after.frame_indices.tolist() == [1001, 1002]


@pytest.mark.parametrize("frame_index", [3, 2, 0])
def test_frame_index_that_does_not_increase_is_an_error_and_changes_nothing(
    frame_index: int,
) -> None:
    tracker = Tracker()
    run(tracker, [[[50.0, 50.0]]] * 4)
    with pytest.raises(ValueError, match=rf"frame {frame_index} after frame 3.*reset\(\)"):
        tracker.update(detections_at(frame_index, []))
    assert tracker.update(detections_at(4, [[50.0, 50.0]])).track_ids.tolist() == [1]


@pytest.mark.parametrize("confidence", [float("nan"), -0.1, 1.1, float("inf")])
def test_operating_point_that_is_no_score_is_an_error_and_changes_nothing(
    confidence: float,
) -> None:
    tracker = Tracker()
    run(tracker, [[[50.0, 50.0]]] * 4)
    with pytest.raises(ValueError, match=r"confidence .* with frame 4; expected a score"):
        tracker.update(detections_at(4, []), confidence=confidence)
    assert tracker.update(detections_at(4, [[50.0, 50.0]])).track_ids.tolist() == [1]


@pytest.mark.parametrize("lookahead", [0, 5])
def test_no_frames_give_no_tracks_and_an_empty_frame_one_without_rows(lookahead: int) -> None:
    tracker = Tracker(lookahead=lookahead)
    assert tracker.flush() == []
    waiting = [tracker.update(detections_at(0, [])), *tracker.flush()]
    assert [len(tracks) for tracks in waiting] == [0] * (1 if lookahead == 0 else 2)
    assert tracker.flush() == []


def test_reset_forgets_tracks_ids_and_time() -> None:
    tracker = Tracker()
    before = run(tracker, [[[50.0, 50.0]]] * 4)
    tracker.reset()
    after = run(tracker, [[[50.0, 50.0]]] * 4)
    np.testing.assert_array_equal(before.frame_indices, after.frame_indices)
    np.testing.assert_array_equal(before.track_ids, after.track_ids)


def test_two_trackers_in_one_process_do_not_disturb_each_other() -> None:
    frames = random_scene(seed=3)
    alone = run(Tracker(), frames)
    one, other = Tracker(), Tracker()
    parts = []
    for i, centres in enumerate(frames):
        parts.append(one.update(detections_at(i, centres)))
        other.update(detections_at(i, centres[::-1] + 40))
    assert_same_tracks(Tracks.concatenate(parts), alone)


def test_empty_frames_for_ever_leave_nothing_in_memory() -> None:
    tracker = Tracker()
    assert len(run(tracker, [[]] * 3)) == 0
    run(tracker, random_scene(seed=4), first=3)
    run(tracker, [[]] * (TrackerConfig().max_lost + 1), first=18)
    assert len(tracker._mixture) == len(tracker._records) == 0


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
@pytest.mark.parametrize("config", [TrackerConfig(), eager()])
@settings(max_examples=15, deadline=None)
def test_shifting_the_scene_shifts_the_boxes(
    config: TrackerConfig, seed: int, shift_xy: tuple[float, float]
) -> None:
    frames = [centres + MIDDLE for centres in random_scene(seed)]
    tracks, moved = (
        run(Tracker(config, lookahead=3), scene, hw=WIDE_HW)
        for scene in (frames, [centres + shift_xy for centres in frames])
    )
    assert_same_tracks(moved, tracks, shift_xy=shift_xy)


@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("config", [TrackerConfig(), eager()])
@settings(max_examples=15, deadline=None)
def test_flipping_the_scene_flips_the_boxes(config: TrackerConfig, seed: int) -> None:
    frames = random_scene(seed)
    flips = [np.array([HW[1], 0]) + centres * [-1, 1] for centres in frames]
    parts = []
    for scene in (frames, flips):
        tracker = Tracker(config, lookahead=3)
        # No two scores are equal, since the places in the picture break ties.
        found = [
            tracker.update(detections_at(i, centres, score=np.linspace(0.9, 0.8, len(centres))))
            for i, centres in enumerate(scene)
        ]
        parts.append(Tracks.concatenate(found + tracker.flush()))
    tracks, flipped = parts
    np.testing.assert_array_equal(flipped.track_ids, tracks.track_ids)
    np.testing.assert_array_equal(flipped.frame_indices, tracks.frame_indices)
    expected = np.array([HW[1], 0]) + centres_xy(tracks.boxes_xyxy) * [-1, 1]
    np.testing.assert_allclose(centres_xy(flipped.boxes_xyxy), expected, atol=1e-3)


@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("config", [TrackerConfig(), eager()])
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
    tracker = Tracker(eager())
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
    tracker = Tracker(eager())
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
        scores = np.linspace(0.9, 0.8, len(centres))
        found = detections_at(i, np.asarray(centres) + MIDDLE, score=scores, hw=WIDE_HW)
        moved = None if step is None else step.conjugate(Transform.translation((MIDDLE, MIDDLE)))
        parts.append(tracker.update(found, moved))
    return Tracks.concatenate(parts)


@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("config", [TrackerConfig(), eager()])
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
            centres_xy(tracks.boxes_xyxy[rows]),
            camera.apply(centres[rows] - MIDDLE) + MIDDLE,
            atol=2e-2,
        )


@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("config", [TrackerConfig(), eager()])
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
    tracks = run_moving(eager(), frames, transforms)
    assert tracks.track_ids.tolist() == [1] * 9
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
    steps = [Transform.identity()] * 3 + [Transform.translation(s) for s in shifts_xy[3:]]
    tracks = run_moving(TrackerConfig(), frames, steps)
    assert set(tracks.track_ids.tolist()) == {1}
    assert len(tracks) >= 10
    assert (tracks.detection_indices == 0).all()


def test_a_wrong_transform_moves_no_row() -> None:
    starts = np.array([[40.0, 30], [90, 80], [60, 60]])
    velocities = np.array([[2.0, 1], [0, 1], [-1, 2]])
    truth = [starts + i * velocities for i in range(24)]
    tracker, parts = Tracker(lookahead=5), []
    for i, centres in enumerate(truth):
        wrong = Transform.translation((10.0, -6.0)) if i == 12 else None
        parts.append(tracker.update(detections_at(i, centres, hw=WIDE_HW), wrong))
    tracks = Tracks.concatenate(parts + tracker.flush())
    assert len(tracks) == 3 * len(truth)
    centres = (tracks.boxes_xyxy[:, :2] + tracks.boxes_xyxy[:, 2:]) / 2
    apart = np.linalg.norm(centres[:, None] - np.array(truth)[tracks.frame_indices], axis=2)
    assert apart.min(axis=1).max() < 1.0
    for track_id in (1, 2, 3):
        assert len(set(apart[tracks.track_ids == track_id].argmin(axis=1).tolist())) == 1


def test_scores_a_little_above_the_operating_point_confirm_a_track_soon() -> None:
    tracker = Tracker()
    for index in range(5):
        found = detections_at(index, [[100.0 + 3 * index, 50.0]], score=0.6)
        tracks = tracker.update(found, confidence=0.5)
    assert tracks.track_ids.tolist() == [1]


def test_transform_over_missing_frames_is_that_from_the_frame_given_before() -> None:
    tracker = Tracker()
    for i in range(6):
        tracker.update(detections_at(i, [[40.0 + 3 * i, 50]]))
    tracks = tracker.update(
        detections_at(9, [[40.0 + 27, 250]]), transform=Transform.translation((0.0, 200.0))
    )
    assert tracks.track_ids.tolist() == [1]
    assert tracks.detection_indices.tolist() == [0]


def test_tracks_are_lost_at_once_in_another_scene_and_found_again_in_their_own():
    tracker = Tracker(eager())
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
    tracker = Tracker(eager())
    box = np.array([[400.0, 40, 404, 42]])
    for index in (0, 1):
        found = Detections.from_unsorted(box, np.ones(1), frame_index=index, image_hw=HW)
        tracker.update(found)
    for index in (2, 3):
        nothing = Detections.empty(frame_index=index, image_hw=HW)
        shown = tracker.update(nothing, transform=Transform.affine(linear, (0.0, 0.0)))
    ((x1, y1, x2, y2),) = shown.boxes_xyxy
    np.testing.assert_allclose((x2 - x1, y2 - y1), (4 * 1.21, 2 * 1.21), rtol=1e-5)


def test_box_of_a_track_that_stays_against_the_transform_keeps_its_size() -> None:
    tracker = Tracker()
    for index in range(8):
        found = detections_at(index, [[60.0, 60]])
        before = tracker.update(found)
    zoom = Transform.affine(3 * np.eye(2), (0.0, 0.0))
    after = tracker.update(detections_at(8, [[60.0, 60]]), transform=zoom)
    assert after.track_ids.tolist() == [1]
    np.testing.assert_allclose(after.boxes_xyxy, before.boxes_xyxy, atol=1e-4)
