"""Refuse what is no regular file before it is opened.

Opening a named pipe waits for a writer, perhaps for ever; a device has no end; a socket cannot be
opened at all. Whatever reads a file that the user or another file names asks here first.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stdet.errors import DataError, StdetError, reason_of

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def file_mode(path: Path, *, kind: type[StdetError] = DataError) -> int | None:
    """Return the mode of what a path names, links followed, None where nothing is there.

    Args:
        path: Any path, also one that no file can have.
        kind: The error to raise.

    Raises:
        StdetError: Of ``kind``, if the path cannot be looked at: its name is too long or holds a
            NUL byte, a folder above it may not be entered, links lead in a circle.
    """
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte, a lone surrogate.
        raise kind(
            f"{path}: cannot be looked at ({reason_of(error)}); check the path and its rights."
        ) from error


def require_regular_file(
    path: Path,
    *,
    advice: str = "check the path",
    kind: type[StdetError] = DataError,
) -> None:
    """Check that a path names a regular file; links to one are fine.

    Args:
        path: What is about to be opened.
        advice: What to do where it is missing or something else.
        kind: The error to raise.

    Raises:
        StdetError: Of ``kind``, if nothing is there, or a folder, pipe, socket or device.

    Example:
        >>> require_regular_file(Path("/dev/null"), advice="name a JSON file")
        Traceback (most recent call last):
            ...
        stdet.errors.DataError: /dev/null: is a device; name a JSON file.
    """
    mode = file_mode(path, kind=kind)
    if mode is None:
        raise kind(f"{path}: does not exist; {advice}.")
    if not stat.S_ISREG(mode):
        what = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise kind(f"{path}: is {what}; {advice}.")
