"""A stand-in for a data set: drawn frames where label files name images.

    OUT/<paths of the label files>          frames, 8 bits, in the format that the paths name
    OUT/<label file>                        the label files, byte for byte
    OUT/synth.json                          that its frames are drawn, from which seed

Everything up to scores can be run on it at the size of the data set. Scores on it say nothing of
the data set: reports call its frames drawn.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stdet.boxes import centres_xy
from stdet.dataset_check.splits import LINK_GATE_PX
from stdet.dataset_synthesis.settings import seed_of
from stdet.dataset_synthesis.staging import staged
from stdet.dataset_synthesis.workers import run_jobs
from stdet.errors import DataError
from stdet.files.atomic_file import explain_os_errors, write_whole
from stdet.formats.generated_mark import SUMMARY_NAME
from stdet.formats.image_labels import ReadOptions
from stdet.formats.image_runs import annotate, group_rows
from stdet.formats.label_files import LabelFile, find_label_files
from stdet.formats.published_lists import identify
from stdet.formats.read_labels import read_labels
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.metrics.tracking.linking import identify_truth
from stdet.metrics.truth_digest import digest_truth
from stdet.processes.progress import ProgressBar
from stdet.synthesis.label_frames import LabelFrames, are_points
from stdet.synthesis.settings import MIN_SIDE_PX
from stdet.types import SequenceAnnotation

_JPEG_QUALITY = 95


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What was drawn.

    Attributes:
        folder: The data set.
        num_sequences: Over all label files.
        num_frames: Over all label files.
        num_targets: Over all label files.
    """

    folder: Path
    num_sequences: int
    num_frames: int
    num_targets: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Job:
    """One sequence and where it goes.

    Attributes:
        truth: With identities.
        files: Where its frames go.
        points: Whether boxes are drawn about points.
        seed: Of the sequence.
    """

    truth: SequenceAnnotation
    files: tuple[Path, ...]
    points: bool
    seed: int


def draw_labels(
    places: Sequence[Path],
    folder: Path,
    *,
    seed: int = 0,
    hw: tuple[int, int] | None = None,
    overwrite: bool = False,
    num_processes: int = 1,
) -> Drawn:
    """Draw a frame for every image of label files.

    Args:
        places: Text lists and COCO files, or folders of them; see ``find_label_files``.
        folder: New folder, or an earlier generated data set with ``overwrite``.
        seed: Fixes every frame.
        hw: Size of the frames where label files do not state it. None takes that of the published
            list; of several sizes the smallest that holds the centres of a sequence's boxes.
        overwrite: Replace the earlier data set, once the new one is whole.
        num_processes: That draw at the same time; the result is the same.

    Raises:
        DataError: If a label file cannot be used, names an image outside its folder or one that
            another names, does not tell the size of its frames, or the folder is in the way.
    """
    files = find_label_files(places).files
    with staged(folder, overwrite=overwrite) as stage:
        jobs = [job for file in files for job in _jobs(file, stage, seed=seed, hw=hw)]
        _require_apart(files, jobs)
        with (
            ProgressBar("drawing", sum(job.truth.num_frames for job in jobs)) as bar,
            run_jobs(_draw_sequence, jobs, num_processes) as drawn,
        ):
            for num_frames in drawn:
                for _ in range(num_frames):
                    bar.advance()
        for file in files:
            _copy(file, stage)
        summary = {"frames": "drawn", "labels": [file.path.name for file in files], "seed": seed}
        write_whole(stage / SUMMARY_NAME, (json.dumps(summary, indent=2) + "\n").encode())
    return Drawn(
        folder=folder,
        num_sequences=len(jobs),
        num_frames=sum(job.truth.num_frames for job in jobs),
        num_targets=sum(len(job.truth) for job in jobs),
    )


def _jobs(file: LabelFile, stage: Path, *, seed: int, hw: tuple[int, int] | None) -> list[_Job]:
    """List the sequences of a label file."""
    if file.format not in ("text", "coco"):
        raise DataError(
            f"{file.path}: frames are drawn for text lists and COCO files, and this is of the "
            f"format {file.format!r}. Name one of those."
        )
    options = ReadOptions(needs_images=False)
    (labels,) = read_labels(file.format, file.path, file.root, options)
    if not len(labels):
        raise DataError(f"{file.path}: lists no image; expected at least one.")
    runs = group_rows(labels).runs
    truths = [annotate(labels, run) for run in runs]
    if not labels.are_sizes_known:
        sizes = _sizes(file, truths, hw)
        truths = [replace(t, image_hw=size) for t, size in zip(truths, sizes, strict=True)]
    _require_usable(file, truths)
    points = are_points(truths)
    return [
        _Job(
            truth=identify_truth(truth, link_gate_px=LINK_GATE_PX).annotation,
            files=tuple(stage / _relative(labels.paths[row], file) for row in run.rows),
            points=points,
            seed=seed_of(seed, file.path.name, truth.name),
        )
        for run, truth in zip(runs, truths, strict=True)
    ]


