import contextlib
import errno
import multiprocessing
import os
import pickle
import struct
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np
import pytest
from frame_sources import frames_and_error

from stdet.errors import DataError, IncompleteInputError
from stdet.io.frame_source import Frame, FrameSource
from stdet.io.open_source import open_source
from stdet.io.video.source import (
    VideoFile,
    VideoWriter,
    write_grey,
)

_HW = (64, 96)
_RNG = np.random.default_rng(0)


def _marker(index: int) -> int:
    return 30 + 37 * index % 200


def _scene(index: int) -> np.ndarray:
    """Smooth moving levels over the whole 8-bit range; the block at the top tells the index."""
    rows, columns = np.mgrid[: _HW[0], : _HW[1]]
    scene = 127 + 80 * np.sin(columns / 17 + index / 9) + 45 * np.cos(rows / 13)
    scene[:16, :16] = _marker(index)
    return scene.clip(0, 255).astype(np.uint8)


def _deep_scene(index: int) -> np.ndarray:
    return _scene(index).astype(np.uint16) * 60 + index


def _write(
    path: Path,
    *,
    num_frames: int = 40,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    is_deep: bool = False,
    has_index_first: bool = False,
) -> Path:
    container_options = {"movflags": "faststart"} if has_index_first else {}
    with av.open(str(path), "w", container_options=container_options) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = _HW
        stream.pix_fmt = pixel_format
        if codec == "libx264":
            stream.gop_size = 12
        for index in range(num_frames):
            if is_deep:
                frame = av.VideoFrame.from_ndarray(_deep_scene(index), format="gray16le")
            else:
                rgb = np.repeat(_scene(index)[..., None], 3, axis=2)
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _cut(path: Path, share: float = 0.6) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def _read_seven(source: FrameSource) -> np.ndarray:
    return source.read(7)


def _assert_is_scene(frame: Frame) -> None:
    assert abs(frame.pixels[4:12, 4:12].mean() - _marker(frame.index)) < 8
    assert np.abs(frame.pixels.astype(int) - _scene(frame.index)).mean() < 6


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("limited.mp4", "libx264", "yuv420p"),
        ("full.mp4", "libx264", "yuvj420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("m.avi", "mjpeg", "yuvj420p"),
        ("p4.avi", "mpeg4", "yuv420p"),
        ("grey.mkv", "ffv1", "gray"),
    ],
)
def test_8_bit_video_is_read_in_grey(tmp_path: Path, name: str, codec: str, pixel_format: str):
    with open_source(_write(tmp_path / name, codec=codec, pixel_format=pixel_format)) as source:
        frames = list(source.frames())
    assert [frame.index for frame in frames] == list(range(40))
    for frame in frames:
        assert frame.pixels.dtype == np.uint8
        _assert_is_scene(frame)


def test_8_bit_video_is_described(tmp_path: Path):
    with open_source(_write(tmp_path / "clip one.mp4")) as source:
        assert isinstance(source, VideoFile)
        assert (source.name, source.hw, source.fps) == ("clip one", _HW, 25.0)
        assert (source.bit_depth, source.num_declared, source.gaps) == (8, 40, frozenset())
        assert (source.scale.low, source.scale.high) == (0.0, 255.0)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_frames_are_picked_at_random_as_they_are_streamed(tmp_path: Path, name: str):
    with open_source(_write(tmp_path / name)) as source:
        streamed = [frame.pixels for frame in source.frames()]
        for index in [39, 0, 13, 14, 15, 11, 12, 38, 5, 5, 0]:
            np.testing.assert_array_equal(source.read(index), streamed[index])
        assert [frame.index for frame in source.frames(17, 20)] == [17, 18, 19]
        np.testing.assert_array_equal(next(source.frames(17)).pixels, streamed[17])
        assert list(source.frames(40)) == []
        assert list(source.frames(5, 5)) == []
        with pytest.raises(DataError, match="no frame 40; it holds 40"):
            source.read(40)
        with pytest.raises(ValueError, match="at least 0"):
            next(source.frames(-1))


