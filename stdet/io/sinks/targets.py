"""Targets of lines: standard output, a file, UDP."""

from __future__ import annotations

import os
import socket
import urllib.parse
from pathlib import Path

from stdet.errors import ConfigError, DataError, reason_of, shown
from stdet.files.atomic_file import explain_os_errors
from stdet.io.live.address import without_password
from stdet.io.sinks.line_sink import LineSink, Target

_STDOUT = 1
_FORMS = "- (standard output), a file, udp://HOST:PORT or mqtt://HOST[:PORT]/TOPIC"


def open_sink(text: str, *, may_drop: bool) -> LineSink:
    """Open a target of lines.

    Args:
        text: ``-``, ``udp://HOST:PORT``, ``mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC``, or a file.
        may_drop: See ``LineSink``.

    Raises:
        ConfigError: If the address is none, or a library is missing.
        DataError: If it cannot be reached or written.
    """
    if text == "-":
        return LineSink("-", _File(_STDOUT), may_drop=may_drop)
    if "://" not in text:
        return LineSink(text, _open_file(Path(text)), may_drop=may_drop)
    label = without_password(text)
    try:
        url = urllib.parse.urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise ConfigError(f"{label}: {reason_of(error)}; expected {_FORMS}.") from error
    target: Target
    if url.scheme == "udp" and host and port and url.path in ("", "/"):
        target = _Udp(label, host, port)
    elif url.scheme in ("mqtt", "mqtts") and host and url.path.strip("/"):
        from stdet.io.sinks.mqtt import Mqtt

        target = Mqtt(label, url)
    else:
        raise ConfigError(f"{shown(label)}: expected {_FORMS}.")
    return LineSink(label, target, may_drop=may_drop)


def _open_file(path: Path) -> Target:
    """Make a file, which must not be there."""
    if path.exists():
        raise DataError(f"{path}: already there; name another file with --jsonl, or remove it.")
    with explain_os_errors(path):
        return _File(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), closes=True)


class _File:
    """An open file or pipe, which gets every line at once."""

    def __init__(self, file: int, *, closes: bool = False) -> None:
        self._file = file
        self._closes = closes

    def write(self, line: str) -> None:
        rest = memoryview(f"{line}\n".encode())
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def close(self) -> None:
        if self._closes:
            os.close(self._file)


class _Udp:
    """A datagram for each line; nobody says whether it came."""

    def __init__(self, label: str, host: str, port: int) -> None:
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM
            )[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.connect(place)
        except OSError as error:
            raise DataError(f"{label}: {reason_of(error)}; check the address.") from error

    def write(self, line: str) -> None:
        self._socket.send(line.encode())

    def close(self) -> None:
        self._socket.close()
