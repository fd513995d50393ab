"""A live source over a pretended camera."""

import contextlib
import os
import threading
import time

import numpy as np
import pytest

from stdet.errors import DataError, IncompleteInputError
from stdet.io.live import reader
from stdet.io.live import source as source_module
from stdet.io.live.address import LiveAddress, live_address
from stdet.io.live.capture import Pause
from stdet.io.live.connection import LostError, Picture
from stdet.io.live.raw_format import RawFormat
from stdet.io.live.source import LiveSource, open_live
from stdet.io.live.stream_clock import Instant

ADDRESS = LiveAddress(kind="camera", target="/dev/video0", label="camera", name="camera")
PERIOD = 0.01


def picture(position, hw=(8, 8), bits=8, start=0.0):
    image = np.full(hw, position % 200, np.uint8 if bits == 8 else np.uint16)
    image[0, 0] = 255
    return Picture(
        instant=Instant(arrival=time.monotonic(), stream=start + PERIOD * position),
        hw=hw,
        bits=bits,
        grey=lambda: image,
    )


class Camera:
    """Connections that are lists of what comes, at the pace of the camera."""

    can_reconnect = True
    declared_fps = 100.0

    def __init__(self, *connections) -> None:
        self.connections = list(connections)
        self.num_connects = 0

    @contextlib.contextmanager
    def connect(self, is_stopped):
        self.num_connects += 1
        if not self.connections:
            raise LostError("no such device")
        self.items = self.connections.pop(0)
        yield self

    def pictures(self):
        for item in self.items:
            time.sleep(PERIOD)
            if isinstance(item, Exception):
                raise item
            yield item
        raise LostError("the stream has ended")


@pytest.fixture(autouse=True)
def no_thread_is_left(monkeypatch):
    monkeypatch.setattr(reader, "_FIRST_WAIT_S", 0.05)
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name[:5] == "read "] == []


def _pictures(first, stop, **options):
    return (picture(position, **options) for position in range(first, stop))


def test_frames_come_in_order_with_index_and_time():
    with LiveSource(Camera(_pictures(0, 80)), ADDRESS) as source:
        frames = []
        for frame in source.frames(stop=40):
            assert 0 <= frame.capture.age_s < 1
            assert abs(time.time() - frame.capture.utc) < 1
            frames.append(frame)
    assert source.fps == 100.0
    indices = [frame.index for frame in frames]
    assert indices[0] == 0
    assert indices == sorted(set(indices))
    # Level and index go together: the frame is the one of its index.
    assert len({int(frame.pixels[1, 1]) - frame.index for frame in frames}) == 1
    assert sum(frame.capture.num_dropped + 1 for frame in frames) == indices[-1] + 1


def test_slow_reader_gets_the_newest_frame_and_what_it_missed_is_counted():
    with LiveSource(Camera(_pictures(0, 150)), ADDRESS) as source:
        stream = source.frames()
        next(stream)
        time.sleep(0.3)
        frame = next(stream)
        assert frame.capture.num_dropped == frame.index - 1 > 5
        assert frame.capture.age_s < 0.2


def test_lost_camera_is_an_event_and_found_again():
    camera = Camera(_pictures(0, 40), _pictures(0, 30, start=77.0))
    found = []
    with LiveSource(camera, ADDRESS) as source:
        source.on_event = found.append
        indices = []
        for frame in source.frames():
            indices.append(frame.index)
            if len([event for event in found if event.kind == "lost"]) == 2:
                break
    assert [event.kind for event in found[:3]] == ["lost", "reconnected", "lost"]
    assert found[0].text == "the stream has ended"
    assert source.events()[:3] == found[:3]
    assert max(np.diff(indices)) >= 4  # 0.05 s without a frame, of 0.01 s each.
    assert indices == sorted(set(indices))


def test_waits_between_tries_grow_and_a_first_failure_is_an_error():
    with pytest.raises(DataError, match=r"camera: cannot be opened \(no such device\); check"):
        LiveSource(Camera(), ADDRESS)
    camera = Camera(_pictures(0, 20))
    with LiveSource(camera, ADDRESS) as source:
        time.sleep(0.2 + 0.7)
        assert 3 <= camera.num_connects <= 6  # At .05, .15, .35 and .75 s.
        assert source.events() == []  # Events belong to a stream that has begun.


def test_nothing_within_the_time_is_an_error(monkeypatch):
    monkeypatch.setattr(reader, "OPEN_S", 0.2)

    class Silent(Camera):
        def pictures(self):
            time.sleep(0.5)
            raise LostError("no frame")

    with pytest.raises(DataError, match=r"camera: nothing comes within 0\.2 s"):
        LiveSource(Silent([]), ADDRESS)


