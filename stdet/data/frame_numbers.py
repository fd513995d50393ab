"""The order and the numbering of frames, read from the names of their images."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from stdet.data.frame_source import IMAGE_SUFFIXES


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
    key = [(int(part), "") if i % 2 else (0, part.lower()) for i, part in enumerate(parts)]
    return (*key, (0, name))


def numbered_gaps(names: Sequence[str]) -> list[int]:
    """Find where the numbering of frames jumps.

    Where every stem ends in an integer, the base step is the most common positive difference
    between neighbours (the median one of several equally common), and a difference of more than
    one and a half base steps starts a gap. The half step keeps names that are jittering time
    stamps in one piece; for plain numbering it changes nothing. Where a stem does not end in an
    integer there are no gaps. A step backwards is no gap either: the last number of
    ``10-59-59.966`` and ``11-00-00.000`` says nothing about missing frames.

    Args:
        names: File names in frame order, with or without folder and suffix.

    Returns:
        Positions in ``names`` of the frames that follow a gap.

    Example:
        >>> numbered_gaps(["1.bmp", "2.bmp", "3.bmp", "2701.bmp", "2702.bmp"])
        [3]
        >>> numbered_gaps(["f000.png", "f005.png", "f010.png"])
        []
    """
    stems = [name.removesuffix(image_suffix(name)) for name in names]
    matches = [re.search(r"[0-9]+$", stem) for stem in stems]
    numbers = [int(match.group()) for match in matches if match]
    if len(numbers) < len(names):
        return []
    steps = [after - before for before, after in pairwise(numbers)]
    forward = [step for step in steps if step > 0]
    if not forward:
        return []
    base = statistics.median_low(sorted(statistics.multimode(forward)))
    return [position for position, step in enumerate(steps, start=1) if step > 1.5 * base]
