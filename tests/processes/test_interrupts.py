"""The first signal is an exception, held back where a file is written."""

import contextlib
import os
import signal
import threading

import pytest

from stdet.errors import DataError, WorkerError
from stdet.processes.interrupts import Interrupted, orderly_end, uninterrupted

pytestmark = pytest.mark.usefixtures("heard_signals")


def _send(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_is_an_interrupt_with_the_code_of_the_shell(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as found, orderly_end():
        _send(number)
    assert isinstance(found.value, Interrupted)
    assert found.value.exit_code == 128 + number
    assert str(found.value) == number.name
    assert signal.getsignal(number) is before


def test_interrupt_waits_for_the_end_of_the_outermost_block():
    done = []
    with pytest.raises(Interrupted), orderly_end():  # noqa: PT012
        with uninterrupted():
            with uninterrupted():
                _send()
                done.append("inner")
            done.append("outer")
        done.append("after")
    assert done == ["inner", "outer"]


@pytest.mark.parametrize("error", [DataError("disk full."), RecursionError("import cut short")])
def test_error_after_a_signal_is_the_interrupt_that_caused_it(error):
    error.add_note("Kept 3 frames.")
    with pytest.raises(Interrupted) as found, orderly_end(), uninterrupted():  # noqa: PT012
        _send()
        raise error
    assert found.value.__cause__ is error
    said = ["disk full."] if isinstance(error, DataError) else []
    assert found.value.__notes__ == [*said, "Kept 3 frames."]


def test_error_without_a_signal_passes():
    with pytest.raises(DataError, match="no"), orderly_end():
        raise DataError("no")


def test_what_follows_an_interrupt_is_not_interrupted_again():
    done = []
    with pytest.raises(Interrupted), orderly_end():  # noqa: PT012
        try:
            _send()
        finally:
            with uninterrupted():
                done.append("kept")
            try:
                raise KeyError
            except KeyError:
                with uninterrupted():
                    done.append("kept too")
    assert done == ["kept", "kept too"]


def test_interrupt_that_was_swallowed_comes_again():
    with pytest.raises(Interrupted), orderly_end():  # noqa: PT012
        with contextlib.suppress(BaseException):  # As some libraries do as they are imported.
            _send()
        with uninterrupted():
            pass


def test_without_the_handler_and_in_other_threads_nothing_changes():
    def run() -> None:
        with orderly_end(), uninterrupted():
            found.append(signal.getsignal(signal.SIGTERM))

    found: list[object] = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        _send(signal.SIGINT)


def _lose_worker() -> None:
    """Get a signal and fail as a loader does whose workers got it as well."""
    error = WorkerError("a worker process was killed (out of memory?); lower --jobs.")
    error.add_note("nothing has changed")
    try:
        _send()
    except Interrupted:
        raise error from None


def test_worker_that_the_signal_killed_as_well_is_not_told():
    with pytest.raises(Interrupted) as caught, orderly_end():
        _lose_worker()
    assert (caught.value.exit_code, caught.value.__notes__) == (143, ["nothing has changed"])
