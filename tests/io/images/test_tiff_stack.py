"""TIFF files of many pictures: pages, pictures behind one directory, broken chains of pages."""

import struct
from pathlib import Path

import numpy as np
import pytest
from image_files import write_tiff

from stdet.errors import DataError, IncompleteInputError
from stdet.io.frame_source import FrameSource
from stdet.io.images.tiff_pages import count_pages
from stdet.io.open_source import open_source

_RNG = np.random.default_rng(0)
_HW = (12, 20)
_IMAGEJ = b"ImageJ=1.53t\nimages=6\nframes=6\nhyperstack=true\nmode=grayscale\nloop=false\n"


def _pictures(kind: str = "u2", num: int = 6) -> list[np.ndarray]:
    if kind == "f4":
        return [_RNG.normal(290, 3, _HW).astype(kind) for _ in range(num)]
    low = -3000 if kind == "i2" else 0
    return [
        _RNG.integers(low, 250 if kind == "u1" else 4000, _HW).astype(kind) for _ in range(num)
    ]


def _frames(source: FrameSource) -> tuple[list[np.ndarray], str]:
    frames = []
    try:
        for frame in source.frames():
            frames.append(frame.pixels)
    except IncompleteInputError as error:
        return frames, str(error)
    return frames, ""


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "i4", "f4"])
@pytest.mark.parametrize(
    "description",
    [_IMAGEJ, b'{"shape": [6, 12, 20], "truncated": true}', b'{"shape": [2, 3, 12, 20]}'],
)
def test_pictures_behind_one_directory_are_frames(
    tmp_path: Path, description: bytes, kind: str, order: str
):
    pictures = _pictures(kind)
    path = tmp_path / "s.tif"
    write_tiff(path, pictures[:1], behind=pictures[1:], description=description, order=order)
    with open_source(path) as source:
        assert source.num_declared == 6
        frames, error = _frames(source)
        assert not error
        assert source.hw == _HW
        for index, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
            np.testing.assert_array_equal(source.read(index), frame)
            fit = np.polyfit(picture.ravel().astype(float), frame.ravel().astype(float), 1)
            residual = np.polyval(fit, picture.astype(float)) - frame
            assert np.abs(residual).max() <= 0.6
            if kind in ("u1", "u2"):
                np.testing.assert_array_equal(frame, picture)
    with pytest.raises(DataError, match="6 pages; pass the file itself"):
        open_source(tmp_path)


def test_cut_pictures_are_counted(tmp_path: Path):
    pictures = _pictures()
    path = tmp_path / "s.tif"
    write_tiff(path, pictures[:1], behind=pictures[1:3], description=_IMAGEJ)
    content = path.read_bytes()
    path.write_bytes(content)
    with open_source(path) as source:
        frames, error = _frames(source)
    # The directory stands behind the pixels, so a part of it is taken for pixels of a picture.
    assert len(frames) in (3, 4)
    assert "cannot read" in error
    assert "to 6" in error


@pytest.mark.parametrize("images", ["999999999999999", "99999999999999999999", "0", "-3", "x"])
def test_any_number_of_pictures_ends(tmp_path: Path, images: str):
    path = tmp_path / "s.tif"
    description = f"ImageJ=1.53t\nimages={images}\n".encode()
    write_tiff(path, _pictures(num=1), description=description)
    try:
        with open_source(path) as source:
            frames, error = _frames(source)
            assert len(frames) == 1
            assert error
    except DataError as error:
        assert "single image" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("channels", "description"),
    [(1, _IMAGEJ.replace(b"frames=6", b"channels=2\nframes=3")), (3, _IMAGEJ)],
)
def test_pictures_of_several_channels_say_how_to_convert_them(
    tmp_path: Path, channels: int, description: bytes
):
    page = np.zeros((*_HW, channels) if channels > 1 else _HW, np.uint8)
    write_tiff(tmp_path / "s.tif", [page], behind=[page] * 5, description=description)
    with pytest.raises(DataError, match=r"6 pictures behind one directory.*Image Sequence"):
        open_source(tmp_path / "s.tif")


def test_pages_of_temperatures_share_one_map(tmp_path: Path):
    pictures = [page + 10 * index for index, page in enumerate(_pictures("f4"))]
    write_tiff(tmp_path / "s.tif", pictures)
    with open_source(tmp_path / "s.tif") as source:
        frames, error = _frames(source)
        scaled = np.stack([source.scale.apply(frame) for frame in frames])
    assert not error
    steps = np.diff(np.median(scaled, axis=(1, 2)))
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.2)
    assert scaled.min() > 0
    assert scaled.max() < 1


def test_pages_that_lead_in_a_circle_end(tmp_path: Path):
    path = tmp_path / "s.tif"
    for next_page, num in ((-1, 3), (8 + 480 + 20, 2)):
        write_tiff(path, _pictures(num=num), next_page=next_page)
        pages = count_pages(path)
        assert pages.is_broken
        with open_source(path) as source:
            frames, error = _frames(source)
            assert len(frames) == pages.num
            assert "cannot read" in error


def test_single_page_that_names_itself_can_be_read_twice(tmp_path: Path):
    pictures = _pictures(num=1)
    write_tiff(tmp_path / "s.tif", pictures, next_page=-1)
    with open_source(tmp_path / "s.tif") as source:
        for _ in range(2):
            np.testing.assert_array_equal(source.read(0), pictures[0])


def test_endless_chain_of_tiny_directories_is_refused(tmp_path: Path):
    """Directories of one entry each, every one 2 bytes behind the other, overlap."""
    num = 200_000
    body = bytearray(2 * num + 64)
    path = tmp_path / "s.tif"
    # One entry (count 1) at every 18 bytes; 11,000 of them fit where 3,000 pictures would.
    for index in range(num // 9):
        at = 18 * index
        struct.pack_into("<H12xI", body, at, 1, 8 + at + 18)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + bytes(body))
    with pytest.raises(DataError, match=r"more than [0-9]+ pages|cannot be read"):
        open_source(path)


@pytest.mark.parametrize("next_page", [3, 10**9, 7])
def test_page_that_cannot_be_reached_is_missing(tmp_path: Path, next_page: int):
    write_tiff(tmp_path / "s.tif", _pictures(num=2), next_page=next_page)
    with open_source(tmp_path / "s.tif") as source:
        frames, error = _frames(source)
    assert len(frames) == 2
    assert "read 2 of 3 frames" in error


def test_any_change_of_bytes_gives_frames_or_one_line(tmp_path: Path):
    path = tmp_path / "s.tif"
    write_tiff(path, _pictures(num=4), description=_IMAGEJ)
    whole = path.read_bytes()
    for seed in range(200):
        rng = np.random.default_rng(seed)
        changed = bytearray(whole)
        for at in rng.integers(0, len(changed), int(rng.integers(1, 6))):
            changed[at] = int(rng.integers(256))
        path.write_bytes(changed)
        try:
            with open_source(path) as source:
                _frames(source)
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017
