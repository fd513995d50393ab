"""Keep a process from writing outside its own folder, by Linux's Landlock.

A fuzzed path may be any path. Reading stays free; every way to write, make or remove anything is
left in the given folder, and in the devices that take writes without harm.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_NO_NEW_PRIVILEGES = 38
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_ALL_WRITES = _WRITE_FILE | _TRUNCATE | sum(1 << bit for bit in range(4, 14))
_FREE_DEVICES = ("/dev/null", "/dev/full", "/dev/zero", "/dev/tty")
_SHARED_MEMORY = "/dev/shm"  # Semaphores of multiprocessing.
_MIN_VERSION = 3
_SHOW_VERSION = 1

_libc = ctypes.CDLL(None, use_errno=True)


def can_confine() -> bool:
    """Say whether the system knows Landlock with all rights used here."""
    version: int = _libc.syscall(_CREATE, None, 0, _SHOW_VERSION)
    return version >= _MIN_VERSION


def confine_writes(folder: Path) -> None:
    """Let this process and its children write below a folder alone, for good.

    Raises:
        OSError: If the system refuses.
    """
    attributes = struct.pack("<Q", _ALL_WRITES)
    rules = _checked(_libc.syscall(_CREATE, attributes, len(attributes), 0))
    for path in (str(folder), _SHARED_MEMORY):
        _allow(rules, path, _ALL_WRITES)
    for path in _FREE_DEVICES:
        if os.path.exists(path):
            _allow(rules, path, _WRITE_FILE | _TRUNCATE)
    _checked(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(_libc.syscall(_RESTRICT, rules, 0))
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH)
    rule = struct.pack("<Qi", rights, place)  # A packed struct of 12 bytes.
    _checked(_libc.syscall(_ADD, rules, 1, rule, 0))
    os.close(place)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
