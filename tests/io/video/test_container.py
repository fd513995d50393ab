"""Which files are opened as videos, and which stream of them."""

import contextlib
import logging
import os
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import tells, write_streams, write_video

import stdet.io.video.container as container_module
from stdet.errors import DataError, IncompleteInputError
from stdet.io.open_source import open_source
from stdet.io.video.container import is_cut_short, opened_container
from stdet.io.video.source import VideoFile, inspect_video

_SMALL, _LARGE = (32, 48), (64, 96)


@pytest.mark.parametrize(
    ("default", "expected"), [(None, 0), (0, 0), (1, 1)], ids=["unmarked", "first", "second"]
)
def test_stream_marked_as_default_is_read_and_said(
    tmp_path: Path, default: int | None, expected: int, caplog: pytest.LogCaptureFixture
):
    path = write_streams(tmp_path / "a.mkv", default=default, sizes=[_SMALL, _LARGE])
    with caplog.at_level(logging.INFO), open_source(path) as source:
        assert type(source) is VideoFile
        assert source.hw == [_SMALL, _LARGE][expected]
        assert source.notes == {"stream": expected, "num_streams": 2}
        assert {frame.pixels.shape for frame in source.frames()} == {source.hw}
        assert source.read(7).shape == source.hw
    assert f"{path}: read video stream {expected} of 2, counted from 0; --stream chooses." in (
        caplog.messages
    )


@pytest.mark.parametrize("number", [0, 1])
def test_stream_can_be_chosen(tmp_path: Path, number: int):
    path = write_streams(tmp_path / "a.mp4", default=0, sizes=[_SMALL, _LARGE])
    with open_source(path, stream=number) as source:
        assert source.hw == [_SMALL, _LARGE][number]
        assert len(list(source.frames())) == 10


def test_stream_that_is_not_there_is_refused(tmp_path: Path):
    path = write_streams(tmp_path / "a.mp4", default=0, sizes=[_SMALL, _LARGE])
    with pytest.raises(DataError, match="has no video stream 2; it has 2, counted from 0"):
        open_source(path, stream=2)


def test_one_stream_beside_sound_is_not_spoken_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = write_streams(tmp_path / "a.mp4", default=0, sizes=[_SMALL])
    with caplog.at_level(logging.INFO), open_source(path) as source:
        assert source.notes == {"stream": 0, "num_streams": 1}
    assert caplog.messages == []


_PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{video}\n#EXT-X-ENDLIST\n",
    "a.mp4": "#EXTM3U\n#EXTINF:2,\n{video}\n",
    "a.ffconcat": "ffconcat version 1.0\nfile {video}\n",
    "a.mkv": "ffconcat version 1.0\nfile {video}\n",
    "a.mpd": "<?xml version='1.0'?><MPD><BaseURL>{video}</BaseURL></MPD>",
    "a.sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
}


@pytest.mark.parametrize("name", list(_PLAYLISTS))
def test_playlists_are_refused_and_open_nothing(tmp_path: Path, name: str):
    video = write_video(tmp_path / "secret.ts", range(5))
    (tmp_path / name).write_text(_PLAYLISTS[name].format(video=video))
    with pytest.raises(DataError, match="names other files, and those are not followed"):
        open_source(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.srt", "1\n00:00:00,000 --> 00:00:02,000\nhello\n"),
        ("a.ass", "[Script Info]\nScriptType: v4.00+\n"),
        ("a.mod", "frame,x,y\n" * 200),
        ("a.ffmeta", ";FFMETADATA1\ntitle=a\n"),
        ("img%03d.png.mp4", "\x89PNG\r\n\x1a\n" * 40),
    ],
)
def test_what_else_ffmpeg_reads_is_no_video(tmp_path: Path, name: str, content: str):
    (tmp_path / name).write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match="no video"):
        open_source(tmp_path / name)


def test_format_outside_the_list_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_video(tmp_path / "a.mkv", range(5))
    monkeypatch.setattr(container_module, "DEMUXERS", ("mov", "avi"))
    with pytest.raises(DataError, match="is no video that can be read"):
        open_source(path)


