"""What the data check finds, as dataclasses, text and JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from stdet.dataset_check.splits import Split
from stdet.files.atomic_file import AtomicFile

TITLES = {
    "leak_images": "LEAK: frames with the same pixels in two splits",
    "leak_similar": "LEAK: runs of images that look alike in two splits",
    "leak_paths": "LEAK: targets follow the same path in two splits",
    "leak_names": "LEAK: images listed in two splits",
    "labels_differ": "label files that describe the same images differently",
    "image_missing": "images that do not exist",
    "image_unreadable": "images that cannot be read",
    "image_blank": "images that show nothing, in a sequence that shows a scene",
    "image_size": "images of another size than their labels or their sequence",
    "box_not_finite": "boxes with a value that is not finite",
    "box_empty": "boxes without area",
    "box_outside": "boxes outside the frame",
    "no_boxes": "label files without a box that counts",
    "category_unused": "categories that no box uses, which count as classes all the same",
    "numbering_gap": "gaps in the numbering of frames",
    "repeated_images": "frames with the same pixels within a split",
    "repeated_paths": "targets follow the same path twice within a split",
}
"""Kinds of findings in the order they are printed."""

_MAX_LISTED = 20
"""Findings of one kind that are printed; the JSON holds all of them."""


@dataclass(frozen=True, kw_only=True)
class FramePlace:
    """Where in a data set.

    Attributes:
        file: The label file.
        split: Its name.
        sequence: Name of the sequence, "" where the finding is about the whole file.
        frame: Index of the first frame within the sequence, from 0; -1 for the whole file.
        image: Path of its image as the label file gives it, "" for the whole file.
    """

    file: str
    split: str
    sequence: str
    frame: int
    image: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong with a data set.

    Attributes:
        kind: A key of ``TITLES``.
        place: Where it starts.
        num_frames: Frames it covers.
        other: The frames that equal those at ``place``; None where only one place is concerned.
        message: What is wrong, for people.
    """

    kind: str
    place: FramePlace
    num_frames: int = 1
    other: FramePlace | None = None
    message: str


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """What was looked at.

    Attributes:
        split: Name.
        file: Label file.
        num_sequences: Contiguous runs of frames.
        num_frames: Images that the file lists.
        num_targets: Boxes that it lists.
        num_images_read: Images that were looked at, readable or not.
    """

    split: str
    file: str
    num_sequences: int
    num_frames: int
    num_targets: int
    num_images_read: int


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """The result of a data check.

    Attributes:
        splits: What was looked at.
        findings: What is wrong, in the order of ``TITLES``.
        notes: What was not checked, and what is worth knowing but not wrong.
    """

    splits: tuple[SplitSummary, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def place_at(split: Split, run: int, frame: int) -> FramePlace:
    """Name a frame of a run of a split."""
    rows = split.runs[run]
    return FramePlace(
        file=str(split.file.path),
        split=split.name,
        sequence=rows.name,
        frame=frame,
        image=split.relative(rows.rows[frame]),
    )


def whole_file(split: Split) -> FramePlace:
    """Name a label file as a whole."""
    return FramePlace(file=str(split.file.path), split=split.name, sequence="", frame=-1, image="")


def format_check(report: CheckReport) -> str:
    """Return the text that `stdet data check` prints."""
    width = max(len(summary.split) for summary in report.splits)
    lines = []
    for summary in report.splits:
        images = (
            f"{summary.num_images_read:,} images read"
            if summary.num_images_read
            else "IMAGES NOT CHECKED"
        )
        lines.append(
            f"{summary.split:<{width}}  {summary.num_sequences:,} sequences, "
            f"{summary.num_frames:,} frames, {summary.num_targets:,} boxes, {images} "
            f"({summary.file})"
        )
    lines += [f"note: {note}" for note in report.notes]
    for kind, title in TITLES.items():
        found = [finding for finding in report.findings if finding.kind == kind]
        if not found:
            continue
        lines += ["", f"{title} ({len(found):,})"]
        lines += [f"  {_describe(finding)}" for finding in found[:_MAX_LISTED]]
        if len(found) > _MAX_LISTED:
            lines.append(f"  and {len(found) - _MAX_LISTED:,} more; --json FILE holds all.")
    num_findings = len(report.findings)
    total = f"{num_findings:,} finding{'s' if num_findings > 1 else ''}"
    total = total if num_findings else "nothing wrong found"
    return "\n".join([*lines, "", total])


def write_check(path: Path, report: CheckReport) -> None:
    """Write the report as JSON.

    Raises:
        DataError: If the file cannot be written.
    """
    with AtomicFile(path) as file:
        file.write(json.dumps(dataclasses.asdict(report), indent=2) + "\n")


def _describe(finding: Finding) -> str:
    """Return one line about a finding."""
    if finding.other is None:
        return f"{_span(finding.place, finding.num_frames)}: {finding.message}"
    return (
        f"{_span(finding.place, finding.num_frames)} = "
        f"{_span(finding.other, finding.num_frames)}: {finding.message}"
    )


def _span(place: FramePlace, num_frames: int) -> str:
    """Return split, sequence and frames, as [start:stop] where there are several."""
    if not place.sequence:
        return place.split
    if num_frames == 1:
        return f"{place.split} {place.sequence} frame {place.frame} ({place.image})"
    return f"{place.split} {place.sequence}[{place.frame}:{place.frame + num_frames}]"
