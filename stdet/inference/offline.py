"""Tracks of a whole stream, smoothed before any of its frames comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from stdet.errors import IncompleteInputError
from stdet.inference.stages.frames import TrackedFrame
from stdet.io.frame_source import Frame
from stdet.tracking.offline import smooth_tracks

_NO_PICTURE = np.zeros((0, 0), np.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class WholeStream:
    """What a stream was, without its pictures.

    Attributes:
        frames: As tracked online.
        incomplete: What broke it off, None where nothing did.
    """

    frames: tuple[TrackedFrame, ...]
    incomplete: IncompleteInputError | None

    @classmethod
    def of(cls, frames: Iterable[TrackedFrame]) -> WholeStream:
        """Keep detections, tracks and motions of all frames."""
        kept: list[TrackedFrame] = []
        incomplete: IncompleteInputError | None = None
        try:
            for frame in frames:
                kept.append(_without_picture(frame, kept[-1] if kept else None))
        except IncompleteInputError as error:
            incomplete = error
        return cls(frames=tuple(kept), incomplete=incomplete)


def smoothed(
    stream: WholeStream, read_again: Callable[[], Iterator[Frame]] | None
) -> Iterator[TrackedFrame]:
    """Yield the frames of a stream with smoothed tracks.

    Args:
        stream: As tracked online.
        read_again: Returns the source's frames from the first one on, for pictures; None where
            nobody looks at them, and frames come out without.

    Raises:
        IncompleteInputError: After the last frame, where the stream broke off.
    """
    tracks = smooth_tracks(stream.frames)
    pictures = iter(()) if read_again is None else read_again()
    for frame in stream.frames:
        image = frame.image
        if read_again is not None:
            image = next(one.pixels for one in pictures if one.index == frame.index)
        yield replace(frame, image=image, tracks=tracks.at_frame(frame.index))
    if stream.incomplete is not None:
        raise stream.incomplete


def _without_picture(frame: TrackedFrame, before: TrackedFrame | None) -> TrackedFrame:
    """Return a frame that takes little memory."""
    is_ignored = frame.is_ignored
    known = None if before is None else before.is_ignored
    if is_ignored is not None and known is not None and np.array_equal(is_ignored, known):
        is_ignored = known  # Mostly the same pixels frame after frame: kept once.
    return replace(frame, image=_NO_PICTURE, is_ignored=is_ignored)
