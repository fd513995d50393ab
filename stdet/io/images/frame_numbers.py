"""Which images of a folder form a sequence, and where frames are missing, read from their names.

A name without its suffix, and without an ending that all names share (``_ir``), ends in the number
of the frame. The text before the number names the sequence: ``seqA_0001.png``. There are
several ways to read a number:

- as a clock, where every name holds one: ``20240501120059960``, ``2024-05-01T12:00:59.960``,
  ``12-00-59.960``, ``120059960``. The minute that follows 59 s is then no jump;
- as a decimal number of seconds: ``1714561259.960``;
- as a whole number: ``0001``;
- as a whole number behind a clock that tells no sequences apart: ``20240501_120059_0001``.

The reading that leaves the fewest breaks is taken, of several the first in this list. A break is a
change of the sequence, a gap or a step backwards.

Beginnings of names tell sequences apart where there are at most half as many of them as images.
Exports of Roboflow add ``_png.rf.<hash>`` to a name, which does not count.
"""

from __future__ import annotations

import datetime
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from stdet.errors import shown
from stdet.io.frame_source import IMAGE_SUFFIXES

_ROBOFLOW = re.compile(r"_(?:bmp|jpe?g|png|tiff?)\.rf\.[0-9A-Za-z]{16,}$", re.IGNORECASE)
_WHOLE = re.compile(r"(.*?)([0-9]+)$", re.DOTALL)
_DECIMAL = re.compile(r"(.*?)([0-9]+)\.([0-9]+)$", re.DOTALL)
_DATE = r"([0-9]{4})[-_.]?([0-9]{2})[-_.]?([0-9]{2})[-_.T ]{0,2}"
_CLOCK = re.compile(
    rf"(.*?)(?<![0-9])(?:{_DATE})?([0-9]{{2}})([-_.:]?)([0-9]{{2}})\6([0-9]{{2}})"
    r"(?:[-_.,]?([0-9]{3}|[0-9]{6}|[0-9]{9}))?Z?$",
    re.DOTALL,
)
_CLOCK_BEFORE = re.compile(
    rf"(?<![0-9])(?:{_DATE}[0-9]{{2}}[-_.:]?[0-9]{{2}}[-_.:]?[0-9]{{2}}"
    r"|[0-9]{2}([-_.:])[0-9]{2}\4[0-9]{2})(?![0-9])"
)
_DAY = 24 * 3600
_NUM_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class FrameRun:
    """Images that follow one another.

    Attributes:
        sequence: The beginning of their names, "" where it does not tell sequences apart.
        rows: Places in the list of names, in the order of time.
        span: First and last number, "" where names hold none.
    """

    sequence: str
    rows: tuple[int, ...]
    span: str


@dataclass(frozen=True, kw_only=True)
class FrameRuns:
    """The images of a folder, cut into runs.

    Attributes:
        runs: All images; runs of one sequence are parted by gaps.
        said: How names were taken, in one line; "" where nothing had to be decided.
    """

    runs: tuple[FrameRun, ...]
    said: str


@dataclass(frozen=True, kw_only=True)
class _Number:
    """What a name says: its beginning, its number, and the text of the number."""

    beginning: str
    value: int
    text: str


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """All names of a folder, read in one way.

    Attributes:
        numbers: One per name.
        is_clock: Whether numbers are times.
        wraps_at: After this number they start again at 0; 0 where they do not.
    """

    numbers: tuple[_Number, ...]
    is_clock: bool = False
    wraps_at: int = 0


