"""Builders shared by all tests: tiny models, generated data sets, and the `gpu` marker."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def pytest_configure(config):
    # Tiny tensors gain nothing from threads, and one thread repeats bit for bit.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(config, items):
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def tiny_model():
    """Build a ModelConfig of some ten thousand parameters: grey, three stages, output stride 4."""
    from stdet.config import (
        BackboneConfig,
        HeadConfig,
        ModelConfig,
        PyramidConfig,
        TemporalConfig,
    )

    def build(*, num_stages=3, width=1 / 16, pyramid=None, temporal=None, **changes):
        return ModelConfig(
            name="tiny",
            in_channels=1,
            pixel_mean=(0.4,),
            pixel_std=(0.2,),
            backbone=BackboneConfig(depth=0.33, width=width, num_stages=num_stages),
            pyramid=PyramidConfig(**{"type": "bp_fpn", "output_stride": 4, **(pyramid or {})}),
            temporal=TemporalConfig(**{"num_frames": 3, "expansion": 1.0, **(temporal or {})}),
            head=HeadConfig(channels=8, num_convs=1),
            **changes,
        )

    return build


@pytest.fixture(scope="session")
def lively():
    """Give a module random BatchNorm statistics and scores that differ, in eval mode.

    Fresh statistics (0 and 1) and the head's prior would let many mistakes pass unseen.
    """
    import torch
    from torch import nn

    def enliven(module, seed=0):
        generator = torch.Generator().manual_seed(seed)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.uniform_(-0.2, 0.2, generator=generator)
                part.running_var.uniform_(0.5, 1.5, generator=generator)
            elif isinstance(part, nn.Conv2d) and part.bias is not None:
                nn.init.normal_(part.weight, std=0.5, generator=generator)
                nn.init.zeros_(part.bias)
        return module.eval()

    return enliven


@pytest.fixture(scope="session")
def write_coco_split():
    """Write generated sequences as a data set in COCO layout and return its DataConfig."""
    from stdet.config import DataConfig
    from stdet.data.formats.coco_video import write_coco
    from stdet.data.formats.image_labels import ImageLabels
    from stdet.data.synthetic import generate

    def write(root: Path, configs, **changes):
        paths, rows, truths = [], [], []
        for config in configs:
            frames, truth = generate(config)
            folder = root / "images" / config.name
            folder.mkdir(parents=True)
            rows.append(truth.frame_indices + len(paths))
            truths.append(truth)
            for index, frame in enumerate(frames):
                paths.append(folder / f"{index}.bmp")
                Image.fromarray(frame).save(paths[-1])
        labels = ImageLabels(
            where="synthetic",
            paths=tuple(paths),
            sizes_hw=np.repeat(
                [truth.image_hw for truth in truths],
                [truth.num_frames for truth in truths],
                axis=0,
            ),
            image_rows=np.concatenate(rows),
            boxes_xyxy=np.concatenate([truth.boxes_xyxy for truth in truths]),
            class_ids=np.concatenate([truth.class_ids for truth in truths]),
            track_ids=np.concatenate([truth.track_ids for truth in truths]),
            is_ignored=np.concatenate([truth.is_ignored for truth in truths]),
        )
        annotations = root / "annotations" / "train.json"
        annotations.parent.mkdir()
        write_coco(annotations, labels, root)
        return DataConfig(
            root=root, train_annotations=Path("annotations") / annotations.name, **changes
        )

    return write
