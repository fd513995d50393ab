from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stdet.errors import DataError
from stdet.formats.image_labels import ImageLabels
from stdet.formats.text_list import read_text_list


def _read(tmp_path: Path, text: str, **options: bool) -> ImageLabels:
    path = tmp_path / "list.txt"
    path.write_text(text)
    return read_text_list(path, tmp_path, **{"check_images": False, **options})


def test_corners_are_read_as_they_are_and_a_line_without_boxes_is_a_frame(tmp_path):
    labels = _read(
        tmp_path,
        "images/a/0.bmp 1,2,5,10.5,0 3,3,4,4,2\nimages/a/1.bmp\nimages/a/2.bmp 0,0,1,1,0\n",
    )
    assert len(labels) == 3
    np.testing.assert_array_equal(labels.boxes_xyxy, [[1, 2, 5, 10.5], [3, 3, 4, 4], [0, 0, 1, 1]])
    assert labels.image_rows.tolist() == [0, 0, 2]
    assert labels.class_ids.tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("/home/public/DAUB/images/train/data5/0.bmp", "images/train/data5/0.bmp"),
        ("C:\\sets\\DAUB\\images\\train\\0.bmp", "images/train/0.bmp"),
        ("images/s/0.bmp", "images/s/0.bmp"),
        ("mine/images/0.bmp", "mine/images/0.bmp"),
        ("/home/my set/images/s 1/0.bmp", "images/s 1/0.bmp"),
        ("a.bmp.d/0.PNG", "a.bmp.d/0.PNG"),
    ],
)
def test_path_is_mapped_below_the_root(tmp_path, written, expected):
    for line in (written, f"{written} 1,2,3,4,0"):
        assert _read(tmp_path, line).paths == (tmp_path / expected,)


def test_other_absolute_path_is_used_as_it_is(tmp_path):
    assert _read(tmp_path, "/frames/s/0.bmp").paths == (Path("/frames/s/0.bmp"),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2,3,4,0", r"list\.txt:2: '1,2,3,4,0' does not start with an image path"),
        ("b.bmp 1,2,3,4", r"list\.txt:2: box '1,2,3,4'"),
        ("b.bmp 1,2,3,x,0", r"list\.txt:2: box '1,2,3,x,0'"),
        ("b.bmp 1,2,3,4,0.5", r"list\.txt:2: box '1,2,3,4,0.5'"),
        ("b.bmp 1,2,3,4,-1", r"list\.txt:2: box '1,2,3,4,-1'"),
        ("b.bmp 1,2,3,4,nan", r"list\.txt:2: box '1,2,3,4,nan'"),
        ("a.bmp", r"list\.txt:2: lists .*a\.bmp' again after line 1"),
        ("b.bmp 3,2,3,4,0", r"1 unusable boxes; the first, line 2 .*has no area"),
        ("b.bmp nan,2,3,4,0", r"1 unusable boxes; the first, line 2 .*is not finite"),
    ],
)
def test_malformed_line_is_refused_by_number(tmp_path, line, message):
    with pytest.raises(DataError, match=message):
        _read(tmp_path, f"a.bmp 1,1,2,2,0\n{line}\n")


def test_unusable_boxes_can_be_dropped(tmp_path, caplog):
    labels = _read(tmp_path, "a.bmp 3,2,3,4,0 1,1,2,2,0", bad_boxes="drop")
    assert labels.boxes_xyxy.tolist() == [[1, 1, 2, 2]]
    assert "1 unusable boxes" in caplog.text


def test_size_comes_from_the_first_image_of_each_folder(tmp_path):
    for folder, size in (("a", (30, 20)), ("b", (12, 9))):
        (tmp_path / folder).mkdir()
        Image.new("L", size).save(tmp_path / folder / "0.bmp")
    labels = _read(tmp_path, "a/0.bmp 1,1,30,20,0\nb/0.bmp\n", check_images=True)
    assert labels.sizes_hw.tolist() == [[20, 30], [9, 12]]
    with pytest.raises(DataError, match=r"line 2 .* lies outside its 12x9 frame"):
        _read(tmp_path, "a/0.bmp\nb/0.bmp 12,1,14,4,0\n", check_images=True)


def test_missing_and_broken_images_are_refused(tmp_path):
    with pytest.raises(DataError, match="1 of 1 images do not exist"):
        _read(tmp_path, "0.bmp", check_images=True)
    (tmp_path / "0.bmp").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.bmp: cannot be read as PNG, BMP"):
        _read(tmp_path, "0.bmp", check_images=True)


def test_without_images_the_size_is_the_smallest_that_holds_the_boxes(tmp_path):
    labels = _read(tmp_path, "a/0.bmp 1,1,30,19.5,0\na/1.bmp\nb/0.bmp\n")
    assert labels.sizes_hw.tolist() == [[20, 30], [20, 30], [1, 1]]


def test_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.txt: does not exist"):
        read_text_list(tmp_path / "nothing.txt", tmp_path)
    (tmp_path / "list.txt").write_bytes(b"\xfe\x00\x01")
    with pytest.raises(DataError, match="not UTF-8 text"):
        read_text_list(tmp_path / "list.txt", tmp_path)


def test_unchecked_reading_keeps_bad_boxes_and_takes_sizes_from_the_finite_ones(tmp_path):
    (tmp_path / "list.txt").write_text("a/0.bmp 3,2,3,4,0 1,1,nan,2,0 1,1,inf,9,0 1,1,20,30,0\n")
    labels = read_text_list(tmp_path / "list.txt", tmp_path, bad_boxes="keep", check_images=False)
    assert labels.sizes_hw.tolist() == [[30, 20]]
    assert labels.image_rows.tolist() == [0, 0, 0, 0]
    assert np.isnan(labels.boxes_xyxy[1, 2])


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_corner_that_is_not_finite_is_refused_by_line_without_images_too(tmp_path, value):
    with pytest.raises(DataError, match=r"line 1 .*is not finite"):
        _read(tmp_path, f"a.bmp 1,1,{value},4,0")
