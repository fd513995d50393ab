"""Train and score every cell of a grid, and put the results side by side.

A cell is a run folder of `stdet train`, with what `stdet evaluate --json` writes beside its
weights, as `report_<split>.json`; where that is there, the cell is finished. With folds it has
detections instead (``fold_cells.py``). Under torchrun the processes share the cells: each cell is
trained by one process, so its numbers do not depend on how many there are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import logging
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from stdet.config import DataConfig, ModelConfig, PostprocessConfig, StdetConfig
from stdet.datasets.sequences import LabelledSequence
from stdet.datasets.splits import find_sequences, load_sequences
from stdet.evaluation.from_model import evaluate
from stdet.evaluation.left_out import TRANSFER_RATE, SourceScores
from stdet.evaluation.report import write_report
from stdet.inference.detector import Detector
from stdet.inference.device import choose_device
from stdet.inference.stages.frames import StreamFrame
from stdet.inference.trained_network import network_of_detector
from stdet.metrics.counts import without_nan
from stdet.models.build import build_detector
from stdet.models.profile import profile_detector
from stdet.registration.background_features import STEADY_FROM
from stdet.report.ablation_tables import (
    MAIN,
    Cost,
    Number,
    Variant,
    full_table,
    score_variants,
    summary_table,
)
from stdet.report.comparison import Run, read_run
from stdet.report.left_out_tables import left_out_content, left_out_table, stored_point_table
from stdet.report.scatter_chart import Point, round_axis, scatter_chart, standalone
from stdet.report.tables import Table
from stdet.training.ablation_folder import (
    SUMMARY_NAME,
    check_ablation_folder,
    hold_ablation_folder,
    write_ablation,
)
from stdet.training.fold_cells import (
    check_fold_cell,
    check_fold_data,
    finish_fold_cell,
    score_fold_cells,
)
from stdet.training.grid import Cell, Grid
from stdet.training.run import train
from stdet.training.run_folder import check_same_run
from stdet.training.split_checks import require_targets

log = logging.getLogger(__name__)

NUM_TIMED_FRAMES = 30
NUM_WARM_UP = STEADY_FROM + 2

PLOTS = {
    "parameters": ("parameters", "parameters at inference (million)", 1e-6),
    "gflop": ("gflop_per_frame", "GFLOP per frame (features computed once)", 1.0),
    "fps": ("frames_per_second", "frames per second", 1.0),
}
"""File name, attribute of ``Cost``, label and unit of the three plots of mAP50."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AblationResult:
    """What an ablation found, and where it stands.

    Attributes:
        summary: Cost and mAP50, a row per variant.
        left_out: What folds leave out, each and pooled; empty without folds.
        files: Everything that was written.
    """

    summary: Table
    left_out: tuple[Table, ...]
    files: tuple[Path, ...]


def run_ablation(grid: Grid, *, run_dir: Path) -> AblationResult | None:
    """Train what is not finished, score it, and write table and plots.

    Args:
        grid: The plan.
        run_dir: Folder of the ablation; holds <variant>/seed<N>[/<fold>] for each cell.

    Returns:
        The result; None on processes other than the first.

    Raises:
        ConfigError: If a cell's folder holds a run of another configuration, or results would
            take the place of files of no ablation.
        DataError: If a split cannot be used.
        TrainingError: If a loss is no longer finite.
    """
    cells = list(grid.cells(run_dir))
    check_ablation_folder(run_dir)
    for cell in cells:
        if cell.fold:
            check_fold_cell(cell)
        else:
            check_same_run(cell.config, cell.run_dir)
    scored = _check_data(grid, cells)
    rank, num_processes = int(os.environ.get("RANK", "0")), os.environ.get("WORLD_SIZE", "1")
    with hold_ablation_folder(run_dir) if rank == 0 else contextlib.nullcontext():
        os.environ["WORLD_SIZE"] = "1"  # Each process trains its own cells, alone.
        try:
            for number, cell in enumerate(cells):
                if number % int(num_processes) == rank:
                    _finish_cell(cell, grid, title=f"cell {number + 1}/{len(cells)}")
        finally:
            os.environ["WORLD_SIZE"] = num_processes
        _wait_for_others(int(num_processes))
        return _write_results(grid, cells, run_dir, scored) if rank == 0 else None


