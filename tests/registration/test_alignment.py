"""Known warps are found, and what cannot be aligned is not trusted."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates

from stdet.registration.alignment import align
from stdet.registration.prepared_frame import PreparedFrame
from stdet.registration.transform import Transform

HW = (128, 160)
CENTRES = np.stack(np.meshgrid(np.arange(4.5, 160, 16), np.arange(4.5, 128, 16)), -1)


def scene(seed=0, *, sigma=2.0, contrast=0.1):
    """A field of 320x320 that is smooth over some pixels, in [0, 1]."""
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(320, 320)), sigma)
    return (0.5 + contrast * field / field.std()).astype(np.float32)


def similarity(*, turn_deg=0.0, zoom=1.0, shift_xy=(0.0, 0.0)):
    """Turn and zoom about the centre of the frame, then shift."""
    angle = np.deg2rad(turn_deg)
    linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array(HW[::-1]) / 2
    return Transform.affine(linear, centre - linear @ centre + shift_xy)


def view(field, motion, *, noise=0.0, seed=0):
    """What a camera of size ``HW`` sees of a field after its background has moved."""
    rows, columns = np.mgrid[: HW[0], : HW[1]] + 0.5
    at = motion.inverse().apply(np.stack([columns, rows], -1)) + 90
    seen = map_coordinates(field, [at[..., 1] - 0.5, at[..., 0] - 0.5], order=3, mode="mirror")
    noisy = seen + np.random.default_rng(seed).normal(scale=noise, size=HW)
    return noisy.astype(np.float32)


def error_px(found, motion):
    """Root mean square distance between two transforms over the frame."""
    apart = found.transform.apply(CENTRES) - motion.apply(CENTRES)
    return np.sqrt((apart**2).sum(-1).mean())


@settings(max_examples=25, deadline=None)
@given(
    turn_deg=st.floats(-3, 3),
    zoom=st.floats(0.96, 1.04),
    x=st.floats(-25, 25),
    y=st.floats(-25, 25),
    seed=st.integers(0, 5),
)
def test_known_similarities_are_found_to_a_twentieth_of_a_pixel(turn_deg, zoom, x, y, seed):
    motion = similarity(turn_deg=turn_deg, zoom=zoom, shift_xy=(x, y))
    field = scene(seed)
    before = view(field, Transform.identity(), noise=2 / 255, seed=1)
    found = align(PreparedFrame(before), PreparedFrame(view(field, motion, noise=2 / 255, seed=2)))
    assert found.is_trusted
    assert error_px(found, motion) < 0.05


def test_gain_and_offset_of_the_camera_change_nothing():
    motion = similarity(turn_deg=1, shift_xy=(6, -9))
    before, after = view(scene(), Transform.identity()), view(scene(), motion)
    found = align(PreparedFrame(before), PreparedFrame(0.7 * after + 0.2))
    assert found.is_trusted
    assert error_px(found, motion) < 0.05


def test_what_moves_by_itself_does_not_carry_the_background():
    motion = similarity(shift_xy=(3.4, 1.2))
    before, after = view(scene(), Transform.identity()), view(scene(), motion)
    before[30:60, 40:80] = after[30:60, 50:90] = scene(7, contrast=0.3)[:30, :40]
    found = align(PreparedFrame(before), PreparedFrame(after))
    assert found.is_trusted
    assert error_px(found, motion) < 0.05
    before[100:110] = after[100:110] = 1.0  # A burnt-in bar, still and with the hardest edges.
    found = align(PreparedFrame(before), PreparedFrame(after))
    assert error_px(found, motion) < 0.1 or not found.is_trusted


def test_guess_is_a_start_where_correlation_fails():
    motion = similarity(turn_deg=40, zoom=1.2, shift_xy=(10, 5))
    before, after = (
        PreparedFrame(view(scene(), Transform.identity())),
        PreparedFrame(view(scene(), motion)),
    )
    assert not align(before, after).is_trusted
    found = align(before, after, guess=similarity(turn_deg=39.5, zoom=1.2, shift_xy=(9, 5)))
    assert found.is_trusted
    assert error_px(found, motion) < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_bend_that_frames_no_longer_show_gives_way_to_a_similarity(seed):
    field = scene(seed)
    field[:186] = 0.5  # All structure is in the lowest rows, which show no perspective.
    motion = similarity(shift_xy=(-3.0, 2.0))
    frames = [
        PreparedFrame(view(field, moved, noise=1 / 255, seed=number))
        for number, moved in enumerate((Transform.identity(), motion))
    ]
    bent = motion.matrix.copy()
    bent[2, 1] = 2e-5
    found = align(*frames, guess=Transform(bent))
    assert found.is_trusted
    assert found.transform.is_affine
    assert error_px(found, motion) < 0.15


@pytest.mark.parametrize("seed", range(5))
def test_unrelated_and_featureless_frames_are_not_trusted(seed):
    still = Transform.identity()
    one, other = view(scene(seed), still), view(scene(seed + 100), still)
    assert not align(PreparedFrame(one), PreparedFrame(other)).is_trusted
    noise = np.random.default_rng(seed).normal(0.5, 2 / 255, (2, *HW)).astype(np.float32)
    assert not align(PreparedFrame(noise[0]), PreparedFrame(noise[1])).is_trusted


def test_flat_and_small_frames_are_not_trusted_and_raise_nothing():
    flat = np.full(HW, 0.3, np.float32)
    for one, other in [(flat, flat), (flat, view(scene(), Transform.identity()))]:
        assert not align(PreparedFrame(one), PreparedFrame(other)).is_trusted
    small = scene()[:40, :40]
    assert not align(PreparedFrame(small), PreparedFrame(small)).is_trusted


def test_frames_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="cannot be aligned"):
        align(PreparedFrame(scene()), PreparedFrame(scene()[:300]))


def test_frames_of_many_megapixels_are_aligned_with_a_pixel_of_each_tile():
    field = np.random.default_rng(0).random((110, 110)).astype(np.float32)
    large = cv2.resize(field, (3010, 3010), interpolation=cv2.INTER_CUBIC)
    found = align(PreparedFrame(large[:3000, :3000]), PreparedFrame(large[3:3003, 5:3005]))
    np.testing.assert_allclose(found.transform.offset_xy, [-5, -3], atol=0.05)
