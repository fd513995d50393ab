"""What is no regular file is refused before it is opened."""

import os
import socket
from pathlib import Path

import pytest

from stdet.errors import ConfigError, DataError
from stdet.files.regular_file import file_mode, require_regular_file


def _make(path: Path, what: str) -> Path:
    if what == "folder":
        path.mkdir()
    elif what == "named pipe":
        os.mkfifo(path)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.parametrize("what", ["folder", "named pipe", "socket", "device"])
def test_what_is_no_regular_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
):
    monkeypatch.chdir(tmp_path)  # The name of a socket has at most 107 bytes.
    path = _make(Path("x.json"), what)
    with pytest.raises(ConfigError, match=rf"^x\.json: is a {what}; name a file\.$"):
        require_regular_file(path, advice="name a file", kind=ConfigError)


def test_regular_files_and_links_to_them_pass(tmp_path: Path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    require_regular_file(tmp_path / "a")
    require_regular_file(tmp_path / "link")


def test_missing_files_have_no_mode(tmp_path: Path):
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "file").touch()
    for path in (tmp_path / "gone", tmp_path / "dangling", tmp_path / "file" / "below"):
        assert file_mode(path) is None
        with pytest.raises(DataError, match="does not exist"):
            require_regular_file(path)


@pytest.mark.parametrize("name", ["a\0b", "a" * 300, "loop", "\ud800"])
def test_names_that_no_file_can_have_are_one_line(tmp_path: Path, name: str):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match="cannot be looked at"):
        require_regular_file(tmp_path / name)


def test_bytes_that_are_no_utf8_are_fine_in_names(tmp_path: Path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.touch()
    require_regular_file(path)