def _sizes(
    file: LabelFile, truths: Sequence[SequenceAnnotation], hw: tuple[int, int] | None
) -> list[tuple[int, int]]:
    """Return the size of the frames of each sequence of a file that does not state it."""
    if hw is not None:
        return [hw] * len(truths)
    found = identify({truth.name: digest_truth(truth) for truth in truths})
    if found is None:
        raise DataError(
            f"{file.path}: does not tell the size of its frames, and is no published list; pass "
            "--size HEIGHTxWIDTH."
        )
    sizes = [(height, width) for width, height in found.published.data_set.sizes_wh]
    return [next((size for size in sizes if _holds(size, truth)), sizes[-1]) for truth in truths]


def _holds(hw: tuple[int, int], truth: SequenceAnnotation) -> bool:
    """Say whether the centres of all boxes lie in frames of a size."""
    return bool((centres_xy(truth.boxes_xyxy) <= (hw[1], hw[0])).all())


def _require_usable(file: LabelFile, truths: Sequence[SequenceAnnotation]) -> None:
    """Refuse frames that do not hold their targets, that nothing reads or that nothing is in."""
    for truth in truths:
        height, width = truth.image_hw
        if min(height, width) < MIN_SIDE_PX or height * width > MAX_MEGAPIXELS * 1e6:
            raise DataError(
                f"{file.path}: frames of {truth.name} are {width}x{height}; expected sides of "
                f"{MIN_SIDE_PX} px or more, and at most {MAX_MEGAPIXELS:g} megapixels. Pass "
                "another --size, or mend the file."
            )
        if not _holds(truth.image_hw, truth):
            raise DataError(
                f"{file.path}: {truth.name} has boxes outside frames of {width}x{height}; pass a "
                "larger --size, or mend the file."
            )


def _relative(path: Path, file: LabelFile) -> Path:
    """Return the path of an image below the data set."""
    inside = path.relative_to(file.root) if path.is_relative_to(file.root) else None
    if inside is None or ".." in inside.parts:
        raise DataError(
            f"{file.path}: names {str(path)!r}, which lies outside {str(file.root)!r}; expected "
            "paths below the folder of the label file, or with a folder `images`."
        )
    return inside


def _require_apart(files: Sequence[LabelFile], jobs: Sequence[_Job]) -> None:
    """Refuse an image that two label files name, and two label files of one name."""
    seen: set[Path] = set()
    for path in (path for job in jobs for path in job.files):
        if path in seen:
            raise DataError(
                f"{', '.join(str(file.path) for file in files)}: two of them name the image "
                f"{path.name!r} of {path.parent.name!r}; give one of them, or a folder --out for "
                "each."
            )
        seen.add(path)
    names = [file.path.relative_to(file.root) for file in files]
    if len(set(names)) < len(names):
        raise DataError("two label files have one name; rename one of them.")


def _draw_sequence(job: _Job) -> int:
    """Write the frames of one sequence; return how many."""
    cv2.setNumThreads(1)
    for folder in {file.parent for file in job.files}:
        with explain_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    frames = LabelFrames(job.truth, points=job.points, seed=job.seed)
    for file, frame in zip(job.files, frames, strict=True):
        content = _encoded(frame, file)
        with explain_os_errors(file):
            file.write_bytes(content)
    return len(job.files)


def _encoded(frame: NDArray[np.uint8], file: Path) -> bytes:
    """Return a frame in the format that the name of its file says."""
    options = {
        ".png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
        ".jpg": [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY],
        ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY],
    }
    suffix = file.suffix.lower()
    _, content = cv2.imencode(suffix, frame, options.get(suffix, []))
    return content.tobytes()


def _copy(file: LabelFile, stage: Path) -> None:
    """Copy a label file to its place in the data set."""
    target = stage / file.path.relative_to(file.root)
    with explain_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.path, target)
