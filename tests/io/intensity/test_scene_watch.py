"""No targets must never mean that nothing could be seen."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stdet.cli import main
from stdet.io.frame_source import EIGHT_BIT_SCALE, IntensityScale
from stdet.io.intensity.scene_watch import MIN_FILL, SceneWatch

_HW = (48, 64)
_DEEP = IntensityScale(7000.0, 8000.0)


def _scene(span: float, *, middle: float = 0.5, seed: int = 0) -> np.ndarray:
    """Levels in [0, 1] whose central 90 % span so much."""
    rng = np.random.default_rng(seed)
    return np.clip(middle + span * rng.uniform(-0.5, 0.5, _HW) / 0.9, 0, 1)


def _watched(frames: list[np.ndarray], scale: IntensityScale) -> list[str]:
    watch = SceneWatch(Path("clip"), scale)
    for index, frame in enumerate(frames):
        watch.add(index, frame, scale.apply(frame))
    return watch.warnings()


def _deep(scaled: np.ndarray) -> np.ndarray:
    return np.rint(7000 + 1000 * scaled).astype(np.uint16)


def test_scene_that_fills_the_scale_is_not_warned_of():
    frames = [_deep(_scene(1.5 * MIN_FILL, seed=seed)) for seed in range(5)]
    assert _watched(frames, _DEEP) == []


def test_scene_that_fills_little_of_the_scale_is_warned_of():
    frames = [_deep(_scene(0.7 * MIN_FILL, seed=seed)) for seed in range(5)]
    frames[0] = _deep(_scene(0.5))
    (warning,) = _watched(frames, _DEEP)
    assert warning.startswith("in 4 of 5 frames (the first is 1) the scene fills less than 8%")
    assert "levels 7000 to 8000" in warning


def test_text_and_a_dead_line_do_not_hide_that_a_scene_is_faint():
    frames = [np.rint(120 + 2 * _scene(1, seed=seed)).astype(np.uint8) for seed in range(3)]
    for frame in frames:
        frame[0], frame[5:8, 5:15] = 0, 255
    (warning,) = _watched(frames, EIGHT_BIT_SCALE)
    assert "in all 3 frames the scene fills less than 8%" in warning


def test_hot_object_that_squeezes_the_scene_is_warned_of():
    frames = [_deep(_scene(0.04, middle=0.1, seed=seed)) for seed in range(3)]
    for frame in frames:
        frame[10:20, 10:22] = _deep(_scene(0.2, middle=0.8))[10:20, 10:22]  # 4 % of the frame.
    (warning,) = _watched(frames, _DEEP)
    assert "in all 3 frames the scene fills less than 8%" in warning


def test_blank_frames_are_named():
    frames = [_deep(_scene(0.5, seed=seed)) for seed in range(4)]
    frames[2][:] = 7300
    assert _watched(frames, _DEEP) == [
        "in 1 of 4 frames (the first is 2) there is a single level: nothing can be seen."
    ]


def test_frames_outside_of_the_scale_are_named():
    frames = [_deep(_scene(0.5)), _deep(_scene(0.5)) + np.uint16(3000)]
    (warning,) = _watched(frames, _DEEP)
    assert "1 of 2 frames (the first is 1) most pixels lie outside" in warning


def test_single_frame_is_warned_of():
    assert _watched([_deep(_scene(0.5))], _DEEP) == [
        "a single frame was read: a track needs several."
    ]


@pytest.mark.parametrize("kind", ["three levels", "constant", "deep constant"])
def test_track_says_on_stderr_and_in_the_json_that_it_could_not_see(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
):
    folder = tmp_path / "clip"
    folder.mkdir()
    for index in range(4):
        frame = np.rint(120 + 2 * _scene(1, seed=index)) if kind == "three levels" else 9
        frame = np.broadcast_to(frame, _HW)
        frame = frame.astype(np.uint16 if "deep" in kind else np.uint8)
        Image.fromarray(frame).save(folder / f"{index}.png")
    arguments = ["track", str(folder), "--detector", "tophat", "--no-video"]
    with caplog.at_level(logging.WARNING):
        assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    written = json.loads((tmp_path / "out" / "clip.json").read_text())
    wanted = "fills less than 8%" if kind == "three levels" else "there is a single level"
    assert [warning for warning in written["warnings"] if wanted in warning]
    assert f"{folder}: in all 4 frames" in caplog.text