def image_suffix(name: str) -> str:
    """Return the image suffix of a name, "" where it has none."""
    suffix = Path(name).suffix
    return suffix if suffix.lower() in IMAGE_SUFFIXES else ""


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Return a sort key that puts ``2.png`` before ``10.png``, upper and lower case alike.

    Example:
        >>> sorted(["f10.png", "F9.png", "f1.png"], key=natural_key)
        ['f1.png', 'F9.png', 'f10.png']
    """
    parts = re.split(r"([0-9]+)", name)
    digits = [part.lstrip("0") for part in parts]  # Compared by length: no number is too long.
    key = [
        (len(digits[i]), digits[i]) if i % 2 else (0, part.lower()) for i, part in enumerate(parts)
    ]
    return (*key, (0, name))


def gaps_in(numbers: Sequence[int]) -> list[int]:
    """Find where ascending numbers jump.

    The base step is the most common positive difference between neighbours (the median one of
    several equally common), and a difference of more than one and a half base steps starts a gap.
    The half step keeps jittering times in one piece; for plain numbers it changes nothing. A step
    backwards is no gap.

    Args:
        numbers: In the order of frames.

    Returns:
        Positions of the numbers that follow a gap.

    Example:
        >>> gaps_in([1, 2, 3, 2701, 2702]), gaps_in([0, 5, 10])
        ([3], [])
    """
    steps = [after - before for before, after in pairwise(numbers)]
    forward = [step for step in steps if step > 0]
    if not forward:
        return []
    base = statistics.median_low(sorted(statistics.multimode(forward)))
    return [position for position, step in enumerate(steps, start=1) if 2 * step > 3 * base]


def frame_runs(names: Sequence[str], *, is_one_sequence: bool = False) -> FrameRuns:
    """Cut the images of a folder into sequences, and these where frames are missing.

    Args:
        names: File names in natural order.
        is_one_sequence: Whether it is known that all are of one sequence.

    Returns:
        The runs; see the module for the rule.

    Example:
        >>> [run.span for run in frame_runs(["1.png", "2.png", "3.png", "9.png"]).runs]
        ['1-3', '9-9']
        >>> frame_runs(["a_1.png", "a_2.png", "b_1.png", "b_2.png"]).said
        "2 sequences by the beginnings of the names, 'a_' and 'b_'"
    """
    stems = _stems(names)
    # The most telling of equally good readings comes first.
    readings = [reading for read in _READINGS if (reading := read(stems)) is not None]
    if not readings:
        return FrameRuns(
            runs=(FrameRun(sequence="", rows=tuple(range(len(names))), span=""),), said=""
        )
    parted = [_sequences(reading, is_one_sequence) for reading in readings]
    breaks = [_num_breaks(*pair) for pair in zip(readings, parted, strict=True)]
    best = breaks.index(min(breaks))
    reading, sequences = readings[best], parted[best]
    runs = [run for rows in sequences for run in _cut(reading, rows, len(sequences) > 1)]
    is_clock = reading.is_clock and any(
        not other.is_clock and num > breaks[best]
        for other, num in zip(readings, breaks, strict=True)
    )
    return FrameRuns(runs=tuple(runs), said=_said(names, runs, is_clock=is_clock))


def _stems(names: Sequence[str]) -> list[str]:
    """Return names without suffix, what Roboflow adds, and an ending that all share."""
    stems = [_ROBOFLOW.sub("", name.removesuffix(image_suffix(name))) for name in names]
    if len(stems) < 2:
        return stems
    shared = stems[0]
    for stem in stems:
        while not stem.endswith(shared):
            shared = shared[1:]
    shared = shared.lstrip("0123456789")
    return [stem.removesuffix(shared) for stem in stems]


def _read_all(stems: Sequence[str], read: Callable[[str], _Number | None]) -> tuple[_Number, ...]:
    """Read every name; nothing where one cannot be read."""
    numbers = []
    for stem in stems:
        number = read(stem)
        if number is None:
            return ()
        numbers.append(number)
    return tuple(numbers)


def _clocks(stems: Sequence[str]) -> _Reading | None:
    """Read times of day, with or without a date, whose seconds have equally many decimals."""
    matches = [match for stem in stems if (match := _CLOCK.match(stem))]
    if len(matches) < len(stems):
        return None
    num_decimals = {len(match[9] or "") for match in matches}
    has_date = {match[2] is not None for match in matches}
    if len(num_decimals) != 1 or len(has_date) != 1:
        return None
    unit = 10 ** num_decimals.pop()
    is_dated = has_date.pop()
    numbers = []
    for match in matches:
        if not (is_dated or match[6] or match[9]):  # Six digits are rather a plain number.
            return None
        try:
            date = datetime.date(int(match[2]), int(match[3]), int(match[4])) if is_dated else None
            time = datetime.time(int(match[5]), int(match[7]), int(match[8]))
        except ValueError:  # No such day or time.
            return None
        seconds = (date.toordinal() if date else 0) * _DAY
        seconds += 3600 * time.hour + 60 * time.minute + time.second
        value = seconds * unit + int(match[9] or 0)
        text = match.string[match.end(1) :].replace(":", "-")
        numbers.append(_Number(beginning=match[1], value=value, text=text))
    return _Reading(numbers=tuple(numbers), is_clock=True, wraps_at=0 if is_dated else _DAY * unit)


def _decimals(stems: Sequence[str]) -> _Reading | None:
    """Read numbers that have equally many decimals."""
    matches = [match for stem in stems if (match := _DECIMAL.match(stem))]
    if len(matches) < len(stems) or len({len(match[3]) for match in matches}) != 1:
        return None
    return _Reading(
        numbers=tuple(
            _Number(beginning=m[1], value=int(m[2] + m[3]), text=f"{m[2]}.{m[3]}") for m in matches
        ),
        is_clock=True,
    )


def _whole(stem: str) -> _Number | None:
    match = _WHOLE.match(stem)
    if match is None:
        return None
    value = int(match[2])
    return _Number(beginning=match[1], value=value, text=str(value))


def _wholes(stems: Sequence[str]) -> _Reading | None:
    """Read whole numbers."""
    numbers = _read_all(stems, _whole)
    return _Reading(numbers=numbers) if numbers else None


def _wholes_after_clocks(stems: Sequence[str]) -> _Reading | None:
    """Read whole numbers behind a clock that is no part of the name of the sequence."""
    numbers = _read_all([_CLOCK_BEFORE.sub("", stem, count=1) for stem in stems], _whole)
    return _Reading(numbers=numbers) if numbers else None


_READINGS = (_clocks, _decimals, _wholes, _wholes_after_clocks)


def _sequences(reading: _Reading, is_one_sequence: bool) -> list[list[int]]:
    """Group rows by the beginnings of their names, where these tell sequences apart."""
    groups: dict[str, list[int]] = {}
    for row, number in enumerate(reading.numbers):
        groups.setdefault(number.beginning.lower(), []).append(row)
    num = len(reading.numbers)
    if is_one_sequence or 2 * len(groups) > num:
        return [_in_time(reading, list(range(num)))]
    return [_in_time(reading, rows) for rows in groups.values()]


def _in_time(reading: _Reading, rows: list[int]) -> list[int]:
    """Let times without a date go on over midnight, where the last is right before the first."""
    values = [reading.numbers[row].value for row in rows]
    gaps = gaps_in(values)
    if not reading.wraps_at or not gaps:
        return rows
    start = max(gaps, key=lambda gap: values[gap] - values[gap - 1])
    turned = [value + reading.wraps_at * (row < start) for row, value in enumerate(values)]
    turned = turned[start:] + turned[:start]
    is_better = len(gaps_in(turned)) < len(gaps)
    return rows[start:] + rows[:start] if is_better else rows


def _values(reading: _Reading, rows: Sequence[int]) -> list[int]:
    """Return the numbers of a sequence, those after midnight counted on."""
    values = [reading.numbers[row].value for row in rows]
    for position in range(1, len(values) if reading.wraps_at else 0):
        if values[position] < values[position - 1]:
            values[position] += reading.wraps_at
    return values


def _num_breaks(reading: _Reading, sequences: Sequence[Sequence[int]]) -> int:
    """Count changes of the sequence, gaps and steps backwards."""
    num = len(sequences) - 1
    for rows in sequences:
        values = _values(reading, rows)
        num += len(gaps_in(values))
        num += sum(after < before for before, after in pairwise(values))
    return num


def _cut(reading: _Reading, rows: Sequence[int], is_named: bool) -> list[FrameRun]:
    """Cut a sequence at its gaps."""
    edges = [0, *gaps_in(_values(reading, rows)), len(rows)]
    return [
        FrameRun(
            sequence=reading.numbers[rows[0]].beginning if is_named else "",
            rows=tuple(rows[start:stop]),
            span="-".join(reading.numbers[rows[end]].text for end in (start, stop - 1)),
        )
        for start, stop in pairwise(edges)
    ]


def _said(names: Sequence[str], runs: Sequence[FrameRun], *, is_clock: bool) -> str:
    """Say how names were taken."""
    parts = ["names read as times"] if is_clock else []
    sequences = list(dict.fromkeys(run.sequence for run in runs))
    if len(sequences) > 1:
        parts.append(
            f"{len(sequences)} sequences by the beginnings of the names, {listing(sequences)}"
        )
    gaps = [
        names[before.rows[-1]]
        for before, after in pairwise(runs)
        if before.sequence == after.sequence
    ]
    if gaps:
        parts.append(f"{'gap' if len(gaps) == 1 else 'gaps'} after {listing(gaps)}")
    return "; ".join(parts)


def listing(values: Sequence[str]) -> str:
    """Name the first of some texts.

    Example:
        >>> listing(["a", "b"]), listing(["a", "b", "c", "d", "e"])
        ("'a' and 'b'", "'a', 'b', 'c' and 2 more")
    """
    named = [shown(value) for value in values[:_NUM_NAMED]]
    if len(values) > _NUM_NAMED:
        return f"{', '.join(named)} and {len(values) - _NUM_NAMED} more"
    return " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
