import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.errors import ConfigError, DataError
from stdet.io.live.address import live_address, without_password
from stdet.io.live.raw_format import RawFormat

RAW = RawFormat(hw=(4, 6), pixels="gray16le", fps=25.0)


@pytest.mark.parametrize(
    ("source", "kind", "target", "name"),
    [
        ("0", "camera", "/dev/video0", "video0"),
        ("/dev/video2", "camera", "/dev/video2", "video2"),
        ("rtsp://10.0.0.2:554/a/b", "network", "rtsp://10.0.0.2:554/a/b", "10_0_0_2_554_a_b"),
        ("UDP://@239.0.0.1:5000", "network", "UDP://@239.0.0.1:5000", "239_0_0_1_5000"),
        ("http://cam/mjpg?user=a", "network", "http://cam/mjpg?user=a", "cam_mjpg"),
    ],
)
def test_source_is_live(source, kind, target, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    address = live_address(source)
    assert (address.kind, address.target, address.name) == (kind, target, name)


@pytest.mark.parametrize("name", ["clip.mp4", "7", "1234", "seq/0001", "a:b"])
def test_files_and_folders_are_not_live(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").mkdir()
    assert live_address(name) is None


def test_pipe_needs_its_format(tmp_path):
    os.mkfifo(tmp_path / "frames.fifo")
    for source in ("-", str(tmp_path / "frames.fifo")):
        with pytest.raises(ConfigError, match="--raw 640x512:gray16le@25"):
            live_address(source)
        assert live_address(source, RAW).kind == "pipe"
    assert live_address(str(tmp_path / "frames.fifo"), RAW).name == "frames"


def test_raw_goes_with_pipes_alone():
    with pytest.raises(DataError, match="goes with - "):
        live_address("clip.mp4", RAW)
    with pytest.raises(ConfigError, match="not with a URL"):
        live_address("udp://127.0.0.1:5000", RAW)


def test_unknown_scheme_names_those_that_are_read():
    with pytest.raises(ConfigError, match=r"'rtmp://': streams of this kind.*rtsp://"):
        live_address("rtmp://host/a")


@given(st.text(st.characters(codec="ascii", exclude_characters="/?#@"), min_size=1))
def test_password_is_shown_nowhere(secret):
    secret = f"<{secret}>"
    address = live_address(f"rtsp://me:{secret}@host:554/a?token={secret}")
    assert secret not in address.label
    assert secret not in address.name
    assert without_password("rtsp://a:b@c/d") == "rtsp://c/d"


@pytest.mark.parametrize(
    ("text", "hw", "fps"),
    [("640x512:gray16be@9.5", (512, 640), 9.5), ("08x4:gray8", (4, 8), None)],
)
def test_raw_format_is_width_by_height(text, hw, fps):
    found = RawFormat.parse(text)
    assert (found.hw, found.fps) == (hw, fps)


@pytest.mark.parametrize(
    "text",
    ["", "640x512", "640x512:rgb24@25", "0x4:gray8", "4x4:gray8@0", "4x4:gray8@", "-4x4:gray8"],
)
def test_wrong_raw_format_says_what_is_expected(text):
    with pytest.raises(ConfigError, match="expected WIDTHxHEIGHT:PIXELS@FPS"):
        RawFormat.parse(text)


@pytest.mark.parametrize("pixels", ["gray16le", "gray16be", "gray8"])
def test_raw_bytes_become_levels(pixels):
    raw = RawFormat(hw=(2, 3), pixels=pixels, fps=None)
    levels = np.array([[0, 1, 2], [3, 200, 255]])
    kind = {"gray16le": "<u2", "gray16be": ">u2", "gray8": "u1"}[pixels]
    data = levels.astype(kind).tobytes()
    assert len(data) == raw.num_bytes
    found = raw.image(data)
    assert found.dtype == (np.uint8 if pixels == "gray8" else np.uint16)
    np.testing.assert_array_equal(found, levels)
