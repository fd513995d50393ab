from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.boxes import centres_xy
from stdet.data.synthetic import SyntheticConfig, add_spot, generate

SMALL = SyntheticConfig(num_frames=9, hw=(48, 64), num_targets=2, speed_range=(0.4, 1.2))


def test_same_config_gives_the_same_frames_and_another_seed_gives_others():
    frames, truth = generate(SMALL)
    again, truth_again = generate(SMALL)
    np.testing.assert_array_equal(frames, again)
    np.testing.assert_array_equal(truth.boxes_xyxy, truth_again.boxes_xyxy)
    other, _ = generate(replace(SMALL, seed=1))
    assert (frames != other).mean() > 0.5


def test_spot_peaks_at_its_pixel_and_does_not_depend_on_the_sub_pixel_position_in_sum():
    image = np.zeros((15, 15))
    add_spot(image, np.array([7.5, 4.5]), 0.9, 10.0)
    assert image[4, 7] == pytest.approx(10.0)
    assert image.argmax() == 4 * 15 + 7
    moved = np.zeros((15, 15))
    add_spot(moved, np.array([7.1, 6.8]), 0.9, 10.0)
    assert moved.sum() == pytest.approx(image.sum(), rel=1e-5)


def test_spot_is_the_mean_of_the_gaussian_over_each_pixel():
    sigma, centre = 0.8, np.array([2.3, 3.6])
    image = np.zeros((6, 6))
    add_spot(image, centre, sigma, 1.0)
    fine = (np.arange(600) + 0.5) / 100
    along_x, along_y = (np.exp(-((fine - c) ** 2) / (2 * sigma**2)) for c in centre)
    means = np.outer(along_y.reshape(6, 100).mean(1), along_x.reshape(6, 100).mean(1))
    np.testing.assert_allclose(image / image.max(), means / means.max(), atol=1e-4)


def test_true_box_is_centred_on_the_light_of_the_target():
    config = replace(SMALL, num_targets=1, bit_depth=14, seed=3)
    frames, truth = generate(config)
    background, _ = generate(replace(config, num_targets=0))
    assert len(truth) == config.num_frames
    for index in range(config.num_frames):
        light = frames[index].astype(np.float64) - background[index]
        rows, columns = np.indices(config.hw) + 0.5
        centroid = np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum()
        centre = centres_xy(truth.boxes_xyxy)[truth.rows_at(index)][0]
        np.testing.assert_allclose(centre, centroid, atol=0.05)


def test_box_side_is_at_least_the_minimum_and_grows_with_the_spot():
    _, truth = generate(SMALL)
    np.testing.assert_allclose(truth.boxes_xyxy[:, 2:] - truth.boxes_xyxy[:, :2], 8, atol=1e-4)
    _, truth = generate(replace(SMALL, target_sigma_range=(3.0, 3.0)))
    np.testing.assert_allclose(truth.boxes_xyxy[:, 2:] - truth.boxes_xyxy[:, :2], 12, atol=1e-4)


def test_hot_spots_and_background_move_with_the_camera():
    config = replace(
        SMALL,
        num_targets=0,
        bit_depth=14,
        drift_xy=(1.0, 0.0),
        jitter_px=0.0,
        noise_std=1e-6,
        contrast_range=(3e7, 3e7),  # 30 grey levels.
    )
    frames, _ = generate(config)
    counts = frames.astype(np.int64)
    assert abs(counts[1:, :, :-1] - counts[:-1, :, 1:]).max() <= 1
    plain, _ = generate(replace(config, num_hot_spots=0))
    assert (counts - plain).max() > 10 * 64


def test_targets_move_against_the_background_at_the_wanted_speed():
    config = replace(SMALL, drift_xy=(0.7, -0.2), jitter_px=0.0)
    _, truth = generate(config)
    for track_id in (1, 2):
        centres = centres_xy(truth.boxes_xyxy[truth.track_ids == track_id])
        against_background = np.diff(centres, axis=0) + np.array(config.drift_xy)
        speeds = np.hypot(*against_background.T)
        assert (speeds > 0.4 - 1e-3).all()
        assert (speeds < 1.2 + 1e-3).all()


def test_crossing_targets_meet_in_the_middle():
    _, truth = generate(replace(SMALL, is_crossing=True))
    centres = centres_xy(truth.boxes_xyxy[truth.rows_at(4)])
    np.testing.assert_allclose(centres[0], centres[1], atol=1e-4)
    first = centres_xy(truth.boxes_xyxy[truth.rows_at(0)])
    assert np.hypot(*(first[0] - first[1])) > 1


def test_14_bit_counts_are_64_to_a_grey_level():
    grey, _ = generate(SMALL)
    counts, _ = generate(replace(SMALL, bit_depth=14))
    assert (grey.dtype, counts.dtype) == (np.uint8, np.uint16)
    assert abs(counts / 64 - grey).max() <= 0.51


def test_white_noise_has_the_wanted_deviation():
    config = replace(SMALL, num_frames=40, drift_xy=(0, 0), jitter_px=0, num_targets=0)
    frames, _ = generate(config)
    assert frames.std(axis=0).mean() == pytest.approx(config.noise_std, rel=0.05)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(1, 12),
    st.integers(0, 4),
    st.tuples(st.integers(8, 40), st.integers(8, 40)),
    st.tuples(st.floats(-4, 4), st.floats(-4, 4)),
    st.floats(0, 1),
)
def test_truth_holds_exactly_the_frames_with_the_centre_inside(
    seed, num_frames, num_targets, hw, drift_xy, horizon
):
    config = SyntheticConfig(
        seed=seed,
        num_frames=num_frames,
        num_targets=num_targets,
        hw=hw,
        drift_xy=drift_xy,
        horizon=horizon,
        speed_range=(0.0, 8.0),
    )
    frames, truth = generate(config)
    assert frames.shape == (num_frames, *hw)
    assert truth.num_frames == num_frames
    assert truth.image_hw == hw
    assert len(truth) <= num_frames * num_targets
    centres = centres_xy(truth.boxes_xyxy)
    assert (centres > -1e-3).all()
    assert (centres < np.array(hw[::-1]) + 1e-3).all()
    # Half-way through every target is inside.
    assert (truth.frame_indices == num_frames // 2).sum() == num_targets
