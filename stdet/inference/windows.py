"""Where a network looks closely at a large frame: in windows that hold what may be a target.

At full size most of the arithmetic is spent on places where nothing is. Smaller scales of the same
frame, and the residual against the background, say where something may be. There the network looks
at full size, in windows as large as the crops that it was trained on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import centres_xy
from stdet.inference.merge_scales import enlarged
from stdet.registration.contrast_peaks import Peaks
from stdet.types import BoolArray, Detections, FloatArray, IntArray

WINDOW_PX = 128
"""Side of a window: that of the crops of the recipe (``train.augment.crop_hw``)."""
MARGIN_PX = 16
"""What a window sees around the pixels for which it is asked, to within 8 pixels."""
SHARE = 0.3
"""Of a frame's area that windows cover, overlaps counted twice."""
LEAST_AREA = 480 * 480
"""Pixels of the smallest frame that is looked at in windows; less leaves few to choose from."""
CELL_PX = 8
"""Cores begin and end at multiples of it."""
_STEP_PX = 16
"""Windows begin at multiples of it, so that the cells of all scales of features lie alike."""
_DECAY = 0.9
"""What a window keeps of its largest contrast from frame to frame, so that noise moves none."""
_SURE = 0.35
"""Score of a detection whose window is chosen however many there are."""
_VISIT_EVERY = 4
"""Frames after which another window is visited, whatever is in it."""
_STAY = 1.5
"""A window is left for one that has so many times its score or contrast: features of earlier
frames are there in it already."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A window along one axis, pixels.

    Attributes:
        start: Its first pixel.
        core: First pixel for which it is asked, and the one after the last.
    """

    start: int
    core: tuple[int, int]

    @property
    def whole(self) -> slice:
        """All of its pixels."""
        return slice(self.start, self.start + WINDOW_PX)


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window, by its rows and columns."""

    rows: Span
    columns: Span


@dataclass(frozen=True, kw_only=True)
class WindowGrid:
    """Windows whose cores cover a frame, each pixel once.

    Attributes:
        rows: From top to bottom.
        columns: From left to right; windows are numbered row by row.
    """

    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    @classmethod
    def of(cls, hw: tuple[int, int]) -> WindowGrid:
        """Return the windows of a frame.

        Args:
            hw: Its size, at least ``WINDOW_PX`` each.
        """
        return cls(rows=_spans(hw[0]), columns=_spans(hw[1]))

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.rows) * len(self.columns)

    def __getitem__(self, number: int) -> Window:
        """Return a window."""
        row, column = divmod(number, len(self.columns))
        return Window(rows=self.rows[row], columns=self.columns[column])

    @property
    def num_chosen(self) -> int:
        """How many windows a frame is looked at in."""
        return min(max(round(SHARE * self._area / WINDOW_PX**2), 2), len(self))

    @property
    def share(self) -> float:
        """Of a frame's area, what the chosen windows have."""
        return self.num_chosen * WINDOW_PX**2 / self._area

    @property
    def _area(self) -> int:
        """Of a frame, pixels."""
        return self.rows[-1].core[1] * self.columns[-1].core[1]

    def numbers(self, xy: NDArray[np.floating]) -> IntArray:
        """Return the windows whose cores hold points (N, 2), pixels, or are nearest to them."""
        column, row = (
            np.searchsorted(ends, along, side="right")
            for ends, along in zip(self._inner_ends, xy.T, strict=True)
        )
        return np.asarray(row * len(self.columns) + column, np.int64)

    @cached_property
    def _inner_ends(self) -> tuple[list[int], list[int]]:
        """Where cores end, but for the last, along x and y."""
        ends = [[span.core[1] for span in spans[:-1]] for spans in (self.columns, self.rows)]
        return ends[0], ends[1]


