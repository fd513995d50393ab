"""What the user names as a live source.

    0, /dev/video0                           a camera of this machine (Linux, Video4Linux2)
    rtsp://, http://, udp://, tcp:// ...     a stream in the network
    - or a named pipe, with a raw format     raw frames

Messages and outputs name an address without user and password.
"""

from __future__ import annotations

import re
import stat
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stdet.errors import ConfigError, DataError, printable, shown
from stdet.files.regular_file import file_mode
from stdet.io.live.raw_format import RawFormat

SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "tcp", "rtp")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.+)", re.DOTALL)
_MAX_NAME = 60


@dataclass(frozen=True, kw_only=True)
class LiveAddress:
    """A live source.

    Attributes:
        kind: What it is.
        target: What is opened: a device, a URL, a pipe, or ``-``.
        label: The same for messages and outputs, without user and password.
        name: Stem of output files.
        raw: How the frames of a pipe lie; None for other kinds.
    """

    kind: Literal["camera", "network", "pipe"]
    target: str
    label: str
    name: str
    raw: RawFormat | None = None


def live_address(source: str, raw: RawFormat | None = None) -> LiveAddress | None:
    """Return the live source that a text names, None where it names a file or folder.

    A number is a camera unless a file or folder has that name.

    Args:
        source: What the user has given.
        raw: Format of raw frames.

    Raises:
        ConfigError: If the scheme of a URL is not read, or ``raw`` is missing or out of place.
        DataError: If a pipe is to be read that is none.
    """
    url = _URL.fullmatch(source)
    if url is not None:
        return _network(source, url, raw)
    mode = file_mode(Path(source))
    is_pipe = source == "-" or (mode is not None and stat.S_ISFIFO(mode))
    if is_pipe:
        if raw is None:
            raise ConfigError(
                f"{source}: say how its raw frames lie, such as --raw 640x512:gray16le@25."
            )
        name = "stdin" if source == "-" else Path(source).stem
        label = "standard input" if source == "-" else source
        return LiveAddress(kind="pipe", target=source, label=label, name=name, raw=raw)
    if raw is not None:
        raise DataError(f"{source}: --raw goes with - (standard input) or a named pipe.")
    if mode is None and re.fullmatch(r"\d{1,3}", source):
        source = f"/dev/video{int(source)}"
    elif not (mode is not None and stat.S_ISCHR(mode)) and not source.startswith("/dev/video"):
        return None
    return LiveAddress(kind="camera", target=source, label=source, name=Path(source).name)


def _network(source: str, url: re.Match[str], raw: RawFormat | None) -> LiveAddress:
    """Return a stream in the network."""
    if url[1].lower() not in SCHEMES:
        raise ConfigError(
            f"{shown(f'{url[1]}://')}: streams of this kind are not read; expected one of "
            f"{', '.join(f'{scheme}://' for scheme in SCHEMES)}."
        )
    if raw is not None:
        raise ConfigError("--raw goes with - (standard input) or a named pipe, not with a URL.")
    label = without_password(source)
    place = label.partition("://")[2].partition("?")[0]
    name = re.sub(r"[^A-Za-z0-9]+", "_", place).strip("_")[:_MAX_NAME] or url[1].lower()
    return LiveAddress(kind="network", target=source, label=label, name=name)


def without_password(url: str) -> str:
    """Return a URL without user, password and values of a query, safe to print.

    Example:
        >>> without_password("rtsp://admin:secret@10.0.0.2:554/a?key=5&channel=2")
        'rtsp://10.0.0.2:554/a?key=...&channel=...'
    """
    scheme, _, rest = url.partition("://")
    place, mark, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    host = authority.rpartition("@")[2]
    names = [name for name, _ in urllib.parse.parse_qsl(query, keep_blank_values=True)]
    hidden = "&".join(f"{name}=..." for name in names)
    return printable(f"{scheme}://{host}{slash}{path}{mark}{hidden}")
