"""Every kind of image is read with all its levels, or refused by name."""

import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from image_files import write_bomb, write_png, write_tiff
from PIL import Image

import stdet
from stdet.errors import DataError
from stdet.formats.image_labels import image_hw
from stdet.io.frame_source import luma, luma16
from stdet.io.images.errors import UnreadableImageError
from stdet.io.images.folder import read_image
from stdet.io.images.reader import open_image, read_header, read_levels, read_picture
from stdet.io.open_source import open_source

_RNG = np.random.default_rng(0)
_HW = (9, 14)


def _deep(*shape: int) -> np.ndarray:
    return _RNG.integers(0, 65536, shape, dtype=np.uint16)


def _levels(path: Path) -> np.ndarray:
    header, levels = read_picture(path)
    assert header.hw == levels.shape
    assert header.depth == 8 * levels.dtype.itemsize
    return levels


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_stay_sixteen_bits_whatever_the_channels(
    tmp_path: Path, channels: int, suffix: str
):
    pixels = _deep(*_HW, channels)
    path = tmp_path / f"0{suffix}"
    if suffix == ".png":
        write_png(path, pixels)
    else:
        write_tiff(path, [pixels[..., 0] if channels == 1 else pixels])
    if suffix == ".tif" and channels == 2:
        with pytest.raises(UnreadableImageError, match=r"0\.tif: cannot be read .*export it"):
            _levels(path)
        return
    wanted = pixels[..., 0] if channels < 3 else luma16(pixels[..., :3])
    levels = _levels(path)
    assert levels.dtype == np.uint16
    np.testing.assert_array_equal(levels, wanted)


def test_sixteen_bit_colour_is_read_from_both_byte_orders_and_every_page(tmp_path: Path):
    pages = [_deep(*_HW, 3) for _ in range(3)]
    for order in "<>":
        write_tiff(tmp_path / "s.tif", pages, order=order)
        with open_source(tmp_path / "s.tif") as source:
            for frame, page in zip(source.frames(), pages, strict=True):
                np.testing.assert_array_equal(frame.pixels, luma16(page))


def test_luma_of_deep_colour_leaves_grey_alone():
    grey = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    np.testing.assert_array_equal(luma16(np.repeat(grey, 3, axis=2)), grey[..., 0])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "i4", "u4", "f4"])
def test_grey_tiff_keeps_its_levels_or_is_refused(tmp_path: Path, kind: str, order: str):
    if kind == "f4":
        pixels = _RNG.normal(-10, 5, _HW).astype(kind)
    else:
        info = np.iinfo(kind)
        pixels = _RNG.integers(info.min, info.max, _HW, dtype=kind, endpoint=True)
    path = tmp_path / "0.tif"
    write_tiff(path, [pixels], order=order)
    if (kind, order) == ("u4", ">"):  # Pillow does not read it.
        with pytest.raises(UnreadableImageError, match="unknown pixel mode"):
            _levels(path)
        return
    np.testing.assert_array_equal(_levels(path), pixels)


@pytest.mark.parametrize("kind", ["f2", "f8", "i1"])
def test_types_that_are_not_read_are_refused_by_name(tmp_path: Path, kind: str):
    write_tiff(tmp_path / "0.tif", [np.ones(_HW, kind)])
    with pytest.raises(DataError, match=r"0\.tif: .*export it again as .* of 8 to 32 bits"):
        read_image(tmp_path / "0.tif")


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_white_is_zero_is_turned_round_at_any_depth(tmp_path: Path, kind: str):
    pixels = _RNG.integers(0, 200, _HW).astype(kind)
    write_tiff(tmp_path / "0.tif", [pixels], photometric=0)
    np.testing.assert_array_equal(_levels(tmp_path / "0.tif"), np.iinfo(kind).max - pixels)


def test_jpeg_of_twelve_bits_is_refused_by_name(tmp_path: Path):
    Image.new("L", (16, 16), 9).save(tmp_path / "0.jpg")
    content = bytearray((tmp_path / "0.jpg").read_bytes())
    content[content.index(b"\xff\xc0") + 4] = 12
    (tmp_path / "0.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"0\.jpg: cannot be read \(cannot handle 12-bit layers\)"):
        read_image(tmp_path / "0.jpg")


def test_palette_with_transparent_colours_gives_its_grey_levels(tmp_path: Path):
    pixels = _RNG.integers(0, 256, _HW, dtype=np.uint8)
    palette = Image.fromarray(pixels).convert("P")
    palette.save(tmp_path / "0.png", transparency=bytes(range(256)))
    np.testing.assert_array_equal(read_image(tmp_path / "0.png"), pixels)


def test_one_bit_is_black_and_white(tmp_path: Path):
    pixels = _RNG.integers(0, 2, _HW).astype(bool)
    Image.fromarray(pixels).save(tmp_path / "0.png")
    np.testing.assert_array_equal(read_image(tmp_path / "0.png"), pixels * np.uint8(255))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_pictures_are_turned_upright_as_videos_are(tmp_path: Path, orientation: int, suffix: str):
    # The upright picture is brightest at the top left and darkest at the bottom right.
    upright = np.add.outer(np.arange(0, -64, -4), np.arange(0, -96, -4)).astype(np.int64) + 250
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    image = Image.fromarray(np.ascontiguousarray(stored.astype(np.uint8)))
    exif = image.getexif()
    exif[274] = orientation
    image.save(tmp_path / f"0{suffix}", exif=exif)
    levels = _levels(tmp_path / f"0{suffix}").astype(int)
    assert np.abs(levels - upright).max() <= 4
    assert image_hw(tmp_path / f"0{suffix}") == upright.shape


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_deep_colour_tiff_is_turned_upright(tmp_path: Path, orientation: int):
    pixels = _deep(*_HW, 3)
    write_tiff(tmp_path / "0.tif", [pixels], orientation=orientation)
    turned = np.rot90(luma16(pixels), {1: 0, 3: 2, 6: 3}[orientation])
    np.testing.assert_array_equal(_levels(tmp_path / "0.tif"), turned)


def _eps(path: Path) -> None:
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")


@pytest.mark.parametrize("name", ["0.png", "0.jpg", "0.tif", "0.bmp"])
@pytest.mark.parametrize("kind", ["EPS", "GIF", "WEBP", "PPM", "ICO", "TGA", "JPEG2000"])
def test_no_other_decoder_of_pillow_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
):
    path = tmp_path / name
    if kind == "EPS":
        _eps(path)
    else:
        Image.new("RGB", (8, 8)).save(path, kind)
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Image.open was called"))
    for read in (read_image, image_hw):
        with pytest.raises(DataError, match="cannot be read as PNG, BMP, TIFF, JPEG"):
            read(path)
    with pytest.raises(DataError):
        open_source(tmp_path if name != "0.tif" else path)


