import logging
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stdet.errors import DataError
from stdet.io.frame_source import (
    EIGHT_BIT_SCALE,
    Frame,
    IntensityScale,
    PerProcess,
    luma,
    measure_intensity,
)
from stdet.io.images.folder import ImageFolder
from stdet.io.images.tiff_stack import TiffStack
from stdet.io.open_source import open_source

_RNG = np.random.default_rng(0)


def _deep_scene(*, target: int | None = None, hw: tuple[int, int] = (64, 80)) -> np.ndarray:
    scene = (8000 + _RNG.normal(0, 20, hw)).astype(np.uint16)
    if target is not None:
        scene[30:33, 40:43] = target + np.arange(9, dtype=np.uint16).reshape(3, 3)
    return scene


def test_eight_bit_levels_survive_scaling_exactly():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(EIGHT_BIT_SCALE.to_uint8(levels), levels)
    np.testing.assert_allclose(EIGHT_BIT_SCALE.apply(levels), levels / 255, rtol=1e-7)


def test_eight_bit_sequences_are_never_stretched():
    dim = np.full((8, 8), 17, np.uint8)
    measured = measure_intensity(lambda _: dim, 5, container_bits=8)
    assert measured.bit_depth == 8
    assert measured.scale == IntensityScale(0.0, 255.0)


def test_scale_clips_and_keeps_the_type():
    scaled = IntensityScale(100.0, 200.0).apply(np.array([[0, 100, 150, 65535]], np.uint16))
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, np.array([[0, 0, 0.5, 1]], np.float32))


@settings(max_examples=50, deadline=None)
@given(
    low=st.floats(-100, 60000),
    span=st.floats(0.5, 60000),
    levels=st.lists(st.integers(0, 65535), min_size=1, max_size=20),
)
def test_scaled_levels_stay_in_range_and_in_order(low: float, span: float, levels: list[int]):
    raw = np.array([sorted(levels)], np.uint16)
    scaled = IntensityScale(low, low + span).apply(raw)
    assert (scaled >= 0).all()
    assert (scaled <= 1).all()
    assert (np.diff(scaled) >= 0).all()


def test_scale_of_a_constant_sequence_is_finite():
    flat = np.full((8, 8), 4000, np.uint16)
    measured = measure_intensity(lambda _: flat, 3, container_bits=16)
    scaled = measured.scale.apply(flat)
    assert np.isfinite(scaled).all()
    assert 0 < scaled[0, 0] < 1


def test_hot_target_of_nine_pixels_keeps_its_shape():
    # 64x80 pixels: nine of them are 0.18 % of one frame and 0.02 % of the eight frames.
    frames = [_deep_scene() for _ in range(7)] + [_deep_scene(target=8150)]
    scale = measure_intensity(frames.__getitem__, 8, container_bits=16).scale
    target = scale.apply(frames[7])[30:33, 40:43].ravel()
    assert (np.diff(target) > 0).all()
    assert target[-1] <= 1


def test_target_brighter_between_the_samples_has_headroom():
    frames = [_deep_scene()] * 4
    scale = measure_intensity(frames.__getitem__, 4, container_bits=16).scale
    low, high = np.percentile(frames[0], [0.1, 99.9])
    brighter = np.array([[high + 0.2 * (high - low)]]).astype(np.uint16)
    assert scale.apply(brighter)[0, 0] < 1


def test_stuck_pixel_at_full_scale_leaves_contrast_to_the_scene():
    frame = _deep_scene()
    frame[5, 5] = 65535
    scale = measure_intensity(lambda _: frame, 4, container_bits=16).scale
    low, high = np.percentile(scale.apply(frame), [0.1, 99.9])
    assert high - low > 0.25


def test_scale_is_measured_on_at_most_sixteen_frames_first_and_last_included():
    asked: list[int] = []

    def read(index: int) -> np.ndarray:
        asked.append(index)
        return np.full((2, 2), index, np.uint16)

    measure_intensity(read, 1000, container_bits=16)
    assert len(asked) == 16
    assert (asked[0], asked[-1]) == (0, 999)


def test_damaged_frames_do_not_keep_the_scale_from_being_measured():
    def read(index: int) -> np.ndarray:
        if index < 2:
            raise DataError("frame is damaged")
        return np.full((2, 2), 5000, np.uint16)

    assert measure_intensity(read, 4, container_bits=16).bit_depth == 14
    with pytest.raises(DataError, match="damaged"):
        measure_intensity(read, 2, container_bits=16)


