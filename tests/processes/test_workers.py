"""Worker processes end with their parent."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import pytest

from stdet.errors import StdetError
from stdet.processes.workers import explain_worker_death, start_worker

pytestmark = pytest.mark.usefixtures("heard_signals")

POOL = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from stdet.processes.workers import start_worker
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    with ProcessPoolExecutor(3, mp_context=context, initializer=start_worker) as pool:
        for found in pool.map(abs, [1, 2, 3]):
            pass
        print("started", flush=True)
        list(pool.map(time.sleep, [60, 60, 60]))
"""


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_when_their_parent_is_killed(tmp_path, method, number):
    script = tmp_path / "pool.py"
    script.write_text(POOL.format(method=method))
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "started\n"
    parent.send_signal(number)
    # The workers have inherited the pipe: it ends with the last of them.
    parent.communicate(timeout=10)


def test_start_in_the_main_process_is_a_wrong_call():
    with pytest.raises(ValueError, match="multiprocessing did not start"):
        start_worker()


def _die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_worker_is_one_line():
    with (
        pytest.raises(
            StdetError, match=r"a worker process was killed \(out of memory\?\); less\."
        ),
        explain_worker_death("less"),
        ProcessPoolExecutor(1) as pool,
    ):
        list(pool.map(_die, [0]))
    with pytest.raises(StdetError) as found, explain_worker_death("less"):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    assert isinstance(found.value.__cause__, RuntimeError)
    with pytest.raises(RuntimeError, match="a bug"), explain_worker_death("less"):
        raise RuntimeError("a bug")