def test_images_are_opened_in_one_place():
    package = Path(stdet.__file__).parent
    opening = re.compile(r"Image\.open\(|[a-z]ImageFile\(|_SIGNATURES\b|imageio|cv2\.imread")
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if opening.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"io/images/reader.py"}


def test_small_file_that_declares_a_huge_frame_is_refused_before_it_is_decoded(tmp_path: Path):
    write_bomb(tmp_path / "0.png", 13300, 13300)
    assert (tmp_path / "0.png").stat().st_size < 200_000
    for read in (read_image, open_source):
        path = tmp_path / "0.png" if read is read_image else tmp_path
        with pytest.raises(DataError, match=r"13300x13300 .*limit is 32.* --max-megapixels"):
            read(path)
    assert image_hw(tmp_path / "0.png") == (13300, 13300)


def test_limit_on_the_area_is_raised_by_who_asks(tmp_path: Path):
    write_bomb(tmp_path / "0.png", 200, 100)
    with pytest.raises(DataError, match=r"limit is 0\.01"):
        open_source(tmp_path, max_megapixels=0.01)
    with open_source(tmp_path, max_megapixels=0.02) as source:
        assert source.read(0).shape == (100, 200)
    write_tiff(tmp_path / "s.tif", [np.zeros((100, 200), np.uint8)] * 2)
    with pytest.raises(DataError, match=r"limit is 0\.01"):
        open_source(tmp_path / "s.tif", max_megapixels=0.01)


def test_page_above_the_limit_is_refused(tmp_path: Path):
    pages = [np.zeros((4, 4), np.uint8), np.zeros((200, 200), np.uint8)]
    write_tiff(tmp_path / "s.tif", pages)
    with open_source(tmp_path / "s.tif", max_megapixels=0.01) as source:  # noqa: SIM117
        with pytest.raises(DataError, match=r"page 2: declares frames of 200x200"):
            source.read(1)


def _try(path: Path) -> str:
    """Read a picture; return the error, "" where there is none."""
    try:
        with open_image(path) as image:
            read_header(image, path)
            read_levels(image, path)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["0.png", "0.jpg", "0.tif", "0.bmp"])
def test_any_change_of_bytes_gives_a_picture_or_one_line(tmp_path: Path, name: str):
    path = tmp_path / name
    Image.fromarray(_RNG.integers(0, 256, (16, 24), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    for seed in range(150):
        rng = np.random.default_rng(seed)
        changed = bytearray(whole)
        for at in rng.integers(0, min(len(changed), 300), int(rng.integers(1, 6))):
            changed[at] = int(rng.integers(256))
        length = int(rng.integers(1, len(changed) + 1)) if seed % 3 else len(changed)
        path.write_bytes(changed[:length])
        message = _try(path)
        assert not message or message.startswith(str(path))
        assert "\n" not in message


def test_pipes_and_missing_files_are_refused_before_they_are_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "0.png")
    for read in (read_image, image_hw):
        with pytest.raises(DataError, match="is a named pipe"):
            read(tmp_path / "0.png")
        with pytest.raises(DataError, match="does not exist"):
            read(tmp_path / "1.png")
        with pytest.raises(DataError, match="cannot be looked at"):
            read(tmp_path / "1\0.png")


def test_eight_bit_colour_is_as_before(tmp_path: Path):
    pixels = _RNG.integers(0, 256, (*_HW, 3), dtype=np.uint8)
    write_png(tmp_path / "0.png", pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "0.png"), luma(pixels))


def test_size_that_no_number_holds_is_refused_where_only_the_size_is_read(tmp_path: Path):
    entries = [(256, 2**63), (257, 2**63), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1)]
    packed = b"".join(struct.pack("<HHQQ", tag, 16, 1, value) for tag, value in entries)
    header = b"II+\0" + struct.pack("<HHQ", 8, 0, 16)
    directory = struct.pack("<Q", len(entries)) + packed + bytes(8)
    (tmp_path / "0.tif").write_bytes(header + directory)
    with pytest.raises(DataError, match=r"0\.tif: "):
        image_hw(tmp_path / "0.tif")
