"""Regions that move, in which nothing is counted: what flies or drives there has no label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stdet.config import RegionPath
from stdet.datasets.sequences import LabelledSequence
from stdet.errors import DataError, shown
from stdet.types import UNKNOWN_TRACK_ID, FloatArray, IntArray, SequenceAnnotation

RegionsByName = Mapping[str, Sequence[RegionPath]]
"""As ``evaluation.ignored_regions``: by sequence, or by the group of sequences."""


def without_regions(
    sequences: Iterable[LabelledSequence], regions: RegionsByName
) -> list[LabelledSequence]:
    """Return sequences whose truth has regions to ignore; their frames stay as they are.

    Raises:
        DataError: If regions are given for images whose names have no number.
    """
    return [
        replace(sequence, annotation=ignore_regions(sequence.annotation, sequence, regions))
        for sequence in sequences
    ]


def ignore_regions(
    truth: SequenceAnnotation, sequence: LabelledSequence, regions: RegionsByName
) -> SequenceAnnotation:
    """Return truth with a target to ignore in each frame that a region covers.

    Args:
        truth: Of the sequence, or of its middle (``middle_of``).
        sequence: Says what regions belong to it, and the numbers of its frames.
        regions: By name.

    Raises:
        DataError: If regions are given for images whose names have no number.
    """
    paths = [path for name in {sequence.name, sequence.group} for path in regions.get(name, ())]
    if not paths:
        return truth
    start = (len(sequence) - truth.num_frames) // 2
    numbers = _frame_numbers(sequence)[start : start + truth.num_frames]
    for path in paths:
        truth = _with_region(truth, numbers, path)
    return truth


def _frame_numbers(sequence: LabelledSequence) -> IntArray:
    """Return the number at the end of each image's name, or of each frame of a video, from 0."""
    if len(sequence.files) < len(sequence):
        return sequence.first_frame + np.arange(len(sequence))
    found = [re.search(r"[0-9]+(?=[^0-9]*$)", file.stem) for file in sequence.files]
    numbers = [int(match[0]) for match in found if match]
    if len(numbers) < len(found):
        raise DataError(
            f"evaluation.ignored_regions names {shown(sequence.name)}, whose images have no "
            "numbers in their names; expected regions of numbered images or videos. Remove them."
        )
    return np.array(numbers, np.int64)


def _with_region(
    truth: SequenceAnnotation, numbers: IntArray, path: RegionPath
) -> SequenceAnnotation:
    """Add one region to the truth."""
    keys = np.array(path, np.float64)
    frames = np.flatnonzero((numbers >= keys[0, 0]) & (numbers <= keys[-1, 0]))
    x, y, side = (np.interp(numbers[frames], keys[:, 0], values) for values in keys[:, 1:].T)
    boxes: FloatArray = np.stack([x - side / 2, y - side / 2, x + side / 2, y + side / 2], axis=1)
    is_known = truth.has_identities
    track_id = int(truth.track_ids.max(initial=0)) + 1 if is_known else UNKNOWN_TRACK_ID
    columns: dict[str, Any] = {
        "frame_indices": frames,
        "track_ids": np.full(len(frames), track_id),
        "boxes_xyxy": boxes.astype(np.float32),
        "class_ids": np.zeros(len(frames), np.int64),
        "is_ignored": np.ones(len(frames), np.bool_),
    }
    joined = {name: np.concatenate([getattr(truth, name), new]) for name, new in columns.items()}
    order = np.lexsort((joined["track_ids"], joined["frame_indices"]))
    ordered: dict[str, Any] = {name: column[order] for name, column in joined.items()}
    return replace(truth, **ordered)
