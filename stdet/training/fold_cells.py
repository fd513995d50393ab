"""Cells of a grid with folds: train, detect on what is left out, and score from the files.

Detections stand in the run's folder, two files per source (``evaluation/left_out_files.py``).
Where they are there, the cell is finished, and other values of the tracker or of the rules score
them anew without training or detection.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from stdet.config import DataConfig, SourceConfig
from stdet.datasets.ignored_regions import ignore_regions
from stdet.datasets.sequences import LabelledSequence
from stdet.datasets.splits import load_sequences
from stdet.evaluation.from_model import detect_sequence, untracked
from stdet.evaluation.left_out import LeftOutPart, SourceScores, score_left_out
from stdet.evaluation.left_out_files import has_left_out, read_left_out, write_left_out
from stdet.inference.detector import Detector
from stdet.metrics.sequence_result import SequenceResult
from stdet.processes.progress import ProgressBar
from stdet.report.ablation_tables import join_folds
from stdet.report.comparison import Run, run_of
from stdet.training.folds import Fold, check_folds, source_name
from stdet.training.grid import Cell, Grid
from stdet.training.run import train
from stdet.training.run_folder import LEFT_OUT_NAME, check_same_run
from stdet.training.split_checks import require_targets

log = logging.getLogger(__name__)

_NOT_DETECTED_WITH = ("tracker", "evaluation", "postprocess.confidence")
"""Settings that detections do not depend on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldScores:
    """What the folds of one variant and seed give.

    Attributes:
        run: Mean over folds, each scored on the first source that it leaves out.
        sources: Each source, by fold and pooled.
    """

    run: Run
    sources: Sequence[SourceScores]


def check_fold_cell(cell: Cell) -> None:
    """Refuse a folder whose run was trained, or has detected, with another configuration.

    Raises:
        ConfigError: Naming the values that differ.
    """
    ignored = _NOT_DETECTED_WITH if _is_finished(cell) else ()
    check_same_run(cell.config, cell.run_dir, ignored=ignored)


def check_fold_data(
    data: DataConfig, folds: Sequence[Fold]
) -> Mapping[str, Sequence[LabelledSequence]]:
    """Check the data of all folds.

    Args:
        data: Without what any fold leaves out.
        folds: All of them.

    Returns:
        What is scored, by source.

    Raises:
        ConfigError: If two folds score one sequence.
        DataError: If a fold names an unknown sequence, or what is left out of a source holds no
            targets.
    """
    found = check_folds(data, folds)
    for source, sequences in found.items():
        if sequences:
            require_targets(sequences, f"left-out {source}")
    return found


def finish_fold_cell(cell: Cell, *, title: str) -> None:
    """Train one cell and detect on what it leaves out, unless that is there."""
    if _is_finished(cell):
        log.info("%s: finished before.", title)
        return
    log.info("%s: training in %s.", title, cell.run_dir)
    result = train(cell.config, run_dir=cell.run_dir)
    assert result is not None
    weights = str(result.best_weights or result.last_weights)
    detector = Detector.from_weights(weights, device=cell.config.train.device)
    for source in cell.config.data.test:
        name = source_name(source)
        if has_left_out(cell.run_dir / LEFT_OUT_NAME, name):
            continue
        sequences = load_sequences(replace(cell.config.data, test=(source,)), "test")
        write_left_out(
            cell.run_dir / LEFT_OUT_NAME,
            name,
            _detect(detector, sequences, title=f"detecting {name}"),
            num_classes=cell.config.model.head.num_classes,
        )
    log.info("%s: finished.", title)


def _is_finished(cell: Cell) -> bool:
    """Say whether the detections on all left-out sources are there."""
    folder = cell.run_dir / LEFT_OUT_NAME
    return all(has_left_out(folder, source_name(source)) for source in cell.config.data.test)


def _detect(
    detector: Detector, sequences: Sequence[LabelledSequence], *, title: str
) -> list[SequenceResult]:
    """Run the detector over sequences."""
    results = []
    with ProgressBar(title, sum(map(len, sequences))) as bar:
        for sequence in sequences:
            frames = bar.count(detect_sequence(detector, sequence))
            results.append(untracked(sequence.annotation, frames))
    return results


def score_fold_cells(
    cells: Sequence[Cell], grid: Grid, found: Mapping[str, Sequence[LabelledSequence]]
) -> FoldScores:
    """Score the folds of one variant and seed from their files.

    Args:
        cells: One per fold, finished.
        grid: Gives the rules.
        found: As ``check_fold_data`` returns it.

    Raises:
        DataError: If a file is damaged.
    """
    config = cells[0].config
    sources = score_left_out(
        [
            _read_part(cell, source, grid, found)
            for cell in cells
            for source in cell.config.data.test
        ],
        config.tracker,
        confidence=config.postprocess.confidence,
        excluded=_excluded(grid.variants[cells[0].variant].data.train, found),
    )
    scores_of = {scores.source: scores for scores in sources}
    runs = []
    for cell in cells:
        assert cell.fold is not None
        first = scores_of[source_name(cell.config.data.test[0])]
        report = first.reports[cell.fold.name]
        runs.append(run_of(report.to_dict(), name=cell.fold.name))
    return FoldScores(run=join_folds(runs), sources=sources)


def _read_part(
    cell: Cell,
    source: SourceConfig,
    grid: Grid,
    found: Mapping[str, Sequence[LabelledSequence]],
) -> LeftOutPart:
    """Read the detections of one fold on one source, and ignore regions of its truth."""
    assert cell.fold is not None
    name = source_name(source)
    rules = grid.rules_of(source, cell.config)
    sequences = {sequence.name: sequence for sequence in found.get(name, ())}
    results = []
    for result in read_left_out(cell.run_dir / LEFT_OUT_NAME, name):
        truth = result.annotation
        if truth.name in sequences:
            truth = ignore_regions(truth, sequences[truth.name], rules.ignored_regions)
        results.append(replace(result, annotation=truth))
    return LeftOutPart(
        fold=cell.fold.name,
        source=name,
        results=tuple(results),
        rules=rules,
        has_extents=has_extents(source),
    )


def has_extents(source: SourceConfig) -> bool:
    """Say whether boxes of a source can be overlapped: neither loose nor about mere centres."""
    return source.boxes != "core" and source.format != "centroids"


def _excluded(
    train: Sequence[SourceConfig], found: Mapping[str, Sequence[LabelledSequence]]
) -> dict[str, Collection[str]]:
    """Return by source the scored sequences that the configuration excludes from training."""
    return {
        source_name(source): {
            sequence.name
            for sequence in found.get(source_name(source), ())
            if {sequence.name, sequence.group} & set(source.excluded_sequences)
        }
        for source in train
    }
