"""The data check: everything that is wrong with a data set, and leaks between its splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stdet.dataset_check.findings import TITLES, CheckReport, Finding, SplitSummary
from stdet.dataset_check.image_checks import (
    ImageFacts,
    check_files,
    compare_frames,
    look_at_images,
)
from stdet.dataset_check.label_checks import (
    check_boxes,
    check_classes,
    check_numbering,
    check_sizes,
    compare_images,
    compare_paths,
    note_border,
)
from stdet.dataset_check.splits import Split, load_split
from stdet.formats.generated_mark import are_generated
from stdet.formats.label_files import find_label_files
from stdet.formats.published_lists import describe
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.metrics.truth_digest import digest_truth


def check_dataset(
    places: Sequence[Path],
    *,
    with_images: bool = True,
    sequence_pattern: str | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> CheckReport:
    """Check label files and, where they exist, images.

    Args:
        places: Data set folders and label files; see ``find_label_files``.
        with_images: Read every image and video; false checks labels only.
        sequence_pattern: As ``data.sequence_pattern``.
        max_megapixels: As ``data.max_megapixels``.

    Returns:
        What is wrong. What was not checked is in the notes.

    Raises:
        DataError: If a place or a label file cannot be used at all.
    """
    found = find_label_files(places)
    splits = [
        load_split(file, pattern=sequence_pattern, max_megapixels=max_megapixels)
        for file in found.files
    ]
    facts = look_at_images(splits, max_megapixels=max_megapixels) if with_images else {}
    shared = compare_images(splits)
    findings = list(shared.findings)
    for split in splits:
        for check in (check_boxes, check_classes, check_numbering, check_sizes):
            findings += check(split)
        if with_images:
            findings += check_files(split, facts)
    findings += compare_frames(splits, shared.copies, facts)
    findings += compare_paths(splits, shared.copies)
    order = list(TITLES)
    findings.sort(key=lambda finding: order.index(finding.kind))  # Stable.
    notes = [f"{path} is no label file; left out." for path in found.left_out]
    notes += [f"{split.name}: {split.said}." for split in splits if split.said]
    notes += _published(splits)
    notes += _notes(splits, with_images=with_images)
    return CheckReport(
        splits=tuple(_summary(split, facts) for split in splits),
        findings=_without_repeats(findings),
        notes=(*notes, *shared.notes),
    )


def _published(splits: Sequence[Split]) -> list[str]:
    """Say which label files are published ones, or versions of them, and which have no footage."""
    said = []
    for split in splits:
        truths = (truth.annotation for truth in split.truths)
        digests = {truth.name: digest_truth(truth) for truth in truths}
        text = describe(digests, file=split.file.path.name)
        said += [f"{split.name}: {text}"] if text is not None else []
        if are_generated(split.labels.paths[:1]):
            said.append(f"{split.name}: its frames are drawn (stdet synth).")
    return said


def _notes(splits: Sequence[Split], *, with_images: bool) -> list[str]:
    """Say what was not checked, and how many boxes reach over the border."""
    notes = []
    without = [split for split in splits if not split.is_present.any()]
    if not with_images:
        notes.append("images were not checked, as asked.")
    elif without:
        notes.append(
            f"images were not checked for {_names(without)}: none of them exists; the first "
            f"would be {without[0].labels.paths[0]}."
        )
    notes += [
        f"{split.name}: category {name} only groups others and has no box: no class."
        for split in splits
        for name in split.labels.group_categories
    ]
    unsized = [split for split in splits if not split.has_size.all()]
    if unsized:
        notes.append(
            "boxes to the right of or below the frame were not checked where neither labels nor "
            f"images tell its size: {_names(unsized)}."
        )
    return notes + [note for note in map(note_border, splits) if note is not None]


def _names(splits: Sequence[Split]) -> str:
    return ", ".join(split.name for split in splits)


def _summary(split: Split, facts: dict[Path, ImageFacts]) -> SplitSummary:
    return SplitSummary(
        split=split.name,
        file=str(split.file.path),
        num_sequences=len(split.runs),
        num_frames=len(split.labels),
        num_targets=len(split.labels.boxes_xyxy),
        num_images_read=sum(path in facts for path in split.labels.paths),
    )


def _without_repeats(findings: list[Finding]) -> tuple[Finding, ...]:
    """Leave out a size that the label file and the image both show to be wrong."""
    seen = set()
    kept = []
    for finding in findings:
        key = (finding.kind, finding.place) if finding.kind == "image_size" else id(finding)
        if key not in seen:
            kept.append(finding)
        seen.add(key)
    return tuple(kept)
