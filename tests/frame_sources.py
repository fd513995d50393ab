"""A source of frames in memory, and what a source gives before it ends early."""

from pathlib import Path

import numpy as np

from stdet.errors import IncompleteInputError
from stdet.io.frame_source import EIGHT_BIT_SCALE, ClosesOnExit, Frame, FrameSource


class StubSource(ClosesOnExit):
    """A source of 16 x 16 frames in memory with one bright pixel that moves."""

    name, path, hw, fps, bit_depth, num_declared = "stub", Path("stub"), (16, 16), None, 8, None
    scale = EIGHT_BIT_SCALE

    def __init__(self, indices, *, gaps=(), is_incomplete=False):
        self.indices = list(indices)
        self.gaps = frozenset(gaps)
        self.is_incomplete = is_incomplete

    def frames(self, start=0, stop=None):
        for index in self.indices:
            if index >= start and (stop is None or index < stop):
                pixels = np.full((16, 16), 50, np.uint8)
                pixels[8, 4 + index % 8] = 250
                yield Frame(index=index, pixels=pixels)
        if self.is_incomplete:
            raise IncompleteInputError("stub: ends early")

    def read(self, index):
        raise NotImplementedError


def frames_and_error(source: FrameSource) -> tuple[list[Frame], IncompleteInputError | None]:
    """Return the frames that a source gives, and the error with which it ends early."""
    frames = []
    try:
        for frame in source.frames():
            frames.append(frame)  # A list() would lose the frames before the error.
    except IncompleteInputError as error:
        return frames, error
    return frames, None
