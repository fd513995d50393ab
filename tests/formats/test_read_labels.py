import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from stdet.config import LabelFormat
from stdet.datasets.sequences import open_sequences
from stdet.formats import read_labels as module
from stdet.formats.read_labels import read_labels
from stdet.io.video.source import VideoWriter

HW = (32, 48)
BOX_XYWH = (4, 6, 1, 1)
"""A pixel, which all formats can say."""


def coco(root: Path) -> Path:
    images = [
        {"id": k, "file_name": f"s/img1/{k}.png", "height": HW[0], "width": HW[1]}
        for k in range(3)
    ]
    rows = [{"id": 0, "image_id": 1, "category_id": 1, "bbox": BOX_XYWH, "track_id": 1}]
    content = {"images": images, "annotations": rows, "categories": [{"id": 1}]}
    (root / "l.json").write_text(json.dumps(content))
    return root / "l.json"


def text(root: Path) -> Path:
    x, y, w, h = BOX_XYWH
    lines = ["s/img1/0.png", f"s/img1/1.png {x},{y},{x + w},{y + h},0", "s/img1/2.png"]
    (root / "l.txt").write_text("\n".join(lines))
    return root / "l.txt"


def videos(root: Path) -> Path:
    with VideoWriter(root / "s.mp4", hw=HW, fps=10.0) as writer:
        for level in (0, 20, 40):
            writer.write(np.full((*HW, 3), level, np.uint8))
    (root / "l.json").write_text(json.dumps({"s": {"boxes_xywh": [None, BOX_XYWH, None]}}))
    return root / "l.json"


def mot(root: Path) -> Path:
    x, y, w, h = BOX_XYWH
    (root / "s" / "gt").mkdir()
    (root / "s" / "gt" / "gt.txt").write_text(f"2,1,{x + 1},{y + 1},{w},{h},1,1,1\n")
    return root / "s"


def centroids(root: Path) -> Path:
    (root / "s").rename(root / "moved")
    (root / "moved" / "img1").rename(root / "s")
    (root / "l.csv").write_text(f"sequence,frame,x,y\ns,1,{BOX_XYWH[0]},{BOX_XYWH[1]}\n")
    return root / "l.csv"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "s" / "img1"
    folder.mkdir(parents=True)
    for k in range(3):
        Image.fromarray(np.full(HW, 20 * k, np.uint8)).save(folder / f"{k}.png")
    return tmp_path


def test_every_format_has_a_reader():
    assert module._READERS.keys() == set(get_args(LabelFormat))


@pytest.mark.parametrize(
    "write", [coco, text, videos, mot, centroids], ids=lambda write: write.__name__
)
def test_one_target_is_the_same_in_every_format(root, write):
    (sequence,) = open_sequences(read_labels(write.__name__, write(root), root))
    truth = sequence.annotation
    assert (sequence.name, len(sequence), truth.image_hw) == ("s", 3, HW)
    assert truth.frame_indices.tolist() == [1]
    assert truth.boxes_xyxy.tolist() == [[4, 6, 5, 7]]
    assert abs(float(sequence.read_raw(2).mean()) - 40) <= 3
