"""What stands still while the scene moves is found; targets and resting scenes are not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stdet.registration.front_end import FrontEnd

HW = (128, 160)
TEXT = (slice(8, 20), slice(10, 60))


def scene(seed=0):
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(200, 500)), 2)
    return (0.5 + 0.1 * field / field.std()).astype(np.float32)


def pan(count, *, step=3, noise=1 / 255, seed=0):
    """Frames of a camera that pans."""
    rng = np.random.default_rng(seed)
    whole = scene(seed)
    for at in range(count):
        frame = whole[20 : 20 + HW[0], step * at : step * at + HW[1]]
        yield np.clip(frame + rng.normal(scale=noise, size=HW), 0, 1).astype(np.float32)


def text(seed=5):
    """Strokes two pixels wide."""
    strokes = np.random.default_rng(seed).random((6, 25)) < 0.5
    return strokes.repeat(2, 0).repeat(2, 1)


def run(frames):
    front_end = FrontEnd()
    return [front_end.push(frame) for frame in frames]


def with_text(frame, strokes, level=1.0):
    frame = frame.copy()
    frame[TEXT][strokes] = level
    return frame


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_text_over_a_moving_scene_is_found(level):
    last = run(with_text(frame, text(), level) for frame in pan(20))[-1]
    assert last.is_ignored is not None
    assert last.is_ignored[TEXT][text()].mean() > 0.95
    around = np.zeros(HW, np.bool_)
    around[4:24, 6:64] = True
    assert not last.is_ignored[~around].any()


def test_text_is_found_before_the_scene_has_moved_five_pixels():
    frames = list(pan(12, step=1))
    last = run(with_text(frame, text()) for frame in frames[:6])[-1]
    assert last.is_ignored is not None
    assert last.is_ignored[TEXT][text()].mean() > 0.9


def with_reticle(frame, level=1.0):
    frame = frame.copy()
    frame[64, 20:60] = frame[64, 100:140] = level
    frame[20:50, 80] = frame[80:110, 80] = level
    return frame


def test_strokes_along_the_motion_are_found():
    last = run(with_reticle(frame) for frame in pan(20))[-1]
    assert last.is_ignored is not None
    assert last.is_ignored[with_reticle(np.zeros(HW)) > 0].mean() > 0.98
    assert last.is_ignored.mean() < 0.06


def test_reticle_that_switches_between_black_and_white_is_found():
    frames = (with_reticle(frame, (at // 12) % 2) for at, frame in enumerate(pan(48)))
    last = run(frames)[-1]
    assert last.is_ignored is not None
    assert last.is_ignored[with_reticle(np.zeros(HW)) > 0].mean() > 0.9


def test_strokes_are_remembered_when_the_camera_turns_to_rest():
    moving = list(pan(20))
    frames = [with_reticle(frame) for frame in moving + moving[-1:] * 40]
    last = run(frames)[-1]
    assert last.is_ignored is not None
    assert last.is_ignored[with_reticle(np.zeros(HW)) > 0].mean() > 0.98


def test_small_target_held_beside_a_reticle_is_kept():
    y, x = np.mgrid[: HW[0], : HW[1]]
    spot = 0.5 * np.exp(-((x - 40) ** 2 + (y - 69) ** 2) / 2).astype(np.float32)
    examined = run(np.clip(with_reticle(frame) + spot, 0, 1) for frame in pan(30))
    assert examined[-1].is_ignored is not None
    assert not any(one.is_ignored[69, 40] for one in examined if one.is_ignored is not None)


def test_near_target_that_the_camera_follows_is_kept():
    examined = []
    front_end = FrontEnd()
    for at, frame in enumerate(pan(40)):
        # It drifts by a pixel a frame to one side and back.
        left = 60 + abs(at % 32 - 16)
        frame[50:62, left : left + 30] = 1.0
        examined.append((front_end.push(frame), left))
    for one, left in examined:
        assert one.is_ignored is None or not one.is_ignored[50:62, left : left + 30].any()


def test_change_of_light_is_not_taken_for_things_that_stand_still():
    y, x = np.mgrid[: HW[0], : HW[1]]
    vignette = 0.3 * ((x / HW[1] - 0.5) ** 2 + (y / HW[0] - 0.5) ** 2).astype(np.float32)
    lights = 0.2 * (np.arange(40) // 5 % 2)
    frames = (frame - light * vignette for frame, light in zip(pan(40), lights, strict=True))
    assert all(one.is_ignored is None for one in run(frames))


def test_text_does_not_hold_the_scene():
    examined = run(with_text(frame, text()) for frame in pan(24))
    moved = examined[0].pose.to(examined[-1].pose)
    np.testing.assert_allclose(moved.offset_xy, [-69, 0], atol=0.2)


def test_text_that_changes_is_found_where_it_has_been():
    frames = list(pan(60))
    for at, frame in enumerate(frames):
        frame[TEXT][text(5)] = 1.0
        frame[8:20, 40:60] = 0.1
        frame[8:20, 40:60][text(at // 25)[:, :20]] = 1.0
    last = run(frames)[-1]
    assert last.is_ignored[8:20, 10:40][text(5)[:, :30]].mean() > 0.95


@pytest.mark.parametrize("step", [0, 3])
def test_scene_without_text_has_nothing_that_stands_still(step):
    assert all(one.is_ignored is None for one in run(pan(30, step=step)))


def test_resting_camera_ignores_nothing():
    frames = (with_text(frame, text()) for frame in pan(40, step=0))
    assert all(one.is_ignored is None for one in run(frames))


@pytest.mark.parametrize("sigma", [0.8, 2.0])
def test_target_that_the_camera_follows_is_kept(sigma):
    rng = np.random.default_rng(3)
    y, x = np.mgrid[: HW[0], : HW[1]]
    frames = list(pan(60))
    for frame in frames:
        dx, dy = rng.normal(0, 0.4, 2)
        spot = np.exp(-((x - 80 - dx) ** 2 + (y - 60 - dy) ** 2) / 2 / sigma**2)
        frame += (0.4 * spot).astype(np.float32)
    for one in run(frames):
        assert one.is_ignored is None or not one.is_ignored[55:65, 75:85].any()


def test_flat_frames_have_nothing_that_stands_still():
    flat = np.full(HW, 0.5, np.float32)
    assert all(one.is_ignored is None for one in run([flat] * 5))
