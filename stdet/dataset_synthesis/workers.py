"""Make the sequences of a data set in this process or in several."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from stdet.processes.workers import explain_worker_death, start_worker, starting_workers

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


@contextlib.contextmanager
def run_jobs(
    run: Callable[[_Job], _Result], jobs: Sequence[_Job], num_processes: int
) -> Iterator[Iterator[_Result]]:
    """Yield the results as they are made, in the order of the jobs; end the workers at the end.

    Args:
        run: Does one job; a function of a module, so that workers find it.
        jobs: What to do.
        num_processes: How many at the same time; 1 does them in this process.

    Raises:
        StdetError: If a worker was killed.
    """
    if num_processes == 1 or len(jobs) == 1:
        yield map(run, jobs)
        return
    # Forking a process that has started threads can hang.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with explain_worker_death("run again with fewer --jobs"), contextlib.ExitStack() as on_exit:
        try:
            with starting_workers():
                pool = on_exit.enter_context(
                    ProcessPoolExecutor(
                        min(num_processes, len(jobs)), mp_context=context, initializer=start_worker
                    )
                )
                # Not `map`: it cancels what is left, on which the pool trips if its workers end.
                futures = [pool.submit(run, job) for job in jobs]
            yield (future.result() for future in futures)
        except BaseException:
            # Otherwise leaving the pool would wait for what nobody wants any more.
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise
