"""Builders shared by all tests: tiny models, generated data sets, and the `gpu` marker."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest_plugins = ["sequence_results"]


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


@pytest.fixture
def heard_signals():
    """Let signals reach this process and those that it starts.

    A shell that runs the tests in its background has them ignore SIGINT, and `nohup` SIGHUP.
    """
    heard = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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
def started():
    """End the silence in which a shortcut begins, as its first training step would."""
    from torch import nn

    def start(module):
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d) and not part.weight.any():
                nn.init.ones_(part.weight)
        return module

    return start


@pytest.fixture(scope="session")
def lively(started):
    """Give a module random BatchNorm statistics and scores that differ, in eval mode.

    Fresh statistics (0 and 1) and the head's prior would let many mistakes pass unseen.
    """
    import torch
    from torch import nn

    def enliven(module, seed=0):
        generator = torch.Generator().manual_seed(seed)
        for part in started(module).modules():
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
    from scenes import generate

    from stdet.config import DataConfig, SourceConfig
    from stdet.formats.coco_video import write_coco
    from stdet.formats.image_labels import ImageLabels

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
        source = SourceConfig(annotations=Path("annotations") / annotations.name)
        return DataConfig(root=root, **{"train": (source,), **changes})

    return write


class SplitWriter:
    """Writes small data sets: targets of 4x4 px that circle in 48x64 frames, one per frame."""

    hw = (48, 64)

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, seed: int, num_frames: int = 40) -> np.ndarray:
        """Upper left corners (F, 2) of a target, another path for every seed."""
        rng = np.random.default_rng(seed)
        phases, speeds = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.12, 0.3, 2)
        angles = np.arange(num_frames)[:, None] * speeds + phases
        return np.array([28.0, 20.0]) + np.array([22.0, 14.0]) * np.sin(angles)

    def scenes(self, seed: int, num_frames: int = 40) -> list[np.ndarray]:
        """Frames of a camera that pans by 1 px over a smooth scene, another for every seed."""
        from scipy.ndimage import gaussian_filter

        field = gaussian_filter(np.random.default_rng(seed).normal(size=self.hw), 5, mode="wrap")
        scene = (128 + 100 * field / np.abs(field).max()).astype(np.uint8)
        return [np.roll(scene, frame, axis=1) for frame in range(num_frames)]

    def write(self, splits, *, images=None, numbers=None) -> Path:
        """Write {split: {sequence: corners}}; images and numbers of frames by sequence."""
        for split, sequences in splits.items():
            content = {"images": [], "annotations": [], "categories": [{"id": 1}]}
            for name, corners in sequences.items():
                own_numbers = (numbers or {}).get(name, range(len(corners)))
                for number, corner in zip(own_numbers, corners.tolist(), strict=True):
                    row = len(content["images"]) + 1
                    file = {"id": row, "file_name": f"images/{name}/{number}.png"}
                    content["images"].append({**file, "height": self.hw[0], "width": self.hw[1]})
                    box = {"id": row, "image_id": row, "category_id": 1, "bbox": [*corner, 4, 4]}
                    content["annotations"].append(box)
                for number, image in zip(own_numbers, (images or {}).get(name, ()), strict=False):
                    folder = self.root / "images" / name
                    folder.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(image).save(folder / f"{number}.png")
            file = self.root / "annotations" / f"{split}.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(content))
        return self.root


@pytest.fixture
def split_writer(tmp_path):
    """Write small data sets below tmp_path."""
    return SplitWriter(tmp_path)


@pytest.fixture
def room_left():
    """Let files grow to so many bytes and no further: a writer sees a disk that fills up."""
    resource = pytest.importorskip("resource")
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    return lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Lift the limit of ``room_left`` before pytest writes its own report, perhaps to a file."""
    if "room_left" not in item.fixturenames:
        return (yield)
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        return (yield)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
