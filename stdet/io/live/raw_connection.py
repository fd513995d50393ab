"""Raw frames from standard input or a named pipe."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from stdet.errors import reason_of
from stdet.io.live.address import LiveAddress
from stdet.io.live.connection import Connection, LostError, Picture
from stdet.io.live.raw_format import RawFormat
from stdet.io.live.stream_clock import Instant

_STDIN = 0
_POLL_S = 0.1
_MAX_READ = 1 << 20


class RawFeed:
    """A pipe of raw frames.

    Args:
        address: ``-`` or a named pipe, and the format of its frames.
        raw: The format.
    """

    def __init__(self, address: LiveAddress, raw: RawFormat) -> None:
        """Keep the address; nothing is opened yet."""
        self._address = address
        self._raw = raw
        self.can_reconnect = address.target != "-"

    @contextlib.contextmanager
    def connect(self, is_stopped: Callable[[], bool]) -> Iterator[Connection]:
        """Open it; see ``Feed.connect``."""
        if self._address.target == "-":
            yield _RawConnection(_STDIN, self._raw, is_stopped, waits_for_writer=False)
            return
        try:
            # Opened so, a pipe does not wait for who writes it.
            file = os.open(Path(self._address.target), os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise LostError(reason_of(error)) from error
        try:
            yield _RawConnection(file, self._raw, is_stopped, waits_for_writer=True)
        finally:
            os.close(file)


class _RawConnection:
    """An open pipe."""

    def __init__(
        self, file: int, raw: RawFormat, is_stopped: Callable[[], bool], *, waits_for_writer: bool
    ) -> None:
        self._file = file
        self._raw = raw
        self._is_stopped = is_stopped
        self._waits_for_writer = waits_for_writer
        self.declared_fps = raw.fps

    def pictures(self) -> Iterator[Picture]:
        """Yield whole frames.

        Raises:
            LostError: At the end; it says where that is within a frame.
        """
        while not self._is_stopped():
            data = self._frame()
            if data is None:
                return
            yield Picture(
                instant=Instant(arrival=time.monotonic(), stream=None),
                hw=self._raw.hw,
                bits=self._raw.bits,
                grey=partial(self._raw.image, data),
            )

    def _frame(self) -> bytes | None:
        """Return the bytes of a frame, None where nobody waits for it any more."""
        data = bytearray()
        size = self._raw.num_bytes
        while len(data) < size:
            if self._is_stopped():
                return None
            if not select.select([self._file], [], [], _POLL_S)[0]:
                continue
            try:
                part = os.read(self._file, min(size - len(data), _MAX_READ))
            except BlockingIOError:
                continue
            except OSError as error:
                raise LostError(reason_of(error)) from error
            if part:
                data += part
                self._waits_for_writer = False
            elif self._waits_for_writer:
                time.sleep(_POLL_S)
            else:
                self._end(len(data))
        return bytes(data)

    def _end(self, num_bytes: int) -> None:
        """Raise what the end of the pipe means."""
        if not num_bytes:
            raise LostError("the stream has ended")
        width, height = self._raw.hw[::-1]
        raise LostError(
            f"the stream ends within a frame, {num_bytes} of {self._raw.num_bytes} bytes; check "
            f"that --raw ({width}x{height}:{self._raw.pixels}) is what is sent",
            is_torn=True,
        )
