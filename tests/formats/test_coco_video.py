import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stdet.errors import DataError
from stdet.formats.coco_video import read_coco, write_coco
from stdet.formats.image_labels import ImageLabels
from stdet.types import UNKNOWN_TRACK_ID


def _content() -> dict:
    return {
        "images": [
            {"id": 7, "file_name": "images/a/0.bmp", "height": 20, "width": 30},
            {"id": 9, "file_name": "images/a/1.bmp", "height": 20, "width": 30},
        ],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 5, "bbox": [1.5, 2.25, 4, 8]},
            {"id": 2, "image_id": 9, "category_id": 3, "bbox": [10, 10, 1, 1], "iscrowd": 1},
        ],
        "categories": [{"id": 5, "name": "bird"}, {"id": 3, "name": "drone"}],
    }


def _read(tmp_path: Path, content: object, **options: bool) -> ImageLabels:
    path = tmp_path / "labels.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_coco(path, tmp_path, **{"check_images": False, **options})


def test_boxes_are_continuous_corners_without_plus_one(tmp_path):
    labels = _read(tmp_path, _content())
    np.testing.assert_array_equal(labels.boxes_xyxy, [[1.5, 2.25, 5.5, 10.25], [10, 10, 11, 11]])
    assert labels.boxes_xyxy.dtype == np.float32
    assert labels.image_rows.tolist() == [1, 1]
    assert labels.paths[0] == tmp_path / "images/a/0.bmp"
    assert labels.sizes_hw.tolist() == [[20, 30], [20, 30]]


def test_category_ids_are_numbered_in_ascending_order_and_crowds_are_ignored(tmp_path):
    labels = _read(tmp_path, _content())
    assert labels.class_ids.tolist() == [1, 0]
    assert labels.is_ignored.tolist() == [False, True]


def test_track_ids_are_read_where_all_annotations_have_them(tmp_path):
    content = _content()
    assert _read(tmp_path, content).track_ids.tolist() == [UNKNOWN_TRACK_ID] * 2
    content["annotations"][0]["track_id"] = 4
    with pytest.raises(DataError, match="1 of 2 annotations have a track_id"):
        _read(tmp_path, content)
    content["annotations"][1]["track_id"] = 4
    with pytest.raises(DataError, match="repeats track_id 4 in image 9"):
        _read(tmp_path, content)
    content["annotations"][1]["track_id"] = 6
    assert _read(tmp_path, content).track_ids.tolist() == [4, 6]
    content["annotations"][1]["track_id"] = 0
    with pytest.raises(DataError, match="expected an integer of at least 1"):
        _read(tmp_path, content)


def test_a_file_without_any_box_keeps_its_images(tmp_path):
    labels = _read(tmp_path, {**_content(), "annotations": []})
    assert len(labels) == 2
    assert labels.boxes_xyxy.shape == (0, 4)


@pytest.mark.parametrize(
    ("bbox", "reason"),
    [
        ([1, 1, 0, 4], "has no area"),
        ([1, 1, 4, -4], "has no area"),
        ([1, 1, float("nan"), 4], "is not finite"),
        ([30, 1, 4, 4], "lies outside its 30x20 frame"),
        ([-4, 1, 4, 4], "lies outside its 30x20 frame"),
        ([1, 20, 4, 4], "lies outside its 30x20 frame"),
    ],
)
def test_unusable_box_is_named_or_dropped(tmp_path, caplog, bbox, reason):
    content = _content()
    content["annotations"][0]["bbox"] = bbox
    with pytest.raises(DataError, match=f"1 unusable boxes; .*annotation 1 of image 9.*{reason}"):
        _read(tmp_path, content)
    labels = _read(tmp_path, content, bad_boxes="drop")
    np.testing.assert_array_equal(labels.boxes_xyxy, [[10, 10, 11, 11]])
    assert labels.class_ids.tolist() == [0]
    assert "1 unusable boxes" in caplog.text


def test_box_that_reaches_over_the_border_is_kept(tmp_path):
    content = _content()
    content["annotations"][0]["bbox"] = [-3, -3, 4, 4]
    assert _read(tmp_path, content).boxes_xyxy[0].tolist() == [-3, -3, 1, 1]


def _with(section: str, row: int, **changes: object) -> dict:
    content = _content()
    content[section][row].update(changes)
    return content


