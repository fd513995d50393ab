"""Worker processes: they end with the process that started them, and their death is one line."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool

from stdet.errors import WorkerError

_CHECK_INTERVAL_S = 1.0
"""How often a worker looks whether its parent is still there."""
_LOADER_DEATH = "DataLoader worker (pid"
"""How torch begins its messages about a loader process that died."""
_SIGNALS = {
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
}


@contextlib.contextmanager
def starting_workers() -> Iterator[None]:
    """Hold signals back while worker processes are started within the block.

    Ctrl-C and a closed terminal (SIGHUP) reach every process of the group. A worker inherits that
    they are held back until ``start_worker``, so that none ends in a traceback before that; and so
    does multiprocessing's resource tracker, which SIGHUP would end, and whose successor would
    print a traceback for each semaphore that it does not know.
    """
    if sys.platform == "win32":
        yield
        return
    from multiprocessing import resource_tracker

    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # Two of them have been let through.
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_worker(*_: object) -> None:
    """Prepare a worker process; ``initializer`` of a pool or ``worker_init_fn`` of a loader.

    The worker ends when its parent does, however that ends (``kill -9`` too). Ctrl-C and SIGHUP
    are left to the parent, which ends its workers; SIGTERM ends the worker as it ends any process,
    whatever handlers it has inherited.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        raise ValueError(
            "start_worker was called in a process that multiprocessing did not start."
        )
    for number in _SIGNALS:
        is_own = number == signal.SIGTERM
        signal.signal(number, signal.SIG_DFL if is_own else signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    # Read once here: where the parent has died already, its sentinel says so.
    watch = threading.Thread(
        target=_end_with, args=(parent.sentinel, os.getppid()), name="watch parent", daemon=True
    )
    watch.start()


def _end_with(sentinel: int, parent_id: int) -> None:
    """Wait for the end of the parent and end this process at once.

    The sentinel tells at once, unless a sibling that was forked later keeps it open; then the
    parent's process id changes.
    """
    while os.getppid() == parent_id:
        if multiprocessing.connection.wait([sentinel], timeout=_CHECK_INTERVAL_S):
            break
    os._exit(1)


@contextlib.contextmanager
def explain_worker_death(advice: str) -> Iterator[None]:
    """Turn the death of a pool's or loader's process into a ``WorkerError`` of one line.

    Args:
        advice: What to do, such as which option lowers the number of processes.
    """
    try:
        yield
    except BrokenProcessPool as error:
        raise _death_of_worker(advice) from error
    except RuntimeError as error:
        if not str(error).startswith(_LOADER_DEATH):
            raise
        raise _death_of_worker(advice) from error


def _death_of_worker(advice: str) -> WorkerError:
    return WorkerError(f"a worker process was killed (out of memory?); {advice}.")
