"""The scale comes from the scene, whatever else stands in the frames."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.errors import DataError
from stdet.io.frame_source import IntensityScale, measure_intensity
from stdet.io.intensity.scene_levels import measure_scene

Frames = list[np.ndarray]
_HW = (96, 128)


def _scene(
    *,
    hw: tuple[int, int] = _HW,
    num: int = 12,
    base: int = 7200,
    gain: float = 1.0,
    step: int = 1,
    seed: int = 0,
) -> Frames:
    """Smooth clutter of about 200 levels with sensor noise, 14 bits."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    clutter = 60 * np.sin(rows / 17) + 30 * np.cos(columns / 23)
    return [
        (step * np.rint(base + gain * (clutter + rng.normal(0, 4, hw)))).astype(np.uint16)
        for _ in range(num)
    ]


def _scale(frames: Frames) -> IntensityScale:
    return measure_intensity(frames.__getitem__, len(frames), container_bits=16).scale


def _dead_column(frames: Frames, level: int = 0) -> None:
    for frame in frames:
        frame[:, 40] = level


def _hot_row(frames: Frames) -> None:
    for frame in frames:
        frame[50] = 65535


def _noisy_column(frames: Frames) -> None:
    rng = np.random.default_rng(1)
    for frame in frames:
        frame[:, 7] = rng.integers(0, 300, len(frame))


def _text(frames: Frames, level: int = 65535) -> None:
    rng = np.random.default_rng(2)
    for top, left in ((2, 2), (50, 30), (40, 5)):
        mask = rng.random((9, 30)) < 0.4
        for frame in frames:
            frame[top : top + 9, left : left + 30][mask] = level


def _outlined_text(frames: Frames) -> None:
    _text(frames)
    for frame in frames:
        frame[11:13, 4:60] = 0


def _clock(frames: Frames) -> None:
    rng = np.random.default_rng(3)
    for frame in frames:
        frame[4:13, 4:60][rng.random((9, 56)) < 0.4] = 65535


def _telemetry(frames: Frames, rows: slice = slice(0, 2)) -> None:
    rng = np.random.default_rng(4)
    for frame in frames:
        frame[rows] = rng.integers(0, 65536, frame[rows].shape)


def _fixed_telemetry(frames: Frames) -> None:
    rng = np.random.default_rng(5)
    row = rng.integers(0, 65536, frames[0].shape[1])
    for frame in frames:
        frame[-1] = row


def _blank_first(frames: Frames, level: int = 0) -> None:
    frames[0][:] = level


def _noisy_dark_first(frames: Frames) -> None:
    frames[0][:] = np.random.default_rng(6).integers(0, 30, frames[0].shape)


def _stuck_pixels(frames: Frames) -> None:
    for frame in frames:
        frame[5, 5] = frame[60, 50] = 65535
        frame[30, 30] = 0


def _border(frames: Frames) -> None:
    for frame in frames:
        frame[:6] = frame[-6:] = 0


def _everything(frames: Frames) -> None:
    for spoil in (_dead_column, _hot_row, _text, _telemetry, _blank_first):
        spoil(frames)


SPOILT = [
    _dead_column,
    lambda frames: _dead_column(frames, 65535),
    _hot_row,
    _noisy_column,
    _text,
    lambda frames: _text(frames, 0),
    _outlined_text,
    _clock,
    _telemetry,
    lambda frames: _telemetry(frames, slice(-3, None)),
    _fixed_telemetry,
    _blank_first,
    lambda frames: _blank_first(frames, 65535),
    _noisy_dark_first,
    _stuck_pixels,
    _border,
    _everything,
]


@pytest.mark.parametrize(
    ("hw", "num", "base", "step"),
    [(_HW, 12, 7200, 1), ((64, 64), 12, 7200, 1), (_HW, 40, 15000, 4), (_HW, 12, 3000, 4)],
    ids=["14-bit", "small", "bulk-at-the-top", "steps-of-four"],
)
@pytest.mark.parametrize("spoil", SPOILT)
def test_odd_pixels_do_not_widen_the_scale(
    spoil: Callable[[Frames], None], hw: tuple[int, int], num: int, base: int, step: int
):
    healthy = _scene(hw=hw, num=num, base=base, step=step)
    spoilt = [frame.copy() for frame in healthy]
    spoil(spoilt)
    wanted, found = _scale(healthy), _scale(spoilt)
    assert found.high - found.low == pytest.approx(wanted.high - wanted.low, rel=0.3)
    assert found.low == pytest.approx(wanted.low, abs=0.25 * (wanted.high - wanted.low))


