"""Score files alone: what any detector or tracker wrote, against truth.

| truth | predictions |
| --- | --- |
| COCO JSON | COCO results JSON |
| MOT text file | MOT text file, or a JSON of `stdet track` |
| folder of MOT text files or MOTChallenge folders | folder of either, a file per sequence |

Sequences of a folder are paired by name: `a.txt` or `a/gt/gt.txt` with `a.txt`, `a.mot.txt` or
`a.json`. MOT rows whose ids are all -1 are detections without identities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stdet.config import DataConfig, StdetConfig
from stdet.errors import DataError
from stdet.evaluation.report import Report, evaluate_sequences, named_subsets
from stdet.files.regular_file import file_mode
from stdet.formats.coco_results import CocoResults, read_coco_results
from stdet.formats.image_labels import ReadOptions
from stdet.formats.image_runs import cut_into_runs
from stdet.formats.mot import read_annotation, read_predictions
from stdet.formats.mot_folder import find_mot_folders, is_mot_folder, read_mot_folder
from stdet.formats.mot_rows import MAX_FRAMES
from stdet.formats.read_labels import read_labels
from stdet.formats.track_json import TrackFile, read_track_json
from stdet.metrics.sequence_result import SequenceResult, SparseDetections
from stdet.metrics.tracking.per_target import TargetRow, score_targets
from stdet.types import (
    UNKNOWN_TRACK_ID,
    IntArray,
    SequenceAnnotation,
    Tracks,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class FileScores:
    """Scores of a pair of files or folders.

    Attributes:
        report: Everything.
        targets: A row per identity where one sequence with identities was scored, else empty.
        results: What was scored, by sequence.
    """

    report: Report
    targets: tuple[TargetRow, ...]
    results: tuple[SequenceResult, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scorable:
    """A sequence, and the operating point of its predictions where they state one."""

    result: SequenceResult
    confidence: float | None

    @property
    def has_detections(self) -> bool:
        """Whether the predictions hold any."""
        return any(map(len, self.result.busy_frames()))


def score_files(
    truth: Path,
    predictions: Path,
    config: StdetConfig,
    *,
    image_hw: tuple[int, int] | None = None,
) -> FileScores:
    """Score predictions against truth.

    Precision, recall, F1, Pd and Fa are given at ``config.postprocess.confidence``; where that is
    None, at the operating point that the predictions state, and else for all of them. A MOT file
    says neither how long its sequence is nor how large: the length is that of `seqinfo.ini`, of
    the JSON, or the last frame that either file names.

    Args:
        truth: File or folder; see the module.
        predictions: File or folder.
        config: Rules.
        image_hw: Height and width of the frames, pixels, where no file says it.

    Returns:
        The scores.

    Raises:
        DataError: If a file cannot be used, does not fit the other, or the size of the frames is
            not known.
    """
    for path in (truth, predictions):
        if file_mode(path) is None:
            raise DataError(f"{path}: cannot be read (No such file or folder); check the path.")
    if truth.is_dir():
        scorables = _score_folders(truth, predictions, image_hw)
    elif truth.suffix.lower() == ".json":
        scorables = [
            _Scorable(result=result, confidence=None)
            for result in join_coco(truth, predictions, config.data)
        ]
    else:
        scorables = [_mot(truth, predictions, image_hw)]
    if not scorables:
        raise DataError(f"{truth}: holds no images; expected at least one.")
    results = tuple(scorable.result for scorable in scorables)
    confidence = config.postprocess.confidence
    if confidence is None:
        stated = {scorable.confidence for scorable in scorables}
        if len(stated) > 1:
            raise DataError(
                f"{predictions}: its files were made at different operating points "
                f"({', '.join(map(str, stated))}); choose one with --set "
                "postprocess.confidence=..."
            )
        confidence = stated.pop() or 0.0
    report = evaluate_sequences(
        results,
        config.evaluation,
        confidence=confidence,
        subsets=named_subsets([r.annotation.name for r in results], config.data.subsets),
    )
    targets: tuple[TargetRow, ...] = ()
    if len(results) == 1 and results[0].annotation.has_identities and results[0].is_tracked:
        targets = tuple(score_targets(results[0], gate_px=config.evaluation.track_gate_px))
    return FileScores(report=report, targets=targets, results=results)


def _score_folders(
    truth: Path, predictions: Path, image_hw: tuple[int, int] | None
) -> list[_Scorable]:
    """Pair the sequences of two folders."""
    if is_mot_folder(truth):
        return [_mot(truth, predictions, image_hw)]
    truths: dict[str, Path] = {path.stem: path for path in sorted(truth.glob("*.txt"))}
    truths |= {folder.name: folder for folder in find_mot_folders(truth)}
    if not truths:
        raise DataError(
            f"{truth}: holds no truth; expected <sequence>.txt or <sequence>/gt/gt.txt in it."
        )
    if not predictions.is_dir():
        raise DataError(
            f"{predictions}: is a file, but {truth} is a folder of {len(truths)} sequences; give "
            "a folder with a file for each."
        )
    found: dict[str, Path] = {}
    for path in sorted([*predictions.glob("*.txt"), *predictions.glob("*.json")]):
        name = path.stem.removesuffix(".mot")
        other = found.get(name)
        if other is None:
            found[name] = path
        elif (other.name, path.name) == (f"{name}.json", f"{name}.mot.txt"):
            continue  # `stdet track` leaves both; the JSON knows more.
        else:
            raise DataError(
                f"{path}: {other.name} is there too; keep one file for sequence {name!r}."
            )
    _require_same(truth, predictions, truths, found)
    scorables = [_mot(truths[name], found[name], image_hw, name=name) for name in truths]
    has_rows = [s for s in scorables if s.has_detections]
    if has_rows and not any(scorable.result.is_tracked for scorable in has_rows):
        # An empty file is no tracker's where the others hold detections without identities.
        return [replace(s, result=replace(s.result, is_tracked=False)) for s in scorables]
    return scorables


def _require_same(
    truth: Path, predictions: Path, truths: Mapping[str, Path], found: Mapping[str, Path]
) -> None:
    """Refuse sequences that only one side knows."""
    missing, unknown = sorted(truths.keys() - found), sorted(found.keys() - truths)
    if missing:
        raise DataError(
            f"{predictions}: has no file for sequence {missing[0]!r} of {truth} (and "
            f"{len(missing) - 1} more); add an empty one where nothing was found."
        )
    if unknown:
        raise DataError(
            f"{found[unknown[0]]}: {truth} has no sequence {unknown[0]!r} (and "
            f"{len(unknown) - 1} more); remove it or rename it."
        )


def _mot(
    truth: Path, predictions: Path, image_hw: tuple[int, int] | None, *, name: str | None = None
) -> _Scorable:
    """Join MOT truth with MOT rows or a JSON of `stdet track`."""
    if predictions.is_dir():
        raise DataError(f"{predictions}: is a folder, but {truth} is one sequence; name its file.")
    from_track = read_track_json(predictions) if predictions.suffix == ".json" else None
    annotation, is_length_known = _mot_truth(truth, from_track, image_hw, name)
    if from_track is not None:
        tracks, is_tracked, num_frames = from_track.tracks, True, from_track.num_frames
        detections = SparseDetections(
            from_track.detections, num_frames=num_frames, image_hw=from_track.image_hw
        )
    else:
        rows = read_predictions(predictions)
        _require_inside(predictions, rows.frame_indices, annotation.num_frames, is_length_known)
        last = max(annotation.num_frames, int(rows.frame_indices.max(initial=-1)) + 1)
        num_frames = annotation.num_frames if is_length_known else last
        detections = SparseDetections.of_rows(
            rows.frame_indices,
            rows.boxes_xyxy,
            rows.scores,
            np.zeros(len(rows.scores), np.int64),
            num_frames=num_frames,
            image_hw=annotation.image_hw,
        )
        tracks, is_tracked = rows.tracks, rows.is_tracked
    if annotation.num_frames > num_frames or (
        is_length_known and annotation.num_frames != num_frames
    ):
        raise DataError(
            f"{predictions}: holds {num_frames} frames, but {truth} names frame "
            f"{annotation.num_frames}. Track the whole source."
        )
    result = SequenceResult(
        # Neither MOT tracks nor the JSON have classes, so the classes of the truth cannot count.
        annotation=replace(
            annotation, num_frames=num_frames, class_ids=np.zeros(len(annotation), np.int64)
        ),
        detections=detections,
        tracks=tracks,
        is_tracked=is_tracked,
    )
    return _Scorable(result=result, confidence=from_track.confidence if from_track else None)


def _mot_truth(
    truth: Path, from_track: TrackFile | None, image_hw: tuple[int, int] | None, name: str | None
) -> tuple[SequenceAnnotation, bool]:
    """Read MOT truth, and say whether the length of its sequence is known."""
    image_hw = from_track.image_hw if from_track else image_hw
    if truth.is_dir():
        folder = read_mot_folder(truth, image_hw=image_hw)
        return folder.annotation, folder.is_length_known
    if image_hw is None:
        raise DataError(
            f"{truth}: a MOT file does not say how large the frames are; pass --size HxW."
        )
    annotation = read_annotation(
        truth,
        name=name or (from_track.name if from_track else truth.stem),
        image_hw=image_hw,
        fps=from_track.fps if from_track else None,
    )
    return annotation, False


def _require_inside(
    path: Path, frame_indices: IntArray, num_frames: int, is_length_known: bool
) -> None:
    """Refuse rows after the end of a sequence whose length is known."""
    last = int(frame_indices.max(initial=-1)) + 1
    if last > MAX_FRAMES:
        raise DataError(f"{path}: names frame {last}; expected at most {MAX_FRAMES:,}.")
    if is_length_known and last > num_frames:
        raise DataError(
            f"{path}: names frame {last} of a sequence of {num_frames} frames; check that it "
            "belongs to this truth."
        )


def join_coco(truth: Path, predictions: Path, config: DataConfig) -> list[SequenceResult]:
    """Join a COCO file with COCO results, cut into sequences.

    Raises:
        DataError: If a file cannot be used, or they do not fit.
    """
    if predictions.is_dir():
        raise DataError(f"{predictions}: is a folder, but {truth} is a file; name a results file.")
    (labels,) = read_labels(
        "coco",
        truth,
        Path(),
        ReadOptions(
            bad_boxes="drop" if config.drop_invalid_boxes else "refuse", needs_images=False
        ),
    )
    results = read_coco_results(predictions, truth)
    is_tracked = bool((results.track_ids != UNKNOWN_TRACK_ID).all()) and len(results.scores) > 0
    row_of = {path: row for row, path in enumerate(labels.paths)}
    joined = []
    for run in cut_into_runs(labels, pattern=config.sequence_pattern):
        frame_of_image = np.full(len(labels), -1, np.int64)
        frame_of_image[[row_of[path] for path in run.files]] = np.arange(len(run.files))
        frames = frame_of_image[results.image_rows]
        rows = np.flatnonzero(frames >= 0)
        joined.append(
            SequenceResult(
                annotation=run.annotation,
                detections=SparseDetections.of_rows(
                    frames[rows],
                    results.boxes_xyxy[rows],
                    results.scores[rows],
                    results.class_ids[rows],
                    num_frames=len(run.files),
                    image_hw=run.annotation.image_hw,
                ),
                tracks=_coco_tracks(results, rows, frames) if is_tracked else Tracks.empty(),
                is_tracked=is_tracked,
            )
        )
    return joined


def _coco_tracks(results: CocoResults, rows: IntArray, frames: IntArray) -> Tracks:
    """Return the tracks of some rows of a results file."""
    rows = rows[np.lexsort((results.track_ids[rows], frames[rows]))]
    return Tracks(
        frame_indices=frames[rows],
        track_ids=results.track_ids[rows],
        boxes_xyxy=results.boxes_xyxy[rows],
        scores=results.scores[rows],
        probabilities=np.full(len(rows), np.nan, np.float32),
        class_ids=results.class_ids[rows],
        detection_indices=np.full(len(rows), -1, np.int64),
    )
