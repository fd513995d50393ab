"""One writer at a time, and no lock that outlives its process."""

import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stdet.errors import DataError
from stdet.files import locks
from stdet.files.locks import FOLDER_LOCK_NAME, lock_folder, lock_output

pytestmark = pytest.mark.usefixtures("heard_signals")

fcntl = pytest.importorskip("fcntl")

HOLD = """
import sys, time
from pathlib import Path
from stdet.files.locks import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_run(tmp_path: Path):
    """Another process that holds the lock of ``tmp_path``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_second_writer_is_told_who_writes_and_since_when(tmp_path, other_run):
    wanted = (
        rf"^{re.escape(str(tmp_path))}: another run is writing there \(process {other_run.pid} of "
        r".+ on .+, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\); wait for it, or name another"
    )
    with pytest.raises(DataError, match=wanted), lock_folder(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER_LOCK_NAME]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_lock_of_a_killed_run_is_taken_over_and_said(tmp_path, other_run, caplog, number):
    other_run.send_signal(number)
    other_run.wait()
    assert (tmp_path / FOLDER_LOCK_NAME).exists()
    with lock_folder(tmp_path):
        assert str(os.getpid()) in (tmp_path / FOLDER_LOCK_NAME).read_text()
    assert f"run that was killed (process {other_run.pid} of " in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [None, KeyboardInterrupt(), DataError("no"), RuntimeError("bug")]
)
def test_lock_is_released_at_every_ending(tmp_path, error):
    with _expected(error), lock_output(tmp_path / "clip"):
        assert [path.name for path in tmp_path.iterdir()] == [".clip.lock"]
        if error is not None:
            raise error
    assert list(tmp_path.iterdir()) == []
    with lock_output(tmp_path / "clip"):
        pass


def _expected(error):
    return pytest.raises(type(error)) if error is not None else contextlib.nullcontext()


def test_one_process_does_not_lock_twice(tmp_path):
    with (
        lock_folder(tmp_path),
        pytest.raises(DataError, match=f"process {os.getpid()} of"),
        lock_folder(tmp_path),
    ):
        pass


def test_other_outputs_in_the_folder_are_not_locked(tmp_path):
    with lock_output(tmp_path / "one"), lock_output(tmp_path / "two"):
        assert len(list(tmp_path.iterdir())) == 2


def test_lock_whose_owner_has_just_removed_it_is_made_anew(tmp_path, monkeypatch):
    """An ending run removes the file between our opening and our locking of it."""
    try_lock, path = locks._try_lock, tmp_path / FOLDER_LOCK_NAME
    calls = []

    def remove_first(descriptor, where):
        if not calls:
            path.unlink()
        calls.append(where)
        return try_lock(descriptor, where)

    monkeypatch.setattr(locks, "_try_lock", remove_first)
    with lock_folder(tmp_path):
        assert len(calls) == 2
        assert path.exists()


def test_link_or_pipe_in_place_of_the_lock_is_refused(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    lock = tmp_path / FOLDER_LOCK_NAME
    lock.symlink_to(victim)
    with pytest.raises(DataError, match="cannot be written"), lock_folder(tmp_path):
        pass
    lock.unlink()
    os.mkfifo(lock)
    with pytest.raises(DataError, match="is no regular file; remove it"), lock_folder(tmp_path):
        pass
    assert victim.read_text() == "mine"


def test_escapes_in_a_lock_file_do_not_reach_the_terminal(tmp_path):
    (tmp_path / FOLDER_LOCK_NAME).write_bytes(b"\x1b[2J\xff evil")
    with (tmp_path / FOLDER_LOCK_NAME).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DataError) as found, lock_folder(tmp_path):
            pass
    assert "\x1b" not in str(found.value)


def test_missing_folder_is_one_line(tmp_path):
    with pytest.raises(DataError, match="cannot be written"), lock_folder(tmp_path / "none"):
        pass


def test_file_system_without_locks_is_said(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with lock_folder(tmp_path):
        pass
    assert "has no locks (No locks available); let no other run write there" in caplog.text


def test_lock_that_a_full_disk_cannot_hold_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(DataError, match="disk full"), lock_folder(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
