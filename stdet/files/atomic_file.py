"""Files that appear under their name only when they are whole.

What is being written has a name of its own, ``<name>.<8 hex digits>.part``, so that two runs never
write one file and nothing that lies there is followed or opened. It is renamed at the end, or
removed. Only a process that is killed (``kill -9``, power) leaves such a file;
``find_leftovers`` finds them, and ``remove_leftovers`` removes them.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from stdet.errors import DataError, reason_of
from stdet.processes.interrupts import uninterrupted

log = logging.getLogger(__name__)

_ANY_NAME = re.compile(".+")

_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class AtomicFile:
    """A text file that is whole after every ``write``, and takes its name at the end of the block.

    A block that ends by an error leaves an earlier file of the name as it was, and nothing else,
    unless ``commit`` was called. Where a write fails, the file is what it was before that write.

    Args:
        path: Final name; replaced where it exists.

    Raises:
        DataError: On entering, writing or leaving, if the file cannot be written or the disk is
            full.
    """

    def __init__(self, path: Path) -> None:
        """Remember the path; nothing is opened yet."""
        self.path = path
        self._file: io.FileIO | None = None
        self._part = path
        self._size = 0
        self._ending = b""
        self._before = (0, b"")
        self._is_torn = False

    def __enter__(self) -> Self:
        """Make the file."""
        self._file, self._part = open_part(self.path)
        return self

    def write(self, text: str, *, ending: str = "") -> None:
        r"""Append text, and write an ending behind it that the next text replaces.

        Args:
            text: Written as UTF-8; bytes of a file name that are none, as ``\udce9``.
            ending: What makes a whole file of what was written so far, such as closing brackets.

        Raises:
            DataError: If it cannot be written.
            ValueError: Outside the block.
        """
        before = (self._size, self._ending)
        with uninterrupted():
            self._put(_encoded(text), _encoded(ending))
        self._before = before

    def undo(self) -> None:
        """Take the last ``write`` back."""
        with uninterrupted():
            self._restore(*self._before)

    def commit(self, path: Path | None = None) -> None:
        """Give the file its name, or another; nothing more can be written.

        Raises:
            DataError: If the file cannot be closed or renamed, or a write that failed could not
                be taken back; then it keeps its temporary name.
        """
        file = self._opened()
        with uninterrupted(), explain_os_errors(self.path):
            file.close()
            if self._is_torn:
                self._file = None
                raise DataError(f"{self.path}: its end may be torn; it is left as {self._part}.")
            self._part.replace(path or self.path)
            self._file = None

    def discard(self) -> None:
        """Drop what was written; nothing happens after ``commit``."""
        if self._file is None:
            return
        file, self._file = self._file, None
        with contextlib.suppress(OSError):
            file.close()
        with contextlib.suppress(OSError):
            self._part.unlink()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the name, or drop the file after an error."""
        try:
            if error is None and self._file is not None:
                self.commit()
        finally:
            self.discard()

    def _opened(self) -> io.FileIO:
        if self._file is None:
            raise ValueError(f"{self.path} is not open; write inside the `with` block.")
        return self._file

    def _put(self, text: bytes, ending: bytes) -> None:
        """Write behind what is there, in place of its ending; all or nothing."""
        file = self._opened()
        try:
            with explain_os_errors(self.path):
                _write_at(file, self._size, text + ending)
                if len(text) + len(ending) < len(self._ending):
                    file.truncate()
        except DataError:
            self._restore(self._size, self._ending)
            raise
        self._size += len(text)
        self._ending = ending

    def _restore(self, size: int, ending: bytes) -> None:
        """Cut the file and write its ending, for which it had room before."""
        file = self._opened()
        self._is_torn = True
        with explain_os_errors(self.path):
            _write_at(file, size, ending)
            file.truncate()
        self._is_torn = False
        self._size, self._ending = size, ending


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _write_at(file: io.FileIO, position: int, data: bytes) -> None:
    """Write all of the data; the position is behind it then."""
    file.seek(position)
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its name and rename it, so that no reader ever sees half of it.

    Raises:
        DataError: If the file cannot be written or the disk is full; an earlier file stays.
    """
    file, part = open_part(path)
    try:
        with file, explain_os_errors(path):
            _write_at(file, 0, data)
        with explain_os_errors(path):
            part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def open_part(path: Path) -> tuple[io.FileIO, Path]:
    """Make the new file in which ``path`` is written, and return it open, with its name.

    Raises:
        DataError: If it cannot be made.
    """
    while True:
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        with explain_os_errors(path), contextlib.suppress(FileExistsError):
            # "x" makes a new file and follows no link.
            return io.FileIO(part, "x+"), part


def require_writable(path: Path) -> None:
    """Refuse before the work what could not be written after it: a folder, a name too long.

    Missing folders are not made: the nearest one that is there is tried.

    Raises:
        DataError: If no file can be made there.
    """
    folder = next((above for above in path.parents if os.path.exists(above)), path.parent)
    file, part = open_part(folder / path.name)
    file.close()
    part.unlink(missing_ok=True)


def find_leftovers(folder: Path, name: str | re.Pattern[str] = _ANY_NAME) -> list[Path]:
    """Return what killed runs have left in a folder.

    Call it where no other run writes (``locks.py``); theirs look the same.

    Args:
        folder: Where to look.
        name: Of the output that was being written, or what its name must match.

    Raises:
        DataError: If the folder cannot be read.
    """
    own = name.pattern if isinstance(name, re.Pattern) else re.escape(name)
    pattern = re.compile(rf"(?:{own})\.[0-9a-f]{{8}}\.part", re.DOTALL)
    with explain_os_errors(folder):
        return sorted(entry for entry in folder.iterdir() if pattern.fullmatch(entry.name))


def remove_leftovers(folder: Path, name: str | re.Pattern[str] = _ANY_NAME) -> None:
    """Remove what ``find_leftovers`` finds, and say so.

    Raises:
        DataError: If the folder cannot be read, or something in it not be removed.
    """
    for path in find_leftovers(folder, name):
        with explain_os_errors(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        log.warning("%s: removed; a run that was killed left it.", path)


@contextlib.contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Turn what the system says to writing ``path`` into a ``DataError`` that says what to do.

    Enclose calls of the system alone: a ``ValueError`` is taken for a path that no file can have.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL byte or a lone surrogate.
        raise DataError(f"{path}: {write_problem(error)}.") from error


def is_disk_full(error: BaseException) -> bool:
    """Say whether the system has refused to write for want of space or quota."""
    return getattr(error, "errno", None) in _DISK_FULL


def write_problem(error: BaseException) -> str:
    """Say why something cannot be written and what to do."""
    if is_disk_full(error):
        return "disk full; free some space and run again"
    if getattr(error, "errno", None) == errno.ENAMETOOLONG:
        return "the name is too long for a file system; shorten it"
    return f"cannot be written ({reason_of(error)}); check the folder and its permissions"
