"""Checks that need label files only: boxes, numbering, sizes, paths of targets, shared images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stdet.boxes import centres_xy
from stdet.dataset_check.findings import Finding, place_at, whole_file
from stdet.dataset_check.splits import Split, places_of
from stdet.dataset_check.trajectories import Agreement, Trajectory, find_agreements
from stdet.types import FloatArray, SequenceAnnotation

_SAME_BOX_PX = 1.0
"""Corners of one target in two label files differ by no more than this, pixels."""

_SAME_FRACTION = 0.9
"""Without images, equal image names mean equal frames where so many of them have equal boxes."""


@dataclass(frozen=True, kw_only=True)
class SharedImages:
    """What comparing the image names of label files gave.

    Attributes:
        findings: Images in two splits, and label files that contradict each other.
        notes: For the reader.
        copies: Numbers of splits that describe the images of an earlier one once more.
    """

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    copies: frozenset[int]


def check_boxes(split: Split) -> Iterator[Finding]:
    """Yield every box that readers refuse: not finite, without area or outside the frame."""
    place_of_row = {
        row: (number, frame)
        for number, run in enumerate(split.runs)
        for frame, row in enumerate(run.rows)
    }
    faults, labels = split.faults, split.labels
    for kind, is_bad in (
        ("box_not_finite", faults.is_not_finite),
        ("box_empty", faults.is_empty),
        ("box_outside", faults.is_outside),
    ):
        for box in np.flatnonzero(is_bad).tolist():
            row = int(labels.image_rows[box])
            corners = ", ".join(f"{value:g}" for value in labels.boxes_xyxy[box].tolist())
            message = f"box x1, y1, x2, y2 {corners}"
            if kind == "box_outside":
                height, width = labels.sizes_hw[row].tolist()
                message += f" in a frame of {width}x{height}"
            yield Finding(kind=kind, place=place_at(split, *place_of_row[row]), message=message)


def check_classes(split: Split) -> Iterator[Finding]:
    """Yield what leaves nothing to train on or to score, or gives a detector classes too many."""
    labels = split.labels
    if labels.is_ignored.all():
        yield Finding(
            kind="no_boxes",
            place=whole_file(split),
            num_frames=len(labels),
            message="nothing to train on, and no score to choose a checkpoint by",
        )
    for name in labels.unused_categories:
        yield Finding(
            kind="category_unused",
            place=whole_file(split),
            num_frames=len(labels),
            message=f"category {name} comes before one with boxes, so that a model needs "
            f"{int(labels.class_ids.max()) + 1} classes; remove it, or set "
            f"model.head.num_classes={int(labels.class_ids.max()) + 1}",
        )


def check_numbering(split: Split) -> Iterator[Finding]:
    """Yield every gap between two runs of one sequence."""
    for number, (before, after) in enumerate(itertools.pairwise(split.runs)):
        if before.group == after.group:
            yield Finding(
                kind="numbering_gap",
                place=place_at(split, number + 1, 0),
                message=f"follows {split.labels.paths[before.rows[-1]].name}; a clip never spans "
                "the gap",
            )


def check_sizes(split: Split) -> Iterator[Finding]:
    """Yield images whose size in the label file differs from that of most of their sequence."""
    rows_of_group: dict[str, list[tuple[int, int, int]]] = {}
    for number, run in enumerate(split.runs):
        members = rows_of_group.setdefault(run.group, [])
        members += [(row, number, frame) for frame, row in enumerate(run.rows)]
    for members in rows_of_group.values():
        sizes = split.labels.sizes_hw[[row for row, _, _ in members]]
        values, counts = np.unique(sizes, axis=0, return_counts=True)
        height, width = values[counts.argmax()].tolist()
        for (row, number, frame), size in zip(members, sizes.tolist(), strict=True):
            if size != [height, width]:
                own_height, own_width = split.labels.sizes_hw[row].tolist()
                yield Finding(
                    kind="image_size",
                    place=place_at(split, number, frame),
                    message=f"{own_width}x{own_height} in the label file; most of its sequence is "
                    f"{width}x{height}",
                )


def note_border(split: Split) -> str | None:
    """Say how many boxes reach over the border of their frame, which readers accept."""
    x1, y1, x2, y2 = split.labels.boxes_xyxy.T
    height, width = split.labels.sizes_hw[split.labels.image_rows].T
    faults = split.faults
    is_usable = ~(faults.is_not_finite | faults.is_empty | faults.is_outside)
    reaches_over = is_usable & ((x1 < 0) | (y1 < 0) | (x2 > width) | (y2 > height))
    if not reaches_over.any():
        return None
    return (
        f"{split.name}: boxes that reach over the border of their frame: "
        f"{int(reaches_over.sum()):,}; readers keep them as they are."
    )


def compare_images(splits: Sequence[Split]) -> SharedImages:
    """Compare the image names of label files, and the boxes of those that occur twice.

    Equal names are equal frames where the image exists. Without images two data sets may use the
    same names, so that equal names count only where nine in ten have equal boxes.
    """
    findings: list[Finding] = []
    notes: list[str] = []
    copies: set[int] = set()
    boxes = [_boxes_by_image(split) for split in splits]
    for first, second in itertools.combinations(range(len(splits)), 2):
        if first in copies or second in copies:
            continue
        a, b = splits[first], splits[second]
        shared = boxes[first].keys() & boxes[second].keys()
        differing = [
            path for path in shared if not _same_boxes(boxes[first][path], boxes[second][path])
        ]
        if not shared:
            continue
        num_labelled = sum(bool(len(boxes[first][p]) or len(boxes[second][p])) for p in shared)
        is_known = bool(a.is_present[[path in shared for path in a.labels.paths]].any())
        if not is_known and len(differing) > (1 - _SAME_FRACTION) * num_labelled:
            notes.append(
                f"{a.name} and {b.name} share {len(shared):,} image names, most with other boxes: "
                "taken for different frames, since the images are not there."
            )
        elif len(shared) == len(boxes[first]) == len(boxes[second]):
            copies.add(second)
            notes.append(
                f"{b.name} lists the images of {a.name}: taken for the same split, not compared."
            )
            if differing:
                findings.append(_labels_differ(a, b, differing))
        else:
            findings.append(
                Finding(
                    kind="leak_names",
                    place=whole_file(a),
                    num_frames=len(shared),
                    other=whole_file(b),
                    message=f"{len(shared):,} images, the first is {min(shared)}",
                )
            )
    return SharedImages(findings=tuple(findings), notes=tuple(notes), copies=frozenset(copies))


def compare_paths(splits: Sequence[Split], copies: frozenset[int]) -> list[Finding]:
    """Find stretches in which targets follow the same path, in two splits or in one.

    Args:
        splits: All splits.
        copies: Numbers of those that are not compared.
    """
    places = places_of(splits)
    trajectories = [
        trajectory
        for number, place in enumerate(places)
        if place.split not in copies
        for trajectory in trajectories_of(number, splits[place.split].truths[place.run].annotation)
    ]
    findings = []
    for found in find_agreements(trajectories):
        first, second = places[found.first], places[found.second]
        findings.append(
            Finding(
                kind="repeated_paths" if first.split == second.split else "leak_paths",
                place=place_at(splits[first.split], first.run, found.first_start),
                num_frames=found.num_frames,
                other=place_at(splits[second.split], second.run, found.second_start),
                message=_agreement(found),
            )
        )
    return findings


def trajectories_of(number: int, truth: SequenceAnnotation) -> Iterator[Trajectory]:
    """Yield the path of every target of a sequence.

    Args:
        number: Number of the sequence, for the trajectories.
        truth: Rows with identities, sorted by frame.
    """
    centres = centres_xy(truth.boxes_xyxy).astype(np.float64)
    order = np.argsort(truth.track_ids, kind="stable")
    edges = np.flatnonzero(np.diff(truth.track_ids[order])) + 1
    for rows in np.split(order, edges):
        if not len(rows):
            continue
        frames = truth.frame_indices[rows]
        path = np.full((int(frames[-1] - frames[0]) + 1, 2), np.nan)
        path[frames - frames[0]] = centres[rows]
        yield Trajectory(sequence=number, start=int(frames[0]), centres_xy=path)


def _agreement(found: Agreement) -> str:
    return (
        f"centres agree in {found.num_agreeing:,} of {found.num_frames:,} frames, mean distance "
        f"{found.mean_distance_px:.2f} px"
    )


def _boxes_by_image(split: Split) -> dict[Path, FloatArray]:
    """Return the boxes of every image, sorted."""
    labels = split.labels
    order = np.lexsort((*labels.boxes_xyxy.T[::-1], labels.image_rows))
    edges = np.searchsorted(labels.image_rows[order], np.arange(1, len(labels)))
    return dict(zip(labels.paths, np.split(labels.boxes_xyxy[order], edges), strict=True))


def _same_boxes(first: FloatArray, second: FloatArray) -> bool:
    """Say whether two images have equal boxes."""
    return first.shape == second.shape and np.allclose(
        first, second, rtol=0, atol=_SAME_BOX_PX, equal_nan=True
    )


def _labels_differ(first: Split, second: Split, paths: list[Path]) -> Finding:
    return Finding(
        kind="labels_differ",
        place=whole_file(first),
        num_frames=len(paths),
        other=whole_file(second),
        message=f"{len(paths):,} images have other boxes, the first is {min(paths)}",
    )
