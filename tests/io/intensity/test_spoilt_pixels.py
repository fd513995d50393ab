"""Pixels that show no scene are filled; targets, however hot, are not."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stdet.cli import main
from stdet.io.frame_source import IntensityScale, measure_intensity
from stdet.io.intensity.spoilt_pixels import SpoiltPixels
from stdet.io.intensity.wide_levels import measure_wide

Frames = list[np.ndarray]
_HW = (96, 128)
_NUM = 24


def _scene(seed: int = 0, hw: tuple[int, int] = _HW) -> Frames:
    """Smooth clutter that pans slowly, with sensor noise, 14 bits."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    return [
        np.rint(
            7200
            + 60 * np.sin(rows / 17)
            + 30 * np.cos((columns + 0.4 * index) / 23)
            + rng.normal(0, 4, hw)
        ).astype(np.uint16)
        for index in range(_NUM)
    ]


def _scale(frames: Frames) -> IntensityScale:
    return measure_intensity(frames.__getitem__, len(frames), container_bits=16).scale


def _dead_columns(frames: Frames, level: int = 0) -> None:
    for frame in frames:
        frame[:, [40, 71, 72, 100]] = level


def _noisy_row(frames: Frames) -> None:
    rng = np.random.default_rng(1)
    for frame in frames:
        frame[50] = rng.integers(0, 300, frame.shape[1])


def _telemetry(frames: Frames) -> None:
    rng = np.random.default_rng(2)
    for frame in frames:
        frame[:2] = rng.integers(0, 65536, frame[:2].shape)


def _text(frames: Frames, level: int = 65535) -> None:
    mask = np.random.default_rng(3).random((9, 40)) < 0.4
    for frame in frames:
        frame[80:89, 60:100][mask] = level


def _clock(frames: Frames) -> None:
    rng = np.random.default_rng(4)
    for frame in frames:
        frame[4:13, 4:60][rng.random((9, 56)) < 0.4] = 65535


def _outlined_clock(frames: Frames) -> None:
    for frame in frames:
        frame[2:15, 2:62] = 0
    _clock(frames)


def _reticle(frames: Frames) -> None:
    for frame in frames:
        frame[48, 30:98] = frame[20:76, 64] = 65535


def _border(frames: Frames) -> None:
    for frame in frames:
        frame[:8] = frame[-8:] = 0
        frame[:, :8] = frame[:, -8:] = 0


def _round_mask(frames: Frames) -> None:
    rows, columns = np.mgrid[: _HW[0], : _HW[1]]
    for frame in frames:
        frame[np.hypot(rows - 48, columns - 64) > 60] = 0


def _dead_block(frames: Frames) -> None:
    for frame in frames:
        frame[60:68, 20:30] = 0


def _saturated_corner(frames: Frames) -> None:
    for frame in frames:
        frame[:30, :30] = 65535


SPOILT = [
    _dead_columns,
    lambda frames: _dead_columns(frames, 65535),
    _noisy_row,
    _telemetry,
    _text,
    lambda frames: _text(frames, 0),
    _clock,
    _outlined_clock,
    _reticle,
    _border,
    _round_mask,
    _dead_block,
    _saturated_corner,
]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("spoil", SPOILT)
def test_pixels_that_show_no_scene_are_filled_from_it(spoil: Callable[[Frames], None], seed: int):
    healthy = _scene(seed)
    frames = [frame.copy() for frame in healthy]
    spoil(frames)
    wanted, scale = _scale(healthy), _scale(frames)
    assert scale.spoilt is not None
    is_odd = np.any([spoilt != frame for spoilt, frame in zip(frames, healthy, strict=True)], 0)
    assert is_odd[scale.spoilt.is_spoilt].mean() > 0.6  # Room between letters is filled, too.
    for frame, clean in zip(frames, healthy, strict=True):
        scaled = scale.apply(frame)
        assert scaled[is_odd].min() > 0
        assert scaled[is_odd].max() < 1
        kept = ~scale.spoilt.is_spoilt
        np.testing.assert_array_equal(
            scaled[kept], IntensityScale(scale.low, scale.high).apply(frame)[kept]
        )
        if is_odd.mean() < 0.1:
            error = np.abs(scaled - wanted.apply(clean))[is_odd]
            assert np.median(error) < 0.1


def test_eight_bits_and_healthy_deep_footage_are_not_touched():
    frames = _scene()
    _text(frames)
    shallow = [np.clip(frame / 64, 0, 255).astype(np.uint8) for frame in frames]
    eight = measure_intensity(shallow.__getitem__, _NUM, container_bits=8).scale
    assert eight.spoilt is None
    assert _scale(_scene()).spoilt is None


