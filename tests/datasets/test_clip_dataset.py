import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scenes import SyntheticConfig
from torch.utils.data import DataLoader

from stdet.config import AugmentConfig, DataConfig
from stdet.datasets.clip_dataset import ClipDataset, clip_shape, collate
from stdet.datasets.clip_sampler import ClipShape
from stdet.datasets.clips import Clip
from stdet.datasets.frame_cache import FrameCache
from stdet.datasets.splits import load_sequences
from stdet.errors import ConfigError
from stdet.registration.background_features import LAGS, background_features
from stdet.registration.registered_stream import register_frames
from stdet.registration.transform import Transform
from stdet.synthesis.injection import inject_targets
from stdet.types import UNKNOWN_TRACK_ID

HW = (24, 32)
SHAPE = ClipShape(num_frames=3, window_extra=1)
WILD = AugmentConfig(
    crop_hw=(16, 16),
    horizontal_flip=0.5,
    vertical_flip=0.5,
    transpose=0.5,
    time_reversal=0.5,
    scale_range=(0.7, 1.4),
    gain_range=(0.6, 1.6),
    noise_max=0.05,
    inject_targets_max=2,
    min_box_px=4.0,
)


@pytest.fixture(scope="module")
def data_config(tmp_path_factory, write_coco_split) -> DataConfig:
    configs = [
        SyntheticConfig(name=name, seed=seed, num_frames=num, hw=HW, num_targets=2, box_min_px=5)
        for name, seed, num in [("a", 1, 7), ("b", 2, 4)]
    ]
    return write_coco_split(tmp_path_factory.mktemp("data"), configs)


@pytest.fixture
def sequences(data_config):
    return load_sequences(data_config, "train")


@pytest.fixture
def make(sequences, tiny_model):
    """Build a dataset over the generated sequences."""

    def build(augment: AugmentConfig | None = None, **changes) -> ClipDataset:
        options = {
            "shape": SHAPE,
            "model": tiny_model(),
            "size_divisor": 8,
            "seed": 3,
            "cache_megabytes": 8,
        }
        return ClipDataset(sequences, augment=augment, **{**options, **changes})

    return build


def _assert_equal(first: Clip, second: Clip) -> None:
    torch.testing.assert_close(first.frames, second.frames, atol=0, rtol=0)
    assert first.frame_indices.tolist() == second.frame_indices.tolist()
    for one, other in zip(first.targets, second.targets, strict=True):
        torch.testing.assert_close(one.boxes_xyxy, other.boxes_xyxy, atol=0, rtol=0)
        assert one.track_ids.tolist() == other.track_ids.tolist()


@pytest.mark.parametrize("background", [False, True])
def test_sample_depends_on_seed_epoch_and_index_alone(make, tiny_model, background):
    """Not on the order of access, on what was loaded before, or on torch's global generator."""
    keys = [(epoch, index) for epoch in (0, 5) for index in range(6)]
    model = dataclasses.replace(tiny_model(), background=background)
    dataset = make(WILD, model=model)
    forwards = {key: dataset[key] for key in keys}
    torch.manual_seed(99)
    again = make(WILD, model=model)
    for key in reversed(keys):
        _assert_equal(again[key], forwards[key])


def test_workers_give_the_same_samples_as_none(make):
    keys = [(2, index) for index in (5, 0, 3, 1)]
    dataset = make(WILD)
    loader = DataLoader(dataset, sampler=keys, batch_size=2, num_workers=2, collate_fn=collate)
    batches = list(loader)
    assert len(batches) == 2
    alone = collate([dataset[key] for key in keys])
    torch.testing.assert_close(
        torch.cat([batch.frames for batch in batches]), alone.frames, atol=0, rtol=0
    )
    found = [target.boxes_xyxy for batch in batches for target in batch.targets]
    for one, other in zip(found, alone.targets, strict=True):
        torch.testing.assert_close(one, other.boxes_xyxy, atol=0, rtol=0)


def test_epochs_and_seeds_give_different_samples(make):
    dataset = make(WILD)
    # A sum of the three numbers would make the second equal to the third.
    samples = [dataset[0, 1], dataset[1, 1], dataset[0, 2], make(WILD, seed=4)[0, 1]]
    for one in range(4):
        for other in range(one):
            assert not torch.equal(samples[one].frames, samples[other].frames)


def test_loading_leaves_the_global_generator_alone(make):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    _ = make(WILD)[0, 0]
    torch.testing.assert_close(torch.random.get_rng_state(), before, atol=0, rtol=0)


