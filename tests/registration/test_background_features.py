"""Tests of the features that show what moves against the registered background."""

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from stdet.registration.background_features import (
    LAGS,
    background_features,
    local_contrast,
    residual_contrast,
)
from stdet.registration.prepared_frame import blurred
from stdet.registration.registered_stream import register_frames
from stdet.registration.transform import Transform


def _scene(side: int = 120) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(0).random((side, side)), 1.5)
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


def _push_all(frames: list[np.ndarray]) -> np.ndarray:
    registered = list(register_frames(frames, LAGS))
    return np.stack([background_features(f) for f in registered])


def test_still_bright_spot_vanishes_and_a_moving_dim_one_stands_out():
    scene = _scene()[:64, :80] * 0.3
    scene[10:13, 10:13] = 1.0
    frames = []
    for index in range(24):
        frame = scene.copy()
        frame[30:33, 20 + index : 23 + index] += 0.1
        frames.append(frame)
    residual, contrast, _ = _push_all(frames)[-1]
    assert np.abs(residual[5:20, 5:20]).max() < 1e-6
    row, column = np.unravel_index(contrast.argmax(), contrast.shape)
    assert 30 <= row < 33
    assert 43 <= column < 46
    np.testing.assert_allclose(residual[31, 44], 0.1, atol=1e-5)
    # Where the target was before is empty again: no ghosts.
    assert contrast.min() > -0.25 * contrast.max()


def test_panning_camera_leaves_nothing_of_a_still_scene():
    scene = _scene()
    frames = [
        Transform.translation((-1.5 * i, -0.5 * i)).warp(scene).image[:64, :64] for i in range(24)
    ]
    residual = _push_all(frames)[-1][0]
    plain = np.abs(frames[-1] - frames[-1 - LAGS[0]])
    assert np.median(np.abs(residual)) < 0.2 * np.median(plain)


def test_dark_target_is_as_far_below_zero_as_a_bright_one_above():
    def run(sign: float) -> np.ndarray:
        frames = []
        for index in range(22):
            frame = np.full((40, 60), 0.5, np.float32)
            frame[20:22, 10 + index : 12 + index] += sign * 0.2
            frames.append(frame)
        return _push_all(frames)[-1]

    np.testing.assert_allclose(run(1.0), -run(-1.0), atol=1e-5)


def test_gain_step_of_the_whole_frame_does_not_show():
    scene = _scene()[:48, :48]
    frames = [scene + (0.1 if index > 11 else 0.0) for index in range(16)]
    assert np.abs(_push_all([f.astype(np.float32) for f in frames])[-1][0]).max() < 1e-3


def test_a_frame_alone_shows_no_motion_and_constant_frames_nothing():
    alone = _push_all([_scene()[:24, :24]])
    assert np.abs(alone[0, :2]).max() == 0
    assert np.abs(_push_all([np.full((24, 24), 0.7, np.float32)] * 3)).max() == 0


def test_a_moving_target_stands_out_from_the_first_frame_on():
    scene = _scene()[:64, :80] * 0.3
    frames = []
    for index in range(40):
        frame = scene.copy()
        frame[30:33, 20 + index : 23 + index] += 0.1
        frames.append(frame)
    for index, (residual, contrast, _) in enumerate(_push_all(frames)):
        row, column = np.unravel_index(contrast.argmax(), contrast.shape)
        assert 30 <= row < 33
        assert 20 + index <= column < 23 + index
        np.testing.assert_allclose(residual[31, 21 + index], 0.1, atol=1e-5)
        # Nor are there ghosts where it will be.
        assert contrast.min() > -0.25 * contrast.max()


def test_edge_out_of_register_stands_out_less_than_as_dim_a_target():
    y, x = np.mgrid[:64, :80].astype(np.float32)
    rng = np.random.default_rng(0)
    roof = 0.2 + 0.5 / (1 + np.exp(-(x - 40) / 0.8)) * (np.abs(y - 32) < 3)
    residual = roof - Transform.translation((0.08, 0.0)).warp(roof).image
    target = residual.max() * np.exp(-((x - 15) ** 2 + (y - 15) ** 2) / 2)
    residual = (residual + target + rng.normal(0, 0.001, x.shape)).astype(np.float32)
    frame = (roof + target).astype(np.float32)

    def edge_over_target(contrast: np.ndarray) -> float:
        return float(np.abs(contrast[26:39, 34:47]).max() / contrast[13:18, 13:18].max())

    assert edge_over_target(local_contrast(residual)) > 1
    assert edge_over_target(residual_contrast(residual, frame)) < 0.5


def test_what_moves_over_an_even_background_has_its_contrast_in_the_residual():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :50]
    residual = rng.normal(0, 0.01, (40, 50)) + 0.5 * np.exp(-((x - 20) ** 2 + (y - 20) ** 2) / 8)
    residual = residual.astype(np.float32)
    np.testing.assert_allclose(
        residual_contrast(residual, residual + 0.3), local_contrast(residual), atol=1e-4
    )


def test_a_turning_scene_leaves_next_to_nothing():
    scene = gaussian_filter(_scene(), 1.0)
    angles = np.deg2rad(0.7) * np.arange(24)
    poses = [
        Transform.translation((60, 60))
        @ Transform.affine([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]], (0.4 * i, -0.3 * i))
        @ Transform.translation((-60, -60))
        for i, a in enumerate(angles)
    ]
    frames = [pose.warp(scene).image[20:100, 20:100].copy() for pose in poses]
    residual = np.abs(_push_all(frames)[-1][0])[8:-8, 8:-8]
    unregistered = np.abs(frames[-1] - frames[-5])[8:-8, 8:-8]
    assert residual.mean() < 0.05 * unregistered.mean()


def test_contrast_is_that_of_the_definition():
    random = np.random.default_rng(3)
    frame, residual = (random.random((230, 310)).astype(np.float32) for _ in range(2))
    along = np.gradient(blurred(frame - residual, 0.7).astype(np.float64))
    steepness = uniform_filter(along[0] ** 2 + along[1] ** 2, 5, mode="nearest")
    smooth = blurred(residual, 0.7) - uniform_filter(residual, 17, mode="nearest")
    power = uniform_filter(smooth**2, 21, mode="nearest") + 0.1**2 * steepness + 0.003**2
    found = residual_contrast(residual, frame)
    np.testing.assert_allclose(found, smooth / np.sqrt(power), atol=2e-4)
