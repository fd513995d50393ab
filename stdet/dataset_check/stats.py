"""Statistics of data sets: how many targets, how large, how fast."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import centres_xy, xyxy_to_xywh
from stdet.dataset_check.splits import LINK_GATE_PX, Split, load_split
from stdet.files.atomic_file import AtomicFile
from stdet.formats.label_files import find_label_files
from stdet.metrics.counts import without_nan
from stdet.types import SequenceAnnotation

BIN_EDGES_PX = (3.0, 5.0, 9.0, 15.0, 25.0)
"""Upper edges of the bins of both histograms, pixels, inclusive; the last bin is open."""

_BAR_WIDTH = 40


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """Where the values of a quantity lie, pixels; NaN (null in JSON) where there is none.

    Attributes:
        num_values: How many.
        median: The middle one.
        percentile_95: 95 % are no larger.
        percentile_99: 99 % are no larger.
        counts: Values in each bin of ``BIN_EDGES_PX`` and above the last edge.
    """

    num_values: int
    median: float
    percentile_95: float
    percentile_99: float
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SplitStatistics:
    """Statistics of one label file.

    Attributes:
        split: Name.
        file: Label file.
        num_sequences: Contiguous runs of frames.
        num_frames: Images that the file lists.
        num_empty_frames: Frames without targets.
        num_targets: Usable boxes.
        num_bad_boxes: Boxes that are not finite, without area or outside the frame; they count
            nowhere else.
        min_targets_per_frame: Over all frames, those without targets included.
        median_targets_per_frame: Likewise.
        max_targets_per_frame: Likewise.
        size_px: Square root of the area of a box.
        step_px: Distance of a target's centre from the frame before.
        num_linked_sequences: Sequences without identities and with several targets in a frame,
            whose targets were linked by the rule of `stdet evaluate`; their steps are at most
            ``link_gate_px``.
        link_gate_px: Largest step that was linked, pixels.
    """

    split: str
    file: str
    num_sequences: int
    num_frames: int
    num_empty_frames: int
    num_targets: int
    num_bad_boxes: int
    min_targets_per_frame: int
    median_targets_per_frame: float
    max_targets_per_frame: int
    size_px: Distribution
    step_px: Distribution
    num_linked_sequences: int
    link_gate_px: float


@dataclass(frozen=True, kw_only=True)
class DatasetStatistics:
    """Statistics of all label files.

    Attributes:
        splits: One for each label file.
        left_out: Files of the right suffix that hold something else.
    """

    splits: tuple[SplitStatistics, ...]
    left_out: tuple[str, ...]


def dataset_statistics(
    places: Sequence[Path], *, sequence_pattern: str | None = None
) -> DatasetStatistics:
    """Count targets and measure their sizes and steps. Needs no images.

    Args:
        places: Data set folders and label files; see ``find_label_files``.
        sequence_pattern: As ``data.sequence_pattern``.

    Raises:
        DataError: If a place or a label file cannot be used at all.
    """
    found = find_label_files(places)
    return DatasetStatistics(
        splits=tuple(
            _statistics(load_split(file, pattern=sequence_pattern)) for file in found.files
        ),
        left_out=tuple(str(path) for path in found.left_out),
    )


def format_statistics(statistics: DatasetStatistics) -> str:
    """Return the text that `stdet data stats` prints."""
    blocks = [_format_split(split) for split in statistics.splits]
    notes = [f"note: {path} is no label file; left out." for path in statistics.left_out]
    notes.append("note: labels only; no image content was looked at.")
    return "\n\n".join([*blocks, "\n".join(notes)])


def write_statistics(path: Path, statistics: DatasetStatistics) -> None:
    """Write the numbers as JSON; NaN becomes null.

    Raises:
        DataError: If the file cannot be written.
    """
    content = without_nan({"bin_edges_px": BIN_EDGES_PX, **dataclasses.asdict(statistics)})
    with AtomicFile(path) as file:
        file.write(json.dumps(content, indent=2) + "\n")


def target_steps(truth: SequenceAnnotation) -> NDArray[np.float64]:
    """Measure how far targets move between consecutive frames.

    Args:
        truth: A sequence with identities.

    Returns:
        Distances of centres, pixels, float64 (S,); frames in which a target is absent give none.
    """
    order = np.lexsort((truth.frame_indices, truth.track_ids))
    centres = centres_xy(truth.boxes_xyxy[order]).astype(np.float64)
    is_next = (np.diff(truth.track_ids[order]) == 0) & (np.diff(truth.frame_indices[order]) == 1)
    steps: NDArray[np.float64] = np.hypot(*np.diff(centres, axis=0)[is_next].T)
    return steps


def _statistics(split: Split) -> SplitStatistics:
    truths = [truth.annotation for truth in split.truths]
    boxes = xyxy_to_xywh(np.concatenate([truth.boxes_xyxy for truth in truths])).astype(np.float64)
    per_frame = np.concatenate(
        [np.bincount(truth.frame_indices, minlength=truth.num_frames) for truth in truths]
    )
    return SplitStatistics(
        split=split.name,
        file=str(split.file.path),
        num_sequences=len(split.runs),
        num_frames=len(split.labels),
        num_empty_frames=int((per_frame == 0).sum()),
        num_targets=len(boxes),
        num_bad_boxes=len(split.labels.boxes_xyxy) - len(boxes),
        min_targets_per_frame=int(per_frame.min()),
        median_targets_per_frame=float(np.median(per_frame)),
        max_targets_per_frame=int(per_frame.max()),
        size_px=_distribution(np.sqrt(boxes[:, 2] * boxes[:, 3])),
        step_px=_distribution(np.concatenate([target_steps(truth) for truth in truths])),
        num_linked_sequences=sum(truth.is_linked for truth in split.truths),
        link_gate_px=LINK_GATE_PX,
    )


def _distribution(values: NDArray[np.float64]) -> Distribution:
    percentiles = np.percentile(values, [50, 95, 99]) if len(values) else [math.nan] * 3
    bins = np.searchsorted(BIN_EDGES_PX, values)  # A value equal to an edge lies below it.
    counts = np.bincount(bins, minlength=len(BIN_EDGES_PX) + 1)
    return Distribution(
        num_values=len(values),
        median=float(percentiles[0]),
        percentile_95=float(percentiles[1]),
        percentile_99=float(percentiles[2]),
        counts=tuple(counts.tolist()),
    )


def _format_split(split: SplitStatistics) -> str:
    lines = [
        f"{split.split} ({split.file})",
        f"  sequences            {split.num_sequences:,}",
        f"  frames               {split.num_frames:,}, without targets {split.num_empty_frames:,}",
        f"  targets              {split.num_targets:,}; per frame min "
        f"{split.min_targets_per_frame}, median {split.median_targets_per_frame:g}, max "
        f"{split.max_targets_per_frame}",
    ]
    if split.num_bad_boxes:
        lines.append(
            f"  unusable boxes       {split.num_bad_boxes:,}, left out; `stdet data check` lists "
            "them"
        )
    lines += _histogram("box size (root of area)", split.size_px)
    lines += _histogram("step per frame", split.step_px)
    if split.num_linked_sequences:
        lines.append(
            f"  In {split.num_linked_sequences} of {split.num_sequences} sequences targets were "
            f"linked by the rule of `stdet evaluate`, so steps there end at "
            f"{split.link_gate_px:g} px."
        )
    return "\n".join(lines)


def _histogram(title: str, distribution: Distribution) -> list[str]:
    """Return a title line with percentiles, and a bar for every bin."""
    if not distribution.num_values:
        return [f"  {title}: none"]
    lines = [
        f"  {title}: median {distribution.median:.1f}, 95 % {distribution.percentile_95:.1f}, "
        f"99 % {distribution.percentile_99:.1f} px"
    ]
    names = [f"<= {BIN_EDGES_PX[0]:g}"]
    names += [f"{low:g} - {high:g}" for low, high in pairwise(BIN_EDGES_PX)]
    names.append(f"> {BIN_EDGES_PX[-1]:g}")
    for name, count in zip(names, distribution.counts, strict=True):
        share = count / distribution.num_values
        bar = "#" * math.ceil(share * _BAR_WIDTH)
        lines.append(f"    {name:>7} px {count:>8,} {100 * share:5.1f} % {bar}".rstrip())
    return lines
