"""Video files out: annotated H.264 and lossless 16-bit FFV1, through PyAV."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from stdet.errors import DataError
from stdet.files.atomic_file import open_part, write_problem
from stdet.processes.interrupts import uninterrupted

_MAX_RATE_DENOMINATOR = 1001


class VideoWriter:
    """Writes RGB frames as H.264 (yuv420p) in an mp4 file.

    The file is written under a temporary name beside the final one, which is taken only when the
    video is finished. Leaving the context through an error leaves nothing, unless ``close`` was
    called.

    Example:
        >>> with VideoWriter(Path("out.mp4"), hw=(256, 320), fps=25.0) as writer:  # doctest: +SKIP
        ...     writer.write(np.zeros((256, 320, 3), np.uint8))
    """

    def __init__(
        self, path: Path, *, hw: tuple[int, int], fps: float, is_endless: bool = False
    ) -> None:
        """Open the file.

        Args:
            path: Final name; replaced if it exists.
            hw: Height and width of the frames in pixels; odd sizes are padded by one edge pixel.
            fps: Frames per second.
            is_endless: Write in fragments, so that memory does not grow with the length.

        Raises:
            DataError: If the file cannot be created.
        """
        self._hw = hw
        self._encoder = _Encoder(
            path,
            container_format="mp4",
            codec="libx264",
            pixel_format="yuv420p",
            hw=(hw[0] + hw[0] % 2, hw[1] + hw[1] % 2),
            fps=fps,
            # Without B-frames: mp4 counts decoding times, which must not stay behind at a hole.
            options={"crf": "17", "preset": "veryfast", "bf": "0"},
            container_options={"movflags": "frag_keyframe+empty_moov"} if is_endless else {},
        )

    def write(self, rgb: NDArray[np.uint8], *, position: int | None = None) -> None:
        """Append one frame.

        Args:
            rgb: uint8 (H, W, 3).
            position: When it is shown, in frames from the start of the video, increasing; the
                frame before it is shown until then. None: after the frame before it.

        Raises:
            DataError: If the disk is full or the file cannot be written.
        """
        if rgb.shape != (*self._hw, 3) or rgb.dtype != np.uint8:
            raise ValueError(f"frame is {rgb.dtype} {rgb.shape}; expected uint8 {(*self._hw, 3)}.")
        if self._hw[0] % 2 or self._hw[1] % 2:
            rgb = np.pad(rgb, ((0, self._hw[0] % 2), (0, self._hw[1] % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts = position
        self._encoder.write(frame)

    def finish(self) -> None:
        """Write what the encoder still holds and end the file, which has no name yet.

        Raises:
            DataError: If the disk is full or the file cannot be written.
        """
        self._encoder.finish()

    def close(self, path: Path | None = None) -> None:
        """Finish the video and give it its name, or another; without any frame nothing is left.

        Raises:
            DataError: If the disk is full or the file cannot be written.
        """
        self._encoder.close(path)

    def abort(self) -> None:
        """Drop what was written; nothing happens after ``close``."""
        self._encoder.abort()

    def __enter__(self) -> VideoWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the video, or drop it after an error."""
        if error is None:
            self.close()
        else:
            self.abort()


def write_grey(
    path: Path, frames: Iterable[NDArray[np.uint8] | NDArray[np.uint16]], fps: float
) -> None:
    """Write raw grey frames without loss, as FFV1 gray or gray16le in an mkv file.

    Args:
        path: Final name; replaced if it exists.
        frames: uint8 or uint16 (H, W), all of one size and type.
        fps: Frames per second.

    Raises:
        DataError: If there are no frames, or the disk is full or cannot be written.
    """
    encoder: _Encoder | None = None
    try:
        for frame in frames:
            if encoder is None:
                encoder = _Encoder(
                    path,
                    container_format="matroska",
                    codec="ffv1",
                    pixel_format="gray" if frame.dtype == np.uint8 else "gray16le",
                    hw=(frame.shape[0], frame.shape[1]),
                    fps=fps,
                    options={},
                    container_options={},
                )
            kind = "gray" if frame.dtype == np.uint8 else "gray16le"
            encoder.write(av.VideoFrame.from_ndarray(frame, format=kind))
    except BaseException:
        if encoder is not None:
            encoder.abort()
        raise
    if encoder is None:
        raise DataError(f"{path}: there are no frames to write.")
    encoder.close()


class _Encoder:
    """One encoded stream, written beside its final name and moved there when finished."""

    def __init__(
        self,
        path: Path,
        *,
        container_format: str,
        codec: str,
        pixel_format: str,
        hw: tuple[int, int],
        fps: float,
        options: dict[str, str],
        container_options: dict[str, str],
    ) -> None:
        self._path = path
        self._num_frames = 0
        self._is_open = False
        self._is_finished = False
        # FFmpeg opens the file with the first packet; a wrong folder should fail at once.
        file, self._part = open_part(path)
        file.close()
        with self._library_errors():
            # Without a protocol, a colon in the name would state one.
            self._container = av.open(
                f"file:{self._part}", "w", format=container_format, options=container_options
            )
            self._is_open = True
            rate = Fraction(fps).limit_denominator(_MAX_RATE_DENOMINATOR)
            # The stubs of `add_stream` do not know which kind of stream a codec name gives.
            stream: Any = self._container.add_stream(codec, rate=rate, options=options)
            self._stream = stream
            self._stream.height, self._stream.width = hw
            self._stream.pix_fmt = pixel_format

    def write(self, frame: av.VideoFrame) -> None:
        """Encode one frame."""
        with uninterrupted(), self._library_errors():
            self._container.mux(self._stream.encode(frame))
            self._num_frames += 1

    def finish(self) -> None:
        """Write what the encoder holds and close the file."""
        if self._is_open and self._num_frames:
            with uninterrupted(), self._library_errors():
                self._container.mux(self._stream.encode(None))
                self._container.close()
                self._is_open = False
                self._is_finished = True

    def close(self, path: Path | None = None) -> None:
        """Finish the file and give it its name, or another; without frames there is none."""
        self.finish()
        if not self._is_finished:
            self.abort()
            return
        with uninterrupted(), self._library_errors():
            os.replace(self._part, path or self._path)
            self._is_finished = False

    def abort(self) -> None:
        """Drop what was written."""
        if self._is_open:
            self._is_open = False
            with contextlib.suppress(av.FFmpegError, OSError):
                self._container.close()
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _library_errors(self) -> Iterator[None]:
        """Drop the file and raise ``DataError`` where the disk or the encoder fails."""
        try:
            yield
        except Exception as error:  # FFmpeg's errors, the system's, and those of wrong values.
            self.abort()
            raise DataError(f"{self._path}: {write_problem(error)}.") from error
