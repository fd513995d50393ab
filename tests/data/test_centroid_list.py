"""Tests of the CSV of target centres."""

import numpy as np
import pytest
from PIL import Image

from stdet.data.formats.centroid_list import read_centroid_list
from stdet.errors import DataError


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "header is 'a,b'; expected sequence,frame,x,y"),
        ("sequence,frame,x,y\nrun1,0,one,2\n", r"csv:2: 'run1,0,one,2'; expected a sequence"),
        ("sequence,frame,x,y\nrun1,7,1,2\n", "target on frame 7, but .* holds 3 images"),
        ("sequence,frame,x,y\nrun9,0,1,2\n", "names 'run9', but .* holds no images"),
    ],
)
def test_bad_lines_are_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_centroid_list(_write(tmp_path, text))
