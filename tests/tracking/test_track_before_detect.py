"""Scores by paths: the equations by hand, what persists above what flashes, symmetry in time."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_camera import moving_cameras, steps_of

from stdet.registration.frame_motion import NOT_REGISTERED, OTHER_SCENE, FrameMotion
from stdet.registration.transform import Transform
from stdet.tracking.track_before_detect import KEEP, NEW, TrackBeforeDetect, track_before_detect
from stdet.types import Detections


@dataclass(frozen=True)
class Timed:
    """A frame with its time."""

    seconds: float
    detections: Detections
    from_previous: FrameMotion = NOT_REGISTERED


def frame(index, *rows):
    """Build one frame from rows of (x, y, score)."""
    rows = np.array(rows, np.float64).reshape(-1, 3)
    boxes = np.concatenate([rows[:, :2] - 2, rows[:, :2] + 2], axis=1).astype(np.float32)
    return Detections.from_unsorted(
        boxes, rows[:, 2].astype(np.float32), frame_index=index, image_hw=(100, 100)
    )


def scored(frames, lookahead=100, transforms=()):
    """Score a whole sequence; transforms lead from each frame to the next."""
    motions = [FrameMotion.known(transform) for transform in transforms]
    return list(
        track_before_detect(frames, lookahead, [NOT_REGISTERED, *motions] if motions else ())
    )


def log_odds(score):
    return np.log(score / (1 - score))


def at(detections, x):
    """Return the log-odds of the detection centred at x."""
    (row,) = np.flatnonzero(np.abs(detections.boxes_xyxy[:, 0] + 2 - x) < 1e-3)
    return log_odds(float(detections.scores[row]))


def test_steady_target_keeps_its_score():
    found = scored([frame(t, (10 + 3 * t, 20, 0.8)) for t in range(8)])
    assert [f.frame_index for f in found] == list(range(8))
    for detections in found:
        assert detections.scores == pytest.approx([0.8], abs=1e-6)


def test_flash_is_what_the_equations_say():
    frames = [frame(t, (50, 50, 0.9)) for t in range(6)]
    frames[3] = frame(3, (50, 50, 0.9), (10, 10, 0.9))
    found = scored(frames)[3]
    alone = KEEP * log_odds(0.9) + (1 - KEEP) * NEW
    assert at(found, 10) == pytest.approx(alone, abs=1e-4)
    assert at(found, 50) == pytest.approx(log_odds(0.9), abs=1e-4)


def test_missed_frame_costs_one_step_of_decay():
    frames = [frame(t, (50, 50, 0.9)) for t in range(5)]
    frames[2] = frame(2)
    found = scored(frames)
    level = log_odds(0.9)
    after_gap = KEEP * level + (1 - KEEP) * (KEEP * NEW + (1 - KEEP) * level)
    # Frame 3: the past has the gap in it, the future has not.
    assert at(found[3], 50) == pytest.approx((after_gap + level) / 2, abs=1e-4)
    assert len(found[2]) == 0


def test_ends_of_a_sequence_count_on_one_side():
    frames = [frame(t, (50, 50, 0.9)) for t in range(4)]
    frames[0] = frame(0, (50, 50, 0.5))
    level = log_odds(0.9)
    from_future = (1 - KEEP) * level
    assert at(scored(frames)[0], 50) == pytest.approx((0 + from_future) / 2, abs=1e-4)


def test_velocity_over_missed_frames_is_that_of_one_frame():
    # 4.9 px per frame, first seen again after two missed frames.
    frames = [frame(t, (10 + 4.9 * t, 50, 0.9)) for t in range(6)]
    frames[1] = frames[2] = frame(1)
    level = log_odds(0.9)
    past = level
    for t in range(1, 5):
        own = NEW if t in (1, 2) else level
        past = KEEP * own + (1 - KEEP) * past
    assert at(scored(frames)[4], 10 + 4.9 * 4) == pytest.approx((past + level) / 2, abs=1e-4)


def test_path_has_one_follower():
    frames = [frame(t, (50, 50, 0.9)) for t in range(6)]
    frames[3] = frame(3, (50, 50, 0.9), (52, 50, 0.6))
    found = scored(frames)[3]
    assert at(found, 50) == pytest.approx(log_odds(0.9), abs=1e-4)
    assert at(found, 52) < -2


@pytest.mark.parametrize("speed", [0.0, 4.0, 8.0, 12.0])
def test_dim_target_on_a_path_outranks_brighter_flashes(speed):
    rng = np.random.default_rng(0)
    frames = [
        frame(
            t,
            (20 + speed * t, 40, 0.5),
            *[(x, y, 0.8) for x, y in rng.uniform((0, 60), (200, 200), (5, 2))],
        )
        for t in range(12)
    ]
    for t, detections in enumerate(scored(frames, lookahead=5)):
        if 2 <= t <= 9:
            assert detections.boxes_xyxy[0, 0] == pytest.approx(18 + speed * t, abs=1e-3)


def test_scores_wait_for_the_lookahead_and_no_longer():
    scores = TrackBeforeDetect(3)
    counts = [len(scores.push(Timed(t, frame(t, (10, 10, 0.7))))) for t in range(6)]
    assert counts == [0, 0, 0, 1, 1, 1]
    # What a frame holds besides its detections goes along.
    assert [scored.frame.seconds for scored in scores.flush()] == [3, 4, 5]
    assert scores.flush() == []


def test_without_lookahead_the_past_counts_half():
    frames = [frame(0, (90, 90, 0.9)), frame(1, (10, 10, 0.9))]
    alone = KEEP * log_odds(0.9) + (1 - KEEP) * NEW
    found = scored(frames, lookahead=0)
    assert at(found[1], 10) == pytest.approx((alone + log_odds(0.9)) / 2, abs=1e-4)


@st.composite
def sequences(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    counts = draw(st.lists(st.integers(0, 6), min_size=1, max_size=8))
    return [
        frame(t, *np.column_stack([rng.uniform(0, 60, (n, 2)), rng.uniform(0, 1, n)]))
        for t, n in enumerate(counts)
    ]


@settings(max_examples=60, deadline=None)
@given(sequences(), st.integers(0, 4))
def test_boxes_stay_and_scores_are_new(frames, lookahead):
    found = scored(frames, lookahead)
    assert [f.frame_index for f in found] == [f.frame_index for f in frames]
    for before, after in zip(frames, found, strict=True):
        key = lambda f: f.boxes_xyxy[np.lexsort(f.boxes_xyxy.T)].tolist()  # noqa: E731
        assert key(before) == key(after)


@settings(max_examples=60, deadline=None)
@given(sequences())
def test_whole_sequence_backwards_gives_the_same_scores(frames):
    last = len(frames) - 1
    backwards = [
        Detections.from_unsorted(
            f.boxes_xyxy, f.scores, frame_index=last - f.frame_index, image_hw=f.image_hw
        )
        for f in frames[::-1]
    ]
    for one, other in zip(scored(frames), scored(backwards)[::-1], strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


def with_others(frames, positions, lookahead):
    """Score a sequence; frames at some positions do not show the scene of the one before."""
    other = FrameMotion.unknown(OTHER_SCENE)
    motions = [other if t in positions else NOT_REGISTERED for t in range(len(frames))]
    return list(track_before_detect(frames, lookahead, motions))


@settings(max_examples=60, deadline=None)
@given(sequences(), sequences(), st.integers(0, 6) | st.just(100))
def test_scenes_joined_by_a_cut_score_as_each_does_alone(one, other, lookahead):
    other = [*other, frame(len(other), (30, 30, 0.6))]  # A frame alone may be a spoilt one.
    joined = with_others([*one, *other], {len(one)}, lookahead)
    apart = scored(one, lookahead) + scored(other, lookahead)
    # A cut is known a frame later: what looks ahead to its first frame, and no farther, sees none.
    # Without any, that frame has its score by then.
    first = 0 if lookahead == 100 else len(one) + (lookahead == 0)
    for found, alone in zip(joined[first:], apart[first:], strict=True):
        np.testing.assert_array_equal(found.scores, alone.scores)


@settings(max_examples=60, deadline=None)
@given(sequences(), st.integers(0, 6), st.integers(1, 6))
def test_spoilt_frame_ends_nothing(frames, lookahead, position):
    found = with_others(frames, {position, position + 1}, lookahead)
    for one, other in zip(found, scored(frames, lookahead), strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)


@settings(max_examples=60, deadline=None)
@given(sequences(), st.integers(0, 4))
def test_camera_at_rest_changes_nothing(frames, lookahead):
    transforms = [Transform.identity()] * (len(frames) - 1)
    for one, other in zip(
        scored(frames, lookahead), scored(frames, lookahead, transforms), strict=True
    ):
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)


@settings(max_examples=60, deadline=None)
@given(sequences(), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_moving_the_picture_by_known_transforms_leaves_the_scores(frames, lookahead, seed):
    # So far that nothing lies near the place where it was before by chance.
    cameras = moving_cameras(len(frames), np.random.default_rng(seed), step_px=3000)
    moved = [
        seen_by(camera, detections) for camera, detections in zip(cameras, frames, strict=True)
    ]
    found = scored(moved, lookahead, steps_of(cameras))
    for camera, one, other in zip(cameras, scored(frames, lookahead), found, strict=True):
        order, other_order = (np.lexsort((d.boxes_xyxy[:, 0], d.scores)) for d in (one, other))
        np.testing.assert_allclose(one.scores[order], other.scores[other_order], atol=1e-4)
        expected = seen_by(camera, one)
        assert {tuple(box) for box in expected.boxes_xyxy.round(1)} == {
            tuple(box) for box in other.boxes_xyxy.round(1)
        }


@settings(max_examples=60, deadline=None)
@given(sequences(), st.integers(0, 2**32 - 1))
def test_moving_camera_backwards_gives_the_same_scores(frames, seed):
    transforms = steps_of(moving_cameras(len(frames), np.random.default_rng(seed), step_px=10))
    last = len(frames) - 1
    backwards = [
        Detections.from_unsorted(
            f.boxes_xyxy, f.scores, frame_index=last - f.frame_index, image_hw=f.image_hw
        )
        for f in frames[::-1]
    ]
    back = [transform.inverse() for transform in transforms[::-1]]
    there_and_back = zip(
        scored(frames, transforms=transforms),
        scored(backwards, transforms=back)[::-1],
        strict=True,
    )
    for one, other in there_and_back:
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


def test_jerk_of_a_known_camera_costs_nothing():
    frames = [frame(t, (30 + 25 * (t >= 5), 40, 0.8)) for t in range(10)]
    transforms = [Transform.translation((25.0 * (t == 5), 0.0)) for t in range(1, 10)]
    assert scored(frames)[5].scores[0] < 0.4
    for detections in scored(frames, transforms=transforms):
        assert detections.scores == pytest.approx([0.8], abs=1e-6)


@pytest.mark.parametrize("shift_xy", [(9.0, 3.0), (0.0, -40.0), (500.0, 500.0)])
def test_wrong_transform_does_not_take_the_score_of_a_target_that_stays(shift_xy):
    frames = [frame(t, (30 + t, 40, 0.8)) for t in range(10)]
    transforms = [Transform.identity()] * 9
    transforms[4] = Transform.translation(shift_xy)
    for detections in scored(frames, transforms=transforms):
        assert detections.scores == pytest.approx([0.8], abs=1e-6)


def seen_by(camera, detections):
    """Return detections of the scene, of squares of 4 px, as a camera sees them."""
    centres = camera.apply((detections.boxes_xyxy[:, :2] + 2).astype(np.float64))
    return Detections.from_unsorted(
        np.concatenate([centres - 2, centres + 2], axis=1).astype(np.float32),
        detections.scores,
        frame_index=detections.frame_index,
        image_hw=detections.image_hw,
    )