def _spot(centre_xy: tuple[float, float], sigma: float) -> np.ndarray:
    rows, columns = np.mgrid[: _HW[0], : _HW[1]]
    squared = (rows - centre_xy[1]) ** 2 + (columns - centre_xy[0]) ** 2
    return np.exp(-squared / (2 * sigma**2))


def _square(centre_xy: tuple[float, float], side: float) -> np.ndarray:
    rows, columns = np.mgrid[: _HW[0], : _HW[1]]
    left, top = round(centre_xy[0]), round(centre_xy[1])
    is_in = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    return np.where(is_in, 1.0, 0.0)


@settings(max_examples=20, deadline=None)
@given(
    shape=st.sampled_from(
        [(_spot, 0.7), (_spot, 1.5), (_spot, 3.0), (_spot, 6.0), (_square, 1), (_square, 5)]
    ),
    speed=st.sampled_from([0.0, 0.1, 0.3, 1.0, 2.0]),
    top=st.sampled_from([4095, 16383, 65535]),
    has_clock=st.booleans(),
    seed=st.integers(0, 99),
)
def test_saturated_targets_that_hover_or_move_are_not_filled(
    shape: tuple[Callable[[tuple[float, float], float], np.ndarray], float],
    speed: float,
    top: int,
    has_clock: bool,
    seed: int,
):
    draw, size = shape
    frames = [
        np.clip(
            np.rint(frame - 4000 + 4 * (top - 3200) * draw((40 + speed * index, 60), size)), 0, top
        ).astype(np.uint16)
        for index, frame in enumerate(_scene(seed))
    ]
    if has_clock:
        _clock(frames)
    spoilt = _scale(frames).spoilt
    if has_clock:
        assert spoilt is not None
        assert spoilt.is_spoilt[4:13, 4:60].all()
        assert not spoilt.is_spoilt[20:].any()
    else:
        assert spoilt is None


@pytest.mark.parametrize("side", [8, 14])
@pytest.mark.parametrize("level", [16383, None])
def test_hot_object_that_moves_is_not_filled(side: int, level: int | None):
    rng = np.random.default_rng(0)
    frames = _scene()
    for index, frame in enumerate(frames):
        left = 20 + index // 2
        hot = np.rint(rng.normal(9500, 60, (side, side))) if level is None else level
        frame[30 : 30 + side, left : left + side] = hot
    assert _scale(frames).spoilt is None


def test_no_data_in_temperatures_is_filled():
    frames = [(frame * 0.04 - 270).astype(np.float32) for frame in _scene()]
    for frame in frames:
        frame[:, 30:38] = -9999
    wide = measure_wide(frames.__getitem__, _NUM)
    spoilt = wide.intensity.scale.spoilt
    assert spoilt is not None
    np.testing.assert_array_equal(np.flatnonzero(spoilt.is_spoilt.any(axis=0)), range(30, 38))
    scaled = wide.intensity.scale.apply(wide.level_map.apply(frames[0], "x"))
    assert 0 < scaled.min() < scaled.max() < 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.01, 0.99))
def test_filled_levels_lie_between_those_of_good_pixels(seed: int, share: float):
    rng = np.random.default_rng(seed)
    is_spoilt = rng.random((12, 17)) < share
    is_spoilt[3, 4], is_spoilt[5, 6] = True, False
    frame = rng.random((12, 17)).astype(np.float32)
    filled = frame.copy()
    SpoiltPixels(is_spoilt).fill(filled)
    np.testing.assert_array_equal(filled[~is_spoilt], frame[~is_spoilt])
    good = frame[~is_spoilt]
    assert good.min() - 1e-6 <= filled.min() <= filled.max() <= good.max() + 1e-6


def test_frame_of_another_size_is_a_wrong_call():
    spoilt = SpoiltPixels(np.eye(4, dtype=np.bool_))
    with pytest.raises(ValueError, match="expected"):
        spoilt.fill(np.zeros((4, 5), np.float32))


def test_track_says_how_many_pixels_are_filled(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    frames = _scene()
    _dead_columns(frames)
    folder = tmp_path / "clip"
    folder.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{index}.png")
    arguments = ["track", str(folder), "--detector", "tophat", "--no-video"]
    with caplog.at_level(logging.WARNING):
        assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    wanted = f"{4 * _HW[0]} pixels (3.1% of a frame) show no scene"
    assert wanted in caplog.text
    assert wanted in (tmp_path / "out" / "clip.json").read_text()
