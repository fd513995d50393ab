"""Stages in threads: the same values in the same order, errors after them, and nothing left."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.errors import IncompleteInputError
from stdet.inference.stages.stage import InOwnThread, Stage
from stdet.inference.stages.threads import StageThreads, _Ahead
from stdet.io.live.capture import Pause


class Waiting(Stage[int, int]):
    """Holds values back, and hands each on as often as it says."""

    name = "waiting"

    def __init__(self, delay, times):
        self.delay, self.times, self.held = delay, times, []

    def push(self, item):
        self.held.append(item)
        while len(self.held) > self.delay:
            yield from [self.held.pop(0)] * self.times

    def flush(self):
        held, self.held = self.held, []
        for item in held:
            yield from [item] * self.times


def _threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("stage ")}


def _stages(delays, in_threads):
    stages = Waiting(0, 1)
    for number, (delay, is_alone) in enumerate(zip(delays, in_threads, strict=True)):
        one = Waiting(delay, 1 + number % 2)
        stages = stages.then(InOwnThread(one, f"stage {number}") if is_alone else one)
    return stages


def _given(items, is_incomplete):
    yield from (Pause() if item is None else item for item in items)
    if is_incomplete:
        raise IncompleteInputError("ends early")


def _outcome(found):
    """Return what came out, and the error after it."""
    values = []
    try:
        for value in found:
            values.append(value)
    except IncompleteInputError as error:
        return values, str(error)
    return values, None


@settings(deadline=None, max_examples=40)
@given(
    items=st.lists(st.none() | st.integers(0, 99), max_size=30),
    delays=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    num_ahead=st.integers(1, 3),
    data=st.data(),
    is_incomplete=st.booleans(),
)
def test_threads_change_nothing(items, delays, num_ahead, data, is_incomplete):
    size = len(delays)
    in_threads = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    wanted = _outcome(_stages(delays, in_threads).run(_given(items, is_incomplete)))
    with StageThreads(num_ahead=num_ahead) as threads:
        stages = _stages(delays, in_threads)
        found = _outcome(stages.run_in_threads(_given(items, is_incomplete), threads))
        assert not _threads()  # They have ended with the stream.
    assert found == wanted


class Failing(Stage[int, int]):
    """Refuses one value."""

    def push(self, item):
        yield item
        if item == 3:
            raise ValueError("three")


def test_errors_come_after_the_values_before_them():
    stages = InOwnThread(Failing(), "stage a").then(InOwnThread(Waiting(0, 1), "stage b"))
    found = []
    with StageThreads(num_ahead=2) as threads:
        values = stages.run_in_threads(iter(range(9)), threads)
        time.sleep(0.05)  # The threads are ahead.
        with pytest.raises(ValueError, match="three"):
            found.extend(values)
    assert found == [0, 1, 2, 3]
    assert not _threads()


@pytest.mark.parametrize("num_taken", [0, 1, 5])
def test_no_thread_is_left_where_nobody_takes_the_rest(num_taken):
    def endless():
        value = 0
        while True:
            value += 1
            yield value

    with StageThreads(num_ahead=2) as threads:
        found = _stages([2, 0, 3], [True] * 3).run_in_threads(endless(), threads)
        assert len(list(zip(range(num_taken), found, strict=False))) == num_taken
    assert not _threads()


def test_thread_after_one_that_ends_meanwhile_is_stopped(monkeypatch):
    threads = StageThreads(num_ahead=1)
    may_end = threading.Event()
    stop = _Ahead.stop

    def stop_late(ahead):
        may_end.set()
        until = time.monotonic() + 10
        while len(threads._threads) == 2 and time.monotonic() < until:
            time.sleep(0.01)  # The second thread takes the end of the first one.
        stop(ahead)

    def ending():
        yield 0
        may_end.wait()

    monkeypatch.setattr(_Ahead, "stop", stop_late)
    stages = InOwnThread(Waiting(0, 1), "stage a").then(InOwnThread(Waiting(1, 9), "stage b"))
    stages.run_in_threads(ending(), threads)
    leaving = threading.Thread(target=threads.__exit__, args=(None, None, None), daemon=True)
    leaving.start()
    leaving.join(20)
    assert not leaving.is_alive()
    assert not _threads()


@pytest.mark.parametrize("num_ahead", [1, 3])
def test_threads_are_ahead_by_so_many_values(num_ahead):
    taken = []

    def noted():
        for value in range(1000):
            taken.append(value)
            yield value

    with StageThreads(num_ahead=num_ahead) as threads:
        found = threads.ahead(noted(), name="stage a")
        for num_taken in (1, 2, 3):
            next(found)
            until = time.monotonic() + 10
            while len(taken) < num_taken + num_ahead and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.05)
            assert len(taken) == num_taken + num_ahead
    assert not _threads()


class Sleeping(Stage[int, int]):
    """Takes its time."""

    def push(self, item):
        time.sleep(0.02)
        yield item


def test_stages_work_at_the_same_time():
    stages = Sleeping()
    for number in range(3):
        stages = stages.then(InOwnThread(Sleeping(), f"stage {number}"))
    started = time.perf_counter()
    with StageThreads(num_ahead=2) as threads:
        assert list(stages.run_in_threads(iter(range(25)), threads)) == list(range(25))
    # One after the other they take two seconds at least; together half a second.
    assert time.perf_counter() - started < 1.5
