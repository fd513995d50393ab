"""Bad pixels: found while the scene moves, replaced, healed, and never a target for one."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stdet.registration.bad_pixels import NUM_TO_CONDEMN, BadPixels, replace_pixels, spike_signs
from stdet.registration.camera_motion import CameraMotion
from stdet.registration.prepared_frame import PreparedFrame
from stdet.registration.transform import Transform


def pan(num_frames, step_xy, hw=(64, 80)):
    """Return frames of a camera that pans over a smooth scene."""
    scene = gaussian_filter(np.random.default_rng(0).random((200, 240)), 2.0)
    scene = (0.2 + 0.5 * (scene - scene.min()) / np.ptp(scene)).astype(np.float32)
    height, width = hw
    moved = [
        Transform.translation(-np.array(step_xy) * at).warp(scene) for at in range(num_frames)
    ]
    return [one.image[20 : 20 + height, 20 : 20 + width].copy() for one in moved]


def push_all(frames):
    """Return the pixels known after each frame, and the cleaned frames."""
    pixels = BadPixels()
    cleaned, known = [], []
    camera = CameraMotion()
    for frame in frames:
        cleaned.append(pixels.clean(frame))
        pixels.learn(frame, camera.push(PreparedFrame(cleaned[-1])))
        known.append(pixels.indices.tolist())
    return known, cleaned


@pytest.mark.parametrize("value", [1.0, 0.0])
def test_hot_and_dead_pixels_are_found_and_replaced(value):
    clean = pan(12, (2.0, 0.5))
    frames = [frame.copy() for frame in clean]
    for frame in frames:
        frame[30, 40] = value
    known, cleaned = push_all(frames)
    assert known[NUM_TO_CONDEMN - 2] == []
    assert known[NUM_TO_CONDEMN - 1] == [30 * 80 + 40]
    assert cleaned[NUM_TO_CONDEMN - 1][30, 40] == value
    for before, after in zip(clean[NUM_TO_CONDEMN:], cleaned[NUM_TO_CONDEMN:], strict=True):
        np.testing.assert_allclose(after, before, atol=0.03)


def test_camera_at_rest_condemns_nothing():
    frame = pan(1, (0, 0))[0]
    frame[30, 40] = 1.0
    known, cleaned = push_all([frame] * 40)
    assert known[-1] == []
    np.testing.assert_array_equal(cleaned[-1], frame)


def test_target_that_the_camera_follows_is_not_a_bad_pixel():
    frames = pan(40, (2.0, 0.0))
    y, x = np.mgrid[:64, :80]
    jitter = np.random.default_rng(1).normal(0, 0.4, (40, 2))
    for frame, (dx, dy) in zip(frames, jitter, strict=True):
        frame += 0.3 * np.exp(-((x - 40 - dx) ** 2 + (y - 30 - dy) ** 2) / 2 / 0.8**2)
    known, _ = push_all([np.clip(frame, 0, 1).astype(np.float32) for frame in frames])
    assert known[-1] == []


def test_one_pixel_target_that_crosses_the_sensor_is_not_a_bad_pixel():
    frames = pan(40, (2.0, 0.0))
    for at, frame in enumerate(frames):
        frame[30, 20 + at] = 1.0
    known, _ = push_all(frames)
    assert known[-1] == []


def test_pixel_that_heals_is_used_again():
    frames = pan(30, (2.0, 0.5))
    for frame in frames[:10]:
        frame[30, 40] = 1.0
    known, cleaned = push_all(frames)
    assert known[9] == [30 * 80 + 40]
    assert known[-1] == []
    np.testing.assert_array_equal(cleaned[-1], frames[-1])


def test_spikes_stand_out_of_all_their_neighbours_also_at_the_border():
    frame = np.full((6, 7), 0.5, np.float32)
    frame[0, 0], frame[3, 3], frame[5, 6] = 0.6, 0.4, 0.51
    expected = np.zeros((6, 7), np.int8)
    expected[0, 0], expected[3, 3] = 1, -1
    np.testing.assert_array_equal(spike_signs(frame), expected)
    np.testing.assert_allclose(replace_pixels(frame, np.array([0, 24])), 0.5, atol=0.011)


def test_size_must_not_change():
    pixels = BadPixels()
    pixels.clean(np.zeros((8, 8), np.float32))
    with pytest.raises(ValueError, match=r"frame is \(8, 9\); the one before is \(8, 8\)"):
        pixels.clean(np.zeros((8, 9), np.float32))
