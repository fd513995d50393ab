"""Blank frames are left out of a stream, flat footage is not."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stdet.cli import main
from stdet.errors import IncompleteInputError
from stdet.inference.stages.read import LeaveOutBlank
from stdet.io.frame_source import Frame

_HW = (40, 50)


def _scene(seed: int, kind: str = "uint8") -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 160, _HW).astype(kind)


def _blank(level: int, kind: str = "uint8", *, num_odd: int = 0) -> np.ndarray:
    pixels = np.full(_HW, level, kind)
    pixels.flat[:num_odd] = level + 9
    return pixels


def _kept(images: list[np.ndarray]) -> tuple[list[int], list[int]]:
    """Indices of the frames that come through, and of those left out."""
    left_out: list[int] = []
    frames = (Frame(index=i, pixels=pixels) for i, pixels in enumerate(images))
    kept = [frame.index for frame in LeaveOutBlank(left_out.append).run(frames)]
    return kept, left_out


@settings(max_examples=50, deadline=None)
@given(
    blank=st.sets(st.integers(0, 39), max_size=20),
    level=st.integers(0, 200),
    kind=st.sampled_from(["uint8", "uint16"]),
    num_odd=st.sampled_from([0, 5, 20]),
)
def test_blank_frames_among_others_are_left_out(
    blank: set[int], level: int, kind: str, num_odd: int
):
    images = [
        _blank(level, kind, num_odd=num_odd) if i in blank else _scene(i, kind) for i in range(40)
    ]
    kept, left_out = _kept(images)
    assert left_out == sorted(blank)
    assert kept == sorted(set(range(40)) - blank)


def test_signal_that_is_lost_for_long_is_left_out():
    kept, left_out = _kept([_scene(0), *[_blank(0)] * 100, _scene(1)])
    assert kept == [0, 101]
    assert len(left_out) == 100


@pytest.mark.parametrize("first", [[], [_scene(0)]], ids=["flat", "a scene before"])
def test_points_on_black_are_not_left_out_for_good(first: list[np.ndarray]):
    images = [*first, *[_blank(0, num_odd=3 + i % 5) for i in range(60)]]
    kept, left_out = _kept(images)
    assert len(kept) >= len(images) - 24
    assert kept[-1] == len(images) - 1
    assert first or not left_out


@pytest.mark.parametrize("num", [1, 4, 60])
def test_nothing_but_blank_frames_come_through(num: int):
    assert _kept([_blank(7)] * num) == (list(range(num)), [])


def test_flat_footage_is_left_as_it_is():
    images = [_blank(0, num_odd=60 + i) for i in range(4)] + [_blank(0)] * 3
    assert _kept([*images, images[0]]) == (list(range(8)), [])


def test_incomplete_source_is_told_after_the_last_frame():
    def frames() -> Iterator[Frame]:
        yield Frame(index=0, pixels=_blank(3))
        raise IncompleteInputError("cut off")

    found = LeaveOutBlank(lambda _: None).run(frames())
    assert next(found).index == 0
    with pytest.raises(IncompleteInputError, match="cut off"):
        next(found)


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_track_goes_on_over_blank_frames_and_says_so(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
):
    folder = tmp_path / "clip"
    folder.mkdir()
    for index in range(8):
        pixels = _blank(0, kind) if index in (0, 5) else _scene(index, kind)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    arguments = ["track", str(folder), "--detector", "tophat", "--no-video"]
    with caplog.at_level(logging.WARNING):
        assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    wanted = "in 2 of 8 frames (the first is 0) there is a single level: they are left out"
    assert wanted in caplog.text
    written = json.loads((tmp_path / "out" / "clip.json").read_text())
    assert [w for w in written["warnings"] if wanted in w]
    assert [frame["frame_index"] for frame in written["frames"]] == [1, 2, 3, 4, 6, 7]
