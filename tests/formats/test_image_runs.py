"""What a sequence is: the file's word, then folders, then names, and what is said of it."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stdet.config import DataConfig, SourceConfig, config_from_dict
from stdet.datasets.splits import load_sequences
from stdet.errors import ConfigError, DataError
from stdet.evaluation.from_files import score_files
from stdet.formats.coco_video import read_coco
from stdet.formats.image_runs import cut_into_runs, group_rows

Images = list[dict[str, Any]]


def _images(form: str, *, length: int = 6) -> Images:
    """Two sequences of one target each; ``form`` makes a file name of a and k."""
    return [
        {"file_name": form.format(a=name, k=k), "height": 40, "width": 60}
        for name in ("s1", "s2")
        for k in range(1, length + 1)
    ]


def _write(folder: Path, images: Images, **more: Any) -> tuple[Path, Path]:
    """Write truth and results that are right; ids of targets start anew in every sequence."""
    images = [{"id": 100 + row, **image} for row, image in enumerate(images)]
    half = len(images) // 2
    boxes = [[5 + row % half, 10, 4, 4] for row in range(len(images))]
    truth = {
        "images": images[::-1],
        "annotations": [
            {"id": row, "image_id": image["id"], "category_id": 1, "bbox": boxes[row]}
            | {"track_id": 1 + row // half}
            for row, image in enumerate(images)
        ],
        "categories": [{"id": 1, "name": "target"}],
        **more,
    }
    results = [
        {"image_id": image["id"], "category_id": 1, "bbox": boxes[row], "score": 0.9}
        | {"track_id": 1}
        for row, image in enumerate(images)
    ]
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))
    return folder / "truth.json", folder / "results.json"


def _video_ids(images: Images, *, frame_ids: bool = True) -> Images:
    half = len(images) // 2
    return [
        {**image, "video_id": 7 + row // half} | ({"frame_id": row % half} if frame_ids else {})
        for row, image in enumerate(images)
    ]


VARIANTS: dict[str, Callable[[], tuple[Images, dict[str, Any]]]] = {
    "folders": lambda: (_images("images/{a}/{k:04d}.png"), {}),
    "backslashes": lambda: (_images("images\\{a}\\{k:04d}.png"), {}),
    "flat": lambda: (_images("images/{a}_{k:04d}.png"), {}),
    "roboflow": lambda: (_images("{a}_{k:04d}_png.rf.0123456789abcdef0123{k:012x}.jpg"), {}),
    "video_id": lambda: (_video_ids(_images("images/{a}_{k:04d}.png")), {}),
    "video_id, one numbering": lambda: (
        _video_ids([{**i, "file_name": f"{n}.png"} for n, i in enumerate(_images("{a}{k}"))]),
        {},
    ),
    "video_id without frame_id": lambda: (
        _video_ids(_images("{a}x/{k:04d}.png"), frame_ids=False),
        {"videos": [{"id": 7, "name": "day/s1.mp4"}, {"id": 8, "name": "day/s2.mp4"}]},
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_sequences_are_two_however_they_are_written(tmp_path: Path, variant: str):
    images, more = VARIANTS[variant]()
    scores = score_files(*_write(tmp_path, images, **more), config_from_dict({}, where="test"))
    assert scores.report.overall.tracking is not None
    assert scores.report.overall.tracking.idf1 == 1
    assert [len(result.detections) for result in scores.results] == [6, 6]


def test_names_are_those_of_folders_else_of_videos_else_of_files(tmp_path: Path):
    def names(images: Images, **more: Any) -> list[str]:
        labels = read_coco(_write(tmp_path, images, **more)[0], tmp_path, check_images=False)
        return [run.name for run in group_rows(labels).runs]

    videos = [{"id": 7, "name": "day/one.mp4"}, {"id": 8, "name": "day/two.mp4"}]
    assert names(_images("x/{a}/{k}.png")) == ["s1", "s2"]
    assert names(_images("x/{a}_{k}.png")) == ["s1", "s2"]
    assert names(_video_ids(_images("x/{a}/{k}.png")), videos=videos) == ["s1", "s2"]
    assert names(_video_ids(_images("x/{a}_{k}.png")), videos=videos) == ["day_one", "day_two"]
    assert names(_video_ids(_images("x/{a}_{k}.png"))) == ["video7", "video8"]


def test_a_gap_in_frame_id_is_a_gap_in_time_and_one_in_names_is_none(tmp_path: Path):
    images = _video_ids(_images("x/{a}_{k}.png"))
    for image in images[3:6]:
        image["frame_id"] += 10
    for row, image in enumerate(images[6:]):
        image["file_name"] = f"x/s2_{10**row}.png"
    labels = read_coco(_write(tmp_path, images)[0], tmp_path, check_images=False)
    grouping = group_rows(labels)
    assert [(run.name, len(run.rows)) for run in grouping.runs] == [
        ("video7_0-2", 3),
        ("video7_13-15", 3),
        ("video8", 6),
    ]
    assert grouping.said == (
        "2 sequences by video_id; order of frames by frame_id; gap after 's1_3.png'"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_id": 2}, r"are both frame 2 of 'video7' by frame_id"),
        ({"frame_id": None}, r"11 of 12 images have a frame_id"),
        ({"frame_id": "2"}, r"frame_id '2'; expected a whole number"),
        ({"frame_id": True}, r"frame_id True; expected a whole number"),
        ({"frame_id": 10**400}, r"frame_id 1000.*; expected a whole number"),
        ({"video_id": None}, r"11 of 12 images have a video_id"),
        ({"video_id": [1]}, r"video_id \[1\]; expected a number or a name"),
        ({"video_id": 9}, r"video_id 9, which the list videos does not define"),
    ],
)
def test_what_is_stated_in_part_or_twice_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
):
    images = _video_ids(_images("x/{a}_{k}.png"))
    images[3] |= change
    truth, _ = _write(tmp_path, images, videos=[{"id": 7}, {"id": 8}])
    with pytest.raises(DataError, match=message):
        cut_into_runs(read_coco(truth, tmp_path, check_images=False))


def test_a_pattern_goes_before_all(tmp_path: Path):
    images = _video_ids(_images("rec/x-{k}-of-{a}.png"), frame_ids=False)
    labels = read_coco(_write(tmp_path, images)[0], tmp_path, check_images=False)
    pattern = r"/x-(?P<frame>\d+)-of-(?P<sequence>.*)\.png"
    assert [run.name for run in group_rows(labels, pattern=pattern).runs] == ["s1", "s2"]
    assert [run.name for run in group_rows(labels, pattern=r"(?P<sequence>rec)/").runs] == ["rec"]
    only_frames = r"x-(?P<frame>\d+)-"
    with pytest.raises(DataError, match=r"are both frame 1 of .* by data\.sequence_pattern"):
        group_rows(
            read_coco(
                _write(tmp_path, _images("r/x-{k}-{a}.png"))[0], tmp_path, check_images=False
            ),
            pattern=only_frames,
        )
    with pytest.raises(DataError, match="fits 6 of 12 images, not "):
        group_rows(labels, pattern=r"(?P<sequence>s1)")
    with pytest.raises(DataError, match="finds frame 's2'"):
        group_rows(labels, pattern=r"(?P<frame>s[12])")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "sequence_pattern is no regular expression"),
        ("(?P<sequence>.*)(?P<time>.)", "and no other named group; got sequence, time"),
        (".*", "got none"),
        (7, "sequence_pattern"),
    ],
)
@pytest.mark.parametrize("place", ["data", "source"])
def test_a_wrong_pattern_is_an_error_of_the_settings(pattern: object, message: str, place: str):
    values: dict[str, Any] = {"sequence_pattern": pattern}
    if place == "source":
        source = {"root": "x", "format": "coco", "annotations": "a.json"}
        values = {"train": [source | values]}
    with pytest.raises(ConfigError, match=message):
        config_from_dict({"data": values}, where="test")


def test_what_was_taken_for_a_sequence_or_a_gap_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    images = [image for image in _images("x/{a}_{k}.png", length=9) if "s1_5" not in str(image)]
    labels = read_coco(_write(tmp_path, images)[0], tmp_path, check_images=False)
    with caplog.at_level(logging.INFO):
        cut_into_runs(labels)
    (message,) = caplog.messages
    assert message.endswith(
        "x: 2 sequences by the beginnings of the names, 's1_' and 's2_'; gap after 's1_4.png'."
    )


def test_folders_without_gaps_need_no_word(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    labels = read_coco(_write(tmp_path, _images("x/{a}/{k}.png"))[0], tmp_path, check_images=False)
    with caplog.at_level(logging.INFO):
        cut_into_runs(labels)
    assert caplog.messages == []


def test_names_of_sequences_stay_distinct_over_folders(tmp_path: Path):
    images = _images("x/{a}_{k}.png") + _images("y/{a}_{k}.png")
    labels = read_coco(_write(tmp_path, images)[0], tmp_path, check_images=False)
    assert [run.name for run in group_rows(labels).runs] == ["x_s1", "x_s2", "y_s1", "y_s2"]


@pytest.mark.parametrize("name", ["", "a\0b.png", "\ud800.png", "x" * 300 + ".png"])
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, name: str):
    images = _images("x/{a}_{k}.png")
    images[2]["file_name"] = name
    truth, _ = _write(tmp_path, images)
    config = DataConfig(root=tmp_path, train=(SourceConfig(annotations=truth),))
    with pytest.raises(DataError, match="no file can be named") as caught:
        load_sequences(config, "train")
    assert len(str(caught.value)) < 400
