import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.synthesis.overlays import burn_in_overlays

GROUND = np.full((3, 96, 128), 0.4, np.float32)


@given(st.integers(0, 10_000))
def test_marks_stand_still_and_repeat_where_the_time_does(seed):
    drawn = burn_in_overlays(GROUND, [4.0, 9.0, 4.0], np.random.default_rng(seed))
    assert drawn.shape == GROUND.shape
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    np.testing.assert_array_equal(drawn[0], drawn[2])


def test_some_digits_change_and_most_of_an_overlay_does_not():
    num_changing, num_marked, num_changed = 0, 0, 0
    for seed in range(60):
        first, second, _ = burn_in_overlays(GROUND, [0, 5, 9], np.random.default_rng(seed))
        num_changing += bool((first != second).any())
        num_marked += ((first != GROUND[0]) | (second != GROUND[0])).sum()
        num_changed += (first != second).sum()
    assert 8 < num_changing < 50
    assert 0 < num_changed < num_marked / 3


def test_the_frames_given_are_not_changed_and_most_overlays_are_seen():
    before = GROUND.copy()
    changed = [
        (burn_in_overlays(GROUND, [0, 1, 2], np.random.default_rng(seed)) != GROUND).any()
        for seed in range(50)
    ]
    np.testing.assert_array_equal(GROUND, before)
    assert np.mean(changed) > 0.8


@pytest.mark.parametrize("hw", [(8, 8), (3, 200)])
def test_small_frames_take_overlays(hw):
    frames = np.full((1, *hw), 0.5, np.float32)
    for seed in range(20):
        drawn = burn_in_overlays(frames, [0], np.random.default_rng(seed))
        assert np.isfinite(drawn).all()


def test_some_lines_switch_along_their_length_as_the_ground_passes_behind():
    ground = np.where(np.arange(128) // 12 % 2, np.float32(0.6), np.float32(0.3))
    frames = np.stack([np.broadcast_to(np.roll(ground, 4 * time), (96, 128)) for time in range(2)])
    num_broken = 0
    for seed in range(120):
        first, second = burn_in_overlays(frames, [0, 0], np.random.default_rng(seed))
        is_marked = (first != frames[0]) & (second != frames[1])
        has_both = (first[is_marked] == 0).any() and (first[is_marked] == 1).any()
        num_broken += bool(has_both and (first != second)[is_marked].any())
    assert 15 < num_broken < 90
