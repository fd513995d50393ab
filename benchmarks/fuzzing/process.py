"""A process per case, with limits of time and memory, and what was seen of it."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import gc
import io
import json
import multiprocessing.util
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzzing.confinement import can_confine, confine_writes

MEMORY_LIMIT = 2 << 30
"""Bytes that all processes of a case may hold together."""
FILE_LIMIT = 1 << 30
"""Bytes of one file; a case that writes more is ended by the system."""
WALL_FACTOR = 3
"""A case may take so many times its processor time by the clock."""
STILL_S = 10.0
"""Seconds by the clock without any processor time, after which a case waits for nothing."""
GRACE_S = 2.0
"""Seconds in which child processes may end after their parent."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")

Prepare = Callable[[], tuple[list[str], list[str]]]
"""Runs in the process of the case; returns arguments and notes."""

_OF_OTHERS = {ascii("tmp/.ses")}
"""ONNX Runtime writes this file when it is imported, whatever it is told."""


@dataclass
class Ended:
    """What was seen of a case.

    Attributes:
        argv: Arguments after the changes.
        notes: What was changed.
        code: Exit code; None where a signal or the fuzzer ended it.
        signal: The signal that ended it, 0 for none.
        stopped: Why the fuzzer ended it: `time`, `memory` or nothing.
        out: Standard output.
        err: Standard error.
        error: Type, message and innermost places of an exception that reached the command line.
        left: Temporary files and processes that were left after an orderly end.
        seconds: By the clock.
        peak_bytes: Most memory seen.
    """

    argv: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    code: int | None = None
    signal: int = 0
    stopped: str = ""
    out: bytes = b""
    err: bytes = b""
    error: dict[str, str] | None = None
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_bytes: int = 0


class CaseProcess:
    """A running case.

    The process is forked from this one, which has loaded everything, and can write in its own
    folder alone where the system can see to that: a fuzzed path may be any path.

    Args:
        folder: Of the case; gets `work`, a copy of ``seed``, and `tmp`.
        seed: Folder of the entry point.
        prepare: Changes the working directory.
        limit_s: Processor time.
        encoding: Of standard output.
    """

    def __init__(
        self, folder: Path, *, seed: Path, prepare: Prepare, limit_s: float, encoding: str
    ) -> None:
        """Start it."""
        self.folder = folder
        self.limit_s = limit_s
        self.ended = Ended()
        self._started = self._last_used = time.monotonic()
        self._used = 0.0
        folder.mkdir()
        self._files = [(folder / name).open("w+b") for name in ("out", "err", "outcome")]
        self.pid = os.fork()
        if self.pid == 0:
            _run_child(folder, seed, prepare, self._files, encoding)

    def poll(self) -> bool:
        """Look at the process, end it where it breaks a limit, and say whether it has ended."""
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            self._watch()
            return False
        ended = self.ended
        ended.seconds = time.monotonic() - self._started
        ended.peak_bytes = max(ended.peak_bytes, usage.ru_maxrss * 1024)
        if os.WIFSIGNALED(status):
            ended.signal = os.WTERMSIG(status)
        else:
            ended.code = os.WEXITSTATUS(status)
        self._end_group()
        self._collect()
        return True

    def _watch(self) -> None:
        group = [self.pid, *_descendants(self.pid)]
        memory = sum(map(_resident_bytes, group))
        self.ended.peak_bytes = max(self.ended.peak_bytes, memory)
        now, used = time.monotonic(), _used_seconds(group)
        if used != self._used:
            self._used, self._last_used = used, now
        is_late = now - self._started > WALL_FACTOR * self.limit_s or used > self.limit_s
        if memory > MEMORY_LIMIT:
            self._stop("memory")
        elif is_late or now - self._last_used > STILL_S:
            self._stop("time")

    def _stop(self, why: str) -> None:
        if not self.ended.stopped:
            self.ended.stopped = why
            self._save_stack()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _save_stack(self) -> None:
        """Ask the process to write down where it is, which costs a moment."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR1)
            time.sleep(0.2)

    def _end_group(self) -> None:
        """Note processes that outlive their parent, and end them."""
        deadline = time.monotonic() + GRACE_S
        while left := _members(self.pid):
            if time.monotonic() > deadline:
                if self.ended.code is not None:
                    self.ended.left.append(f"{len(left)} processes")
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                return
            time.sleep(0.02)

    def _collect(self) -> None:
        texts = []
        for file in self._files:
            file.seek(0)
            texts.append(file.read())
            file.close()
        ended = self.ended
        ended.out, ended.err, outcome = texts
        told: dict[str, Any] = json.loads(outcome) if outcome else {}
        ended.argv, ended.notes = told.get("argv", []), told.get("notes", [])
        ended.error = told.get("error")
        before = set(told.get("before", ()))
        if ended.code in (0, 2, 3):
            ended.left += sorted(_temporary_files(self.folder) - before - _OF_OTHERS)

    def remove(self) -> None:
        """Remove the folder of the case."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _temporary_files(folder: Path) -> set[str]:
    """Return the paths of files that an orderly end should not leave."""
    found = {ascii(str(path.relative_to(folder))) for path in (folder / "tmp").rglob("*")}
    for pattern in ("*.part", "*.tmp", "*.part.*"):
        found |= {ascii(str(p.relative_to(folder))) for p in (folder / "work").rglob(pattern)}
    return found