def _check_data(
    grid: Grid, cells: Sequence[Cell]
) -> Mapping[str, Mapping[str, Sequence[LabelledSequence]]]:
    """Refuse splits that cannot be read now, and not after hours.

    Returns:
        What the folds of each variant score, by source; empty without folds.
    """
    if grid.folds:
        known: list[tuple[DataConfig, Mapping[str, Sequence[LabelledSequence]]]] = []
        for config in grid.variants.values():
            if not any(config.data == data for data, _ in known):
                known.append((config.data, check_fold_data(config.data, grid.folds)))
        return {
            name: next(found for data, found in known if data == config.data)
            for name, config in grid.variants.items()
        }
    checked: list[DataConfig] = []
    for cell in cells:
        data = cell.config.data
        if data not in checked:  # Not hashable: it may hold a mapping.
            require_targets(load_sequences(data, grid.split), grid.split)
            checked.append(data)
    return {}


def _wait_for_others(num_processes: int) -> None:
    """Wait until all processes have finished their cells, however long that takes."""
    if num_processes > 1:
        dist.init_process_group("gloo", timeout=datetime.timedelta(days=30))
        dist.barrier()
        dist.destroy_process_group()


def _finish_cell(cell: Cell, grid: Grid, *, title: str) -> None:
    """Train and score one cell unless its report is there."""
    name = f"{title}, {cell.variant}, seed {cell.seed}"
    if cell.fold:
        finish_fold_cell(cell, title=f"{name}, {cell.fold.name}")
        return
    report = _report_path(cell, grid)
    if report.exists():
        log.info("%s: finished before.", name)
        return
    log.info("%s: training in %s.", name, cell.run_dir)
    result = train(cell.config, run_dir=cell.run_dir)
    assert result is not None
    scored = evaluate(
        cell.config,
        weights=str(result.best_weights or result.last_weights),
        split=grid.split,
        device=cell.config.train.device,
    )
    write_report(report, scored.report)
    log.info("%s: mAP50 %.4f on %s.", name, scored.map50, grid.split)


def _report_path(cell: Cell, grid: Grid) -> Path:
    """Return the file of a cell's scores: one per split, since a grid may change its own."""
    return cell.run_dir / f"report_{grid.split}.json"


def _write_results(
    grid: Grid,
    cells: Sequence[Cell],
    run_dir: Path,
    scored: Mapping[str, Mapping[str, Sequence[LabelledSequence]]],
) -> AblationResult:
    """Read all reports and write table and plots."""
    runs: dict[str, dict[int, Run]] = {name: {} for name in grid.variants}
    left_out: dict[str, dict[int, Sequence[SourceScores]]] = {name: {} for name in grid.variants}
    for name in grid.variants:
        for seed in grid.seeds:
            members = [cell for cell in cells if (cell.variant, cell.seed) == (name, seed)]
            if grid.folds:
                found = score_fold_cells(members, grid, scored[name])
                run, left_out[name][seed] = found.run, found.sources
            else:
                run = read_run(_report_path(members[0], grid))
            runs[name][seed] = replace(run, name=f"{name}, seed {seed}")
    frame_hw = _frame_hw(grid, cells[0])
    speeds = measure_speed(grid.variants, frame_hw=frame_hw)
    variants = [
        Variant(
            name=name,
            runs=runs[name],
            cost=_cost(config.model, speeds[name], frame_hw=frame_hw),
        )
        for name, config in grid.variants.items()
    ]
    scores = score_variants(variants)
    summary = summary_table(variants, scores, _notes(grid, frame_hw))
    tables = _left_out_tables(grid, left_out) if grid.folds else ()
    content = {"left_out": left_out_content(left_out)} if grid.folds else {}
    files = _write(run_dir, variants, scores, summary, tables, content)
    return AblationResult(summary=summary, left_out=tables, files=files)


def _left_out_tables(
    grid: Grid, left_out: Mapping[str, Mapping[int, Sequence[SourceScores]]]
) -> tuple[Table, ...]:
    """Return what folds leave out, at transferred operating points and at the stored one."""
    tables = [left_out_table(left_out)]
    confidence = next(iter(grid.variants.values())).postprocess.confidence
    if confidence is not None:
        tables.append(stored_point_table(left_out, confidence=confidence))
    return tuple(tables)


def _notes(grid: Grid, frame_hw: tuple[int, int]) -> list[str]:
    """Say how the numbers came about."""
    height, width = frame_hw
    device = choose_device(next(iter(grid.variants.values())).train.device)
    notes = [
        f"Scored on {'what folds leave out' if grid.folds else grid.split}. Frames per second: "
        f"median of {NUM_TIMED_FRAMES} frames of {height}x{width}, all variants in turns, "
        f"{device.type}, {torch.get_num_threads()} threads.",
    ]
    if grid.folds:
        names = ", ".join(fold.name for fold in grid.folds)
        notes.append(
            f"Each number is the mean of {len(grid.folds)} folds: {names}, at operating points "
            f"that the other folds choose ({TRANSFER_RATE} false alarms per frame). Folds are "
            "drawn in place of sequences."
        )
    if grid.split == "validation":
        notes.append(_validation_note(grid))
    return notes