def test_16_bit_round_trip_is_bit_exact(tmp_path: Path):
    frames = [_RNG.integers(0, 65536, (31, 45), dtype=np.uint16) for _ in range(6)]
    write_grey(tmp_path / "a.mkv", frames, 12.5)
    with open_source(tmp_path / "a.mkv") as source:
        assert isinstance(source, VideoFile)
        assert (source.hw, source.fps, source.bit_depth) == ((31, 45), 12.5, 16)
        for frame, written in zip(source.frames(), frames, strict=True):
            assert frame.pixels.dtype == np.uint16
            np.testing.assert_array_equal(frame.pixels, written)
        np.testing.assert_array_equal(source.read(4), frames[4])
        np.testing.assert_array_equal(source.read(1), frames[1])


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "shift", "bit_depth"),
    [
        ("14.mkv", "ffv1", "gray16le", 0, 14),
        ("12.mkv", "ffv1", "gray12le", 4, 12),
        ("10.mkv", "ffv1", "gray10le", 6, 10),
        ("be.avi", "png", "gray16be", 0, 14),
    ],
)
def test_deep_grey_is_read_at_its_depth(
    tmp_path: Path, name: str, codec: str, pixel_format: str, shift: int, bit_depth: int
):
    path = _write(
        tmp_path / name, num_frames=5, codec=codec, pixel_format=pixel_format, is_deep=True
    )
    with open_source(path) as source:
        assert source.bit_depth == bit_depth
        expected = _deep_scene(3).astype(int) / (1 << shift)
        assert np.abs(source.read(3) - expected).max() <= (0 if shift == 0 else 2)


def test_10_bit_h264_luma_is_read_raw(tmp_path: Path):
    path = _write(tmp_path / "a.mp4", num_frames=5, pixel_format="yuv420p10le", is_deep=True)
    with open_source(path) as source:
        pixels = source.read(3)
        assert source.bit_depth == 10
    # Limited range: 64 is black and 940 is white.
    expected = 64 + _deep_scene(3).astype(float) * 876 / 65535
    assert np.abs(pixels - expected).mean() < 4


def test_scale_of_deep_video_is_the_same_in_every_process(tmp_path: Path):
    path = _write(
        tmp_path / "a.mkv", num_frames=30, codec="ffv1", pixel_format="gray16le", is_deep=True
    )
    with open_source(path) as source, open_source(path) as copy:
        assert source.scale == pickle.loads(pickle.dumps(copy)).scale
        scaled = source.scale.apply(source.read(0))
    assert 0 < scaled.min() < scaled.max() < 1