def _as_before(frames: Frames) -> IntensityScale:
    """The rule for input without outliers: percentiles of all pixels, and room above."""
    levels = np.sort(np.concatenate([frame.ravel() for frame in frames]))
    counts = np.bincount(levels, minlength=1 << 16).cumsum()
    low, high = (float(np.searchsorted(counts, s * counts[-1])) for s in (0.001, 0.999))
    span = max(high - low, 1.0)
    headroom = min(max(float(levels[-1]) - high, 0.25 * span), 2 * span)
    return IntensityScale(low - 0.25 * span, high + headroom)


@settings(max_examples=30, deadline=None)
@given(
    base=st.integers(500, 50000),
    gain=st.floats(0.05, 20),
    num=st.integers(1, 16),
    seed=st.integers(0, 99),
)
def test_healthy_input_has_the_scale_of_all_its_pixels(
    base: int, gain: float, num: int, seed: int
):
    frames = _scene(hw=(64, 80), num=num, base=base + 2000, gain=gain, seed=seed)
    assert _scale(frames) == _as_before(frames)


@pytest.mark.parametrize("side", [-1, 1])
def test_sky_over_ground_is_one_scene(side: int):
    rng = np.random.default_rng(0)
    frames = [np.rint(1e4 + rng.normal(0, 3, _HW)).astype(np.uint16) for _ in range(8)]
    for frame in frames:
        frame[70:] = np.rint(1e4 + side * 5000 + rng.normal(0, 150, frame[70:].shape))
    assert _scale(frames) == _as_before(frames)


@pytest.mark.parametrize("share", [0.01, 0.05])
@pytest.mark.parametrize("is_still", [False, True])
def test_hot_object_of_sensible_area_counts(share: float, is_still: bool):
    frames = _scene()
    rng = np.random.default_rng(0)
    side = round(np.sqrt(share * frames[0].size))
    for index, frame in enumerate(frames):
        left = 20 if is_still else 20 + 4 * index
        hot = rng.normal(9500, 60, (side, side))
        frame[30 : 30 + side, left : left + side] = np.rint(hot)
    scale = _scale(frames)
    assert scale == _as_before(frames)
    hot = scale.apply(frames[0][30 : 30 + side, 20 : 20 + side])
    assert hot.std() > 0
    assert np.median(hot) < 1


@pytest.mark.parametrize("size", [1, 3, 4])
@pytest.mark.parametrize("above", [0.3, 1.0, 1.8])
def test_bright_target_is_not_clipped(size: int, above: float):
    frames = _scene(hw=(128, 160))
    scene = _scale(frames)
    span = (scene.high - scene.low) / 1.5
    level = round(scene.high + (above - 0.25) * span)
    for index, frame in enumerate(frames):
        frame[20 : 20 + size, 30 + 3 * index : 30 + 3 * index + size] = level
    scale = _scale(frames)
    top = round(scene.high - 0.25 * span)
    of_scene, of_target = scale.apply(np.array([top, level], np.uint16)).tolist()
    assert of_target <= 1
    assert of_target - of_scene > 0.9 * above / (1.25 + above)


def test_most_frames_decide_where_the_scene_changes_for_good():
    frames = _scene(num=16)
    for frame in frames[9:]:
        frame += 3000
    scale = _scale(frames)
    for frame in frames:
        scaled = scale.apply(frame)
        assert 0 < np.median(scaled) < 1


@pytest.mark.parametrize("levels", [[4000], [4000, 9000], [0, 65535], [7, 7, 7, 8]])
def test_degenerate_sequences_have_a_scale(levels: list[int]):
    frames = [np.full((8, 8), level, np.uint16) for level in levels]
    scale = _scale(frames)
    for frame in frames:
        assert np.isfinite(scale.apply(frame)).all()


def test_temperatures_are_measured_without_what_is_not_finite():
    rng = np.random.default_rng(0)
    frames = [(rng.normal(-12, 0.5, _HW)).astype(np.float32) for _ in range(6)]
    wanted = measure_scene(frames.__getitem__, range(6))
    for frame in frames:
        frame[:, 3] = np.nan
        frame[4, :5] = [np.inf, -np.inf, 1e30, -9999, np.nan]
    found = measure_scene(frames.__getitem__, range(6))
    for name in ("low", "high", "peak"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=0.5)


def test_frames_without_a_level_are_no_scene():
    with pytest.raises(DataError, match="no frames"):
        measure_scene(lambda _: np.full((4, 4), np.nan, np.float32), range(3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 65535), min_size=1, max_size=64), st.integers(1, 5))
def test_any_levels_give_a_scale(levels: list[int], num: int):
    frame = np.array([levels], np.uint16)
    scale = _scale([frame] * num)
    assert np.isfinite([scale.low, scale.high]).all()
