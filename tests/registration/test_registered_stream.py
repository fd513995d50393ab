"""Tests of the reference frames of a stream: which, when, and where their background lies."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stdet.registration.references import (
    KEPT_EVERY,
    LONG_REACH,
    long_term_steps,
    reference_steps,
)
from stdet.registration.registered_stream import RegisteredStream, register_frames
from stdet.registration.transform import Transform

LAGS = (4, 8, 12, 16, 20)


def numbered(count, hw=(8, 8)):
    """Return frames that hold their number."""
    return [np.full(hw, index / 100, np.float32) for index in range(count)]


def run(frames, lags=LAGS, **wanted):
    return list(register_frames(frames, lags, **wanted))


@pytest.mark.parametrize("count", [1, 2, 5, 19, 21, 24, 50])
def test_every_frame_comes_out_once_in_order_with_the_right_references(count):
    frames = numbered(count)
    found = run(frames)
    assert len(found) == count
    for index, one in enumerate(found):
        assert one.image is frames[index]
        assert list(one.steps) == reference_steps(index, count - 1, LAGS)
        assert all(
            reference is frames[index + step]
            for reference, step in zip(one.references, one.steps, strict=True)
        )


def test_first_frames_wait_and_later_ones_do_not():
    stream = RegisteredStream(LAGS)
    counts = [len(stream.push(frame, None)) for frame in numbered(30)]
    assert counts == [0] * 20 + [1, 1, 1, 21] + [1] * 6
    assert stream.flush() == []


def test_no_more_frames_are_kept_than_are_needed():
    stream = RegisteredStream(LAGS)
    held = []
    for frame in numbered(80):
        stream.push(frame, None)
        held.append(len(stream._frames))
    assert max(held) <= 23
    assert held[-1] == 20


def test_long_term_references_are_old_frames_of_the_run_and_few_are_kept():
    frames = numbered(300)
    stream = RegisteredStream(LAGS, has_long_term=True)
    found, kept = [], []
    for frame in frames:
        found += stream.push(frame, None)
        kept.append(len(stream._long_term))
    assert max(kept) <= LONG_REACH // KEPT_EVERY + 2
    for index, one in enumerate(found):
        far, steps = one.frame.long_term, long_term_steps(index)
        assert far.image is one.frame.image
        assert list(far.steps) == (steps or list(one.frame.steps))
        assert all(
            reference is frames[index + step]
            for reference, step in zip(far.references, far.steps, strict=True)
        )


def test_after_a_cut_long_term_references_are_of_the_new_scene():
    found = run(rolling(40) + other_scene(30), has_long_term=True)
    near, far = found[63], found[64]
    assert near.long_term.steps == near.steps
    assert far.long_term.steps == (-24, -24, -24)
    assert None not in far.long_term.transforms
    assert min(found[39].long_term.steps) == -39


def test_what_comes_in_with_a_frame_comes_out_with_it():
    stream = RegisteredStream((1, 2))
    frames = numbered(5)
    found = [one for at, frame in enumerate(frames) for one in stream.push(frame, f"no. {at}")]
    found += stream.flush()
    assert [one.carried for one in found] == [f"no. {at}" for at in range(5)]
    assert all(one.frame.image is frame for one, frame in zip(found, frames, strict=True))


def test_size_of_the_frames_cannot_change():
    with pytest.raises(ValueError, match="the one before"):
        run([np.zeros((8, 8), np.float32), np.zeros((8, 9), np.float32)], (1,))


def test_transforms_and_overlaid_frames_are_right_in_both_directions():
    scene = gaussian_filter(np.random.default_rng(0).random((120, 140)), 1.5)
    scene = (0.2 + 0.5 * (scene - scene.min()) / np.ptp(scene)).astype(np.float32)
    step_xy = np.array([-1.3, -0.4])
    moved = [Transform.translation(step_xy * at).warp(scene).image for at in range(12)]
    frames = [image[20:84, 20:100].copy() for image in moved]
    for found in run(frames, lags=(2, 4)):
        for number, (step, transform) in enumerate(
            zip(found.steps, found.transforms, strict=True)
        ):
            np.testing.assert_allclose(transform.offset_xy, -step * step_xy, atol=0.15)
            error = np.abs(found.overlaid(number) - found.image)
            assert error.max() < 0.05
            # Beside what it does not show, nothing is as far off as without registration.
            assert error.mean() < 0.2 * np.abs(found.references[number] - found.image).mean()


def test_bad_pixel_found_while_frames_wait_is_replaced_in_all_of_them():
    scene = gaussian_filter(np.random.default_rng(0).random((120, 200)), 1.5)
    scene = (0.2 + 0.5 * (scene - scene.min()) / np.ptp(scene)).astype(np.float32)
    frames = []
    for at in range(40):
        # At rest until frame 5; then two pixels per frame.
        moved = 20 + 2 * max(at - 5, 0)
        frame = scene[20:84, moved : moved + 80].copy()
        frame[30, 40] = 1.0
        frames.append(frame)
    for found in run(frames):
        assert found.image[30, 40] < 0.9
        assert all(reference[30, 40] < 0.9 for reference in found.references)
    assert frames[0][30, 40] == 1.0


def rolling(count):
    """Return frames of a camera that rolls by half a degree a frame."""
    scene = gaussian_filter(np.random.default_rng(0).normal(size=(128, 128)), 2)
    scene = (0.5 + 0.1 * scene / scene.std()).astype(np.float32)
    centre = np.full(2, 64.0)
    frames = []
    for angle in np.deg2rad(np.arange(count) * 0.5):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        frames.append(Transform.affine(turn, centre - turn @ centre).warp(scene).image)
    return frames


def test_scene_of_a_rolling_camera_lies_over_itself():
    *_, last = register_frames(rolling(12), (4, 8))
    over = last.overlaid(1)[16:-16, 16:-16] - last.image[16:-16, 16:-16]
    still = last.references[1][16:-16, 16:-16] - last.image[16:-16, 16:-16]
    assert np.abs(over).mean() < 0.1 * np.abs(still).mean()


def other_scene(count):
    return [1 - frame[::-1] for frame in rolling(count)]


@pytest.mark.parametrize("counts", [(14, 14), (14, 3), (3, 14), (9, 1), (6, 9, 14)])
def test_each_scene_has_the_references_of_a_sequence_of_its_own(counts):
    scenes = [
        rolling(count) if number % 2 == 0 else other_scene(count)
        for number, count in enumerate(counts)
    ]
    spliced = run([frame for scene in scenes for frame in scene], lags=(4, 8))
    alone = [one for scene in scenes for one in run(scene, lags=(4, 8))]
    assert len(spliced) == sum(counts)
    for found, expected in zip(spliced, alone, strict=True):
        assert found.image is expected.image
        assert found.steps == expected.steps
        corner = np.array([[128.0, 128.0]])
        for one, other in zip(found.transforms, expected.transforms, strict=True):
            np.testing.assert_allclose(one.apply(corner), other.apply(corner), atol=0.1)


def test_after_a_cut_frames_wait_as_at_the_start_and_are_then_forgotten():
    stream = RegisteredStream((2, 4))
    counts = [len(stream.push(frame, None)) for frame in rolling(10) + other_scene(10)]
    assert counts[:10] == counts[10:]
    assert counts[:4] == [0] * 4
    assert len(stream._frames) == 4


def test_spoilt_frame_shows_no_motion_and_leaves_its_neighbours_their_references():
    frames = rolling(20)
    frames[12] = np.random.default_rng(5).random((128, 128)).astype(np.float32)
    found = run(frames, lags=(4, 8))
    assert found[12].steps == (0, 0)
    for index in (11, 13, 19):
        assert found[index].steps == (-4, -8)
    is_known = [transform is not None for transform in found[16].transforms]
    assert is_known == [False, True]


def test_motion_of_every_frame_is_that_from_the_frame_before_or_has_a_problem():
    scene = gaussian_filter(np.random.default_rng(0).normal(size=(160, 200)), 2)
    scene = (0.5 + 0.1 * scene / scene.std()).astype(np.float32)
    other = scene[::-1, ::-1]
    corners = np.cumsum([(40, 50), (2, -1), (-3, 4), (0, 0), (17, -12), (1, 1)], axis=0)
    frames = [scene[y : y + 80, x : x + 100] for y, x in corners]
    frames += [other[y : y + 80, x : x + 100] for y, x in corners]
    stream = RegisteredStream((1, 2))
    found = [one for at, frame in enumerate(frames) for one in stream.push(frame, at)]
    found += stream.flush()
    assert [one.carried for one in found] == list(range(12))
    motions = [one.from_previous for one in found]
    assert motions[0].problem == "no frame before"
    assert motions[6].problem == "the frames do not show the same scene"
    for at in (1, 2, 3, 4, 5, 8, 9, 10, 11):
        expected = (corners[at % 6 - 1] - corners[at % 6])[::-1]
        centre = np.array([[50.0, 40.0]])
        moved = motions[at].transform.displacements(centre)
        np.testing.assert_allclose(moved, [expected], atol=0.15)


def test_motion_over_a_flat_sky_is_not_trusted():
    rng = np.random.default_rng(0)
    stream = RegisteredStream((1, 2))
    found = []
    for _ in range(4):
        sky = rng.normal(0.4, 0.01, (96, 128)).astype(np.float32)
        found += stream.push(sky, None)
    assert len(found) == 4
    assert not any(one.from_previous.is_trusted for one in found)