def _spans(side: int) -> tuple[Span, ...]:
    """Divide an axis into windows, evenly."""
    free = side - WINDOW_PX
    count = math.ceil(free / (WINDOW_PX - 2 * MARGIN_PX)) + 1
    starts = [
        round(free * each / max(count - 1, 1) / _STEP_PX) * _STEP_PX for each in range(count)
    ]
    starts[-1] = free
    middles = [
        (one + WINDOW_PX + other) // 2 // CELL_PX * CELL_PX for one, other in pairwise(starts)
    ]
    ends = zip([0, *middles], [*middles, side], strict=True)
    return tuple(Span(start=start, core=core) for start, core in zip(starts, ends, strict=True))


class WindowChoice:
    """Choose the windows of each frame of a stream.

    Half of them hold the surest detections of the smaller scales in this frame and of all scales
    in the frame before, and more where more are sure; the others, and those that are left over,
    the largest contrasts of the residual, of which a window remembers some. Each of the rest is
    visited in its turn, so that nothing is out of sight for ever.

    Args:
        grid: Of the frames.
        hw: Their size at full size.
    """

    def __init__(self, grid: WindowGrid, hw: tuple[int, ...]) -> None:
        """Remember nothing."""
        self._grid = grid
        self._hw = hw
        self._contrast: FloatArray = np.zeros(len(grid), np.float32)
        self._score: FloatArray = np.zeros(len(grid), np.float32)
        self._is_chosen: BoolArray = np.zeros(len(grid), np.bool_)
        self._num_frames = 0

    def choose(self, found: Sequence[Detections], peaks: Peaks | None) -> list[Window]:
        """Return the windows of a frame; usually ``WindowGrid.num_chosen``, or one more.

        Args:
            found: At each smaller scale, in pixels of that scale.
            peaks: Of the residual, where there is one.
        """
        score = self._score
        for one in found:
            score = np.maximum(score, self._largest(self._centres(one), one.scores))
        self._contrast = self._contrast * _DECAY
        if peaks is not None:
            largest = self._largest(peaks.xy, peaks.strengths)
            self._contrast = np.maximum(self._contrast, largest)
        stay = np.where(self._is_chosen, np.float32(_STAY), np.float32(1))
        by_score, by_contrast = _falling(score * stay), _falling(self._contrast * stay)
        num_usual = self._grid.num_chosen
        num_sure = max(num_usual // 2, int(np.count_nonzero(score >= _SURE)))
        ranked = dict.fromkeys([*by_score[:num_sure], *by_contrast, *by_score])
        chosen = list(ranked)[: num_sure + num_usual - num_usual // 2]
        self._is_chosen = np.isin(np.arange(len(self._grid)), chosen)
        return [self._grid[number] for number in [*chosen, *self._visited(chosen)]]

    def _visited(self, chosen: Sequence[int]) -> list[int]:
        """Return the window that is due, if it is not among those chosen."""
        self._num_frames += 1
        number, rest = divmod(self._num_frames, _VISIT_EVERY)
        number %= len(self._grid)
        return [] if rest or number in chosen else [number]

    def remember(self, found: Detections) -> None:
        """Take what was found in the frame, at all scales."""
        self._score = self._largest(self._centres(found), found.scores)

    def _centres(self, found: Detections) -> NDArray[np.floating]:
        """Return the centres of detections (N, 2) in pixels of full size."""
        return centres_xy(enlarged(found, self._hw))

    def _largest(self, xy: NDArray[np.floating], values: NDArray[np.floating]) -> FloatArray:
        """Return the largest value at points (N, 2) of each window, 0 where there is none."""
        largest = np.zeros(len(self._grid), np.float32)
        np.maximum.at(largest, self._grid.numbers(xy), values.astype(np.float32))
        return largest


def _falling(values: FloatArray) -> list[int]:
    """Return the numbers of the windows with a value above 0, the largest first."""
    order = np.argsort(-values, kind="stable")
    return [int(at) for at in order if values[at] > 0]
