"""Where each frame of a sequence lies in the scene, and whether that is known."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates

from stdet.registration import alignment
from stdet.registration.alignment import MAX_ERROR_PX
from stdet.registration.camera_motion import KEY_AGE, CameraMotion
from stdet.registration.prepared_frame import PreparedFrame
from stdet.registration.transform import Transform

HW = (96, 128)
CENTRE = np.array([64.0, 48.0])
GRID = np.stack(np.meshgrid(np.arange(8.5, 128, 16), np.arange(8.5, 96, 16)), -1)


def field(seed=0, *, side=400):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 2)
    return (0.5 + 0.1 * noise / noise.std()).astype(np.float32)


def view(scene, motion, *, noise=1 / 255, seed=0):
    """What a camera sees of the middle of a scene after its background has moved."""
    rows, columns = np.mgrid[: HW[0], : HW[1]] + 0.5
    at = motion.inverse().apply(np.stack([columns, rows], -1)) + np.array([136, 152])
    seen = map_coordinates(scene, [at[..., 1] - 0.5, at[..., 0] - 0.5], order=3, mode="mirror")
    return (seen + np.random.default_rng(seed).normal(scale=noise, size=HW)).astype(np.float32)


def turned(degrees, zoom=1.0, shift_xy=(0.0, 0.0)):
    angle = np.deg2rad(degrees)
    linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Transform.affine(linear, CENTRE - linear @ CENTRE + shift_xy)


def poses_of(frames):
    camera = CameraMotion()
    return [camera.push(PreparedFrame(frame)) for frame in frames]


def error_px(found, truth):
    return np.sqrt(((found.apply(GRID) - truth.apply(GRID)) ** 2).sum(-1).mean())


@settings(max_examples=6, deadline=None)
@given(
    turn=st.floats(-0.5, 0.5),
    zoom=st.floats(0.995, 1.005),
    x=st.floats(-3, 3),
    y=st.floats(-2, 2),
    seed=st.integers(0, 9),
)
def test_transforms_between_any_two_frames_are_composed_without_drift(turn, zoom, x, y, seed):
    step = turned(turn, zoom, (x, y))
    truth = list(itertools.accumulate([step] * 24, lambda moved, one: one @ moved))
    scene = field(seed)
    poses = poses_of([view(scene, moved, seed=at) for at, moved in enumerate(truth)])
    assert all(pose.state == "measured" for pose in poses)
    for one, other in ((0, 20), (3, 23), (20, 0), (11, 12)):
        expected = truth[other] @ truth[one].inverse()
        assert error_px(poses[one].to(poses[other]), expected) < 0.1


def test_errors_do_not_grow_with_the_number_of_key_frames():
    shifts = [Transform.translation((0.7 * at, -0.4 * at)) for at in range(3 * KEY_AGE)]
    scene = field(1)
    poses = poses_of([view(scene, moved, seed=at) for at, moved in enumerate(shifts)])
    for last in range(21, len(poses)):
        expected = shifts[last] @ shifts[last - 20].inverse()
        assert error_px(poses[last - 20].to(poses[last]), expected) < 0.1


@pytest.mark.parametrize("jump", [(6.0, -3.0), (-17.0, 9.0), (30.0, 14.0)])
def test_jerk_of_the_camera_is_measured(jump):
    truth = [Transform.identity()] * 5 + [Transform.translation(jump)] * 5
    scene = field(2)
    poses = poses_of([view(scene, moved, seed=at) for at, moved in enumerate(truth)])
    assert {pose.state for pose in poses} == {"measured"}
    assert error_px(poses[4].to(poses[5]), truth[5]) < MAX_ERROR_PX


def test_pan_in_long_steps_is_searched_for_once(monkeypatch):
    searched = []
    search = alignment._align_coarsely

    def counted(before, after, guess):
        searched.append(guess)
        return search(before, after, guess)

    monkeypatch.setattr(alignment, "_align_coarsely", counted)
    scene = field()
    truth = [turned(0, 1, (-11.0 * number, 3.0 * number)) for number in range(8)]
    poses = poses_of([view(scene, motion) for motion in truth])
    assert len(searched) <= 1
    for pose, motion in zip(poses, truth, strict=True):
        assert pose.state == "measured"
        assert error_px(pose.from_start, motion) < 0.1


def test_drifting_perspective_is_followed():
    scene = field(3)
    truth = []
    for at in range(20):
        matrix = np.eye(3)
        matrix[2, :2] = 2e-5 * at, -1e-5 * at
        to_centre = Transform.translation(-CENTRE)
        truth.append(to_centre.inverse() @ Transform(matrix) @ to_centre)
    poses = poses_of([view(scene, moved, seed=at) for at, moved in enumerate(truth)])
    assert error_px(poses[0].to(poses[19]), truth[19]) < 0.1


def test_camera_at_rest_does_not_move_at_all():
    scene = field(4)
    poses = poses_of([view(scene, Transform.identity(), seed=at) for at in range(2 * KEY_AGE)])
    for one, other in itertools.pairwise(poses):
        np.testing.assert_array_equal(one.to(other).matrix, np.eye(3))


def test_featureless_sky_is_assumed_to_rest_and_says_so():
    rng = np.random.default_rng(0)
    frames = [0.4 + rng.normal(0, 2 / 255, HW).astype(np.float32) for _ in range(6)]
    poses = poses_of(frames)
    assert [pose.state for pose in poses[1:]] == ["assumed"] * 5
    assert {pose.run for pose in poses} == {poses[0].run}
    np.testing.assert_array_equal(poses[0].to(poses[5]).matrix, np.eye(3))


def test_small_frames_fall_back_to_a_translation():
    scene = field(5)[:60, :60]
    poses = poses_of([scene[4:44, 4:44], scene[6:46, 9:49]])
    assert poses[1].state == "assumed"
    np.testing.assert_allclose(poses[0].to(poses[1]).offset_xy, [-5, -2], atol=0.1)


def spoilt(kind, frame):
    """Return what is left of a frame."""
    if kind == "black":
        return np.zeros_like(frame)
    if kind == "other scene":
        return view(field(77), Transform.identity())
    if kind == "noise":
        return np.random.default_rng(3).random(HW).astype(np.float32)
    torn = frame.copy()
    torn[20:] = view(field(78), Transform.identity())[20:]
    return torn


@pytest.mark.parametrize("kind", ["black", "other scene", "noise", "torn"])
@pytest.mark.parametrize("count", [1, 3])
def test_spoilt_frames_are_lost_and_what_follows_joins_what_was_before(kind, count):
    scene = field(6)
    truth = [Transform.translation((1.5 * at, 0.5 * at)) for at in range(12)]
    frames = [view(scene, moved, seed=at) for at, moved in enumerate(truth)]
    for at in range(5, 5 + count):
        frames[at] = spoilt(kind, frames[at])
    poses = poses_of(frames)
    assert poses[5].state == "lost"
    assert poses[4].to(poses[5]) is None
    joined = poses[4].to(poses[5 + count])
    if count == 1:
        assert error_px(joined, truth[6] @ truth[4].inverse()) < 0.1


def test_cut_begins_a_new_run():
    first, second = field(7), field(8)
    frames = [view(first, Transform.identity(), seed=at) for at in range(6)]
    frames += [view(second, Transform.translation((at, 0)), seed=at) for at in range(6)]
    poses = poses_of(frames)
    assert [pose.run for pose in poses] == [1] * 6 + [2] * 6
    assert [pose.state for pose in poses] == ["measured"] * 6 + ["lost"] + ["measured"] * 5
    assert poses[5].to(poses[6]) is None
    np.testing.assert_allclose(poses[6].to(poses[11]).offset_xy, [5, 0], atol=0.1)


def test_frozen_camera_rests():
    frame = view(field(9), Transform.identity())
    poses = poses_of([frame] * 8)
    np.testing.assert_array_equal(poses[0].to(poses[7]).matrix, np.eye(3))


def test_poses_compose():
    scene = field(10)
    truth = [turned(0.3 * at, 1 + 0.002 * at, (at, 0)) for at in range(10)]
    poses = poses_of([view(scene, moved, seed=at) for at, moved in enumerate(truth)])
    steps = [one.to(other) for one, other in itertools.pairwise(poses)]
    whole = functools.reduce(lambda moved, step: step @ moved, steps)
    np.testing.assert_allclose(whole.apply(GRID), poses[0].to(poses[9]).apply(GRID), atol=1e-9)
    back = poses[9].to(poses[0]).apply(poses[0].to(poses[9]).apply(GRID))
    np.testing.assert_allclose(back, GRID, atol=1e-9)


def test_size_must_not_change():
    camera = CameraMotion()
    camera.push(PreparedFrame(np.zeros((8, 8), np.float32)))
    with pytest.raises(ValueError, match=r"frame is \(8, 9\); the one before is \(8, 8\)"):
        camera.push(PreparedFrame(np.zeros((8, 9), np.float32)))
