"""Frame indices of files whose packets, pictures and clocks are not one per frame."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import level, tells, write_video

from stdet.errors import IncompleteInputError
from stdet.io.frame_source import Frame, FrameSource
from stdet.io.open_source import open_source

_MS = Fraction(1, 1000)
_DROPPED = [at for at in range(60) if not 10 <= at < 20]


def _frames(source: FrameSource) -> list[Frame]:
    frames = list(source.frames())
    assert all(tells(frame.pixels, frame.index) for frame in frames)
    return frames


def _cut_short(source: FrameSource) -> tuple[list[Frame], str]:
    frames = []
    try:
        for frame in source.frames():
            frames.append(frame)  # A list() would lose the frames before the error.
    except IncompleteInputError as error:
        return frames, str(error)
    return frames, ""


def _indices(path: Path) -> list[int]:
    with open_source(path) as source:
        return [frame.index for frame in _frames(source)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("fragmented.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("a.mkv", {}),
        ("a.mov", {"codec": "png", "pixel_format": "gray"}),
        ("a.ts", {}),
        ("a.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
    ],
)
def test_dropped_frames_are_holes_in_every_container(tmp_path: Path, name: str, options: dict):
    path = write_video(tmp_path / name, _DROPPED, **options)
    with open_source(path) as source:
        assert source.fps == 25
        assert [frame.index for frame in _frames(source)] == _DROPPED
        # A hole shows the frame before it, as players do; later frames are found at random.
        assert tells(source.read(15), 9)
        assert tells(source.read(20), 20)
        assert [frame.index for frame in source.frames(5, 23)] == [*range(5, 10), 20, 21, 22]
        assert [frame.index for frame in source.frames(15, 22)] == [20, 21]
        assert list(source.frames(12, 18)) == []


def test_packets_lost_on_the_way_are_holes(tmp_path: Path):
    path = write_video(
        tmp_path / "a.mkv",
        range(40),
        codec="mjpeg",
        pixel_format="yuvj420p",
        lost_packets=[7, 8, 30],
    )
    assert _indices(path) == [at for at in range(40) if at not in (7, 8, 30)]


def test_null_frames_at_both_ends_of_an_avi_shift_nothing(tmp_path: Path):
    path = write_video(tmp_path / "a.avi", range(20), codec="mjpeg", pixel_format="yuvj420p")
    content = path.read_bytes()
    # Three frames of 0 bytes before the first and after the last, in the list and in the index.
    movi = content.index(b"movi")
    first, end = content.index(b"00dc", movi), content.index(b"idx1")
    null = b"00dc" + bytes(4)
    entry = b"00dc" + bytes(12)
    rows = content[end + 8 : end + 8 + 20 * 16]
    moved = b"".join(
        rows[at : at + 8]
        + (int.from_bytes(rows[at + 8 : at + 12], "little") + 24).to_bytes(4, "little")
        + rows[at + 12 : at + 16]
        for at in range(0, len(rows), 16)
    )
    body = bytearray(content[:first] + 3 * null + content[first:end] + 3 * null)
    body += b"idx1" + (26 * 16).to_bytes(4, "little") + 3 * entry + moved + 3 * entry
    list_size = int.from_bytes(body[movi - 4 : movi], "little")
    body[movi - 4 : movi] = (list_size + 48).to_bytes(4, "little")
    body[4:8] = (len(body) - 8).to_bytes(4, "little")
    for tag, offset in ((b"avih", 24), (b"strh", 40)):
        at = bytes(body).index(tag) + offset
        assert int.from_bytes(body[at : at + 4], "little") == 20
        body[at : at + 4] = (26).to_bytes(4, "little")
    path.write_bytes(body)
    with open_source(path) as source:
        frames = list(source.frames())
        assert source.num_declared == 26
        assert tells(source.read(25), 19)
    assert [frame.index for frame in frames] == list(range(3, 23))
    assert all(tells(frame.pixels, frame.index - 3) for frame in frames)


def test_b_frames_in_avi_come_in_order_although_their_times_do_not(tmp_path: Path):
    assert _indices(write_video(tmp_path / "a.avi", range(40))) == list(range(40))
    # FFmpeg writes null frames where the decoding times jump.
    assert _indices(write_video(tmp_path / "b.avi", _DROPPED)) == _DROPPED


@pytest.mark.parametrize("is_timed_apart", [False, True])
def test_reference_frames_that_are_never_shown_are_no_frames(tmp_path: Path, is_timed_apart: bool):
    shown = write_video(tmp_path / "shown.webm", range(30), codec="libvpx", rate=25)
    path = tmp_path / "a.webm"
    with av.open(str(shown)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is None:
                continue
            packet.stream = copy
            content = bytes(packet)
            pts, dts = packet.pts, packet.dts
            target.mux(packet)
            if pts is not None and pts % 400 == 0 and pts:
                hidden = av.Packet(bytes([content[0] & ~0x10]) + content[1:])
                hidden.stream, hidden.time_base = copy, stream.time_base
                hidden.pts = hidden.dts = pts + is_timed_apart
                target.mux(hidden)
            assert dts is not None
    with open_source(path) as source:
        frames = list(source.frames())
    assert [frame.index for frame in frames] == list(range(30))


def test_even_frames_whose_time_stamps_are_rounded_are_read_as_ever(tmp_path: Path):
    rate = Fraction(30000, 1001)
    times = [round(at * 1000 / rate) for at in range(100)]
    path = write_video(tmp_path / "a.mkv", range(100), times=times, tick=_MS, rate=rate)
    assert _indices(path) == list(range(100))
    with open_source(path) as source:
        assert source.fps == pytest.approx(float(rate))


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_jittering_clock_without_a_rate_gives_whole_frames_and_their_rate(
    tmp_path: Path, name: str
):
    steps = np.random.default_rng(0).integers(28, 55, 59)
    times = [0, *np.cumsum(steps).tolist()]
    codec = "libvpx" if name == "a.webm" else "libx264"
    path = write_video(tmp_path / name, range(60), times=times, tick=_MS, rate=1000, codec=codec)
    assert _indices(path) == list(range(60))
    with open_source(path) as source:
        assert source.fps is not None
        assert 60 / source.fps == pytest.approx(times[-1] / 1000 * 60 / 59, rel=0.01)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_clock_that_begins_late_still_begins_at_frame_0(tmp_path: Path, name: str):
    times = [250 + at for at in range(30)]
    path = write_video(tmp_path / name, range(30), times=times)
    assert _indices(path) == list(range(30))


def test_clock_that_jumps_by_a_day_is_not_believed(tmp_path: Path):
    times = [*range(20), *(2_160_000 + at for at in range(20))]
    path = write_video(tmp_path / "a.mkv", range(40), times=times)
    assert _indices(path) == list(range(40))


def test_recordings_joined_with_their_clocks_are_read_whole(tmp_path: Path):
    parts = [
        write_video(tmp_path / f"{at}.ts", range(at, at + 30), times=range(30)) for at in (0, 30)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_source(path) as source:
        frames, error = _cut_short(source)
    # The container calls the packet at the joint damaged.
    assert "read 59 of 60 frames" in error
    assert [frame.index for frame in frames] == list(range(59))
    assert all(tells(frame.pixels, frame.index + (frame.index > 28)) for frame in frames)


def test_transport_stream_recorded_from_the_middle_is_healthy(tmp_path: Path):
    path = write_video(tmp_path / "a.ts", range(60), options={"g": "20"})
    content = path.read_bytes()
    path.write_bytes(content[188 * 12 :])
    with open_source(path) as source:
        frames = list(source.frames())
    assert [frame.index for frame in frames] == list(range(40))
    assert all(tells(frame.pixels, frame.index + 20) for frame in frames)


@pytest.mark.parametrize("tag", ["00:00:06.000000000", "2400000000", "x:y:z", "1:2", ""])
def test_duration_tag_is_a_hint(tmp_path: Path, tag: str):
    path = write_video(tmp_path / "a.mkv", range(30))
    content = path.read_bytes()
    at = content.index(b"DURATION") + len(b"DURATION")
    written = content.index(b"00:00:01.2", at)
    padded = tag.encode().ljust(18, b"\0")[:18]
    path.write_bytes(content[:written] + padded + content[written + 18 :])
    assert _indices(path) == list(range(30))


def test_tag_that_is_not_utf_8_does_not_matter(tmp_path: Path):
    path = write_video(tmp_path / "a.mkv", range(10), metadata={"title": "thermal"})
    path.write_bytes(path.read_bytes().replace(b"thermal", b"th\xe9rmal"))
    assert _indices(path) == list(range(10))


def test_cut_with_holes_counts_only_what_is_cut(tmp_path: Path):
    path = write_video(
        tmp_path / "a.mp4", _DROPPED, codec="mjpeg", pixel_format="yuvj420p", movflags="faststart"
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.8)])
    with open_source(path) as source:
        frames, error = _cut_short(source)
    assert f"read {len(frames)} of 50 frames; {50 - len(frames)} are cut off" in error
    assert [frame.index for frame in frames] == _DROPPED[: len(frames)]
    assert all(tells(frame.pixels, frame.index) for frame in frames)


def test_change_of_size_keeps_what_came_before(tmp_path: Path):
    path = tmp_path / "a.mjpeg"
    with path.open("wb") as file:
        for index in range(12):
            hw = (48, 64) if index < 8 else (64, 80)
            image = np.full((*hw, 3), level(index), np.uint8)
            context = av.CodecContext.create("mjpeg", "w")
            context.height, context.width, context.pix_fmt = *hw, "yuvj420p"
            context.time_base = Fraction(1, 25)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuvj420p")
            for packet in [*context.encode(frame), *context.encode(None)]:
                file.write(bytes(packet))
    with open_source(path) as source:
        frames, error = _cut_short(source)
    assert "read 8 of 12 frames, because frame 8 is 80x64; expected 64x48 like the first" in error
    assert len(frames) == 8


def test_frames_of_mpeg4_that_repeat_the_one_before_are_no_damage(tmp_path: Path):
    whole = write_video(tmp_path / "whole.mkv", range(24), codec="mpeg4", options={"g": "100"})
    path = tmp_path / "a.mkv"
    # A picture that is "not coded": P, in the same second, at 10/25 and 11/25 of it.
    not_coded = {10: b"\0\0\1\xb6\x55\x4f", 11: b"\0\0\1\xb6\x55\xcf"}
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for number, packet in enumerate(source.demux(stream)):
            if packet.dts is None:
                continue
            sent = packet
            if number in not_coded:
                sent = av.Packet(not_coded[number])
                sent.pts, sent.dts, sent.time_base = packet.pts, packet.dts, packet.time_base
            sent.stream = copy
            target.mux(sent)
    with open_source(path) as source:
        indices = [frame.index for frame in source.frames()]
    assert set(indices) | {10, 11} == set(range(24))
