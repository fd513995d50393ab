"""Offsets of columns are found and taken out before frames are compared."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.registration.alignment import align
from stdet.registration.column_stripes import column_stripes
from stdet.registration.prepared_frame import PreparedFrame

LEVEL = 1 / 255
NUM_FRAMES = 2


def smooth_noise(rng, hw, sigma_px):
    image = cv2.GaussianBlur(rng.normal(size=hw).astype(np.float32), (0, 0), sigma_px)
    return image / image.std()


def fine_part(offsets):
    """Offsets less their mean over 17 columns: a wider stripe is not one."""
    mean = cv2.blur(offsets[None], (17, 1), borderType=cv2.BORDER_REPLICATE)
    return offsets - mean[0]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(64, 300))
def test_offsets_are_found_to_a_half_of_a_level_in_two_levels_of_noise(seed, width):
    rng = np.random.default_rng(seed)
    offsets = (2 * LEVEL * rng.normal(size=width)).astype(np.float32)
    frame = 0.5 + offsets + 2 * LEVEL * rng.normal(size=(160, width)).astype(np.float32)

    left = column_stripes(frame) - fine_part(offsets)

    assert np.sqrt(np.mean(left**2)) < 0.5 * LEVEL


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), sigma_px=st.floats(0.8, 2.5))
def test_texture_leaves_hardly_any_stripes(seed, sigma_px):
    texture = smooth_noise(np.random.default_rng(seed), (200, 200), sigma_px)

    assert column_stripes(texture).std() < 0.15


def test_low_frames_have_no_stripes():
    assert not column_stripes(smooth_noise(np.random.default_rng(0), (127, 90), 0.8)).any()


def test_flat_frames_have_no_stripes():
    assert not column_stripes(np.full((170, 90), 0.4, np.float32)).any()


def frames_under_stripes(rng, *, step_px):
    """A sky with noise above ground that the camera passes, under stripes that stand still."""
    stripes = 2 * LEVEL * rng.normal(size=192).astype(np.float32)
    ground = 8 * LEVEL * smooth_noise(rng, (192, 240), 1.5)
    ground[:144] = 0
    for number in range(NUM_FRAMES):
        seen = ground[:, number * step_px :][:, :192]
        yield 0.4 + seen + stripes + LEVEL * rng.normal(size=(192, 192)).astype(np.float32)


def test_stripes_over_a_sky_do_not_pull_the_motion_along_x():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        before, after = (PreparedFrame(f) for f in frames_under_stripes(rng, step_px=5))

        found = align(before, after)

        moved = found.transform.displacements(np.array([[96.0, 170.0]]))
        np.testing.assert_allclose(moved, [[-5, 0]], atol=0.1)
