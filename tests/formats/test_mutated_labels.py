"""Whatever a label, result or report file holds: it is read, or it is one line of error."""

import json
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from stdet.config import DataConfig, SourceConfig, StdetConfig
from stdet.dataset_check.check import check_dataset
from stdet.dataset_check.findings import format_check
from stdet.datasets.splits import load_sequences
from stdet.errors import StdetError
from stdet.evaluation.from_files import score_files
from stdet.evaluation.from_masks import score_masks
from stdet.evaluation.report import write_report
from stdet.report.comparison import compare_runs, read_run

HW = (24, 32)
_MOT = "".join(f"{k},1,{4 + k},5,3,3,1,1,1\n" for k in range(1, 7))
_INFO = "[Sequence]\nname=s\nimDir=img\nframeRate=25\nseqLength=6\nimWidth=32\nimHeight=24\n"

_VALUES: list[Any] = [
    *(0, -1, 1, 2**31, 2**63, 2**64, 10**18, 10**400, 0.5, -0.0, 1e38, 1e39, 1e308),
    *(float("nan"), float("inf"), True, False, None, [], {}, [[]], [None] * 4, [1, 2, 3, 4]),
    *(
        "",
        "1",
        "nan",
        "a\0b",
        "\ud800",
        "../../x",
        "x" * 5000,
        "\x1b[31m",
        "=1+1",
        {"id": 1},
    ),
]
_BYTES = [
    *(b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\n\n", b",", b"[" * 5000),
    *(b"-", b"9" * 5000, b"1e400", b"nan", b"inf", b"0", b'"', b"}", b"\xed\xa0\x80", b"%", b"="),
]


def _coco(folder: Path) -> dict[str, Any]:
    files = [f"{name}/{k}.png" for name in ("a", "b") for k in range(6)]
    _write_images(folder, files)
    return {
        "images": [
            {"id": k, "file_name": file, "height": HW[0], "width": HW[1]}
            | {"video_id": k // 6, "frame_id": k % 6}
            for k, file in enumerate(files)
        ],
        "annotations": [
            {"id": k, "image_id": k, "category_id": 1, "bbox": [4 + k, 5, 3, 3], "iscrowd": 0}
            | {"track_id": 1}
            for k in range(len(files))
        ],
        "categories": [{"id": 1, "name": "t", "supercategory": "x"}],
        "videos": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}],
    }


def _write_images(folder: Path, files: list[str]) -> None:
    for k, file in enumerate(files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full(HW, 10 * k, np.uint8)).save(folder / file)


def _load(folder: Path, layout: str, annotations: str) -> None:
    source = SourceConfig(format=layout, annotations=Path(annotations))  # type: ignore[arg-type]
    load_sequences(DataConfig(root=folder, train=(source,)), "train")


def _score(truth: Path, predictions: Path) -> None:
    score_files(truth, predictions, StdetConfig(), image_hw=HW)


def coco(folder: Path) -> tuple[Path, Callable[[], object]]:
    (folder / "a.json").write_text(json.dumps(_coco(folder)))
    return folder / "a.json", lambda: _load(folder, "coco", "a.json")


def coco_check(folder: Path) -> tuple[Path, Callable[[], object]]:
    path, _ = coco(folder)
    return path, lambda: format_check(check_dataset([path]))


def coco_truth(folder: Path) -> tuple[Path, Callable[[], object]]:
    path, _ = coco(folder)
    (folder / "results.json").write_text(json.dumps(_results()))
    return path, lambda: _score(path, folder / "results.json")


def coco_results(folder: Path) -> tuple[Path, Callable[[], object]]:
    _, run = coco_truth(folder)
    return folder / "results.json", run


def _results() -> list[dict[str, Any]]:
    return [
        {"image_id": k, "category_id": 1, "bbox": [4 + k, 5, 3, 3], "score": 0.5, "track_id": 1}
        for k in range(12)
    ]


def text_list(folder: Path) -> tuple[Path, Callable[[], object]]:
    files = [f"a/{k}.png" for k in range(6)]
    _write_images(folder, files)
    (folder / "a.txt").write_text("".join(f"{file} 3,4,8,9,0 1,1,3,3,0\n" for file in files))
    return folder / "a.txt", lambda: _load(folder, "text", "a.txt")


def centroids(folder: Path) -> tuple[Path, Callable[[], object]]:
    _write_images(folder, [f"a/{k}.png" for k in range(6)])
    rows = "".join(f"a,{k},{3 + k},4\n" for k in range(6))
    (folder / "a.csv").write_text("sequence,frame,x,y\n" + rows)
    return folder / "a.csv", lambda: _load(folder, "centroids", "a.csv")


def mot_truth(folder: Path) -> tuple[Path, Callable[[], object]]:
    (folder / "gt.txt").write_text(_MOT)
    (folder / "found.txt").write_text(_MOT)
    return folder / "gt.txt", lambda: _score(folder / "gt.txt", folder / "found.txt")


def mot_tracks(folder: Path) -> tuple[Path, Callable[[], object]]:
    _, run = mot_truth(folder)
    return folder / "found.txt", run


def mot_info(folder: Path) -> tuple[Path, Callable[[], object]]:
    _write_images(folder / "s", [f"img/{k}.png" for k in range(6)])
    (folder / "s" / "gt").mkdir()
    (folder / "s" / "gt" / "gt.txt").write_text(_MOT)
    (folder / "s" / "seqinfo.ini").write_text(_INFO)
    return folder / "s" / "seqinfo.ini", lambda: _load(folder, "mot", ".")


def track_json(folder: Path) -> tuple[Path, Callable[[], object]]:
    (folder / "gt.txt").write_text(_MOT)
    box = {"box_xyxy": [4, 5, 7, 8], "score": 0.5}
    frames = [
        {"frame_index": k, "detections": [box], "tracks": [{"track_id": 1, **box}]}
        for k in range(6)
    ]
    header = {"format": "stdet.tracks/1", "fps": 25, "confidence": 0.5, "image_hw": list(HW)}
    (folder / "a.json").write_text(json.dumps({**header, "frames": frames}))
    return folder / "a.json", lambda: _score(folder / "gt.txt", folder / "a.json")


def report(folder: Path) -> tuple[Path, Callable[[], object]]:
    mot_truth(folder)
    scores = score_files(folder / "gt.txt", folder / "found.txt", StdetConfig(), image_hw=HW)
    for name in ("a.json", "b.json"):
        write_report(folder / name, scores.report)
    runs = [folder / "a.json", folder / "b.json"]
    return runs[0], lambda: compare_runs([read_run(run) for run in runs]).render("csv")


def masks(folder: Path) -> tuple[Path, Callable[[], object]]:
    for name in ("truth", "found"):
        (folder / name).mkdir()
        pixels = np.zeros(HW, np.uint8)
        pixels[4:7, 5:8] = 255
        Image.fromarray(pixels).save(folder / name / "0.png")
    return folder / "found" / "0.png", lambda: score_masks(folder / "truth", folder / "found")


FORMATS = [
    *(coco, coco_check, coco_truth, coco_results, text_list, centroids),
    *(mot_truth, mot_tracks, mot_info, track_json, report, masks),
]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = []
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


def _mutate(path: Path, rng: random.Random) -> None:
    """Change some values of a JSON file, or some bytes of any file."""
    if path.suffix == ".json" and rng.random() < 0.7:
        content = json.loads(path.read_text())
        for _ in range(rng.randint(1, 3)):
            places = _places(content)
            if not places:
                break
            container, key = rng.choice(places)
            action = rng.random()
            if action < 0.7:
                container[key] = rng.choice(_VALUES)
            elif action < 0.85 or isinstance(container, dict):
                del container[key]
            else:
                container.append(container[key])
        path.write_text(json.dumps(content))
        return
    content = path.read_bytes()
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(content))
        stop = min(len(content), start + rng.choice([0, 1, 1, 4, 1000]))
        content = content[:start] + rng.choice(_BYTES) + content[stop:]
    path.write_bytes(content)


@pytest.mark.parametrize("make", FORMATS, ids=lambda make: make.__name__)
def test_files_as_they_should_be_are_read(tmp_path: Path, make: Any):
    _, run = make(tmp_path)
    run()


@pytest.mark.parametrize("make", FORMATS, ids=lambda make: make.__name__)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_mutated_files_are_read_or_are_one_line(tmp_path: Path, make: Any, seed: int):
    folder = tmp_path / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path, run = make(folder)
    _mutate(path, random.Random(seed))
    start = time.monotonic()
    message = ""
    try:
        run()
    except StdetError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 2000
    assert time.monotonic() - start < 20
