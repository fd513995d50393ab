import numpy as np
import pytest
from moving_camera import moving_cameras, steps_of

from stdet.registration.transform import Transform
from stdet.tracking.smoothing import START_SPEED_STD_PX, Step, predict, smooth_path

REST = Step()


def flight(num, *, speed=(2.0, 1.0), noise=0.5, seed=0):
    """Return the true and the detected centres of a straight flight, (T, 2)."""
    truth = np.array([50.0, 60.0]) + np.outer(np.arange(num), speed)
    return truth, truth + np.random.default_rng(seed).normal(0, noise, truth.shape)


def solved_together(centres_xy, steps, path):
    """Return the means of all states by one least-squares problem, without recursion."""
    num = len(centres_xy)
    blocks, targets = [], []

    def add(rows, covariance, target):
        root = np.linalg.inv(np.linalg.cholesky(covariance))
        blocks.append(root @ rows)
        targets.append(root @ target)

    def at(position, matrix):
        rows = np.zeros((len(matrix), 4 * num))
        rows[:, 4 * position : 4 * position + 4] = matrix
        return rows

    measured = path.measurement_std_px**2 * np.eye(2)
    start = np.diag([*[path.measurement_std_px**2] * 2, *[START_SPEED_STD_PX**2] * 2])
    add(at(0, np.eye(4)), start, np.array([*centres_xy[0], 0, 0]))
    for position, step in enumerate(steps):
        origin, covariance, transition = predict(
            np.zeros((1, 4)), np.zeros((1, 4, 4)), step, np.array([path.acceleration_std_px])
        )
        rows = at(position + 1, np.eye(4)) - at(position, transition[0])
        # The noise of one frame has rank 2; what is added makes it invertible.
        add(rows, covariance[0] + 1e-9 * np.eye(4), origin[0])
        if not np.isnan(centres_xy[position + 1, 0]):
            add(at(position + 1, np.eye(2, 4)), measured, centres_xy[position + 1])
    solution = np.linalg.lstsq(np.concatenate(blocks), np.concatenate(targets), rcond=None)[0]
    return solution.reshape(num, 4)


@pytest.mark.parametrize("seed", range(3))
def test_states_are_those_of_one_least_squares_problem(seed):
    rng = np.random.default_rng(seed)
    cameras = moving_cameras(15, rng, step_px=5.0)
    steps = [Step(num_frames=int(rng.integers(1, 4)), transform=one) for one in steps_of(cameras)]
    _, detected = flight(15, seed=seed)
    seen = np.stack([camera.apply(xy) for camera, xy in zip(cameras, detected, strict=True)])
    seen[[4, 5, 9]] = np.nan
    path = smooth_path(seen, steps)
    expected = solved_together(seen, steps, path)
    np.testing.assert_allclose(path.means, expected, atol=1e-3)


def test_smoothed_places_are_closer_than_detected_ones():
    truth, detected = flight(60)
    path = smooth_path(detected, [REST] * 59)
    errors = [np.hypot(*(xy - truth).T).mean() for xy in (detected, path.means[:, :2])]
    assert errors[1] < errors[0] / 2
    np.testing.assert_allclose(path.means[:, 2:], np.tile([2.0, 1.0], (60, 1)), atol=0.15)


def test_strength_of_the_manoeuvres_is_found_out():
    _, straight = flight(40, noise=0.3)
    turning = np.cumsum([[3 * np.cos(0.3 * t), 3 * np.sin(0.3 * t)] for t in range(40)], axis=0)
    stds = [smooth_path(xy, [REST] * 39).acceleration_std_px for xy in (straight, turning)]
    assert stds[0] <= 0.1 < 0.3 <= stds[1]


def test_path_goes_with_the_scene():
    cameras = moving_cameras(30, np.random.default_rng(1), step_px=30.0)
    _, detected = flight(30, noise=0.3)
    seen = np.stack([camera.apply(xy) for camera, xy in zip(cameras, detected, strict=True)])
    path = smooth_path(seen, [Step(transform=one) for one in steps_of(cameras)])
    at_rest = smooth_path(detected, [REST] * 29)
    carried = np.stack(
        [camera.apply(xy) for camera, xy in zip(cameras, at_rest.means[:, :2], strict=True)]
    )
    np.testing.assert_allclose(path.means[:, :2], carried, atol=0.02)


def test_leap_bends_the_path_nowhere_else():
    truth, detected = flight(40, noise=0.2)
    truth[20:] += [25.0, -10.0]
    detected[20:] += [25.0, -10.0]
    path = smooth_path(detected, [REST] * 39)
    assert np.hypot(*(path.means[:, :2] - truth).T).max() < 0.6
    assert path.acceleration_std_px <= 0.3


def test_missing_frames_are_bridged_and_one_detection_is_a_path():
    truth, detected = flight(30, noise=0.2)
    detected[10:20] = np.nan
    path = smooth_path(detected, [REST] * 29)
    np.testing.assert_allclose(path.means[10:20, :2], truth[10:20], atol=0.5)
    spread = path.covariances[:, 0, 0]
    assert spread[15] > 2 * spread[5]
    alone = smooth_path(detected[:1], [])
    np.testing.assert_array_equal(alone.means[:, :2], detected[:1])


def test_several_frames_at_once_equal_one_after_the_other():
    means, covariances = np.ones((1, 4)), np.eye(4)[None]
    stds = np.array([0.7])
    at_once = predict(means, covariances, Step(num_frames=3), stds)
    for _ in range(3):
        means, covariances, _ = predict(means, covariances, REST, stds)
    np.testing.assert_allclose(at_once[0], means)
    np.testing.assert_allclose(at_once[1], covariances)


def test_turned_scene_turns_the_path():
    _, detected = flight(25)
    turn = Transform.affine([[0, -1], [1, 0]], (5, 7))
    path = smooth_path(detected, [REST] * 24)
    turned = smooth_path(turn.apply(detected), [REST] * 24)
    np.testing.assert_allclose(turned.means[:, :2], turn.apply(path.means[:, :2]), atol=1e-9)
