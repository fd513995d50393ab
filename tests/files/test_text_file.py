"""Text and JSON files: what is read, what is one line of error."""

import json
import os
import re
from pathlib import Path

import pytest

from stdet.errors import DataError
from stdet.files.text_file import read_json, read_text_lines

VALUE = {"name": "caf\u00e9", "rows": [1, 2.5, None]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_read(tmp_path: Path, encoding: str):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(VALUE, ensure_ascii=False), encoding=encoding)
    assert read_json(path, advice="x") == VALUE


def test_lines_end_as_on_any_system(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n\nlast\n")
    assert read_text_lines(tmp_path / "a.txt", advice="x") == ["one", "two", "three", "", "last"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b"{\xff", "is not UTF-8 text"),
        (b"\xff\xfe\x00", "is not UTF-16 text"),
        (b"[" * 100_000, "recursion"),
        (b"9" * 5_000, "Exceeds the limit"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' twice"),
        (b'{"a": 1} tail', "Extra data"),
    ],
    ids=["empty", "bytes", "cut-utf-16", "deep", "digits", "twice", "tail"],
)
def test_what_is_no_json_is_one_line_with_the_file(tmp_path: Path, content: bytes, reason: str):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(reason)) as caught:
        read_json(path, advice="mend it")
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith("; mend it.")
    assert len(message) < 600


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path, tmp_path / "pipe.json", Path("/dev/zero"), tmp_path / "a\0b.json"):
        with pytest.raises(DataError, match=r"mend it|check the path"):
            read_json(path, advice="mend it")
