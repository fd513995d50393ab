"""What reaches a terminal: escaped where it could steer it, in any encoding, on a closed pipe."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import sys
from typing import NoReturn

from stdet.errors import printable

BROKEN_PIPE_CODE = 141
"""Exit code where nobody reads stdout any more: 128 + SIGPIPE, as for other programs."""


def say(text: object) -> None:
    """Print a result on stdout, its lines escaped one by one, with one newline at its end."""
    print(_escaped(str(text).removesuffix("\n")))


def complain(text: object) -> None:
    """Print one line on stderr, with the name of the program before it."""
    print(f"stdet: {printable(text)}", file=sys.stderr)


def prepare_streams() -> None:
    """Let stdout and stderr escape what their encoding lacks, and log to stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def close_stdout() -> None:
    """Drop what nobody will read, so that the interpreter does not try to write it at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Parser(argparse.ArgumentParser):
    """A parser whose messages repeat arguments escaped."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message and exit with code 2."""
        super().error(printable(message))


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return the record with every line escaped."""
        return _escaped(super().format(record))


def _escaped(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))
