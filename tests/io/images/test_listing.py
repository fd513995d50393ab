"""A folder is one sequence, or it is refused and the odd images named."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stdet.errors import DataError, IncompleteInputError
from stdet.io.images.listing import list_images
from stdet.io.open_source import open_source

_FRAMES = [f"{index:04d}.png" for index in range(4)]


def _fill(folder: Path, names: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("odd", "count"),
    [
        ([f"{index:04d}_mask.png" for index in range(4)], 4),
        ([f"{index:04d}-gt.png" for index in range(4)], 4),
        ([f"{index:04d}_label.tif" for index in range(4)], 4),
        ([f"mask_{index:04d}.png" for index in range(4)], 4),
        (["Copy of 0001.png"], 1),
        (["0001 - Copy.png"], 1),
        (["0001 (1).png", "0002 (2).png"], 2),
        (["0001(1).png"], 1),
        (["0002 copy 2.png"], 1),
        (["0001.jpg"], 1),
        ([f"{index:04d}.JPG" for index in range(4)], 4),
        (["thumbnail.png"], 1),
        (["average.png"], 1),
        (["0003_vis.png"], 1),
        (["0001~old.png"], 1),
    ],
)
def test_what_is_no_frame_is_named(tmp_path: Path, odd: list[str], count: int):
    folder = _fill(tmp_path / "s", [*_FRAMES, *odd])
    with pytest.raises(DataError, match=rf"/s: {count} of {4 + count} images have") as caught:
        list_images(folder)
    # Of two images of one stem, the latter in the order of names is the odd one.
    assert any(Path(name).stem.lower() in str(caught.value).lower() for name in odd)
    assert "Move them out of the folder" in str(caught.value)


@pytest.mark.parametrize(
    "prefix",
    ["frame", "img_mask", "a-copy", ""],
)
def test_pairs_are_found_whatever_all_names_share(tmp_path: Path, prefix: str):
    names = [f"{prefix}{i}.png" for i in range(12)]
    assert len(list_images(_fill(tmp_path / "s", names))) == 12
    _fill(tmp_path / "s", [f"{prefix}{i}_seg.png" for i in range(12)])
    with pytest.raises(DataError, match="12 of 24 images"):
        list_images(tmp_path / "s")


@pytest.mark.parametrize(
    "names",
    [
        ["seqA_0001.png", "seqA_0002.png", "seqB_0001.png", "seqB_0002.png"],
        ["12.png", "12.5.png", "13.png"],
        ["1714561259.png", "1714561259.960.png"],
        ["0001_mask.png", "0002_mask.png"],
        ["left.png", "right.png"],
        ["f1.png", "f2.PNG", "f9.bmp", "f10.Tif"],
        ["20240501_120059_001.png", "20240501_120100_002.png"],
        ["cam0_1.png", "cam0_2.png", "cam0_10.png"],
        ["0001.png"],
        ["data_png.rf.0123456789abcdef01.jpg", "data2_png.rf.0123456789abcdef02.jpg"],
    ],
)
def test_frames_of_one_sequence_are_listed(tmp_path: Path, names: list[str]):
    assert {path.name for path in list_images(_fill(tmp_path / "s", names))} == set(names)


def test_pipes_and_sockets_are_refused_and_folders_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    folder = _fill(Path("s"), _FRAMES)
    (folder / "more.png").mkdir()
    assert len(list_images(folder)) == 4
    os.mkfifo(folder / "0004.png")
    with pytest.raises(DataError, match=r"0004\.png: is a named pipe"):
        open_source(folder)
    (folder / "0004.png").unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "0005.png"))
    with pytest.raises(DataError, match=r"0005\.png: is a socket"):
        open_source(folder)


def test_link_to_nothing_and_a_vanished_file_are_missing_frames(tmp_path: Path):
    for name in _FRAMES:
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / name)
    (tmp_path / _FRAMES[1]).unlink()
    (tmp_path / _FRAMES[1]).symlink_to(tmp_path / "gone")
    with open_source(tmp_path) as source:
        (tmp_path / _FRAMES[3]).unlink()
        frames = source.frames()
        assert [next(frames).index, next(frames).index] == [0, 2]
        with pytest.raises(IncompleteInputError, match="read 2 of 4 frames"):
            next(frames)


def test_names_that_are_no_utf8_are_read(tmp_path: Path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    for index in range(2):
        path = folder / os.fsdecode(b"%d\xe9.png" % index)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "x.png")
        (tmp_path / "x.png").rename(path)
    assert len(list(open_source(folder).frames())) == 2
