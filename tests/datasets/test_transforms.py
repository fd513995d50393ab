import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from stdet.config import AugmentConfig
from stdet.datasets.transforms import ClipAugmentation, ClipSample, grow_boxes
from stdet.registration.transform import Transform

STILL = {"horizontal_flip": 0.0, "target_crop_probability": 0.0}
"""No geometry but what a test asks for; the photometric defaults change nothing."""

GEOMETRY = AugmentConfig(
    crop_hw=(40, 40),
    target_crop_probability=0.5,
    horizontal_flip=0.5,
    vertical_flip=0.5,
    transpose=0.5,
    scale_range=(0.8, 1.25),
)


def _sample(
    frames: torch.Tensor, boxes: list, slots: list | None = None, ignored: tuple[int, ...] = ()
) -> ClipSample:
    num = len(boxes)
    return ClipSample(
        motion=(),
        transforms=(),
        frames=frames,
        boxes_xyxy=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        key_slots=torch.tensor([0] * num if slots is None else slots, dtype=torch.int64),
        class_ids=torch.arange(num),
        track_ids=torch.arange(num) + 100,
        is_ignored=torch.tensor([row in ignored for row in range(num)], dtype=torch.bool),
    )


def _augment(config: AugmentConfig, sample: ClipSample, seed: int = 0) -> ClipSample:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ClipAugmentation(config)(sample)


def _where_from(hw: tuple[int, int], num_frames: int = 2) -> torch.Tensor:
    """Frames (W, 2, H, W) whose channels hold x and y of the pixel centres, over 100."""
    y, x = torch.meshgrid(torch.arange(hw[0]) + 0.5, torch.arange(hw[1]) + 0.5, indexing="ij")
    return (torch.stack([x, y]) / 100)[None].repeat(num_frames, 1, 1, 1)


@pytest.mark.parametrize("flip", ["horizontal_flip", "vertical_flip", "transpose"])
def test_flipping_twice_changes_nothing(flip):
    config = AugmentConfig(**{**STILL, flip: 1.0})
    sample = _sample(torch.rand(3, 1, 16, 16), [[1.5, 2, 4, 9], [0, 0, 1, 1]])
    once = _augment(config, sample)
    twice = _augment(config, once)
    assert not torch.equal(once.frames, sample.frames)
    torch.testing.assert_close(twice.frames, sample.frames)
    torch.testing.assert_close(twice.boxes_xyxy, sample.boxes_xyxy)
    assert twice.track_ids.tolist() == [100, 101]


def test_horizontal_flip_maps_x_to_width_minus_x():
    config = AugmentConfig(**{**STILL, "horizontal_flip": 1.0})
    found = _augment(config, _sample(torch.rand(2, 1, 8, 20), [[1, 2, 4, 6]]))
    assert found.boxes_xyxy.tolist() == [[16, 2, 19, 6]]


def test_transpose_leaves_frames_that_are_not_square():
    config = AugmentConfig(**{**STILL, "transpose": 1.0})
    sample = _sample(torch.rand(2, 1, 8, 20), [[1, 2, 4, 6]])
    found = _augment(config, sample)
    assert found.frames.shape == sample.frames.shape
    assert found.boxes_xyxy.tolist() == [[1, 2, 4, 6]]


def test_defaults_without_flips_change_nothing():
    sample = _sample(torch.rand(3, 1, 9, 12), [[1, 2, 4, 6]])
    found = _augment(AugmentConfig(**STILL), sample)
    torch.testing.assert_close(found.frames, sample.frames)
    torch.testing.assert_close(found.boxes_xyxy, sample.boxes_xyxy)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 52), st.integers(3, 60))
