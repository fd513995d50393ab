"""Errors that are the user's to mend, not ours.

The command line prints any ``StdetError`` as one line on stderr and exits with its ``exit_code``.
Wrong calls from Python raise ``ValueError``; everything else is a bug and shows a traceback.

What a file makes a library raise is turned into a ``StdetError`` at one boundary,
``foreign_errors``, which encloses calls of libraries and none of ours.
"""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Iterator
from pathlib import Path

_MAX_SHOWN = 300
"""Characters of a foreign text that a message repeats."""

_QUOTE = reprlib.Repr()
"""Cuts long texts and lists, and ends where they are nested without end."""
_QUOTE.maxstring = _QUOTE.maxother = _QUOTE.maxlong = 64


class StdetError(Exception):
    """Base of every error caused by a file, a configuration or a command line."""

    exit_code = 2


class ConfigError(StdetError):
    """A YAML file or a ``--set`` override does not describe a valid configuration."""


class DataError(StdetError):
    """An image, video, annotation or output file cannot be used as it is."""


class CheckpointError(StdetError):
    """A weights or resume file is missing, damaged or of another architecture."""


class TrainingError(StdetError):
    """Training cannot go on, for example because the loss is no longer finite."""


class WorkerError(StdetError):
    """A process that worked for this one was killed."""


class IncompleteInputError(DataError):
    """Input ended early or was damaged part-way; what was read before has been kept.

    Raised after everything usable has been processed and written.
    """

    exit_code = 3


def printable(text: object) -> str:
    r"""Return a text on one line that is safe to print on any terminal and in any encoding.

    Control characters (an ANSI escape in a file name), line separators and bytes that are no
    UTF-8 are escaped; whatever else can be printed stays.

    Example:
        >>> print(printable("caf\udce9\x1b[31m.mp4"))
        caf\xe9\x1b[31m.mp4
    """
    return "".join(_shown(char) for char in str(text))


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    if "\udc80" <= char <= "\udcff":  # A byte that `os.fsdecode` could not decode.
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def shown(value: object) -> str:
    """Quote what a file holds in a message: on one line, safe to print, and cut.

    Example:
        >>> shown([1, 2]), shown("seq" * 1000)
        ('[1, 2]', "'seqseqseqseqseqseqseqseqseqse...seqseqseqseqseqseqseqseqseqseq'")
    """
    return printable(_QUOTE.repr(value))


def reason_of(error: BaseException) -> str:
    """Say in one line why a library failed: the system's reason, or its message, cut.

    Example:
        >>> reason_of(KeyError())
        'KeyError'
    """
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    text = text or type(error).__name__
    return printable(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...")


@contextlib.contextmanager
def foreign_errors(
    path: Path | str,
    *,
    advice: str,
    problem: str = "cannot be read",
    kind: type[StdetError] = DataError,
) -> Iterator[None]:
    """Turn whatever a library raises on a file's content into one of our errors.

    Put library calls inside, and nothing of ours: a bug of ours must show its traceback.

    Args:
        path: What was read, and the place in it.
        advice: What to do.
        problem: What is wrong; the library's reason follows in brackets.
        kind: The error to raise.

    Raises:
        StdetError: Of ``kind``, ``{path}: {problem} ({reason}); {advice}.``

    Example:
        >>> with foreign_errors("a.json", advice="export it again"):
        ...     {}["images"]
        Traceback (most recent call last):
            ...
        stdet.errors.DataError: a.json: cannot be read (KeyError: 'images'); export it again.
    """
    try:
        yield
    except StdetError:
        raise
    except Exception as error:  # Libraries raise of every kind: this is the boundary.
        reason = reason_of(error)
        if isinstance(error, KeyError | IndexError | AttributeError | TypeError):
            reason = f"{type(error).__name__}: {reason}"  # Their messages say nothing alone.
        raise kind(f"{path}: {problem} ({reason}); {advice}.") from error
