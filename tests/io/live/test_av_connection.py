"""Cameras and network streams through PyAV."""

import contextlib
import http.server
import io
import socket
import threading
import time

import av
import numpy as np
import pytest
from PIL import Image

from stdet.errors import DataError
from stdet.io.live import av_connection
from stdet.io.live.address import live_address
from stdet.io.live.source import open_live

HW = (48, 64)


def _image(position):
    image = np.full(HW, 60, np.uint8)
    image[10:14, position % 50 : position % 50 + 8] = 230
    return image


class MotionJpeg(http.server.BaseHTTPRequestHandler):
    """Multipart JPEG, as many cameras send it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with contextlib.suppress(OSError):
            for position in range(500):
                jpeg = io.BytesIO()
                Image.fromarray(_image(position)).save(jpeg, "JPEG", quality=95)
                head = (
                    f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {jpeg.tell()}\r\n\r\n"
                )
                self.wfile.write(head.encode() + jpeg.getvalue() + b"\r\n")
                time.sleep(0.02)

    def log_message(self, *_args) -> None:
        pass


def test_motion_jpeg_over_http_is_read():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), MotionJpeg) as server:
        server.daemon_threads = False
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            with open_live(live_address(f"http://127.0.0.1:{server.server_port}/cam")) as source:
                assert source.hw == HW
                frames = list(source.frames(stop=30))
        finally:
            server.shutdown()
            serving.join()
    assert frames[-1].index > frames[0].index
    assert frames[-1].pixels.max() > 200
    assert all(frame.capture.age_s < 5 for frame in frames)


def _push(port: int, stop: threading.Event) -> None:
    url = f"udp://127.0.0.1:{port}?pkt_size=1316"
    with av.open(url, "w", format="mpegts") as container:
        stream = container.add_stream(
            "libx264", rate=50, options={"tune": "zerolatency", "preset": "ultrafast", "g": "10"}
        )
        stream.height, stream.width, stream.pix_fmt = *HW, "yuv420p"
        position = 0
        while not stop.is_set():
            rgb = np.repeat(_image(position)[:, :, None], 3, axis=2)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = position
            container.mux(stream.encode(frame))
            position += 1
            time.sleep(0.02)


def test_mpegts_over_udp_is_read_and_a_silent_sender_is_an_event(monkeypatch):
    monkeypatch.setattr(av_connection, "STALL_S", 1.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    stop = threading.Event()
    sender = threading.Thread(target=_push, args=(port, stop))
    sender.start()
    lost = threading.Event()
    try:
        with open_live(live_address(f"udp://127.0.0.1:{port}")) as source:
            source.on_event = lambda _: lost.set()
            assert source.hw == HW
            frames = []
            for item in source.stream():
                frames.append(item)
                if len(frames) == 30:
                    stop.set()
                if lost.is_set():
                    break
    finally:
        stop.set()
        sender.join()
    assert source.events()[0].text == "no frame for 1 s"
    assert frames[10].pixels.max() > 200


def test_garbage_over_udp_is_an_error(monkeypatch):
    monkeypatch.setattr(av_connection, "OPEN_S", 1.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    stop = threading.Event()

    def send() -> None:
        rng = np.random.default_rng(0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not stop.is_set():
                sender.sendto(rng.bytes(1316), ("127.0.0.1", port))
                time.sleep(0.005)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        with pytest.raises(DataError, match=rf"udp://127.0.0.1:{port}: "):
            open_live(live_address(f"udp://127.0.0.1:{port}"))
    finally:
        stop.set()
        sending.join()


@pytest.mark.parametrize("has_y16", [True, False])
def test_camera_is_asked_for_16_bits_first(monkeypatch, has_y16):
    asked = []

    def opened(target, *, format, options, timeout):
        asked.append((target, format, options))
        if options and not has_y16:
            raise OSError(22, "Invalid argument")
        return "container"

    monkeypatch.setattr(av_connection.av, "open", opened)
    assert av_connection._opened(live_address("/dev/video3"), 1.0) == "container"
    y16, any_format = (
        ("/dev/video3", "v4l2", options) for options in ({"input_format": "gray16le"}, {})
    )
    assert asked == ([y16] if has_y16 else [y16, any_format])
