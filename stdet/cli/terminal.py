"""What reaches a terminal: escaped where it could steer it, in any encoding, on a closed pipe."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

from stdet.errors import printable

BROKEN_PIPE_CODE = 141
"""Exit code where nobody reads stdout any more: 128 + SIGPIPE, as for other programs."""

_MAX_LINE = 3000
"""Characters of a line on stderr; a path may be longer."""


def say(text: object) -> None:
    """Print a result on stdout, escaped, with one newline at its end; a path is one line."""
    is_path = isinstance(text, Path)
    print(printable(text) if is_path else _escaped(str(text).removesuffix("\n")))


def complain(text: object) -> None:
    """Print one line on stderr, cut in its middle, with the name of the program before it."""
    line = printable(text)
    if len(line) > _MAX_LINE:
        line = f"{line[: _MAX_LINE // 2]}...{line[-_MAX_LINE // 2 :]}"
    print(f"stdet: {line}", file=sys.stderr)


def prepare_streams() -> None:
    """Let stdout and stderr escape what their encoding lacks, and log to stderr."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # Closed by who started us, as `>&-` does.
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
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
