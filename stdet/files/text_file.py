"""Read whole text and JSON files: the one way in for labels, results and reports.

What a file can cause (no such file, a pipe, bytes that are no text, text that is no JSON, nesting
without end, numbers of thousands of digits) is a ``StdetError`` with its name. A byte order mark
is accepted: UTF-8 as Windows programs write it, UTF-16 and UTF-32. Without one, text is UTF-8.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from stdet.errors import foreign_errors, shown
from stdet.files.regular_file import require_regular_file

_MARKS = (  # UTF-32 before UTF-16, whose little-endian mark it begins with.
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, *, advice: str) -> str:
    """Read a text file.

    Args:
        path: UTF-8, or any encoding that a byte order mark names; the mark is taken off.
        advice: What to do where it cannot be read.

    Raises:
        DataError: If there is no such regular file, or it is not text.
    """
    require_regular_file(path, advice=advice)
    with foreign_errors(path, advice=advice):
        content = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    problem = f"is not {encoding.removesuffix('-sig').upper()} text"
    with foreign_errors(path, advice=advice, problem=problem):
        return content.decode(encoding)


def read_text_lines(path: Path, *, advice: str) -> list[str]:
    r"""Read the lines of a text file, without what ends them: ``\n``, ``\r\n`` or ``\r``.

    Args:
        path: As for ``read_text``.
        advice: What to do where it cannot be read.

    Raises:
        DataError: If there is no such regular file, or it is not text.
    """
    lines = re.split(r"\r\n|\r|\n", read_text(path, advice=advice))
    return lines if lines[-1] else lines[:-1]


def read_json(path: Path, *, advice: str) -> Any:
    """Read a JSON file.

    Args:
        path: As for ``read_text``.
        advice: What to do where it cannot be read.

    Returns:
        Its value. NaN and Infinity, which Python writes and JSON does not know, are read.

    Raises:
        DataError: If there is no such regular file, or it is not JSON or not one that can be read
            in one way: an object with the same key twice.
    """
    text = read_text(path, advice=advice)
    with foreign_errors(path, advice=advice, problem="is not JSON that can be read"):
        return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, refusing a key that occurs twice: one of its values would be lost."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"an object has the key {shown(twice)} twice")
    return entries