def test_labels_are_the_same_after_a_hundred_accesses(make, sequences):
    copies = [sequence.annotation.boxes_xyxy.copy() for sequence in sequences]
    dataset = make(WILD, shape=ClipShape(num_frames=2))
    plain = make(None, shape=ClipShape(num_frames=2))
    first = plain[0, 0].targets[0].boxes_xyxy.clone()
    for access in range(100):
        _ = dataset[access, access % len(dataset)]
        plain[access, 0].targets[0].boxes_xyxy.mul_(0.5)  # What is handed out is a copy.
    for sequence, copy in zip(sequences, copies, strict=True):
        assert not sequence.annotation.boxes_xyxy.flags.writeable
        np.testing.assert_array_equal(sequence.annotation.boxes_xyxy, copy)
    torch.testing.assert_close(plain[0, 0].targets[0].boxes_xyxy, first, atol=0, rtol=0)


def _check_against_truth(clip: Clip, sequences) -> None:
    (sequence,) = [found for found in sequences if found.name == clip.sequence_name]
    for position, index in enumerate(clip.frame_indices.tolist()):
        expected = torch.from_numpy(sequence.read(index))
        torch.testing.assert_close(clip.frames[position, 0], expected)
    truth = sequence.annotation
    for key, targets in zip(clip.key_indices.tolist(), clip.targets, strict=True):
        rows = truth.rows_at(int(clip.frame_indices[key]))
        expected = torch.from_numpy(truth.boxes_xyxy[rows].copy())
        torch.testing.assert_close(targets.boxes_xyxy, expected)
        assert targets.track_ids.tolist() == truth.track_ids[rows].tolist()


def test_clip_holds_the_frames_it_names_and_the_targets_of_its_key_frames(make, sequences):
    dataset = make(None)
    # 7 and 4 frames, two keys a window: 4 and 2 windows.
    assert len(dataset) == 6
    for index in range(len(dataset)):
        clip = dataset[0, index]
        assert clip.key_indices.tolist() == [2, 3]
        assert clip.original_hw == HW
        _check_against_truth(clip, sequences)


def test_time_reversal_turns_the_window_and_keeps_the_targets_right(make, sequences):
    backwards = make(AugmentConfig(horizontal_flip=0.0, time_reversal=1.0))
    forwards = make(None)
    for index in range(len(backwards)):
        clip, plain = backwards[0, index], forwards[0, index]
        # The same key frames the other way round, and what comes after them as their past.
        keys = plain.frame_indices[plain.key_indices].tolist()
        assert clip.frame_indices[clip.key_indices].tolist() == keys[::-1]
        steps = clip.frame_indices.diff()
        assert (steps[~clip.is_padding[1:] & ~clip.is_padding[:-1]] == -1).all()
        _check_against_truth(clip, sequences)


def test_frame_rate_change_skips_frames(make, sequences):
    clip = make(AugmentConfig(horizontal_flip=0.0, frame_strides=(2,)))[0, 1]
    # Keys 2 and 3 become 2 and 4; two context frames before each.
    assert clip.frame_indices.tolist() == [0, 0, 2, 4]
    assert clip.is_padding.tolist() == [True, False, False, False]
    _check_against_truth(clip, sequences)


def test_weighted_sources_share_the_windows_by_weight_and_root_of_length(make):
    shape = ClipShape(num_frames=3)
    # 7 windows of the first source's sequence, 4 of the second's.
    weights = make(None, shape=shape, sources=[(3.0, 1), (1.0, 1)]).window_weights
    assert weights[:7].sum().item() == pytest.approx(0.75)
    assert weights[7:].sum().item() == pytest.approx(0.25)
    weights = make(None, shape=shape, sources=[(1.0, 2)]).window_weights
    ratio = weights[:7].sum() / weights[7:].sum()
    assert ratio.item() == pytest.approx((7 / 4) ** 0.5)


