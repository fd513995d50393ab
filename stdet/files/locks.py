"""One writer at a time for an output: locks that end with the process that holds them.

The lock is the kernel's (``flock``), on a small file beside or in what it guards. It ends with its
process however that ends, so no lock is ever judged stale by its age or process id: a lock file
that nobody holds was left by a run that was killed, and is taken over with a warning. The text in
the file says who writes, for the message that a second writer gets.

On network file systems the kernel passes the lock on to the server. Where a file system has no
locks the run goes on with a warning; temporary names are unique, so that no file is torn even
then.
"""

from __future__ import annotations

import contextlib
import errno
import getpass
import logging
import os
import socket
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from stdet.errors import DataError, printable
from stdet.files.atomic_file import explain_os_errors

log = logging.getLogger(__name__)

FOLDER_LOCK_NAME = ".stdet.lock"
"""Lock of a whole folder, inside it; it does not count as content."""

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""No link is followed, and opening a pipe does not wait for its other end."""
_HAS_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
"""What the system says where the file system has no locks."""
_MAX_TEXT = 300
"""Bytes of a lock file that are read."""
_LOCKED_BYTE = 1 << 30
"""Where Windows locks, which locks bytes and not files: beyond the text, which stays readable."""


@contextlib.contextmanager
def lock_folder(
    folder: Path, *, advice: str = "wait for it, or name another folder"
) -> Iterator[None]:
    """Be the only run that writes a folder, until the block ends.

    Args:
        folder: Exists. ``.stdet.lock`` is made in it and removed at the end.
        advice: What to do where another run writes there.

    Raises:
        DataError: If another run holds the lock (with its owner and since when), or the folder
            cannot be written.
    """
    with _hold(folder / FOLDER_LOCK_NAME, guarded=folder, advice=advice):
        yield


@contextlib.contextmanager
def lock_output(
    path: Path, *, advice: str = "wait for it, or name another folder"
) -> Iterator[None]:
    """Be the only run that writes an output, or all outputs of one stem, until the block ends.

    Args:
        path: The output, or what the names of all outputs begin with; its folder exists.
            ``.<name>.lock`` is made beside it and removed at the end.
        advice: What to do where another run writes there.

    Raises:
        DataError: As ``lock_folder``.
    """
    with _hold(path.with_name(f".{path.name}.lock"), guarded=path, advice=advice):
        yield


@contextlib.contextmanager
def _hold(path: Path, *, guarded: Path, advice: str) -> Iterator[None]:
    """Hold the lock file ``path`` until the block ends."""
    descriptor = None
    while descriptor is None:
        descriptor = _acquire(path, guarded=guarded, advice=advice)
    try:
        yield
    finally:
        # Removed while it is held: whoever opened it meanwhile finds that it is gone.
        if _is_at(descriptor, path):
            _remove(path)
        os.close(descriptor)


def _acquire(path: Path, *, guarded: Path, advice: str) -> int | None:
    """Open and lock the file and write who we are; None if its owner has just removed it."""
    with explain_os_errors(path):
        descriptor = os.open(path, _FLAGS, 0o666)
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(os.close, descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DataError(f"{path}: is no regular file; remove it and run again.")
        owner = printable(os.read(descriptor, _MAX_TEXT).decode("utf-8", "replace").strip())
        if not _try_lock(descriptor, path):
            raise DataError(
                f"{guarded}: another run is writing there ({owner or 'just started'}); {advice}."
            )
        if not _is_at(descriptor, path):
            return None
        if owner:
            log.warning("%s: taking over from a run that was killed (%s).", guarded, owner)
        on_failure.callback(_remove, path)  # A full disk has room for the name alone.
        with explain_os_errors(path):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, f"{_this_process()}\n".encode())
        on_failure.pop_all()
    return descriptor


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _try_lock(descriptor: int, path: Path) -> bool:
    """Lock an open file without waiting, and say whether that worked."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HAS_NO_LOCKS:
            log.warning(
                "%s: this file system has no locks (%s); let no other run write there.",
                path.parent,
                error.strerror,
            )
            return True
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Say whether the open file still has its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _this_process() -> str:
    """Say who holds the lock."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # No name for this user, as in many containers.
        user = f"user {os.getuid()}" if hasattr(os, "getuid") else "an unknown user"
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"process {os.getpid()} of {user} on {socket.gethostname()}, since {now}"