def test_boxes_follow_the_pixels(seed, row, column):
    """The brightest pixel of a key frame stays in the middle of its box."""
    frames = torch.zeros(3, 1, 56, 64)
    # The two key frames hold their target in different places.
    places = [(row, column), (55 - row, 63 - column)]
    for slot, (y, x) in enumerate(places):
        frames[1 + slot, 0, y, x] = 1
    boxes = [[x - 2, y - 2, x + 3, y + 3] for y, x in places]
    found = _augment(GEOMETRY, _sample(frames, boxes, [0, 1]), seed)
    assert found.frames.shape == (3, 1, 40, 40)
    for slot in range(2):
        image = found.frames[1 + slot, 0]
        here = found.boxes_xyxy[found.key_slots == slot]
        if not len(here):
            continue
        y, x = divmod(int(image.argmax()), 40)
        x1, y1, x2, y2 = here[0].tolist()
        # A box cut by the crop has lost a side, so its middle says nothing there.
        assert x1 <= x + 0.5 <= x2
        assert y1 <= y + 0.5 <= y2
        if x1 > 0 and y1 > 0 and x2 < 40 and y2 < 40:
            assert abs((x1 + x2) / 2 - x - 0.5) <= 1
            assert abs((y1 + y2) / 2 - y - 0.5) <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_all_frames_of_a_clip_get_the_same_change(seed):
    config = AugmentConfig(
        **{**vars(GEOMETRY), "gain_range": (0.5, 2.0), "gamma_range": (0.7, 1.4)},
    )
    image = torch.rand(1, 1, 48, 56, generator=torch.Generator().manual_seed(seed))
    found = _augment(config, _sample(image.repeat(4, 1, 1, 1), []), seed).frames
    for frame in found[1:]:
        torch.testing.assert_close(frame, found[0], atol=0, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(
        st.tuples(st.integers(-3, 62), st.integers(-3, 45), st.integers(1, 9), st.integers(1, 9)),
        max_size=5,
    ),
    st.floats(0, 1),
)
def test_crop_keeps_just_the_targets_whose_centre_it_holds(seed, rows, target_crop):
    boxes = [[x, y, x + w, y + h] for x, y, w, h in rows if 0 <= x + w / 2 < 64 and y + h / 2 >= 0]
    boxes = [box for box in boxes if (box[1] + box[3]) / 2 < 48]
    config = AugmentConfig(
        horizontal_flip=0.0, crop_hw=(20, 24), target_crop_probability=target_crop
    )
    found = _augment(config, _sample(_where_from((48, 64)), boxes), seed)
    assert found.frames.shape == (2, 2, 20, 24)
    left, top = (found.frames[0, :, 0, 0] * 100 - 0.5).round().tolist()
    expected = {}
    for number, (x1, y1, x2, y2) in enumerate(boxes):
        if 0 <= (x1 + x2) / 2 - left < 24 and 0 <= (y1 + y2) / 2 - top < 20:
            cut = [max(x1 - left, 0), max(y1 - top, 0), min(x2 - left, 24), min(y2 - top, 20)]
            if cut[2] - cut[0] >= 1 and cut[3] - cut[1] >= 1:
                expected[100 + number] = cut
    assert found.track_ids.tolist() == list(expected)
    assert found.boxes_xyxy.tolist() == list(expected.values())
    assert found.class_ids.tolist() == [track_id - 100 for track_id in expected]