@pytest.mark.parametrize(
    ("missing", "first_equal"),
    # By default the first frame stands where a stream has later ones.
    [("first_frame", LAGS[-1]), ("later_frames", 0)],
)
@pytest.mark.parametrize(("long_term", "num_frames"), [(False, 28), (True, 150)])
def test_background_features_of_a_window_equal_those_of_the_stream(
    tiny_model, tmp_path, write_coco_split, missing, first_equal, long_term, num_frames
):
    config = SyntheticConfig(name="a", num_frames=num_frames, hw=HW, num_targets=2, box_min_px=5)
    (sequence,) = load_sequences(write_coco_split(tmp_path, [config]), "train")
    dataset = ClipDataset(
        [sequence],
        shape=SHAPE,
        model=dataclasses.replace(tiny_model(), background=True, long_term=long_term),
        size_divisor=8,
        augment=None,
        seed=3,
        cache_megabytes=8,
        missing_references=missing,
    )
    read = map(sequence.read, range(num_frames))
    frames = list(register_frames(read, LAGS, has_long_term=long_term))
    features = [background_features(frame) for frame in frames]
    compared = 0
    for key in range(len(dataset)):
        clip = dataset[0, key]
        assert clip.frames.shape[1] == (6 if long_term else 4)
        for frame, index in zip(clip.frames, clip.frame_indices.tolist(), strict=True):
            if index >= first_equal:
                np.testing.assert_allclose(frame[1:, : HW[0], : HW[1]], features[index], atol=1e-5)
                compared += 1
    assert compared >= 8


def test_ignored_targets_are_no_targets(make):
    dataset = make(None)
    before = dataset[0, 0].targets[0]
    for number, sequence in enumerate(dataset.sequences):
        truth = sequence.annotation
        truth = dataclasses.replace(truth, is_ignored=truth.track_ids == 1)
        dataset.sequences[number] = dataclasses.replace(sequence, annotation=truth)
    assert before.track_ids.tolist() == [1, 2]
    found = dataset[0, 0].targets[0]
    assert found.track_ids.tolist() == [2]
    torch.testing.assert_close(found.ignored_xyxy, before.boxes_xyxy[:1])


def test_boxes_of_a_letterboxed_clip_map_back_to_the_source(make, tiny_model):
    clip = make(None, model=tiny_model(input_hw=(64, 64)))[0, 0]
    assert clip.frames.shape == (4, 1, 64, 64)
    plain = make(None)[0, 0]
    boxes = clip.targets[0].boxes_xyxy
    corners = torch.cat([boxes.reshape(-1, 2), torch.ones(2 * len(boxes), 1)], dim=1)
    torch.testing.assert_close(
        (corners @ clip.to_original.T).reshape(-1, 4), plain.targets[0].boxes_xyxy
    )


def test_grey_is_repeated_for_a_model_of_three_channels(make, tiny_model):
    model = dataclasses.replace(
        tiny_model(), in_channels=3, pixel_mean=(0.4,) * 3, pixel_std=(0.2,) * 3
    )
    frames = make(None, model=model)[0, 0].frames
    assert frames.shape == (4, 3, *HW)
    torch.testing.assert_close(frames[:, 2], frames[:, 0], atol=0, rtol=0)


def test_injected_targets_have_no_identity(make):
    dataset = make(AugmentConfig(horizontal_flip=0.0, inject_targets_max=3, min_box_px=4))
    ids = [
        target.track_ids.tolist()
        for epoch in range(8)
        for target in dataset[epoch, 1].targets
        if len(target) > 2
    ]
    assert ids
    for found in ids:
        assert found[:2] == [1, 2]
        assert set(found[2:]) == {UNKNOWN_TRACK_ID}


def test_injected_targets_leave_repeated_frames_equal(make):
    dataset = make(AugmentConfig(horizontal_flip=0.0, inject_targets_max=3, min_box_px=4))
    plain, num_changed = make(None)[0, 0].frames, 0
    for draw in range(4):
        clip = dataset[draw, 0]
        assert clip.frame_indices.tolist() == [0, 0, 0, 1]
        torch.testing.assert_close(clip.frames[0], clip.frames[2], atol=0, rtol=0)
        num_changed += not torch.equal(clip.frames, plain)
    assert num_changed


def test_injected_targets_move_with_the_camera_of_a_model_without_background_features(
    make, monkeypatch
):
    given = []

    def spy(frames, background_path, key_rows, **options):
        given.append(background_path(np.array([7.0, 5.0])))
        return inject_targets(frames, background_path, key_rows, **options)

    monkeypatch.setattr("stdet.datasets.clip_dataset.inject_targets", spy)
    dataset = make(AugmentConfig(horizontal_flip=0.0, inject_targets_max=1))
    dataset.registration.motion = lambda sequence, indices: tuple(
        Transform.translation((3 * index, -index)) for index in indices
    )
    _ = dataset[0, 1]  # Frames 0 to 3, of which the last two are key frames.
    assert (given[0] - given[0][0]).tolist() == [[0, 0], [3, -1], [6, -2], [9, -3]]
    # The point is given as it lies between the key frames.
    assert given[0][2:].mean(axis=0).tolist() == [7, 5]