def _run_child(
    folder: Path, seed: Path, prepare: Prepare, files: Sequence[Any], encoding: str
) -> None:
    """Become the command, and never return."""
    code = 70  # A fault of the fuzzer itself.
    out, err, outcome = files
    try:
        os.setpgid(0, 0)
        forget_parent()
        shutil.copytree(seed, folder / "work", symlinks=True)
        (folder / "tmp").mkdir()
        if can_confine():
            confine_writes(folder)
        os.chdir(folder / "work")
        argv, notes = prepare()
        told: dict[str, Any] = {"argv": argv, "notes": notes}
        told["before"] = sorted(_temporary_files(folder))
        _tell(outcome, told)
        _limit(err)
        redirect(out.fileno(), err.fileno(), encoding)
        code = _run_command(argv, outcome, told)
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        os._exit(code)


def _run_command(argv: list[str], outcome: Any, told: dict[str, Any]) -> int:
    """Run the command line as its entry point would, and return the exit code."""
    from stdet.cli import main

    try:
        code = main(argv)
        sys.stdout.flush()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
        sys.stdout.flush()
    except BaseException as error:
        traceback.print_exc()
        _tell(outcome, told | {"error": _describe(error)})
        code = 1
    with contextlib.suppress(Exception):
        sys.stderr.flush()
    end_interpreter()
    return code


def end_interpreter() -> None:
    """Do what the interpreter does at its end, which ``os._exit`` leaves out."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


def forget_parent() -> None:
    """Forget what a forked process should not do at its end: the parent will."""
    atexit._clear()
    atexit.register(multiprocessing.util._exit_function)
    gc.unfreeze()


def _describe(error: BaseException) -> dict[str, str]:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f"{os.sep}stdet{os.sep}" in f.filename]
    inner = ours[-1] if ours else frames[-1]
    place = inner.filename.split(f"{os.sep}stdet{os.sep}")[-1]
    last = frames[-1]
    return {
        "type": f"{type(error).__module__}.{type(error).__name__}",
        "message": ascii(str(error))[:300],
        "place": f"{place}:{inner.lineno} {inner.name}",
        "inner": f"{Path(last.filename).name}:{last.lineno} {last.name}",
    }


def _tell(file: Any, told: dict[str, Any]) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps(told).encode())
    file.flush()


def _limit(err: Any) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))
    faulthandler.register(signal.SIGUSR1, file=err, all_threads=False)
    os.environ.update(HOME=os.getcwd(), TMPDIR=str(Path("..", "tmp").resolve()))
    tempfile.tempdir = None


def redirect(out: int, err: int, encoding: str) -> None:
    """Let a process write its output to two open files and read nothing."""
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
    sys.stdout = _text(1, encoding, "strict")
    sys.stderr = _text(2, encoding, "backslashreplace")


def _text(number: int, encoding: str, errors: str) -> io.TextIOWrapper:
    """Return an output stream as the interpreter opens it where it is no terminal."""
    file = io.FileIO(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(file), encoding, errors, line_buffering=errors != "strict"
    )


def _fields(pid: int) -> list[str]:
    """Return what stands in /proc/PID/stat behind the name, or nothing where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, children) for found in (child, *_descendants(child))]


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _used_seconds(pids: Sequence[int]) -> float:
    fields = [found for pid in pids if (found := _fields(pid))]
    return sum(int(found[11]) + int(found[12]) for found in fields) / _TICK


def _members(group: int) -> list[int]:
    """Return the living processes of a process group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return []
    except PermissionError:
        pass
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    found = [(pid, _fields(pid)) for pid in pids]
    return [pid for pid, f in found if f and int(f[2]) == group and f[0] != "Z"]