def _without(section: str, row: int, key: str) -> dict:
    content = _content()
    del content[section][row][key]
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ([], "holds a list"),
        ({"images": []}, "lacks annotations, categories"),
        ({**_content(), "images": {}}, "images is a dict"),
        ({**_content(), "images": [3]}, r"images\[0\] is 3"),
        (_without("images", 1, "height"), r"images\[1\] lacks height"),
        (_without("annotations", 0, "bbox"), r"annotations\[0\] lacks bbox"),
        (_with("images", 0, height="20"), "has height '20'; expected int"),
        (_with("images", 0, width=True), "has width True; expected int"),
        (_with("images", 0, width=0), "image 7 has height 20 and width 0"),
        (_with("images", 0, id=9), "image id 9 occurs 2 times"),
        (_with("images", 0, file_name="images/a/1.bmp"), "image file_name .* occurs 2 times"),
        (_with("annotations", 0, id=2), "annotation id 2 occurs 2 times"),
        (_with("annotations", 0, image_id=8), "annotation 1 has image_id 8, which the file"),
        (_with("annotations", 0, category_id=1), "annotation 1 has category_id 1, which"),
        (_with("annotations", 0, bbox=[1, 2, 3]), "annotation 1 has bbox .*four numbers"),
        (_with("annotations", 0, bbox=[1, 2, 3, "4"]), "annotation 1 has bbox .*four numbers"),
        (_with("categories", 0, id=3), "category id 3 occurs 2 times"),
    ],
)
def test_malformed_file_is_refused_in_one_line_that_names_it(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        _read(tmp_path, content)
    assert "labels.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.json: does not exist"):
        read_coco(tmp_path / "nothing.json", tmp_path)


def test_missing_images_are_counted_and_the_first_is_named(tmp_path):
    with pytest.raises(DataError, match=r"2 of 2 images do not exist.*0\.bmp"):
        _read(tmp_path, _content(), check_images=True)
    (tmp_path / "images/a").mkdir(parents=True)
    (tmp_path / "images/a/0.bmp").touch()
    with pytest.raises(DataError, match=r"1 of 2 images do not exist.*1\.bmp"):
        _read(tmp_path, _content(), check_images=True)
    (tmp_path / "images/a/1.bmp").touch()
    assert len(_read(tmp_path, _content(), check_images=True)) == 2


_COORDINATE = st.floats(0, 99, width=32)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(_COORDINATE, _COORDINATE, st.integers(0, 2), st.integers(0, 3), st.booleans()),
        max_size=6,
    ),
    st.booleans(),
)
def test_written_file_reads_back_unchanged(tmp_path, rows, has_tracks):
    corners = np.array([row[:2] for row in rows], np.float32).reshape(-1, 2)
    labels = ImageLabels(
        where="memory",
        paths=tuple(tmp_path / f"images/s/{index}.png" for index in range(3)),
        sizes_hw=np.full((3, 2), 200, np.int64),
        image_rows=np.array([row[2] for row in rows], np.int64),
        boxes_xyxy=np.concatenate([corners, corners + np.float32(3.3)], axis=1),
        class_ids=np.array([row[3] for row in rows], np.int64),
        track_ids=np.arange(1, len(rows) + 1) if has_tracks else np.full(len(rows), -1),
        is_ignored=np.array([row[4] for row in rows], np.bool_),
    )
    path = tmp_path / "out.json"
    write_coco(path, labels, tmp_path)
    again = read_coco(path, tmp_path, check_images=False)
    assert again.paths == labels.paths
    for field in ("sizes_hw", "image_rows", "boxes_xyxy", "class_ids", "track_ids", "is_ignored"):
        np.testing.assert_array_equal(getattr(again, field), getattr(labels, field))


def test_unchecked_reading_keeps_bad_boxes(tmp_path):
    content = _content()
    content["annotations"][0]["bbox"] = [float("nan"), 1, 2, 2]
    content["annotations"][1]["bbox"] = [100, 100, 0, 2]
    (tmp_path / "l.json").write_text(json.dumps(content))
    labels = read_coco(tmp_path / "l.json", tmp_path, bad_boxes="keep", check_images=False)
    assert len(labels.boxes_xyxy) == 2
    assert np.isnan(labels.boxes_xyxy[0, 0])


@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
@pytest.mark.parametrize(
    ("value", "is_ignored"),
    [
        *((value, True) for value in (1, "1", True, 1.0, "true", "True")),
        *((value, False) for value in (0, "0", False, "false", None)),
    ],
)
def test_flags_of_ignored_boxes_are_read_as_tools_write_them(tmp_path, key, value, is_ignored):
    content = _content()
    content["annotations"][0][key] = value
    assert _read(tmp_path, content).is_ignored.tolist() == [is_ignored, True]


@pytest.mark.parametrize("value", [2, -1, "yes", [1], {}, float("nan"), "\ud800"])
def test_flags_that_are_none_are_refused(tmp_path, value):
    content = _content()
    content["annotations"][0]["ignore"] = value
    with pytest.raises(DataError, match=r"annotation 1 has ignore .*; expected 0 or 1"):
        _read(tmp_path, content)
