"""Tests of the estimated transform of the background between frames."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from stdet.registration.estimation import CameraMotion, PreparedFrame, estimate_transform
from stdet.registration.transform import Transform


def _scene(seed: int = 0, side: int = 160) -> np.ndarray:
    """Return a smooth random scene in [0, 1], as optics would show it."""
    noise = np.random.default_rng(seed).random((side, side))
    scene = gaussian_filter(noise, 1.2)
    return ((scene - scene.min()) / np.ptp(scene)).astype(np.float32)


def _window(scene: np.ndarray, left: float, top: float, side: int = 96) -> np.ndarray:
    """Cut a window whose top-left corner lies at a fraction of a pixel."""
    moved = Transform.translation((-left, -top)).warp(scene).image
    return moved[:side, :side]


@settings(max_examples=20)
@given(x=st.floats(-12, 12), y=st.floats(-12, 12), seed=st.integers(0, 5))
def test_known_displacement_is_found(x: float, y: float, seed: int) -> None:
    scene = _scene(seed)
    motion = CameraMotion()
    motion.push(_window(scene, 20, 20))
    # The camera moves by (x, y), so that the background moves against it.
    found = motion.push(_window(scene, 20 + x, 20 + y))
    np.testing.assert_allclose(found.offset_xy, [-x, -y], atol=0.2)


def test_camera_at_rest_gives_exact_zero_despite_noise() -> None:
    rng = np.random.default_rng(1)
    scene = _window(_scene(), 10, 10)
    motion = CameraMotion()
    for _ in range(8):
        noise = rng.normal(0, 0.005, scene.shape).astype(np.float32)
        assert motion.push(scene + noise).offset_xy.tolist() == [0, 0]


def test_featureless_frames_do_not_seem_to_move() -> None:
    motion = CameraMotion()
    for _ in range(3):
        flat = np.full((64, 48), 0.4, np.float32)
        assert motion.push(flat).offset_xy.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("noise", [0.0005, 0.002, 0.01])
@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_featureless_sky_does_not_move_with_its_target(noise: float, sigma: float) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :160]
    motion = CameraMotion()
    for step in range(6):
        target = 0.4 * np.exp(
            -((x - 40 - 3.3 * step) ** 2 + (y - 50 - 1.7 * step) ** 2) / 2 / sigma**2
        )
        frame = 0.4 + target + rng.normal(0, noise, x.shape)
        found = motion.push(np.round(frame * 255).astype(np.float32) / 255)
        assert found.offset_xy.tolist() == [0, 0]


def test_moving_target_does_not_move_the_background() -> None:
    scene = _window(_scene(), 10, 10)
    motion = CameraMotion()
    for step in range(6):
        frame = scene.copy()
        frame[40:44, 10 + 6 * step : 14 + 6 * step] = 1.0
        assert motion.push(frame).largest_displacement(frame.shape) < 0.1


def test_frames_far_apart_are_compared_directly_and_do_not_drift() -> None:
    rng = np.random.default_rng(3)
    scene = _scene(4)
    frames = [
        _window(scene, 10 + 0.93 * step, 12 + 0.41 * step)
        + rng.normal(0, 0.03, (96, 96)).astype(np.float32)
        for step in range(21)
    ]
    motion = CameraMotion()
    summed = functools.reduce(lambda before, step: step @ before, map(motion.push, frames))
    before, after = (PreparedFrame.of(frame) for frame in (frames[0], frames[-1]))
    direct = estimate_transform(before, after, guess=summed)
    truth = np.array([-0.93 * 20, -0.41 * 20])
    error = np.abs(direct.offset_xy - truth).max()
    assert error < 0.1
    assert error < np.abs(summed.offset_xy - truth).max()


def test_long_displacement_is_measured_in_what_both_frames_show() -> None:
    rng = np.random.default_rng(0)
    errors = []
    for seed in range(12):
        angle = rng.uniform(0, 2 * np.pi)
        truth = 24 * np.array([np.cos(angle), np.sin(angle)])
        scene = _scene(seed)
        # Two windows of 64 px that share about half of what they show.
        frames = [
            _window(scene, *start, side=64) + rng.normal(0, 0.01, (64, 64)).astype(np.float32)
            for start in (np.array([40.0, 40.0]), 40 - truth)
        ]
        found = estimate_transform(*(PreparedFrame.of(frame) for frame in frames))
        errors.append(np.abs(found.offset_xy - truth).max())
    # One correlation of the whole frames is wrong by 0.2 px at the median.
    assert np.median(errors) < 0.06
    assert max(errors) < 0.3


@pytest.mark.parametrize("truth", [(19.3, -3.6), (-4.2, 20.7), (-22.4, 11.8)])
def test_sides_that_are_prime_and_differ(truth: tuple[float, float]) -> None:
    scene = _scene(2)
    before, after = (
        _window(scene, *start, side=71)[:67]
        for start in (np.array([40.0, 40.0]), 40 - np.array(truth))
    )
    found = estimate_transform(PreparedFrame.of(before), PreparedFrame.of(after))
    np.testing.assert_allclose(found.offset_xy, truth, atol=0.1)


def test_guess_is_taken_where_frames_share_too_little_for_a_correlation() -> None:
    scene = _scene(1)
    before, after = _window(scene, 0, 0), _window(scene, 60, 55)
    prepared = PreparedFrame.of(before), PreparedFrame.of(after)
    guess = Transform.translation((-60.0, -55.0))
    # Without the guess, a chance peak or rest.
    assert np.abs(estimate_transform(*prepared).offset_xy - guess.offset_xy).max() > 1
    found = estimate_transform(*prepared, guess=guess)
    np.testing.assert_array_equal(found.matrix, guess.matrix)


def test_size_must_not_change() -> None:
    motion = CameraMotion()
    motion.push(np.zeros((8, 8), np.float32))
    with pytest.raises(ValueError, match=r"frame is \(8, 9\); the one before is \(8, 8\)"):
        motion.push(np.zeros((8, 9), np.float32))
