import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.boxes import centres_xy
from stdet.synthesis.injection import inject_targets

KEYS = np.array([2, 3])


def clip(num_frames=5, hw=(64, 72), seed=0):
    rng = np.random.default_rng(seed)
    return (0.4 + 0.03 * rng.standard_normal((num_frames, 1, *hw))).astype(np.float32)


def inject(seed, frames=None, shifts=None, **changes):
    frames = clip() if frames is None else frames
    shifts = np.zeros((len(frames), 2)) if shifts is None else shifts
    options = {"num_targets": 1, "rng": np.random.default_rng(seed)} | changes
    since_keys = shifts - shifts[KEYS].mean(axis=0)
    return inject_targets(frames, lambda place_xy: place_xy + since_keys, KEYS, **options)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_box_is_centred_on_the_light_that_was_added(seed):
    frames = clip()
    made = inject(seed, frames)
    assert made.frames.shape == frames.shape
    rows, columns = np.indices((64, 72)) + 0.5
    for box, slot in zip(made.boxes_xyxy, made.key_slots, strict=True):
        x, y = (box[:2] + box[2:]) / 2
        assert 0 <= x < 72
        assert 0 <= y < 64
        assert (box[2:] - box[:2] >= 8 - 1e-4).all()
        if not (12 < x < 60 and 12 < y < 52):
            continue
        light = (made.frames - frames)[KEYS[slot], 0].astype(np.float64)
        if abs(light).max() > 0.35:
            continue  # Cut off at full scale.
        found = [(light * columns).sum() / light.sum(), (light * rows).sum() / light.sum()]
        np.testing.assert_allclose(found, [x, y], atol=0.1)


def test_targets_move_with_the_background_plus_their_own_speed():
    shifts = np.cumsum(np.tile([3.0, -2.0], (5, 1)), axis=0)
    for seed in range(20):
        still, moving = inject(seed), inject(seed, shifts=shifts)
        if not (len(still.boxes_xyxy) == len(moving.boxes_xyxy) == 2):
            continue
        own = np.diff(centres_xy(still.boxes_xyxy), axis=0)
        joint = np.diff(centres_xy(moving.boxes_xyxy), axis=0)
        np.testing.assert_allclose(joint - own, [[3, -2]], atol=1e-4)
        assert np.hypot(*own[0]) <= 8.1


def test_negatives_change_pixels_and_have_no_box():
    frames = clip()
    for seed in range(12):
        made = inject(seed, frames, num_targets=0, num_negatives=2)
        assert len(made.boxes_xyxy) == 0
        assert (made.frames != frames).any()
    assert inject(0, frames, num_targets=0).frames is not frames
    np.testing.assert_array_equal(inject(0, frames, num_targets=0).frames, frames)


def test_injection_depends_on_its_source_of_chance_alone():
    np.testing.assert_array_equal(inject(4).frames, inject(4).frames)
    assert (inject(4).frames != inject(5).frames).any()


def test_some_targets_are_dark_and_most_are_bright():
    frames = clip()
    signs = []
    for seed in range(150):
        change = (inject(seed, frames).frames - frames)[2, 0]
        signs.append(np.sign(change[np.unravel_index(np.abs(change).argmax(), change.shape)]))
    dark = np.mean(np.array(signs) < 0)
    assert 0.03 < dark < 0.2


def test_shifts_of_another_length_are_refused():
    with pytest.raises(ValueError, match="expected \\(5, 2\\)"):
        inject(0, shifts=np.zeros((4, 2)))
