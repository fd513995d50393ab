import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
from frame_sources import frames_and_error
from PIL import Image

from stdet.errors import DataError, IncompleteInputError
from stdet.io.frame_source import FrameSource
from stdet.io.images.folder import ImageFolder, read_image
from stdet.io.open_source import open_source

_RNG = np.random.default_rng(0)


def _save(path: Path, pixels: np.ndarray) -> np.ndarray:
    Image.fromarray(pixels).save(path)
    return pixels


def _grey(hw: tuple[int, int] = (12, 17)) -> np.ndarray:
    return _RNG.integers(0, 256, hw, dtype=np.uint8)


def _read_last(source: FrameSource) -> np.ndarray:
    return source.read(2)


def test_frames_come_in_natural_order_whatever_their_names(tmp_path: Path):
    names = ["f1.png", "f2.PNG", "f9.bmp", "f10.Tif", "f100.tiff"]
    images = [_save(tmp_path / name, _grey()) for name in names]
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / "._f1.png").write_text("left by another system")
    source = ImageFolder(tmp_path)
    frames = list(source.frames())
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    for frame, image in zip(frames, images, strict=True):
        np.testing.assert_array_equal(frame.pixels, image)
    assert (source.name, source.hw, source.fps) == (tmp_path.name, (12, 17), None)
    assert (source.bit_depth, source.num_declared) == (8, 5)


@pytest.mark.parametrize(("peak", "bits"), [(16383, 14), (65535, 16)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_levels_are_read_bit_exactly(tmp_path: Path, peak: int, bits: int, suffix: str):
    image = _RNG.integers(0, peak + 1, (12, 17), dtype=np.uint16)
    image[0, 0] = peak
    _save(tmp_path / f"0{suffix}", image)
    source = ImageFolder(tmp_path)
    pixels = source.read(0)
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, image)
    assert source.bit_depth == bits


def test_big_endian_tiff_is_read_in_native_order(tmp_path: Path):
    image = _RNG.integers(0, 65536, (5, 7), dtype=np.uint16)
    Image.frombytes("I;16B", (7, 5), image.astype(">u2").tobytes()).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), image)


def test_colour_and_palette_of_greys_give_the_grey_levels(tmp_path: Path):
    image = _grey()
    _save(tmp_path / "rgb.png", np.repeat(image[..., None], 3, axis=2))
    Image.fromarray(image).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(image).convert("RGBA").save(tmp_path / "rgba.png")
    for frame in ImageFolder(tmp_path).frames():
        np.testing.assert_array_equal(frame.pixels, image)


def test_jpeg_is_read_up_to_its_losses(tmp_path: Path):
    ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8), (16, 1))
    Image.fromarray(ramp).save(tmp_path / "a.jpeg", quality=95)
    assert np.abs(ImageFolder(tmp_path).read(0).astype(int) - ramp).max() <= 4


def test_range_of_frames_is_streamed(tmp_path: Path):
    for index in range(6):
        _save(tmp_path / f"{index}.png", _grey())
    source = ImageFolder(tmp_path)
    assert [frame.index for frame in source.frames(2, 4)] == [2, 3]
    assert [frame.index for frame in source.frames(4)] == [4, 5]
    assert list(source.frames(9)) == []
    with pytest.raises(ValueError, match="at least 0"):
        list(source.frames(-1))
    with pytest.raises(DataError, match=r"no frame 6; it holds 6"):
        source.read(6)


