"""What a stage of a stream is, and how stages are joined."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Generic, TypeVar

from stdet.errors import IncompleteInputError
from stdet.inference.stages.threads import StageThreads
from stdet.io.live.capture import Pause

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
Between = TypeVar("Between")
Next = TypeVar("Next")


class Stage(ABC, Generic[In, Out]):
    """One step of a stream: values in, values out, in order.

    A stage serves one stream from its first value to ``flush`` and is then thrown away, so that
    nothing has to be reset. What comes out carries all that later stages need of the frame.

    Attributes:
        name: In the table of ``stdet track --profile``.
        delay: Frames that come in before a frame comes out, once the stream has gone on for a
            while.
    """

    name: ClassVar[str] = ""
    delay: int = 0

    @abstractmethod
    def push(self, item: In, /) -> Iterator[Out]:
        """Take the next value.

        Returns:
            What can be decided now. The stage works while this is iterated over: iterate to the
            end before the next call.
        """

    def flush(self) -> Iterator[Out]:
        """Return what still waits for later values: the stream has ended."""
        return iter(())

    def run(self, items: Iterable[In | Pause]) -> Iterator[Out]:
        """Run a whole stream through the stage; its end is the flush.

        At a pause what waits comes out, too. Only stages that go on after ``flush`` take one.

        Raises:
            IncompleteInputError: After the last value, where ``items`` does.
        """
        return _without_pauses(self._through(items))

    def run_in_threads(self, items: Iterable[In | Pause], threads: StageThreads) -> Iterator[Out]:
        """Do what ``run`` does, with those parts that are ``InOwnThread`` working ahead.

        Args:
            items: Taken in the thread of the first part.
            threads: Which must not end before the stream does.
        """
        return _without_pauses(self._through_threads(items, threads))

    def _through(self, items: Iterable[In | Pause]) -> Iterator[Out | Pause]:
        """Run a stream, and hand on its pauses."""
        incomplete: IncompleteInputError | None = None
        try:
            for item in items:
                if isinstance(item, Pause):
                    yield from self.flush()
                    yield item
                else:
                    yield from self.push(item)
        except IncompleteInputError as error:
            incomplete = error
        yield from self.flush()
        if incomplete is not None:
            raise incomplete

    def _through_threads(
        self, items: Iterable[In | Pause], threads: StageThreads
    ) -> Iterator[Out | Pause]:
        """Run a stream, and hand on its pauses; parts with threads of their own override it."""
        return self._through(items)

    def then(self, after: Stage[Out, Next]) -> Stage[In, Next]:
        """Return this stage and another one after it as one stage."""
        return _Chain(self, after)


class _Chain(Stage[In, Next], Generic[In, Between, Next]):
    """Two stages, the second of which takes what the first gives."""

    def __init__(self, first: Stage[In, Between], second: Stage[Between, Next]) -> None:
        self._first = first
        self._second = second
        self.delay = first.delay + second.delay

    def push(self, item: In, /) -> Iterator[Next]:
        for between in self._first.push(item):
            yield from self._second.push(between)

    def flush(self) -> Iterator[Next]:
        for between in self._first.flush():
            yield from self._second.push(between)
        yield from self._second.flush()

    def _through_threads(
        self, items: Iterable[In | Pause], threads: StageThreads
    ) -> Iterator[Next | Pause]:
        return self._second._through_threads(self._first._through_threads(items, threads), threads)


class InOwnThread(Stage[In, Out], Generic[In, Out]):
    """A stage that works ahead in a thread of its own where a stream is run in threads.

    Args:
        stage: What it does.
        name: Of the thread.
    """

    def __init__(self, stage: Stage[In, Out], name: str) -> None:
        """Keep the stage; the thread starts with the stream."""
        self._stage = stage
        self._name = name
        self.delay = stage.delay

    def push(self, item: In, /) -> Iterator[Out]:
        """Take the next value, in the thread of the caller."""
        return self._stage.push(item)

    def flush(self) -> Iterator[Out]:
        """Return what still waits, in the thread of the caller."""
        return self._stage.flush()

    def _through_threads(
        self, items: Iterable[In | Pause], threads: StageThreads
    ) -> Iterator[Out | Pause]:
        return threads.ahead(self._stage._through_threads(items, threads), name=self._name)


def _without_pauses(items: Iterable[Between | Pause]) -> Iterator[Between]:
    for item in items:
        if not isinstance(item, Pause):
            yield item
