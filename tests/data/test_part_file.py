import errno
from pathlib import Path

import pytest

from stdet.data.part_file import PartFile, explain_os_errors, keeps_output
from stdet.errors import CheckpointError, ConfigError, DataError, IncompleteInputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of an earlier run."""
    (tmp_path / "a.txt").write_text("earlier\n")
    return tmp_path / "a.txt"


def test_file_has_its_name_only_when_the_block_ends(path):
    with PartFile(path) as file:
        file.write("one\n")
        assert path.read_text() == "earlier\n"
        assert path.with_name("a.txt.part").read_text() == "one\n"
        file.write("two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    "error", [IncompleteInputError("ended"), KeyboardInterrupt(), RuntimeError("a bug")]
)
def test_what_a_broken_off_run_wrote_is_kept(path, error):
    with pytest.raises(type(error)), PartFile(path) as file:  # noqa: PT012
        file.write("some\n")
        raise error
    assert path.read_text() == "some\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [DataError("no"), ConfigError("no"), CheckpointError("no")])
def test_failed_run_leaves_the_earlier_file_and_nothing_else(path, error):
    with pytest.raises(type(error)), PartFile(path) as file:  # noqa: PT012
        file.write("some\n")
        raise error
    assert path.read_text() == "earlier\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_torn_file_keeps_its_part_name(path):
    with pytest.raises(OSError, match="gone"), PartFile(path) as file:  # noqa: PT012
        file.write("some\n")
        raise OSError("gone")
    assert path.read_text() == "earlier\n"
    assert path.with_name("a.txt.part").read_text() == "some\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_is_one_line_and_leaves_the_earlier_file(path):
    path.with_name("a.txt.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"a\.txt\.part: disk full; free"), PartFile(path) as file:
        file.write("x")
    assert path.read_text() == "earlier\n"


def test_writing_outside_the_block_is_a_wrong_call(path):
    file = PartFile(path)
    with pytest.raises(ValueError, match="not open"):
        file.write("x")
    with file:
        pass
    with pytest.raises(ValueError, match="not open"):
        file.write("x")
    assert path.read_text() == ""


def test_folder_in_place_of_the_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="cannot be written"), PartFile(tmp_path):
        pass


def test_missing_folder_is_a_data_error_that_says_why(tmp_path):
    with (
        pytest.raises(DataError, match=r"cannot be written \(No such file or directory\); check"),
        PartFile(tmp_path / "none" / "a.txt"),
    ):
        pass


def test_os_errors_become_data_errors():
    with pytest.raises(DataError, match=r"^out: disk full; free"), explain_os_errors(Path("out")):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(DataError, match="Permission"), explain_os_errors(Path("out")):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_only_runs_that_broke_off_keep_their_output():
    kept = [None, IncompleteInputError("x"), KeyboardInterrupt(), RuntimeError("x")]
    assert all(keeps_output(error) for error in kept)
    assert not any(keeps_output(error) for error in [DataError("x"), OSError("x")])
