"""Tests of the background's displacement between frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from stdet.data.camera_motion import CameraMotion, translate


def _scene(seed: int = 0, side: int = 160) -> np.ndarray:
    """Return a smooth random scene in [0, 1], as optics would show it."""
    noise = np.random.default_rng(seed).random((side, side))
    scene = gaussian_filter(noise, 1.2)
    return ((scene - scene.min()) / np.ptp(scene)).astype(np.float32)


def _window(scene: np.ndarray, left: float, top: float, side: int = 96) -> np.ndarray:
    """Cut a window whose top-left corner lies at a fraction of a pixel."""
    moved = translate(scene, np.array([-left, -top]))
    return moved[:side, :side]


@settings(max_examples=20)
@given(x=st.floats(-12, 12), y=st.floats(-12, 12), seed=st.integers(0, 5))
def test_known_displacement_is_found(x: float, y: float, seed: int) -> None:
    scene = _scene(seed)
    motion = CameraMotion()
    motion.push(_window(scene, 20, 20))
    # The camera moves by (x, y), so that the background moves against it.
    found = motion.push(_window(scene, 20 + x, 20 + y))
    np.testing.assert_allclose(found, [-x, -y], atol=0.2)


def test_camera_at_rest_gives_exact_zero_despite_noise() -> None:
    rng = np.random.default_rng(1)
    scene = _window(_scene(), 10, 10)
    motion = CameraMotion()
    shifts = [
        motion.push(scene + rng.normal(0, 0.005, scene.shape).astype(np.float32)) for _ in range(8)
    ]
    assert np.abs(shifts).max() < 0.1


def test_featureless_frames_do_not_seem_to_move() -> None:
    motion = CameraMotion()
    for _ in range(3):
        flat = np.full((64, 48), 0.4, np.float32)
        assert motion.push(flat).tolist() == [0.0, 0.0]


def test_moving_target_does_not_move_the_background() -> None:
    scene = _window(_scene(), 10, 10)
    motion = CameraMotion()
    for step in range(6):
        frame = scene.copy()
        frame[40:44, 10 + 6 * step : 14 + 6 * step] = 1.0
        assert np.abs(motion.push(frame)).max() < 0.1


def test_translate_moves_content_by_whole_and_half_pixels() -> None:
    image = np.zeros((5, 6), np.float32)
    image[2, 3] = 1.0
    whole = translate(image, np.array([-2.0, 1.0]))
    assert whole[3, 1] == 1.0
    assert whole.sum() == 1.0
    half = translate(image, np.array([0.5, 0.0]))
    np.testing.assert_allclose(half[2], [0, 0, 0, 0.5, 0.5, 0])


def test_size_must_not_change() -> None:
    motion = CameraMotion()
    motion.push(np.zeros((8, 8), np.float32))
    with pytest.raises(ValueError, match=r"frame is \(8, 9\); the one before is \(8, 8\)"):
        motion.push(np.zeros((8, 9), np.float32))