@pytest.mark.parametrize(
    ("peak", "container_bits", "bit_depth"),
    [
        (900, 16, 10),
        (4095, 16, 12),
        (4096, 16, 14),
        (16383, 16, 14),
        (16384, 16, 16),
        (900, 14, 14),
        (900, 10, 10),
        (900, 32, 10),
    ],
)
def test_bit_depth_is_declared_or_follows_the_maximum(
    peak: int, container_bits: int, bit_depth: int
):
    frame = np.array([[0, peak]], np.uint16)
    assert measure_intensity(lambda _: frame, 1, container_bits=container_bits).bit_depth == (
        bit_depth
    )


@pytest.mark.parametrize("blue", [0, 1, 77, 128, 254, 255])
def test_luma_is_the_rounded_sum_of_all_reds_and_greens(blue):
    red, green = np.indices((256, 256))
    rgb = np.stack([red, green, np.full_like(red, blue)], axis=-1)
    expected = (rgb @ [77, 150, 29] + 128) // 256
    np.testing.assert_array_equal(luma(rgb.astype(np.uint8)), expected)


def test_luma_leaves_grey_alone_and_weighs_colours():
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    np.testing.assert_array_equal(luma(grey), grey[..., 0])
    rgb = _RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    exact = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma(rgb) - exact).max() <= 1


def test_frame_and_scale_refuse_wrong_values():
    with pytest.raises(ValueError, match="uint8, uint16 or float32"):
        Frame(index=0, pixels=np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="low < high"):
        IntensityScale(3.0, 3.0)


class _Handle:
    destroyed_in: list[int]

    def __init__(self, log: list[int]) -> None:
        self.destroyed_in = log
        # Kept, since the interpreter may have taken `os` away when the last handle goes.
        self._getpid = os.getpid

    def __del__(self) -> None:
        self.destroyed_in.append(self._getpid())


def test_what_came_through_a_fork_is_neither_used_nor_destroyed(monkeypatch: pytest.MonkeyPatch):
    log: list[int] = []
    holder: PerProcess[_Handle] = PerProcess()
    holder.set(_Handle(log))
    assert holder.get() is not None
    monkeypatch.setattr(os, "getpid", lambda: -7)
    assert holder.get() is None
    del holder
    assert log == []


def test_holder_pickles_empty():
    holder: PerProcess[logging.Logger] = PerProcess()
    holder.set(logging.getLogger("x"))
    assert pickle.loads(pickle.dumps(holder)).get() is None


def test_missing_path_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"gone\.mp4: does not exist; pass a video file"):
        open_source(tmp_path / "gone.mp4")


def test_empty_file_is_called_empty(tmp_path: Path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(DataError, match=r"empty \(0 bytes\)"):
        open_source(tmp_path / "a.mp4")


def test_empty_folder_lists_the_accepted_suffixes(tmp_path: Path):
    with pytest.raises(DataError, match=r"no images.*\.bmp, \.jpeg, \.jpg, \.png, \.tif, \.tiff"):
        open_source(tmp_path)


def test_folder_of_folders_asks_for_one_of_them(tmp_path: Path):
    (tmp_path / "seq1").mkdir()
    with pytest.raises(DataError, match="pass one of its subfolders"):
        open_source(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.JPG"])
def test_single_image_asks_for_its_folder(tmp_path: Path, name: str):
    Image.new("L", (8, 8)).save(tmp_path / name)
    with pytest.raises(DataError, match=r"single image; pass its folder"):
        open_source(tmp_path / name)


def test_special_file_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(DataError, match="is a named pipe; pass a video"):
        open_source(tmp_path / "pipe.mp4")


def test_folder_and_stack_are_told_apart(tmp_path: Path):
    pages = [Image.new("L", (8, 6), level) for level in (1, 2, 3)]
    pages[0].save(tmp_path / "0.png")
    assert isinstance(open_source(tmp_path), ImageFolder)
    pages[0].save(tmp_path / "stack.TIF", save_all=True, append_images=pages[1:])
    with open_source(tmp_path / "stack.TIF") as stack:
        assert isinstance(stack, TiffStack)
        assert (stack.name, stack.hw, stack.num_declared) == ("stack", (6, 8), 3)


def test_every_error_is_one_line(tmp_path: Path):
    (tmp_path / "text.mp4").write_text("not a video\n" * 40)
    for path in (tmp_path, tmp_path / "gone", tmp_path / "text.mp4"):
        with pytest.raises(DataError) as caught:
            open_source(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