def test_pause_comes_once_where_no_frame_does(monkeypatch):
    monkeypatch.setattr(source_module, "PAUSE_S", 0.2)
    items = []
    with LiveSource(Camera(_pictures(0, 20)), ADDRESS) as source:
        started = time.monotonic()
        for item in source.stream():
            items.append(item)
            if isinstance(item, Pause):
                break
        assert time.monotonic() - started < 2
    assert [isinstance(item, Pause) for item in items].count(True) == 1


def test_stream_in_another_thread_ends_when_asked():
    may_end = threading.Event()

    def pictures():
        yield from _pictures(0, 20)
        may_end.wait(60)  # Nothing comes.

    with LiveSource(Camera(pictures()), ADDRESS) as source:
        waiting = threading.Thread(target=lambda: list(source.stream()))
        waiting.start()
        time.sleep(0.2)
        assert waiting.is_alive()
        source.end_stream()
        waiting.join(30)
        assert not waiting.is_alive()
        may_end.set()


@pytest.mark.parametrize("change", [{"hw": (8, 9)}, {"bits": 16}])
def test_another_size_or_depth_ends_the_stream(change):
    camera = Camera([*_pictures(0, 20), picture(20, **change)])
    with LiveSource(camera, ADDRESS) as source:
        stream = source.frames()
        with pytest.raises(IncompleteInputError, match="have changed from 8x8 of 8 bits to"):
            list(stream)


def test_deep_levels_get_the_scale_of_the_first_frames():
    rng = np.random.default_rng(0)
    images = [rng.integers(7000, 7400, (32, 40), dtype=np.uint16) for _ in range(30)]

    def pictures():
        for position, image in enumerate(images):
            yield Picture(
                instant=Instant(arrival=time.monotonic(), stream=PERIOD * position),
                hw=image.shape,
                bits=16,
                grey=lambda image=image: image,
            )

    with LiveSource(Camera(pictures()), ADDRESS) as source:
        assert source.bit_depth == 14
        assert 6500 < source.scale.low < 7000
        assert 7400 < source.scale.high < 8000


def test_a_bug_in_the_reader_is_raised_where_frames_are_taken():
    camera = Camera([*_pictures(0, 20), RuntimeError("a bug")])
    with LiveSource(camera, ADDRESS) as source, pytest.raises(RuntimeError, match="a bug"):
        list(source.frames())


RAW = RawFormat(hw=(6, 8), pixels="gray16le", fps=100.0)


def _write_frames(path, num_frames, *, rest=b"", pause_s=0.01):
    with open(path, "wb", buffering=0) as pipe:
        for position in range(num_frames):
            pipe.write(np.full((6, 8), 1000 + position, "<u2").tobytes())
            time.sleep(pause_s)
        pipe.write(rest)


def test_named_pipe_is_read_again_when_another_writer_comes(tmp_path):
    path = tmp_path / "camera"
    os.mkfifo(path)
    found = []

    def write() -> None:
        _write_frames(path, 30, rest=b"123")
        # A writer that comes before the end of the first was seen continues its bytes.
        while not found:
            time.sleep(0.02)
        _write_frames(path, 30)

    writer = threading.Thread(target=write)
    writer.start()
    with open_live(live_address(str(path), RAW)) as source:
        source.on_event = found.append
        for frame in source.frames():
            assert (frame.pixels == frame.pixels[0, 0]).all()  # Whole frames, never shifted.
            if any(event.kind == "reconnected" for event in found):
                break
        while writer.is_alive():
            time.sleep(0.05)
    assert found[0].kind == "lost"
    assert "within a frame, 3 of 96 bytes" in found[0].text


def test_missing_pipe_writer_and_device_are_errors(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "OPEN_S", 0.3)
    os.mkfifo(tmp_path / "camera")
    with pytest.raises(DataError, match=r"camera: nothing comes within 0\.3 s"):
        open_live(live_address(str(tmp_path / "camera"), RAW))
    with pytest.raises(DataError, match=r"/dev/video97: cannot be opened \(No such file"):
        open_live(live_address("97"))


def test_refused_address_is_an_error_without_the_password():
    with pytest.raises(DataError) as error:
        open_live(live_address("rtsp://me:secret@127.0.0.1:1/a"))
    assert str(error.value).startswith(
        "rtsp://127.0.0.1:1/a: cannot be opened (Connection refused); check the address"
    )