def test_batch_stacks_clips_and_lists_targets_clip_by_clip(make):
    dataset = make(None)
    clips = [dataset[0, 0], dataset[0, 4]]
    batch = collate(clips)
    assert batch.frames.shape == (2, 4, 1, *HW)
    assert len(batch) == 2
    assert batch.key_indices.tolist() == [2, 3]
    assert batch.clip_names == ("a[0..1]", "b[0..1]")
    expected = [target for clip in clips for target in clip.targets]
    assert all(one is other for one, other in zip(batch.targets, expected, strict=True))


def test_clips_of_several_sizes_are_no_batch(make):
    clip = make(None)[0, 0]
    other = dataclasses.replace(clip, frames=clip.frames[..., :16], sequence_name="b")
    with pytest.raises(
        ConfigError, match=r"32x24 \(a\), 16x24 \(b\) cannot form a batch; set train\.augment"
    ):
        collate([clip, other])


def test_shape_of_the_windows_is_that_of_the_configuration(tiny_model):
    model = tiny_model(temporal={"num_frames": 4, "frame_stride": 2, "num_future_frames": 1})
    shape = clip_shape(DataConfig(window_extra=3), model)
    assert shape == ClipShape(num_frames=4, frame_stride=2, num_future_frames=1, window_extra=3)


class _Counting:
    """Stands for a sequence, and counts how often frames are decoded."""

    name = "s"
    files = (Path("counting"),)

    def __init__(self) -> None:
        self.reads: list[int] = []

    def read_raw(self, index: int) -> np.ndarray:
        self.reads.append(index)
        return np.full((512, 1024), index, np.uint8)  # Half a megabyte.

    def to_float(self, raw: np.ndarray) -> np.ndarray:
        return raw.astype(np.float32) / 255


def test_cache_drops_what_was_used_longest_ago_and_keeps_its_budget():
    sequence, cache = _Counting(), FrameCache(1)
    for index in (0, 1, 0, 2, 0, 1):  # Room for two: 2 drops 1, which is read again.
        assert cache.read(sequence, index)[0, 0] == pytest.approx(index / 255)
        assert cache.num_bytes <= cache.budget
        assert cache.num_bytes == sum(frame.nbytes for frame in cache.frames.values())
    assert sequence.reads == [0, 1, 2, 1]


def test_cache_of_no_megabytes_keeps_nothing():
    sequence, cache = _Counting(), FrameCache(0)
    for index in (0, 0):
        cache.read(sequence, index)
    assert sequence.reads == [0, 0]
    assert (cache.num_bytes, len(cache.frames)) == (0, 0)


def test_data_root_in_the_home_folder_is_found(data_config, monkeypatch):
    monkeypatch.setenv("HOME", str(data_config.root.parent))
    config = dataclasses.replace(data_config, root=Path("~") / data_config.root.name)
    assert [sequence.name for sequence in load_sequences(config, "train")] == ["a", "b"]


def test_loader_processes_share_what_they_measure(make, tiny_model):
    dataset = make(AugmentConfig(frame_strides=(1, 2)), model=tiny_model(background=True))
    dataset.registration.share()
    keys = [(draw, index) for draw in range(4) for index in range(len(dataset))]
    alone = make(AugmentConfig(frame_strides=(1, 2)), model=tiny_model(background=True))
    expected = [alone[key].frames for key in keys]
    for found, clip in zip(
        DataLoader(dataset, sampler=keys, batch_size=None, num_workers=2), expected, strict=True
    ):
        torch.testing.assert_close(found.frames, clip, atol=0, rtol=0)
    for name in ("_poses", "_runs", "_bad"):
        shared, own = (getattr(d.registration, name) for d in (dataset, alone))
        assert torch.isfinite(shared).all()
        torch.testing.assert_close(shared, own, equal_nan=True, atol=0, rtol=0)


def test_training_asks_for_no_transform_beyond_the_tables(tiny_model, tmp_path, write_coco_split):
    config = SyntheticConfig(name="a", num_frames=60, hw=HW, num_targets=2, box_min_px=5)
    (sequence,) = load_sequences(write_coco_split(tmp_path, [config]), "train")
    dataset = ClipDataset(
        [sequence],
        shape=SHAPE,
        model=dataclasses.replace(tiny_model(), background=True),
        size_divisor=8,
        augment=AugmentConfig(frame_strides=(1, 3), time_reversal=0.5, frame_drop=1.0),
        seed=3,
        cache_megabytes=8,
        missing_references="later_frames",
    )
    for draw in range(3):
        for key in range(0, len(dataset), 5):
            assert torch.isfinite(dataset[draw, key].frames).all()
