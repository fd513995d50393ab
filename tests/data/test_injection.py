import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.data.injection import CONTRAST_RANGE, MIN_PEAK, SPEED_RANGE_PX, inject_targets

HW = (64, 72)
BASE = 0.3


def _inject(seed: int, frames: torch.Tensor, keys: list[int], **changes):
    options = {"num_targets": 1, "box_side": 0.0, **changes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        times = torch.arange(len(frames), dtype=torch.float32)
        still = torch.zeros(len(frames), 2)
        return inject_targets(
            frames, times, options.pop("positions_xy", still), torch.tensor(keys), **options
        )


def _centroid(spot: torch.Tensor) -> tuple[float, float]:
    """Return x and y of the centre of intensity, continuous pixels."""
    y = torch.arange(spot.shape[0]) + 0.5
    x = torch.arange(spot.shape[1]) + 0.5
    total = spot.sum()
    return float((spot.sum(0) * x).sum() / total), float((spot.sum(1) * y).sum() / total)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000))
def test_box_is_centred_on_the_light_that_was_added(seed):
    frames = torch.full((3, 1, *HW), BASE)
    found, boxes, slots = _inject(seed, frames, [0, 1, 2])
    for box, slot in zip(boxes.tolist(), slots.tolist(), strict=True):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        sigma = (box[2] - box[0]) / 6
        reach = 4 * sigma + 2
        if not (reach < x < HW[1] - reach and reach < y < HW[0] - reach):
            continue  # The border cuts the spot.
        spot = (found - frames)[slot, 0]
        assert _centroid(spot) == pytest.approx((x, y), abs=0.1)
        # A still scene has no deviation, so the smallest peak is drawn; a spot between two pixels
        # is less bright than one on a pixel, the sum is the same.
        assert 0 < spot.max() <= MIN_PEAK + 1e-6
        centre_weight = math.erf(0.5 / (sigma * math.sqrt(2))) ** 2
        assert float(spot.sum()) == pytest.approx(MIN_PEAK / centre_weight, rel=2e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000))
def test_path_is_straight_at_constant_speed_and_inside_at_the_mean_of_the_keys(seed):
    _, boxes, slots = _inject(seed, torch.full((5, 1, *HW), BASE), [0, 1, 2, 3, 4])
    assert 2 in slots.tolist()
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    steps = centres.diff(dim=0)
    torch.testing.assert_close(steps, steps[:1].expand_as(steps), atol=1e-3, rtol=0)
    if len(steps):
        assert float(steps[0].norm()) <= SPEED_RANGE_PX[1] + 1e-3


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000))
def test_every_box_has_its_centre_in_the_frame_and_its_smallest_side(seed):
    found, boxes, slots = _inject(
        seed, torch.full((4, 1, 12, 16), BASE), [1, 3], num_targets=3, box_side=8.0
    )
    assert found.shape == (4, 1, 12, 16)
    assert len(boxes) == len(slots) <= 6
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert ((centres >= 0) & (centres < torch.tensor([16.0, 12.0]))).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (sides >= 8 - 1e-4).all()
    assert set(slots.tolist()) <= {0, 1}


def test_spot_that_has_left_the_frame_has_no_box():
    frames = torch.full((41, 1, 8, 8), BASE)
    for seed in range(20):
        found, _, slots = _inject(seed, frames, [0, 20, 40])
        assert 1 in slots.tolist()
        if 0 not in slots.tolist():
            # At full speed it is 80 px away at the start.
            assert (found[0] - BASE).abs().max() < MIN_PEAK
            return
    pytest.fail("none of 20 spots left an 8-pixel frame in 20 steps")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100_000))
def test_peak_is_a_multiple_of_the_local_deviation(seed):
    generator = torch.Generator().manual_seed(seed)
    noise = 0.02
    frames = (BASE + noise * torch.randn(1, 1, *HW, generator=generator)).repeat(3, 1, 1, 1)
    found, _, _ = _inject(seed, frames, [1])
    brightest = float((found - frames)[1].max())
    # The deviation of 17 x 17 samples lies within a fifth of its expectation.
    assert brightest <= max(1.2 * CONTRAST_RANGE[1] * noise, MIN_PEAK)


def test_target_moves_with_the_background_beneath_it():
    frames = torch.full((3, 1, *HW), BASE)
    moved = torch.tensor([[0.0, 0.0], [5.0, -2.0], [5.0, -2.0]])
    for seed in range(10):
        _, still, slots = _inject(seed, frames, [0, 1, 2])
        _, panned, panned_slots = _inject(seed, frames, [0, 1, 2], positions_xy=moved)
        if slots.tolist() == panned_slots.tolist() == [0, 1, 2]:
            against = (panned - still)[:, :2]
            torch.testing.assert_close(against, moved - moved.mean(dim=0), atol=1e-3, rtol=0)
            return
    pytest.fail("no target of ten stayed inside")


def test_channels_get_the_same_spot_and_the_input_is_left_alone():
    frames = torch.full((2, 3, *HW), BASE)
    found, _, _ = _inject(3, frames, [1], num_targets=2)
    assert (frames == BASE).all()
    torch.testing.assert_close(found[:, 1], found[:, 0], atol=0, rtol=0)
    torch.testing.assert_close(found[:, 2], found[:, 0], atol=0, rtol=0)
    assert float(found.max()) > BASE


def test_no_target_changes_nothing():
    frames = torch.rand(2, 1, 8, 8)
    found, boxes, slots = _inject(0, frames, [1], num_targets=0)
    torch.testing.assert_close(found, frames, atol=0, rtol=0)
    assert boxes.shape == (0, 4)
    assert slots.shape == (0,)


def test_bright_scene_is_not_driven_beyond_white():
    found, _, _ = _inject(0, torch.full((2, 1, 16, 16), 0.99), [1], num_targets=3)
    assert float(found.max()) == 1.0
