"""Tests of the CSV of target centres."""

import shutil

import numpy as np
import pytest
from PIL import Image

from stdet.errors import DataError
from stdet.formats.centroid_list import read_centroid_list


def _write(root, text):
    folder = root / "run1"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(np.zeros((20, 30), np.uint8)).save(folder / f"{index:04d}.png")
    path = root / "centroids.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("column", ["sequence", "run"])
def test_centre_of_the_first_pixel_lies_at_one_half(tmp_path, column):
    labels = read_centroid_list(
        _write(tmp_path, f"{column},frame,x,y\nrun1,0,0,0\nrun1,2,4.5,7\n")
    )
    assert len(labels) == 3
    assert labels.image_rows.tolist() == [0, 2]
    assert labels.boxes_xyxy.tolist() == [[0, 0, 1, 1], [4.5, 7, 5.5, 8]]
    assert labels.track_ids.tolist() == [1, 1]
    assert labels.sizes_hw.tolist() == [[20, 30]] * 3


def test_several_targets_on_a_frame_have_no_identity(tmp_path):
    text = "sequence,frame,x,y\nrun1,0,1,1\nrun1,0,5,5\n"
    assert read_centroid_list(_write(tmp_path, text)).track_ids.tolist() == [-1, -1]


def test_identity_is_that_of_each_sequence(tmp_path):
    text = "sequence,frame,x,y\nrun1,0,1,1\nrun1,1,2,1\nrun2,0,1,1\nrun2,0,5,5\n"
    path = _write(tmp_path, text)
    shutil.copytree(tmp_path / "run1", tmp_path / "run2")
    assert read_centroid_list(path).track_ids.tolist() == [1, 1, -1, -1]


def test_unusable_centres_are_left_out_when_asked_for(tmp_path):
    text = "sequence,frame,x,y\nrun1,0,1,1\nrun1,1,nan,1\nrun1,2,30,1\n"
    labels = read_centroid_list(_write(tmp_path, text), bad_boxes="drop")
    assert labels.image_rows.tolist() == [0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "header is 'a,b'; expected sequence,frame,x,y"),
        ("sequence,frame,x,y\nrun1,0,one,2\n", r"csv:2: 'run1,0,one,2'; expected a sequence"),
        (
            "sequence,frame,x,y\nrun1,7,1,2\n",
            "target on frame 7, but .* holds 3 images. Frames count from 0",
        ),
        ("sequence,frame,x,y\nrun9,0,1,2\n", "names 'run9', but .* holds no images"),
        ("sequence,frame,x,y\nrun1,1,nan,2\n", r"0001\.png .* is not finite"),
        ("sequence,frame,x,y\nrun1,1,30,2\n", r"0001\.png .* lies outside its 30x20 frame"),
    ],
)
def test_bad_lines_are_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_centroid_list(_write(tmp_path, text))