@pytest.mark.parametrize(
    "name",
    [b"caf\xe9.mp4", b"12:30:05.mp4", "wärme.mp4".encode(), b"a b%03d.mp4", b"file:x.mp4"],
)
def test_any_name_is_read(tmp_path: Path, name: bytes):
    source_path = write_video(tmp_path / "a.mp4", range(5))
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    os.rename(source_path, path)
    with open_source(path) as source:
        assert [frame.index for frame in source.frames()] == list(range(5))
        assert tells(source.read(3), 3)


def test_name_with_a_nul_is_refused(tmp_path: Path):
    with pytest.raises(DataError):
        open_source(tmp_path / "a\0.mp4")
    with pytest.raises(DataError):
        inspect_video(tmp_path / "a\0.mp4")


def test_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="named pipe"):
        inspect_video(tmp_path / "a.mp4")


def test_frames_above_the_limit_are_refused(tmp_path: Path):
    path = write_video(tmp_path / "a.mp4", range(5))  # 48 x 64 is 0.003072 megapixels.
    with pytest.raises(DataError, match=r"frames of 64x48 \(0\.003072 megapixels\)"):
        open_source(path, max_megapixels=0.003)
    with open_source(path, max_megapixels=0.0031) as source:
        assert len(list(source.frames())) == 5


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_unknown_codec_is_said(tmp_path: Path, name: str):
    content = write_video(path := tmp_path / name, range(5)).read_bytes()
    for known in (b"avc1", b"H264", b"V_MPEG4/ISO/AVC"):
        content = content.replace(known, known[:2] + b"x" * len(known[2:]))
    path.write_bytes(content)
    with pytest.raises(DataError, match="codec that FFmpeg does not know"):
        open_source(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_structure_tells_whether_a_file_is_cut(tmp_path: Path, name: str):
    path = write_video(tmp_path / name, range(40), movflags="faststart")
    assert not is_cut_short(path)
    content = path.read_bytes()
    path.write_bytes(content + b"\0" * 100)
    assert not is_cut_short(path)
    path.write_bytes(content[:-200])
    assert is_cut_short(path)


def _mutated(content: bytes, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    mutated = bytearray(content)
    for _ in range(random.integers(1, 12)):
        at = int(random.integers(len(mutated)))
        kind = random.integers(4)
        if kind == 0:
            mutated[at] = random.integers(256)
        elif kind == 1:
            del mutated[at : at + int(random.integers(64))]
        elif kind == 2:
            mutated[at : at + 8] = random.integers(0, 256, 8, dtype=np.uint8).tobytes()
        else:
            del mutated[max(at, 200) :]
    return bytes(mutated)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.avi", "a.ts"])
def test_whatever_a_file_holds_ends_in_frames_or_one_of_our_errors(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
):
    codec = "libvpx" if name == "a.webm" else "libx264"
    content = write_video(tmp_path / name, range(12), codec=codec).read_bytes()
    path = tmp_path / f"mutated{Path(name).suffix}"
    for seed in range(60):
        path.write_bytes(_mutated(content, zlib.crc32(name.encode()) + seed))
        try:
            with open_source(path) as source:
                last = -1
                for frame in source.frames():
                    assert frame.index > last
                    last = frame.index
        except IncompleteInputError:
            assert last >= 0
        except DataError:
            pass
    assert "Traceback" not in capfd.readouterr().err  # PyAV prints those of a file's seek.


@pytest.mark.parametrize("table", [b"stts", b"ctts", b"stsz", b"stsc", b"stco", b"stss"])
def test_mp4_with_a_damaged_table_ends_in_frames_or_one_of_our_errors(
    tmp_path: Path, table: bytes
):
    content = write_video(tmp_path / "a.mp4", range(12)).read_bytes()
    words = content.index(table) + 4
    path = tmp_path / "mutated.mp4"
    for at in range(words, words + 24, 4):
        # As a count of samples, the first takes a decoder 60 GB if it makes room for all.
        for value in (0xF4330000, 0xFFFFFFFF, 0x7FFFFFFF, 0):
            path.write_bytes(content[:at] + value.to_bytes(4, "big") + content[at + 4 :])
            with contextlib.suppress(DataError), open_source(path) as source:
                for frame in source.frames():
                    np.testing.assert_array_equal(source.read(frame.index), frame.pixels)


def test_container_is_closed_with_its_file(tmp_path: Path):
    path = write_video(tmp_path / "a.mp4", range(5))
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(5):
        with opened_container(path) as container:
            assert isinstance(container, av.container.InputContainer)
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    assert after == before