@pytest.mark.parametrize(("share", "at_least"), [(0.6, 30), (0.9, 60)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_cut_video_gives_what_is_left_and_then_says_so(
    tmp_path: Path, name: str, share: float, at_least: int
):
    whole = _write(tmp_path / name, num_frames=100, has_index_first=name == "a.mp4")
    path = _cut(whole, share)
    with open_source(path) as source:
        frames, error = frames_and_error(source)
        assert source.num_declared == 100
        assert f"{path}: read {len(frames)} of 100 frames" in str(error)
        assert at_least <= len(frames) < 100
        assert [frame.index for frame in frames] == list(range(len(frames)))
        for frame in frames:
            _assert_is_scene(frame)
        np.testing.assert_array_equal(source.read(len(frames) - 1), frames[-1].pixels)
        with pytest.raises(DataError, match="no frame 99"):
            source.read(99)
        assert len(list(source.frames(0, 5))) == 5


def test_cut_16_bit_video_gives_what_is_left(tmp_path: Path):
    frames = [_RNG.integers(0, 65536, (31, 45), dtype=np.uint16) for _ in range(20)]
    write_grey(tmp_path / "a.mkv", frames, 25)
    with open_source(_cut(tmp_path / "a.mkv")) as source:
        read, error = frames_and_error(source)
    assert "of 20 frames" in str(error)
    assert 10 <= len(read) <= 13
    for frame, written in zip(read, frames, strict=False):
        np.testing.assert_array_equal(frame.pixels, written)


def test_damage_part_way_leaves_a_hole_and_shifts_no_index(tmp_path: Path):
    path = _write(tmp_path / "a.mov", codec="png", pixel_format="gray")
    with av.open(str(path)) as container:
        positions = [packet.pos for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    content[positions[20] : positions[20] + 300] = bytes(300)
    path.write_bytes(content)
    with open_source(path) as source:
        frames, error = frames_and_error(source)
        assert [frame.index for frame in frames] == [*range(20), *range(21, 40)]
        assert "read 39 of 40 frames; 0 are cut off at the end and 1 are damaged" in str(error)
        _assert_is_scene(frames[20])
        with pytest.raises(DataError, match="frame 20 is damaged"):
            source.read(20)
        _assert_is_scene(Frame(index=21, pixels=source.read(21)))


def test_video_cut_before_its_index_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"no video that can be read .*repair or export"):
        open_source(_cut(_write(tmp_path / "a.mp4")))


@pytest.mark.parametrize("name", ["a.mp4", "a.txt"])
def test_text_file_is_refused(tmp_path: Path, name: str):
    (tmp_path / name).write_text("frame,x,y\n" * 100)
    with pytest.raises(DataError, match=r"no video"):
        open_source(tmp_path / name)


def test_audio_file_is_refused(tmp_path: Path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        sound = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
        )
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match=r"holds no video \(streams: audio\)"):
        open_source(path)


def test_colon_in_a_name_is_no_protocol(tmp_path: Path):
    with open_source(_write(tmp_path / "12:30:05.mp4", num_frames=3)) as source:
        assert len(list(source.frames())) == 3


def test_rotation_in_the_container_is_applied(tmp_path: Path):
    path = _write(tmp_path / "a.mp4", num_frames=5)
    content = path.read_bytes()
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    quarter_turn = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    track = content.index(b"tkhd")
    path.write_bytes(content[:track] + content[track:].replace(upright, quarter_turn, 1))
    with open_source(path) as source:
        assert source.hw == _HW[::-1]
        turned = np.rot90(source.read(3))
        _assert_is_scene(Frame(index=3, pixels=turned))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_video_in_use_is_read_in_another_process(tmp_path: Path, method: str):
    with open_source(_write(tmp_path / "a.mp4")) as source:
        expected = source.read(7)
        with multiprocessing.get_context(method).Pool(1) as pool:
            pixels = pool.apply_async(_read_seven, (source,)).get(timeout=30)
        np.testing.assert_array_equal(pixels, expected)


def _read_inherited(connection: Connection, held: list) -> None:
    pixels = held[0].read(7)
    held.clear()
    connection.send(pixels)


def test_forked_child_uses_and_drops_an_inherited_video(tmp_path: Path):
    held = [open_source(_write(tmp_path / "a.mp4"))]
    expected = held[0].read(7)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_read_inherited, args=(sender, held))
    child.start()
    assert receiver.poll(30)
    np.testing.assert_array_equal(receiver.recv(), expected)
    child.join(30)
    assert child.exitcode == 0
    np.testing.assert_array_equal(held[0].read(8).shape, _HW)
    held[0].close()


def test_transport_stream_is_numbered_from_its_first_frame(tmp_path: Path):
    with open_source(_write(tmp_path / "a.ts")) as source:
        assert source.num_declared is None
        frames = list(source.frames())
        np.testing.assert_array_equal(source.read(13), frames[13].pixels)
    assert len(frames) == 40
    for frame in frames:
        _assert_is_scene(frame)