def _validation_note(grid: Grid) -> str:
    """Say what was chosen on the validation split."""
    options = next(iter(grid.variants.values())).train
    if options.validate_every >= options.epochs:
        return (
            "The weights are those of the last epoch; the operating point was chosen on this very "
            "split, which flatters Pd, F1 and tracking numbers of every variant, not mAP50."
        )
    return "Checkpoints were chosen on this very split, which flatters every variant."


def _write(
    run_dir: Path,
    variants: Sequence[Variant],
    scores: Mapping[str, Mapping[str, Number]],
    summary: Table,
    left_out: Sequence[Table],
    more: Mapping[str, Any],
) -> tuple[Path, ...]:
    """Write the table three times and the three plots; ``more`` goes into the JSON."""
    everything = full_table(variants, scores)
    content = {
        "variants": {
            variant.name: {
                "cost": dataclasses.asdict(variant.cost),
                "scores": {
                    key: dataclasses.asdict(number) for key, number in scores[variant.name].items()
                },
                "seeds": {str(seed): dict(run.scores) for seed, run in variant.runs.items()},
            }
            for variant in variants
        },
        "notes": list(summary.notes),
        **more,
    }
    shown = (summary, *left_out, everything)
    texts = {
        "table.md": "\n".join(table.render("markdown") for table in shown),
        "table.csv": everything.render("csv"),
        SUMMARY_NAME: json.dumps(without_nan(content), indent=2) + "\n",
        **{
            f"map50_{name}.svg": _plot(variants, scores, attribute, label, unit)
            for name, (attribute, label, unit) in PLOTS.items()
        },
    }
    return write_ablation(run_dir, texts)


def _plot(
    variants: Sequence[Variant],
    scores: Mapping[str, Mapping[str, Number]],
    attribute: str,
    label: str,
    unit: float,
) -> str:
    """Draw mAP50 against one kind of cost; variants whose mAP50 is undefined are left out."""
    points = []
    for variant in variants:
        number = scores[variant.name][MAIN]
        if not np.isnan(number.mean):
            points.append(
                Point(
                    label=variant.name,
                    x=getattr(variant.cost, attribute) * unit,
                    y=number.mean,
                    y_interval=number.interval,
                )
            )
    heights = [value for p in points for value in (p.y, *(p.y_interval or ()))]
    return standalone(
        scatter_chart(
            f"mAP50 against {label.partition(' (')[0]}",
            round_axis(label, [point.x for point in points] or [0.0, 1.0]),
            round_axis("mAP50", heights or [0.0, 1.0], most=1.0),
            points,
        )
    )


def _frame_hw(grid: Grid, cell: Cell) -> tuple[int, int]:
    """Return the size of the frames of the scored split."""
    return find_sequences(cell.config.data, grid.split)[0].annotation.image_hw


def _cost(model: ModelConfig, fps: float, *, frame_hw: tuple[int, int]) -> Cost:
    """Count a model at the size of its frames, padded as they are when it runs."""
    divisor = 2**model.backbone.num_stages
    height, width = (-(-side // divisor) * divisor for side in frame_hw)
    profile = profile_detector(model, native_hw=(height, width))
    return Cost(
        parameters=profile.inference_parameters,
        gflop_per_frame=profile.gflop_per_frame,
        gflop_per_clip=profile.gflop_per_clip,
        frames_per_second=fps,
    )


def measure_speed(
    variants: Mapping[str, StdetConfig], *, frame_hw: tuple[int, int]
) -> dict[str, float]:
    """Return the frames per second of untrained detectors on the same stream, frame by frame.

    Args:
        variants: Configurations by name; timed in turns, so that what else the machine does
            weighs on all of them.
        frame_hw: Size of the frames, pixels.
    """
    streams = {
        name: Detector.from_network(
            network_of_detector(
                build_detector(config.model),
                model=config.model,
                config=PostprocessConfig(),
                device=choose_device(config.train.device),
            )
        ).start()
        for name, config in variants.items()
    }
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in streams}
    for index in range(NUM_WARM_UP + NUM_TIMED_FRAMES):
        frame = StreamFrame.of_scaled(index, rng.random(frame_hw, np.float32))
        for name, stream in streams.items():
            started = time.perf_counter()
            list(stream.push(frame))  # Ends on the CPU, so it waits for a GPU.
            if index >= NUM_WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    return {name: 1 / statistics.median(times) for name, times in seconds.items()}
