"""What was detected on left-out sequences, kept as COCO files so that it can be scored again.

Of each source a pair, ``<source>.truth.json`` and ``<source>.detections.json``, which `stdet
evaluate --truth ... --predictions ...` and tools for COCO results read too. Its images are the
frames, `<sequence>/<number>.png`; there are no such files. ``<source>.motions.json`` has for each
sequence how the background moved before each frame (``formats/camera_motion.py``); without it the
camera is taken as resting. Peaks of residuals are not kept: tracks are those of detections alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stdet.config import DataConfig
from stdet.errors import DataError, reason_of
from stdet.evaluation.from_files import join_coco
from stdet.files.atomic_file import explain_os_errors, remove_leftovers, write_whole
from stdet.files.text_file import read_json
from stdet.formats.camera_motion import motion_entry, parse_motion
from stdet.formats.coco_results import CocoResults, write_coco_results
from stdet.formats.coco_video import write_coco
from stdet.formats.image_labels import ImageLabels, labels_of_sequences
from stdet.metrics.sequence_result import SequenceResult
from stdet.registration.frame_motion import FrameMotion
from stdet.types import UNKNOWN_TRACK_ID

TRUTH_ENDING = ".truth.json"
MOTIONS_ENDING = ".motions.json"
DETECTIONS_ENDING = ".detections.json"


def has_left_out(folder: Path, source: str) -> bool:
    """Say whether the detections of a source were written; their file is the last."""
    return (folder / f"{source}{DETECTIONS_ENDING}").exists()


def write_left_out(
    folder: Path, source: str, results: Sequence[SequenceResult], *, num_classes: int
) -> None:
    """Write truth, motions and detections of the sequences of a source.

    Args:
        folder: Created.
        source: Names the files.
        results: At least one; tracks are not written.
        num_classes: That the detector knows.

    Raises:
        DataError: If a file cannot be written.
    """
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    write_coco(
        folder / f"{source}{TRUTH_ENDING}", _labels(results), Path(), num_classes=num_classes
    )
    motions = {
        result.annotation.name: [motion_entry(motion) for motion in result.motions]
        for result in results
        if result.motions
    }
    write_whole(folder / f"{source}{MOTIONS_ENDING}", f"{json.dumps(motions)}\n".encode())
    write_coco_results(folder / f"{source}{DETECTIONS_ENDING}", _rows(results))


def read_left_out(folder: Path, source: str) -> list[SequenceResult]:
    """Read what ``write_left_out`` wrote, without tracks.

    Raises:
        DataError: If a file is missing or damaged.
    """
    truth, found = (folder / f"{source}{end}" for end in (TRUTH_ENDING, DETECTIONS_ENDING))
    try:
        results = join_coco(truth, found, DataConfig())
        return _with_motions(results, folder / f"{source}{MOTIONS_ENDING}")
    except DataError as error:
        raise DataError(
            f"{error} If it is damaged, delete {found} and give the same command again: the "
            "weights that are there detect anew."
        ) from error


def _with_motions(results: Sequence[SequenceResult], path: Path) -> list[SequenceResult]:
    """Return the results with the motions of a file, if it is there."""
    if not path.exists():  # Written before there were motions.
        return list(results)
    stated = read_json(path, advice="expected the motions of left-out sequences")
    try:
        motions: dict[str, tuple[FrameMotion, ...]] = {
            name: tuple(parse_motion(entry) for entry in entries)
            for name, entries in stated.items()
        }
        return [
            replace(result, motions=motions.get(result.annotation.name, ())) for result in results
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: a motion is malformed ({type(error).__name__}: {reason_of(error)})."
        ) from error


def _labels(results: Sequence[SequenceResult]) -> ImageLabels:
    """Return the truth of all sequences, a frame per image."""
    truths = [result.annotation for result in results]
    paths = [
        Path(truth.name, f"{frame:06}.png")
        for truth in truths
        for frame in range(truth.num_frames)
    ]
    return labels_of_sequences(truths, paths, where="")


def _rows(results: Sequence[SequenceResult]) -> CocoResults:
    """Return the detections of all frames as rows of one file."""
    frames = [frame for result in results for frame in result.detections]
    lengths = [len(frame) for frame in frames]
    return CocoResults(
        image_rows=np.repeat(np.arange(len(frames)), lengths),
        boxes_xyxy=np.concatenate([frame.boxes_xyxy for frame in frames]),
        scores=np.concatenate([frame.scores for frame in frames]),
        class_ids=np.concatenate([frame.class_ids for frame in frames]),
        track_ids=np.full(sum(lengths), UNKNOWN_TRACK_ID, np.int64),
    )
