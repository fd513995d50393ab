import dataclasses

import pytest
import torch

from stdet.datasets.clips import Clip, Targets


def test_targets_check_their_shapes_and_move():
    targets = Targets(
        boxes_xyxy=torch.zeros(2, 4),
        class_ids=torch.zeros(2, dtype=torch.int64),
        track_ids=torch.ones(2, dtype=torch.int64),
    )
    assert len(targets.to("cpu")) == 2
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        dataclasses.replace(targets, boxes_xyxy=torch.zeros(2, 3))
    with pytest.raises(ValueError, match="one entry per box"):
        dataclasses.replace(targets, track_ids=torch.ones(3, dtype=torch.int64))


def test_clip_checks_that_its_parts_speak_of_one_window():
    targets = Targets(
        boxes_xyxy=torch.zeros(0, 4),
        class_ids=torch.zeros(0, dtype=torch.int64),
        track_ids=torch.zeros(0, dtype=torch.int64),
    )
    clip = Clip(
        frames=torch.zeros(3, 1, 8, 8),
        frame_indices=torch.arange(3),
        is_padding=torch.zeros(3, dtype=torch.bool),
        key_indices=torch.tensor([2]),
        targets=(targets,),
        sequence_name="s",
        original_hw=(8, 8),
        to_original=torch.eye(2, 3),
    )
    assert len(clip) == 3
    for changes, message in [
        ({"frames": torch.zeros(3, 8, 8)}, "expected 4 axes"),
        ({"frames": torch.zeros(2, 1, 8, 8)}, "one entry per frame"),
        ({"targets": ()}, "1 key frames and 0 targets"),
    ]:
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(clip, **changes)