@pytest.mark.parametrize("content", [b"", b"no image", "half"])
def test_broken_file_is_left_out_and_the_others_keep_their_indices(
    tmp_path: Path, content: bytes | str
):
    images = [_save(tmp_path / f"{index}.png", _grey((40, 40))) for index in range(5)]
    broken = tmp_path / "2.png"
    half = broken.read_bytes()[: broken.stat().st_size // 2]
    broken.write_bytes(half if isinstance(content, str) else content)
    source = ImageFolder(tmp_path)
    frames, error = frames_and_error(source)
    assert "read 4 of 5 frames; cannot read" in str(error)
    assert str(broken) in str(error)
    assert [frame.index for frame in frames] == [0, 1, 3, 4]
    np.testing.assert_array_equal(frames[2].pixels, images[3])
    with pytest.raises(DataError, match=r"2\.png: cannot be read"):
        source.read(2)
    assert len(list(source.frames(3))) == 2


def test_first_file_may_be_broken(tmp_path: Path):
    for index in range(3):
        _save(tmp_path / f"{index}.png", _grey())
    (tmp_path / "0.png").write_bytes(b"")
    source = ImageFolder(tmp_path)
    assert source.hw == (12, 17)
    frames = source.frames()
    assert [next(frames).index, next(frames).index] == [1, 2]
    with pytest.raises(IncompleteInputError):
        next(frames)


def test_many_broken_files_are_counted(tmp_path: Path):
    _save(tmp_path / "0.png", _grey())
    for index in range(1, 6):
        (tmp_path / f"{index}.png").write_text("x")
    with pytest.raises(IncompleteInputError, match=r"1 of 6.*3\.png and 2 more"):
        list(ImageFolder(tmp_path).frames())


def test_folder_without_a_usable_image_is_refused(tmp_path: Path):
    (tmp_path / "0.png").write_text("x")
    with pytest.raises(DataError, match="none of 1 images can be read"):
        open_source(tmp_path)


def test_odd_sized_image_is_named_before_streaming_starts(tmp_path: Path):
    _save(tmp_path / "0.png", _grey())
    _save(tmp_path / "1.png", _grey((12, 16)))
    source = ImageFolder(tmp_path)
    with pytest.raises(DataError, match=r"1\.png: is 16x12 8-bit; expected 17x12 8-bit"):
        next(source.frames())
    with pytest.raises(DataError, match=r"1\.png"):
        source.read(1)


def test_mixed_depths_are_refused(tmp_path: Path):
    _save(tmp_path / "0.png", _grey())
    _save(tmp_path / "1.png", _grey().astype(np.uint16))
    with pytest.raises(DataError, match="16-bit; expected 17x12 8-bit"):
        next(ImageFolder(tmp_path).frames())


def test_stack_pages_are_frames(tmp_path: Path):
    pages = [_RNG.integers(0, 4096, (6, 8), dtype=np.uint16) for _ in range(4)]
    images = [Image.fromarray(page) for page in pages]
    images[0].save(tmp_path / "s.tif", save_all=True, append_images=images[1:])
    with open_source(tmp_path / "s.tif") as source:
        for frame, page in zip(source.frames(), pages, strict=True):
            np.testing.assert_array_equal(frame.pixels, page)
        np.testing.assert_array_equal(source.read(1), pages[1])
        assert source.bit_depth == 12
        copy = pickle.loads(pickle.dumps(source))
        np.testing.assert_array_equal(copy.read(3), pages[3])
        copy.close()
    with pytest.raises(DataError, match="4 pages; pass the file itself"):
        open_source(tmp_path)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(("num_lost_bytes", "num_kept"), [(100, 3), (5000, 2), (9000, 1)])
def test_cut_stack_keeps_the_pages_before_the_cut(
    tmp_path: Path, num_lost_bytes: int, num_kept: int
):
    pages = [_grey((64, 64)) for _ in range(4)]  # 4096 bytes and a header each.
    images = [Image.fromarray(page) for page in pages]
    path = tmp_path / "s.tif"
    images[0].save(path, save_all=True, append_images=images[1:])
    path.write_bytes(path.read_bytes()[:-num_lost_bytes])
    with open_source(path) as source:
        frames, error = frames_and_error(source)
    assert error is not None
    assert len(frames) == num_kept
    np.testing.assert_array_equal(frames[0].pixels, pages[0])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_folder_is_read_in_another_process(tmp_path: Path, method: str):
    images = [_save(tmp_path / f"{index}.png", _grey()) for index in range(3)]
    source = ImageFolder(tmp_path)
    source.read(0)
    with multiprocessing.get_context(method).Pool(1) as pool:
        pixels = pool.apply_async(_read_last, (source,)).get(timeout=30)
    np.testing.assert_array_equal(pixels, images[2])


def test_folder_reports_the_frames_after_gaps(tmp_path: Path):
    for number in (8, 9, 10, 40, 41):
        _save(tmp_path / f"{number}.bmp", _grey())
    assert ImageFolder(tmp_path).gaps == frozenset({3})
