"""A small RTSP server of H.264 over TCP, which stalls, drops frames and restarts when told to."""

import socket
import struct
import threading
import time
from fractions import Fraction

import av
import numpy as np

_PAYLOAD_TYPE = 96
_MAX_PAYLOAD = 1400


def encode(images, fps: int = 25, gop: int = 10) -> list[list[bytes]]:
    """Return the NAL units of each frame, parameter sets before every key frame."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = images[0].shape
    encoder.time_base, encoder.framerate = Fraction(1, fps), Fraction(fps, 1)
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "crf": "10",
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:repeat-headers=1",
    }
    encoder.pix_fmt = "yuv420p"
    frames = []
    for position, image in enumerate(images):
        rgb = np.repeat(image[:, :, None], 3, axis=2)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts = position
        frames += [_units(bytes(packet)) for packet in encoder.encode(frame)]
    frames += [_units(bytes(packet)) for packet in encoder.encode(None)]
    return frames


def _units(data: bytes) -> list[bytes]:
    parts = data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [part for part in parts if part]


class RtspServer:
    """Serves one stream, over and over, to one client at a time.

    Args:
        frames: NAL units of each frame, as of ``encode``; the first is a key frame.
        fps: Frames per second.

    Attributes:
        frames: What is sent.
        num_sent: Frames sent so far, counted over restarts.
        position_sum: The same with those that were left out.
        num_skipped: Frames left out by ``skip``.
        stall_until: Nothing is sent before; then what was missed comes at once.
        skip: So many of the next frames are left out, as if lost on their way.
        garbage: Random bytes are sent once, and the connection is closed.
    """

    def __init__(self, frames: list[list[bytes]], *, fps: float = 25.0) -> None:
        self.frames = frames
        self._fps = fps
        self.num_sent = self.num_skipped = self.position_sum = 0
        self.stall_until = 0.0
        self.skip = 0
        self.garbage = False
        self._stop = threading.Event()
        self._listener = self._thread = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def start(self) -> None:
        """Listen, on the same port after a restart."""
        self._stop.clear()
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=True)
        self._listener.settimeout(0.1)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="rtsp server")
        self._thread.start()

    def stop(self) -> None:
        """Close all connections."""
        self._stop.set()
        self._thread.join()
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_error) -> None:
        self.stop()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            with client:
                client.settimeout(0.1)
                try:
                    self._answer(client)
                except OSError:
                    continue

    def _answer(self, client: socket.socket) -> None:
        """Answer requests until PLAY, then send frames."""
        pending = b""
        while not self._stop.is_set():
            try:
                received = client.recv(4096)
            except TimeoutError:
                continue
            if not received:
                return
            pending += received
            while b"\r\n\r\n" in pending:
                request, _, pending = pending.partition(b"\r\n\r\n")
                lines = request.decode().split("\r\n")
                method = lines[0].split()[0]
                number = next(line for line in lines if line.lower().startswith("cseq"))
                client.sendall(self._reply(method, number))
                if method == "PLAY":
                    self._play(client)
                    return

    def _reply(self, method: str, number: str) -> bytes:
        head, body = "", ""
        if method == "OPTIONS":
            head = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                f"m=video 0 RTP/AVP {_PAYLOAD_TYPE}\r\na=rtpmap:{_PAYLOAD_TYPE} H264/90000\r\n"
                f"a=fmtp:{_PAYLOAD_TYPE} packetization-mode=1\r\na=control:track0\r\n"
            )
            head = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            head = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        elif method == "PLAY":
            head = "Session: 1\r\n"
        return f"RTSP/1.0 200 OK\r\n{number}\r\n{head}\r\n{body}".encode()

    def _play(self, client: socket.socket) -> None:
        client.settimeout(5)
        started, position, sequence = time.monotonic(), 0, 0
        while not self._stop.is_set():
            due = started + position / self._fps
            now = time.monotonic()
            if now < max(due, self.stall_until):
                time.sleep(min(max(due, self.stall_until) - now, 0.05))
                continue
            if self.garbage:
                client.sendall(np.random.default_rng(0).bytes(5000))
                self.garbage = False
                return
            if self.skip:
                self.skip -= 1
                self.num_skipped += 1
            else:
                units = self.frames[position % len(self.frames)]
                ticks = int(position * 90000 / self._fps)
                for payload, is_end in _rtp_payloads(units):
                    header = struct.pack(
                        "!BBHII", 0x80, _PAYLOAD_TYPE | is_end << 7, sequence & 0xFFFF, ticks, 7
                    )
                    packet = header + payload
                    client.sendall(b"$\0" + struct.pack("!H", len(packet)) + packet)
                    sequence += 1
                self.num_sent += 1
            position += 1
            self.position_sum += 1


def _rtp_payloads(units: list[bytes]):
    """Yield (payload, whether it ends the frame), as of RFC 6184: single units and FU-A."""
    for number, unit in enumerate(units):
        is_last_unit = number == len(units) - 1
        if len(unit) <= _MAX_PAYLOAD:
            yield unit, is_last_unit
            continue
        body = unit[1:]
        for start in range(0, len(body), _MAX_PAYLOAD):
            is_end = start + _MAX_PAYLOAD >= len(body)
            flags = (start == 0) << 7 | is_end << 6 | unit[0] & 31
            yield (
                bytes([unit[0] & 0xE0 | 28, flags]) + body[start : start + _MAX_PAYLOAD],
                is_last_unit and is_end,
            )
