import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.errors import DataError
from stdet.formats.detection_file import read_detections

CSV = "frame,x,y,w,h,score\n"


@pytest.fixture
def write(tmp_path):
    """Write a file and return its path."""

    def save(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return save


def coco(**changes):
    return {"image_id": 1, "category_id": 1, "bbox": [2, 3, 4, 5], "score": 0.5, **changes}


def by_value(rows):
    """Return the rows sorted, as text is compared."""
    table = np.column_stack([rows.frame_indices, rows.boxes_xyxy, rows.scores, rows.class_ids])
    return sorted(map(tuple, table.tolist()))


def test_three_formats_of_the_same_detections_are_read_alike(write):
    # Frame 2 is in the file before frame 0. MOT counts frames and pixels from 1.
    files = [
        write("a.csv", f"{CSV}2,10,20,3,4,0.75\n0,1.5,2,3,3,0.5\n0,40,2,3,3,0.25\n"),
        write("a.txt", "3,-1,11,21,3,4,0.75\n1,-1,2.5,3,3,3,0.5\n1,-1,41,3,3,3,0.25\n"),
        write(
            "a.json",
            [
                coco(image_id=3, bbox=[10, 20, 3, 4], score=0.75),
                coco(bbox=[1.5, 2, 3, 3]),
                coco(bbox=[40, 2, 3, 3], score=0.25),
            ],
        ),
    ]
    expected = [
        (0, 1.5, 2, 4.5, 5, 0.5, 0),
        (0, 40, 2, 43, 5, 0.25, 0),
        (2, 10, 20, 13, 24, 0.75, 0),
    ]
    for path in files:
        rows = read_detections(path)
        assert by_value(rows) == expected
        assert (rows.num_frames, rows.extent_hw) == (3, (24, 43))


def test_classes_are_read_where_they_are_there(write):
    header = "class, score, h, w, y, x, frame, note\n"
    rows = read_detections(write("a.csv", f"{header}2, 0.5, 4, 3, 2, 1, 0, bird\n\n"))
    assert by_value(rows) == [(0, 1, 2, 4, 6, 0.5, 2)]
    rows = read_detections(write("a.json", [coco(category_id=7), coco(category_id=3)]))
    assert rows.class_ids.tolist() == [1, 0]


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.json"])
def test_file_without_detections_holds_none(write, name):
    content = {"a.csv": CSV, "a.txt": "", "a.json": []}[name]
    rows = read_detections(write(name, content))
    assert (len(rows.scores), rows.num_frames, rows.extent_hw) == (0, 0, (1, 1))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.csv",
            f"{CSV}0,1,2,3,4,0.5\n0,1,2,nan,4,0.5\n",
            r"a\.csv:3: w is 'nan'; expected a fi",
        ),
        ("a.csv", f"{CSV}0,1,2,3,-4,0.5\n", r"a\.csv:2: box of 3 x -4 px; expected positive"),
        ("a.csv", f"{CSV}0,1,2,0,4,0.5\n", r"a\.csv:2: box of 0 x 4 px"),
        ("a.csv", f"{CSV}0,1,2,3,4,95\n", r"a\.csv:2: score 95; expected 0 to 1\. Rescale"),
        ("a.csv", f"{CSV}-1,1,2,3,4,0.5\n", r"a\.csv:2: frame -1; frames count from 0"),
        ("a.csv", f"{CSV}1.5,1,2,3,4,0.5\n", r"a\.csv:2: frame is '1\.5'; expected a whole"),
        ("a.csv", f"{CSV}1e300,1,2,3,4,0.5\n", r"a\.csv:2: frame is '1e300'"),
        ("a.csv", f"{CSV}0,1,2,3,4\n", r"a\.csv:2: 5 columns; expected 6, as in the header"),
        (
            "a.csv",
            "frame,left,top,w,h,score\n",
            r"a\.csv:1: the header lacks x, y; expected frame",
        ),
        ("a.csv", "", r"a\.csv:1: the header lacks frame, x, y, w, h, score"),
        ("a.csv", f"{CSV[:-1]},class\n0,1,2,3,4,0.5,-2\n", r"a\.csv:2: class -2; classes count"),
        ("a.txt", "1,-1,1,1,nan,2,0.5\n", r"a\.txt:1: width is 'nan'"),
        ("a.txt", "1,-1,1,1,2,-2,0.5\n", r"a\.txt:1: box of 2 x -2 px"),
        ("a.txt", "0,-1,1,1,2,2,0.5\n", r"a\.txt:1: frame 0, so the file counts from 0"),
        ("a.json", {"images": []}, r"a\.json: holds a dict; expected a list of COCO results"),
        ("a.json", [coco(), coco(bbox=[1, 2, 3])], r"a\.json: entry 1 has bbox \[1, 2, 3\]"),
        ("a.json", [coco(bbox=[1, 2, 3, -1])], r"entry 0 has bbox .* without area"),
        ("a.json", [coco(score=float("nan"))], r"entry 0 has score nan; expected 0 to 1"),
        (
            "a.json",
            [coco(image_id=0)],
            r"entry 0 has image_id 0; expected the number of the frame",
        ),
        ("a.json", [coco(image_id="f_01")], r"entry 0 has image_id 'f_01'"),
        ("a.json", [coco(category_id=None)], r"entry 0 has category_id None; expected a whole"),
        ("a.json", [{"image_id": 1}], r"entry 0 lacks category_id, bbox, score"),
        ("a.xml", "", r"a\.xml: holds detections of no known format; expected \.json"),
    ],
)
def test_bad_file_is_refused_with_its_row(write, name, content, said):
    with pytest.raises(DataError, match=said) as caught:
        read_detections(write(name, content))
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path):
    for name in ("none.csv", "none.txt", "none.json"):
        with pytest.raises(DataError, match=name):
            read_detections(tmp_path / name)


@given(
    st.text(st.sampled_from("0123456789.,-e\n\"'xnaif"), max_size=80),
    st.sampled_from([".csv", ".txt", ".json"]),
)
@settings(max_examples=150, deadline=None)
def test_any_text_gives_rows_or_one_line(tmp_path_factory, text, ending):
    path = tmp_path_factory.mktemp("any") / f"a{ending}"
    path.write_text(CSV + text if ending == ".csv" else text)
    try:
        rows = read_detections(path)
    except DataError as error:
        line, rows = str(error), None
    if rows is None:
        assert str(path) in line
        assert "\n" not in line
    else:
        assert np.isfinite(rows.boxes_xyxy).all()
        assert (rows.boxes_xyxy[:, 2:] >= rows.boxes_xyxy[:, :2]).all()
