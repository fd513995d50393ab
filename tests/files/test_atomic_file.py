import errno
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.errors import ConfigError, DataError, IncompleteInputError
from stdet.files import atomic_file
from stdet.files.atomic_file import (
    AtomicFile,
    explain_os_errors,
    find_leftovers,
    remove_leftovers,
    write_whole,
)

PART_NAME = re.compile(r"a\.txt\.[0-9a-f]{8}\.part")
ERRORS = [DataError("no"), ConfigError("no"), IncompleteInputError("ended"), OSError("gone")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of an earlier run."""
    (tmp_path / "a.txt").write_text("earlier\n")
    return tmp_path / "a.txt"


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_file_has_its_name_only_when_the_block_ends(path):
    with AtomicFile(path) as file:
        file.write("one\n")
        assert path.read_text() == "earlier\n"
        (part,) = find_leftovers(path.parent)
        assert PART_NAME.fullmatch(part.name)
        assert part.read_text() == "one\n"
        file.write("two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    assert _names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [*ERRORS, KeyboardInterrupt(), RuntimeError("a bug")])
def test_block_that_fails_leaves_the_earlier_file_and_nothing_else(path, error):
    with pytest.raises(type(error)), AtomicFile(path) as file:  # noqa: PT012
        file.write("some\n")
        raise error
    assert path.read_text() == "earlier\n"
    assert _names(path.parent) == ["a.txt"]


def test_what_was_committed_stays_whatever_follows(path):
    with pytest.raises(KeyboardInterrupt), AtomicFile(path) as file:  # noqa: PT012
        file.write("some\n")
        file.commit(path.with_name("b.txt"))
        raise KeyboardInterrupt
    assert path.read_text() == "earlier\n"
    assert path.with_name("b.txt").read_text() == "some\n"
    assert _names(path.parent) == ["a.txt", "b.txt"]


@given(
    writes=st.lists(
        st.tuples(st.text("xyz", max_size=20), st.text("<>", max_size=20), st.booleans())
    )
)
def test_file_is_whole_after_every_write(tmp_path_factory, writes):
    """Each text follows those before it, and the last ending follows them all."""
    path = tmp_path_factory.mktemp("part") / "a.txt"
    kept, last = "", ""
    with AtomicFile(path) as file:
        (part,) = find_leftovers(path.parent)
        for text, ending, is_undone in writes:
            file.write(text, ending=ending)
            assert part.read_text() == kept + text + ending
            if is_undone:
                file.undo()
            else:
                kept, last = kept + text, ending
            assert part.read_text() == kept + last
    assert path.read_text() == kept + last


def test_write_that_finds_the_disk_full_is_taken_back(path, room_left):
    with AtomicFile(path) as file:
        file.write("one\n", ending="]")
        room_left(6)
        for _ in range(3):
            with pytest.raises(DataError, match=r"a\.txt: cannot be written \(File too large\)"):
                file.write("two\n", ending="]")
        file.write("2", ending="]")
    assert path.read_text() == "one\n2]"


def test_file_that_cannot_be_mended_keeps_its_temporary_name(path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    with AtomicFile(path) as file:
        file.write("one\n")
        monkeypatch.setattr(atomic_file, "_write_at", fail)
        with pytest.raises(DataError, match="Input/output error"):
            file.write("two\n")
        with pytest.raises(DataError, match=r"may be torn; it is left as .+\.part"):
            file.commit()
    assert path.read_text() == "earlier\n"
    assert len(find_leftovers(path.parent)) == 1


def test_two_writers_of_one_name_do_not_mix(path):
    with AtomicFile(path) as one, AtomicFile(path) as other:
        for _ in range(3):
            one.write("one\n")
            other.write("other\n")
    assert path.read_text() == "one\n" * 3


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("victim"), Path.mkdir])
def test_nothing_that_lies_at_the_temporary_name_is_opened(path, monkeypatch, make):
    """Such as a link or a pipe that somebody else put there."""
    victim = path.with_name("victim")
    victim.write_text("mine")
    tokens = iter(["00000000", "00000000", "11111111"])
    monkeypatch.setattr(atomic_file.secrets, "token_hex", lambda _: next(tokens))
    make(path.with_name("a.txt.00000000.part"))
    write_whole(path, b"new")
    assert path.read_text() == "new"
    assert victim.read_text() == "mine"


def test_only_what_killed_runs_left_is_found(path):
    names = [
        "a.txt.0123abcd.part",
        "b.txt.0123abcd.part",
        "a.txt.part",
        "a.txt.0123abc.part",
        "part",
    ]
    for name in names:
        path.with_name(name).touch()
    assert [part.name for part in find_leftovers(path.parent, "a.txt")] == names[:1]
    assert [part.name for part in find_leftovers(path.parent)] == names[:2]
    assert find_leftovers(path.parent, re.compile(r"c|b\.txt")) == [path.with_name(names[1])]


def test_what_killed_runs_left_is_removed_and_said_and_nothing_else(path, caplog):
    outside = path.with_name("mine")
    outside.mkdir()
    (outside / "mine.txt").touch()
    path.with_name("a.txt.0123abcd.part").symlink_to(outside)
    folder = path.with_name("data.0123abcd.part")
    folder.mkdir()
    (folder / "image.png").touch()
    path.with_name("b.txt.0123abcd.part").touch()
    remove_leftovers(path.parent, re.compile(r"a\.txt|data"))
    names = sorted(entry.name for entry in path.parent.iterdir())
    assert names == ["a.txt", "b.txt.0123abcd.part", "mine"]
    assert (outside / "mine.txt").exists()
    assert caplog.text.count("removed; a run that was killed left it.") == 2


def test_writing_outside_the_block_is_a_wrong_call(path):
    file = AtomicFile(path)
    with pytest.raises(ValueError, match="not open"):
        file.write("x")
    with file:
        pass
    with pytest.raises(ValueError, match="not open"):
        file.write("x")
    assert path.read_text() == ""


def test_folder_in_place_of_the_file_is_a_data_error(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="cannot be written"), AtomicFile(tmp_path / "a"):
        pass
    with pytest.raises(DataError, match="cannot be written"):
        write_whole(tmp_path / "a", b"x")
    assert _names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("none/a.txt", r"cannot be written \(.+\); check"),
        ("nul\0.txt", r"cannot be written \(.+\); check"),
        ("surrogate\ud800", r"cannot be written \(.+\); check"),
        ("long" * 99, r"the name is too long for a file system; shorten it"),
    ],
)
def test_path_that_cannot_be_is_a_data_error(tmp_path, name, problem):
    with pytest.raises(DataError, match=problem), AtomicFile(tmp_path / name):
        pass
    with pytest.raises(DataError, match=problem):
        write_whole(tmp_path / name, b"x")


def test_os_errors_become_data_errors():
    with pytest.raises(DataError, match=r"^out: disk full; free"), explain_os_errors(Path("out")):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(DataError, match="Permission"), explain_os_errors(Path("out")):
        raise PermissionError(errno.EACCES, "Permission denied")