def test_crop_keeps_every_point_whose_centre_it_holds():
    """Also one whose pixel the edge of the crop cuts, or whose width is rounded below 1."""
    config = AugmentConfig(**STILL, crop_hw=(8, 8), min_box_px=4)
    # The crop of an 8 x 8 frame is the frame; 7.3 to 8.3 reaches over its edge.
    sample = _sample(torch.rand(2, 1, 8, 8), [[7.3, 2, 8.3, 3], [3.1, 2, 4.0999, 3]])
    found = ClipAugmentation(config, fixed_box_size=True)(sample)
    assert found.track_ids.tolist() == [100, 101]
    torch.testing.assert_close(found.boxes_xyxy[0], torch.tensor([5.8, 0.5, 9.8, 4.5]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(0, 44))
def test_crop_about_a_target_holds_it(seed, x, y):
    config = AugmentConfig(horizontal_flip=0.0, crop_hw=(16, 16), target_crop_probability=1.0)
    found = _augment(config, _sample(torch.rand(2, 1, 48, 64), [[x, y, x + 4, y + 4]]), seed)
    assert len(found.boxes_xyxy) == 1


def test_crop_of_a_frame_that_is_too_small_repeats_the_edge():
    frames = torch.rand(2, 1, 4, 12)
    config = AugmentConfig(**STILL, crop_hw=(8, 12))
    found = _augment(config, _sample(frames, [[1, 1, 3, 4]]))
    torch.testing.assert_close(found.frames[:, :, :4], frames)
    for row in range(4, 8):
        torch.testing.assert_close(found.frames[:, :, row], frames[:, :, 3])
    assert found.boxes_xyxy.tolist() == [[1, 1, 3, 4]]


def test_scaling_scales_boxes_with_the_frame():
    config = AugmentConfig(**STILL, scale_range=(1.5, 1.5))
    found = _augment(config, _sample(torch.rand(2, 1, 20, 40), [[4, 2, 8, 6]]))
    assert found.frames.shape == (2, 1, 30, 60)
    assert found.boxes_xyxy.tolist() == [[6, 3, 12, 9]]


def test_boxes_grow_about_their_centre_to_the_smallest_side():
    boxes = torch.tensor([[10.0, 10, 12, 30], [0, 0, 9, 9]])
    # Two pixels become eight: three more to each side.
    assert grow_boxes(boxes, 8).tolist() == [[7, 10, 15, 30], [0, 0, 9, 9]]
    assert grow_boxes(boxes, 0).tolist() == boxes.tolist()
    assert grow_boxes(torch.zeros(0, 4), 8).shape == (0, 4)


def test_smallest_side_holds_after_scaling():
    config = AugmentConfig(**STILL, scale_range=(0.5, 0.5), min_box_px=6)
    found = _augment(config, _sample(torch.rand(2, 1, 20, 40), [[8, 8, 16, 16], [0, 0, 16, 16]]))
    # 8 px shrink to 4 and grow to 6 about the same centre; 16 shrink to 8.
    assert found.boxes_xyxy.tolist() == [[3, 3, 9, 9], [0, 0, 8, 8]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_levels_stay_between_0_and_1(seed):
    config = AugmentConfig(
        gain_range=(0.2, 5.0), offset_range=(-0.8, 0.8), gamma_range=(0.3, 3.0), noise_max=0.5
    )
    frames = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    found = _augment(config, _sample(frames, []), seed).frames
    assert found.is_contiguous()
    assert torch.isfinite(found).all()
    assert 0 <= found.min() <= found.max() <= 1


def test_gain_works_about_the_mean_of_the_clip_and_offset_is_added():
    frames = torch.tensor([0.4, 0.6]).reshape(2, 1, 1, 1).repeat(1, 1, 4, 4)
    config = AugmentConfig(**STILL, gain_range=(2.0, 2.0), offset_range=(0.1, 0.1))
    found = _augment(config, _sample(frames, [])).frames
    # Mean 0.5: 0.4 -> 0.3 -> 0.4 and 0.6 -> 0.7 -> 0.8.
    torch.testing.assert_close(found[:, 0, 0, 0], torch.tensor([0.4, 0.8]))


def test_noise_differs_between_frames_but_not_between_channels():
    config = AugmentConfig(**STILL, noise_max=0.1)
    found = _augment(config, _sample(torch.full((2, 3, 16, 16), 0.5), [])).frames
    torch.testing.assert_close(found[:, 1], found[:, 0], atol=0, rtol=0)
    torch.testing.assert_close(found[:, 2], found[:, 0], atol=0, rtol=0)
    assert not torch.equal(found[0], found[1])


def test_augmentation_leaves_its_input_alone():
    frames, boxes = torch.rand(2, 1, 48, 56), [[10, 12, 15, 17]]
    sample = _sample(frames.clone(), boxes)
    for seed in range(5):
        _augment(AugmentConfig(**{**vars(GEOMETRY), "min_box_px": 9}), sample, seed)
    torch.testing.assert_close(sample.frames, frames, atol=0, rtol=0)
    assert sample.boxes_xyxy.tolist() == boxes


@pytest.mark.parametrize(
    "motion",
    [
        Transform.translation((3.0, -2.0)),
        Transform.affine([[0.99, -0.05], [0.05, 0.99]], (2.0, -3.0)),
    ],
)
def test_transforms_of_the_background_follow_crop_mirror_transpose_and_zoom(motion):
    scene = gaussian_filter(np.random.default_rng(0).random((80, 80)), 3.0).astype(np.float32)
    scene = (scene - scene.min()) / np.ptp(scene)
    frames = torch.from_numpy(np.stack([scene, motion.warp(scene).image]))[:, None]
    sample = dataclasses.replace(
        _sample(frames, []), transforms=((motion,),), motion=(Transform.identity(), motion)
    )
    seen = set()
    for seed in range(16):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            moved = ClipAugmentation(GEOMETRY).geometric(sample)
        before, after = moved.frames[:, 0].numpy()
        ((transform,),) = moved.transforms
        difference = np.abs(after - transform.warp(before).image)[8:-8, 8:-8]
        assert difference.max() < 0.03
        np.testing.assert_array_equal(moved.motion[0].matrix, np.eye(3))
        np.testing.assert_array_equal(moved.motion[1].matrix, transform.matrix)
        seen.add(tuple(np.sign(transform.displacements(np.full(2, 20.0)))))
    assert len(seen) >= 3


def test_transforms_are_held_in_single_precision():
    zoom = AugmentConfig(**STILL, scale_range=(0.8, 0.8))
    motion = Transform.translation(np.float32([3.3, -2.7]))
    sample = dataclasses.replace(_sample(torch.rand(2, 1, 20, 30), []), transforms=((motion,),))
    ((found,),) = ClipAugmentation(zoom).geometric(sample).transforms
    np.testing.assert_array_equal(found.matrix, found.matrix.astype(np.float32))
    np.testing.assert_allclose(found.offset_xy, 0.8 * motion.offset_xy, rtol=1e-6)


def _sized(side: float, margin: float = 0.0, bounds: tuple = (5, 5)) -> list[ClipSample]:
    """Clips of 256 px with one target, augmented by 60 seeds."""
    config = AugmentConfig(**STILL, target_px_range=bounds)
    sample = _sample(torch.rand(1, 1, 256, 256), [[20, 20, 20 + side, 20 + side]])
    found = []
    for seed in range(60):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            found.append(ClipAugmentation(config, margin_px=margin).geometric(sample))
    return found


@pytest.mark.parametrize(
    ("side", "margin", "size"), [(30.0, 0.0, 30.0), (30.0, 4.0, 26.0), (2.0, 0.0, 2.0)]
)
def test_zooms_to_the_wanted_size_of_the_target(side, margin, size):
    factor = min(5 / size, 2)
    labelled = [one for one in _sized(side, margin) if len(one.boxes_xyxy)]
    assert len(labelled) > 15
    for one in labelled:
        width = float(one.boxes_xyxy[0, 2] - one.boxes_xyxy[0, 0])
        assert width == pytest.approx(side * factor, rel=0.03)
        assert one.frames.shape[-1] == pytest.approx(256 * factor, abs=1)


def test_half_of_the_targets_of_a_wanted_size_keep_it():
    sizes = np.array([one.frames.shape[-1] for one in _sized(4.0, bounds=(2, 8))])
    assert 0.3 < np.mean(sizes == 256) < 0.7
    assert sizes.min() < 160
    assert sizes.max() > 400


def test_too_large_targets_at_their_own_size_have_no_label():
    found = _sized(40.0, bounds=(2, 8))
    unlabelled = [one for one in found if not len(one.boxes_xyxy)]
    assert 15 < len(unlabelled) < 45
    assert {one.frames.shape[-1] for one in unlabelled} == {256}


def test_refuses_sizes_of_targets_that_are_no_range():
    with pytest.raises(ValueError, match="target_px_range"):
        AugmentConfig(target_px_range=(8, 2))


def test_jpeg_keeps_what_is_smooth_and_changes_what_is_fine():
    noise = np.random.default_rng(0).normal(size=(2, 1, 48, 64))
    fine = torch.from_numpy((0.5 + 0.05 * noise).astype(np.float32)).clamp(0, 1)
    smooth = torch.from_numpy(
        (0.5 + gaussian_filter(noise, (0, 0, 6, 6))).astype(np.float32)
    ).clamp(0, 1)
    config = AugmentConfig(**STILL, jpeg_probability=1.0)
    for seed in range(5):
        changes = [
            (_augment(config, _sample(frames, []), seed).frames - frames).abs().mean().item()
            for frames in (fine, smooth)
        ]
        assert 1 / 255 < changes[0] < 0.05
        assert changes[1] < 2 / 255


@pytest.mark.parametrize("fixed_box_size", [False, True])
def test_ignored_boxes_move_with_the_frame_and_are_no_targets(fixed_box_size):
    """A quarter of a large ignored box stays in the crop, though its centre does not."""
    config = AugmentConfig(crop_hw=(40, 40), min_box_px=8.0)
    sample = _sample(_where_from((40, 60)), [[20, 10, 24, 14], [-40, -40, 20, 20]], ignored=(1,))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = ClipAugmentation(config, fixed_box_size=fixed_box_size)(sample)
    left = float(found.frames[0, 0, 0, 0]) * 100 - 0.5
    assert found.is_ignored.tolist() == [False, True]
    torch.testing.assert_close(found.boxes_xyxy[0], torch.tensor([18 - left, 8, 26 - left, 16]))
    torch.testing.assert_close(found.boxes_xyxy[1], torch.tensor([0.0, 0, 20 - left, 20]))


def test_crops_and_sizes_are_chosen_by_targets_and_not_by_ignored_boxes():
    config = AugmentConfig(
        crop_hw=(20, 20), target_crop_probability=1.0, target_px_range=(4.0, 4.0)
    )
    sample = _sample(_where_from((90, 90)), [[60, 60, 63, 63], [0, 0, 30, 30]], ignored=(1,))
    for seed in range(20):
        found = _augment(config, sample, seed)
        targets = found.boxes_xyxy[~found.is_ignored]
        assert len(targets) == 1
        sides = targets[0, 2:] - targets[0, :2]
        assert float(sides.max()) == pytest.approx(4, abs=0.5)
