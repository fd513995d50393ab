import numpy as np
import pytest

from stdet.metrics.detection.contrast import local_scr

NOISE = 0.02


def noisy_frame(seed=0, hw=(64, 64)):
    noise = np.random.default_rng(seed).normal(0.5, NOISE, hw)
    return noise.astype(np.float32)


def with_spot(frame, *, peak, xy=(32.5, 32.5), sigma=1.0):
    """Add a Gaussian spot centred at a continuous position."""
    rows, columns = np.indices(frame.shape) + 0.5
    squared = (columns - xy[0]) ** 2 + (rows - xy[1]) ** 2
    return frame + (peak * np.exp(-squared / (2 * sigma**2))).astype(np.float32)


def core_mean(sigma=1.0):
    """Mean of a unit Gaussian over the 3x3 pixels about its centre."""
    line = np.exp(-(np.arange(-1, 2) ** 2) / (2 * sigma**2))
    return np.outer(line, line).mean()


@pytest.mark.parametrize("scr", [3.0, 8.0, 20.0])
@pytest.mark.parametrize("box", [(31, 31, 34, 34), (28, 28, 36, 36)], ids=["tight", "loose"])
def test_spot_of_known_scr_on_white_noise_gives_that_scr(scr, box):
    peak = scr * NOISE / core_mean()
    boxes = np.array([box], np.float32)
    measured = [local_scr(with_spot(noisy_frame(seed), peak=peak), boxes)[0] for seed in range(30)]
    # The best of 36 cores in noise adds up to about half a unit to a weak spot.
    assert np.mean(measured) == pytest.approx(scr, rel=0.05, abs=0.3)


def test_cold_target_counts_like_a_warm_one():
    boxes = np.array([[30, 30, 35, 35]], np.float32)
    warm = local_scr(with_spot(noisy_frame(), peak=0.3), boxes)
    cold = local_scr(1 - with_spot(noisy_frame(), peak=0.3), boxes)
    np.testing.assert_allclose(cold, warm, rtol=1e-5)


@pytest.mark.parametrize(("side", "expected"), [(4, 0.4), (8, 0.75)])
def test_noise_alone_gives_the_documented_floor(side, expected):
    boxes = np.array([[20, 20, 20 + side, 20 + side]], np.float32)
    measured = [local_scr(noisy_frame(seed), boxes)[0] for seed in range(200)]
    assert np.mean(measured) == pytest.approx(expected, abs=0.07)


def test_scr_does_not_depend_on_gain_and_offset():
    frame = with_spot(noisy_frame(), peak=0.3)
    boxes = np.array([[30, 30, 35, 35]], np.float32)
    np.testing.assert_allclose(local_scr(0.2 * frame + 0.1, boxes), local_scr(frame, boxes), 1e-4)


@pytest.mark.parametrize("grey", [0.0, 0.1, 1.0])
def test_constant_image_gives_nan_not_infinity(grey):
    frame = np.full((40, 40), grey, np.float32)
    assert np.isnan(local_scr(frame, np.array([[10, 10, 14, 14]], np.float32))).all()
    frame[11, 11] += 0.5  # A target on a ground of one grey level is undefined as well.
    assert np.isnan(local_scr(frame, np.array([[10, 10, 14, 14]], np.float32))).all()


def test_bright_neighbour_with_a_box_does_not_raise_the_clutter():
    boxes = np.array([[30, 30, 35, 35], [40, 30, 45, 35]], np.float32)
    alone = local_scr(with_spot(noisy_frame(), peak=0.3), boxes[:1])
    frame = with_spot(with_spot(noisy_frame(), peak=0.3), peak=0.4, xy=(42.5, 32.5))
    assert local_scr(frame, boxes)[0] == pytest.approx(alone[0], rel=0.15)
    assert local_scr(frame, boxes[:1])[0] < 0.7 * alone[0]


@pytest.mark.parametrize(
    "box", [(0, 0, 4, 4), (60, 60, 64, 64), (-2, 30, 3, 34), (62.6, 10, 63.4, 10.3)]
)
def test_target_at_the_border_is_measured_on_what_is_inside(box):
    scr = local_scr(noisy_frame(), np.array([box], np.float32))
    assert np.isfinite(scr).all()


def test_box_outside_the_image_gives_nan():
    boxes = np.array([[-20, -20, -14, -14], [200, 10, 206, 16]], np.float32)
    assert np.isnan(local_scr(noisy_frame(), boxes)).all()


def test_no_boxes_give_no_values():
    assert local_scr(noisy_frame(), np.zeros((0, 4), np.float32)).shape == (0,)


def test_frame_with_channels_is_refused():
    with pytest.raises(ValueError, match=r"expected \(H, W\)"):
        local_scr(np.zeros((4, 4, 3), np.float32), np.zeros((0, 4), np.float32))
