"""The translation of phase correlation, which registration falls back to."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from stdet.registration.prepared_frame import PreparedFrame
from stdet.registration.transform import Transform
from stdet.registration.translation import estimate_translation


def _scene(seed: int = 0, side: int = 160) -> np.ndarray:
    """Return a smooth random scene in [0, 1], as optics would show it."""
    noise = np.random.default_rng(seed).random((side, side))
    scene = gaussian_filter(noise, 1.2)
    return ((scene - scene.min()) / np.ptp(scene)).astype(np.float32)


def _window(scene: np.ndarray, left: float, top: float, side: int = 96) -> np.ndarray:
    """Cut a window whose top-left corner lies at a fraction of a pixel."""
    moved = Transform.translation((-left, -top)).warp(scene).image
    return moved[:side, :side]


def between(before: np.ndarray, after: np.ndarray) -> Transform:
    """Estimate the translation between two frames."""
    return estimate_translation(PreparedFrame(before), PreparedFrame(after))


@settings(max_examples=20, deadline=None)
@given(x=st.floats(-12, 12), y=st.floats(-12, 12), seed=st.integers(0, 5))
def test_known_displacement_is_found(x: float, y: float, seed: int) -> None:
    scene = _scene(seed)
    # The camera moves by (x, y), so that the background moves against it.
    found = between(_window(scene, 20, 20), _window(scene, 20 + x, 20 + y))
    np.testing.assert_allclose(found.offset_xy, [-x, -y], atol=0.2)


def test_camera_at_rest_gives_exact_zero_despite_noise() -> None:
    rng = np.random.default_rng(1)
    scene = _window(_scene(), 10, 10)
    frames = [scene + rng.normal(0, 0.005, scene.shape).astype(np.float32) for _ in range(8)]
    for frame in frames[1:]:
        assert between(frames[0], frame).offset_xy.tolist() == [0, 0]


def test_featureless_frames_do_not_seem_to_move() -> None:
    flat = np.full((64, 48), 0.4, np.float32)
    assert between(flat, flat.copy()).offset_xy.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("noise", [0.0005, 0.002, 0.01])
@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_featureless_sky_does_not_move_with_its_target(noise: float, sigma: float) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :160]
    frames = []
    for step in range(6):
        target = 0.4 * np.exp(
            -((x - 40 - 3.3 * step) ** 2 + (y - 50 - 1.7 * step) ** 2) / 2 / sigma**2
        )
        frame = 0.4 + target + rng.normal(0, noise, x.shape)
        frames.append(np.round(frame * 255).astype(np.float32) / 255)
    for before, after in itertools.pairwise(frames):
        assert between(before, after).offset_xy.tolist() == [0, 0]


def test_moving_target_does_not_move_the_background() -> None:
    scene = _window(_scene(), 10, 10)
    frames = [scene.copy() for _ in range(6)]
    for step, frame in enumerate(frames):
        frame[40:44, 10 + 6 * step : 14 + 6 * step] = 1.0
    for before, after in itertools.pairwise(frames):
        assert between(before, after).largest_displacement(scene.shape) < 0.1


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
        found = estimate_translation(*(PreparedFrame(frame) for frame in frames))
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
    found = estimate_translation(PreparedFrame(before), PreparedFrame(after))
    np.testing.assert_allclose(found.offset_xy, truth, atol=0.1)


def test_guess_is_taken_where_frames_share_too_little_for_a_correlation() -> None:
    scene = _scene(1)
    before, after = _window(scene, 0, 0), _window(scene, 60, 55)
    prepared = PreparedFrame(before), PreparedFrame(after)
    guess = Transform.translation((-60.0, -55.0))
    # Without the guess, a chance peak or rest.
    assert np.abs(estimate_translation(*prepared).offset_xy - guess.offset_xy).max() > 1
    found = estimate_translation(*prepared, guess=guess)
    np.testing.assert_array_equal(found.matrix, guess.matrix)
