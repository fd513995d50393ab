"""Levels that fit no 16 bits are scaled like deep integers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stdet.errors import IncompleteInputError
from stdet.io.frame_source import measure_intensity
from stdet.io.images.errors import UnreadableImageError
from stdet.io.images.folder import read_image
from stdet.io.intensity.wide_levels import fill_holes, measure_wide
from stdet.io.open_source import open_source

_HW = (64, 80)


def _counts(num: int = 8, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: _HW[0], : _HW[1]]
    scene = 7200 + 60 * np.sin(rows / 11) + 30 * np.cos(columns / 17)
    return [np.rint(scene + rng.normal(0, 4, _HW)).astype(np.uint16) for _ in range(num)]


def _scaled_wide(frames: list[np.ndarray]) -> np.ndarray:
    wide = measure_wide(frames.__getitem__, len(frames))
    scale = wide.intensity.scale
    return np.stack([scale.apply(wide.level_map.apply(frame, "x")) for frame in frames])


def _scaled_deep(frames: list[np.ndarray]) -> np.ndarray:
    scale = measure_intensity(frames.__getitem__, len(frames), container_bits=16).scale
    return np.stack([scale.apply(frame) for frame in frames])


@settings(max_examples=30, deadline=None)
@given(
    offset=st.floats(-1e4, 1e4),
    gain=st.sampled_from([0.001, 0.01, 0.04, 1.0, 37.0]),
    seed=st.integers(0, 99),
)
def test_temperatures_are_scaled_as_the_counts_they_come_from(
    offset: float, gain: float, seed: int
):
    counts = _counts(seed=seed)
    precision = np.spacing(np.float32(abs(offset) + 1e4 * gain)) / (gain * 200)
    temperatures = [(frame * gain + offset).astype(np.float32) for frame in counts]
    np.testing.assert_allclose(
        _scaled_wide(temperatures), _scaled_deep(counts), atol=1e-4 + 2 * precision
    )


@pytest.mark.parametrize(
    ("shift", "kind"), [(0, "i4"), (-9000, "i2"), (-9000, "i4"), (10**6, "u4")]
)
def test_integers_keep_every_bit(shift: int, kind: str):
    counts = _counts()
    frames = [(frame.astype(np.int64) + shift).astype(kind) for frame in counts]
    wide = measure_wide(frames.__getitem__, len(frames))
    for frame in frames:
        mapped = wide.level_map.apply(frame, "x").astype(np.int64)
        np.testing.assert_array_equal(np.diff(mapped.ravel()), np.diff(frame.ravel().astype(int)))
    np.testing.assert_allclose(_scaled_wide(frames), _scaled_deep(counts), atol=1e-6)


def test_values_that_stand_for_nothing_do_not_widen_the_scale():
    clean = [(frame * 0.01 - 60).astype(np.float32) for frame in _counts()]
    spoilt = [frame.copy() for frame in clean]
    for frame in spoilt:
        frame[:, 7] = np.nan
        frame[3] = -9999
        frame[10, 10:13] = [np.inf, -np.inf, 3e38]
    scaled = _scaled_wide(spoilt)
    assert np.isfinite(scaled).all()
    rest = np.ones(_HW, bool)
    rest[:, 7] = rest[3] = rest[10, 10:13] = False
    np.testing.assert_allclose(scaled[:, rest], _scaled_wide(clean)[:, rest], atol=0.03)


def test_hole_in_a_frame_has_the_level_around_it():
    levels = np.add.outer(np.arange(9.0), np.arange(9.0))
    holed = levels.copy()
    holed[4, 4] = np.nan
    np.testing.assert_allclose(fill_holes(holed, "x"), levels)
    holed[:, :] = np.nan
    with pytest.raises(UnreadableImageError, match="x: holds no finite level"):
        fill_holes(holed, "x")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 3), (4, 10), (12, 9)])
def test_inside_of_a_hole_has_levels_that_lie_around_it(height: int, width: int):
    rows, columns = np.mgrid[:40, :50]
    levels = 100.0 * rows + columns
    levels[19:] += 1e5  # So that the median of all lies far from the hole.
    holed = levels.copy()
    holed[5 : 5 + height, 6 : 6 + width] = np.nan
    filled = fill_holes(holed, "x")
    is_kept = np.isfinite(holed)
    np.testing.assert_array_equal(filled[is_kept], levels[is_kept])
    around = levels[4 : 6 + height, 5 : 7 + width]
    assert around.min() <= filled[~is_kept].min() <= filled[~is_kept].max() <= around.max()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_any_bits_of_float32_are_scaled(seed: int):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**32, (3, 16, 16), dtype=np.uint32).view(np.float32)
    chosen = np.array([3e38, -3e38, 1e38, 1e-45, 0, np.inf, 20], np.float32)
    for frames in (bits, rng.choice(chosen, (3, 16, 16))):
        assert np.isfinite(_scaled_wide(list(frames))).all()


@pytest.mark.parametrize("level", [0.0, -273.15, 25.0, 1e-30, 1e30])
def test_one_temperature_is_mid_scale(level: float):
    frames = [np.full(_HW, level, np.float32)] * 3
    scaled = _scaled_wide(frames)
    assert 0 < scaled.min() <= scaled.max() < 1


def test_frame_without_a_level_is_a_missing_frame(tmp_path: Path):
    for index, frame in enumerate(_counts(4)):
        pixels = frame * np.float32(0.01)
        if index == 2:
            pixels[:] = np.nan
        Image.fromarray(pixels).save(tmp_path / f"{index}.tif")
    with open_source(tmp_path) as source:
        frames = source.frames()
        assert [next(frames).index for _ in range(3)] == [0, 1, 3]
        with pytest.raises(IncompleteInputError, match=r"cannot read .*2\.tif"):
            next(frames)
    assert read_image(tmp_path / "0.tif").dtype == np.uint16