@pytest.mark.parametrize("hw", [(48, 64), (47, 63)])
def test_written_video_is_read_back(tmp_path: Path, hw: tuple[int, int]):
    path = tmp_path / "out.mp4"
    with VideoWriter(path, hw=hw, fps=29.97) as writer:
        for level in range(0, 250, 25):
            writer.write(np.full((*hw, 3), level, np.uint8))
        assert not path.exists()
    assert os.listdir(tmp_path) == ["out.mp4"]
    with open_source(path) as source:
        assert source.hw == (48, 64)
        assert source.fps == pytest.approx(29.97)
        levels = [int(frame.pixels[20, 20]) for frame in source.frames()]
    assert np.abs(np.array(levels) - np.arange(0, 250, 25)).max() <= 3


@contextlib.contextmanager
def _blank(path: Path, *, num_frames: int):
    with VideoWriter(path, hw=(32, 32), fps=25) as writer:
        for _ in range(num_frames):
            writer.write(np.zeros((32, 32, 3), np.uint8))
        yield writer


def _write_blank(path: Path, *, num_frames: int, then: Exception | None = None) -> None:
    with _blank(path, num_frames=num_frames):
        if then is not None:
            raise then


def test_writer_keeps_what_was_closed_when_input_ends_early(tmp_path: Path):
    with pytest.raises(IncompleteInputError):
        _write_blank(tmp_path / "out.mp4", num_frames=3, then=IncompleteInputError("ended"))
    assert os.listdir(tmp_path) == []
    with pytest.raises(KeyboardInterrupt), _blank(tmp_path / "out.mp4", num_frames=3) as writer:  # noqa: PT012
        writer.close(tmp_path / "other.mp4")
        raise KeyboardInterrupt
    with open_source(tmp_path / "other.mp4") as source:
        assert len(list(source.frames())) == 3
    assert os.listdir(tmp_path) == ["other.mp4"]


def test_writer_without_frames_leaves_nothing(tmp_path: Path):
    with VideoWriter(tmp_path / "out.mp4", hw=(32, 32), fps=25):
        pass
    assert os.listdir(tmp_path) == []


def test_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DataError, match=r"out\.mp4: disk full"):
        _write_blank(tmp_path / "out.mp4", num_frames=1)
    assert os.listdir(tmp_path) == []


def test_disk_error_of_the_caller_drops_the_video(tmp_path: Path):
    with pytest.raises(OSError, match="elsewhere"):
        _write_blank(tmp_path / "out.mp4", num_frames=1, then=OSError(errno.ENOSPC, "elsewhere"))
    assert os.listdir(tmp_path) == []


def test_missing_output_folder_is_named_at_once(tmp_path: Path):
    with pytest.raises(DataError, match=r"gone/out\.mp4: cannot be written \(No such file"):
        VideoWriter(tmp_path / "gone" / "out.mp4", hw=(32, 32), fps=25)


def test_writer_refuses_frames_of_another_shape(tmp_path: Path):
    writer = VideoWriter(tmp_path / "out.mp4", hw=(32, 32), fps=25)
    with pytest.raises(ValueError, match=r"expected uint8 \(32, 32, 3\)"):
        writer.write(np.zeros((32, 30, 3), np.uint8))
    writer.close()


def test_gray16_without_frames_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="no frames to write"):
        write_grey(tmp_path / "a.mkv", [], 25)


def test_gray16_that_fails_leaves_nothing(tmp_path: Path):
    def frames():
        yield np.zeros((8, 8), np.uint16)
        raise RuntimeError("generator failed")

    with pytest.raises(RuntimeError, match="generator failed"):
        write_grey(tmp_path / "a.mkv", frames(), 25)
    assert os.listdir(tmp_path) == []


def test_writer_shows_a_frame_until_the_next_ones_position(tmp_path: Path):
    path = tmp_path / "out.mp4"
    with VideoWriter(path, hw=(32, 32), fps=25) as writer:
        for position in (0, 1, 2, 10, 11):
            writer.write(np.full((32, 32, 3), 20 * position, np.uint8), position=position)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        shown = [float(frame.pts * stream.time_base) * 25 for frame in container.decode(stream)]
        assert container.duration == pytest.approx(12 / 25 * 1e6)
    assert shown == pytest.approx([0, 1, 2, 10, 11])
