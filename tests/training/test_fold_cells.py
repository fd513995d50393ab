"""Grids with folds, from training to tables: resumed, scored anew, and with damaged files."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from scenes import SyntheticConfig

from stdet.cli import main
from stdet.config import (
    EvaluationConfig,
    PostprocessConfig,
    SourceConfig,
    StdetConfig,
    TrackerConfig,
    TrainConfig,
    save_config,
)
from stdet.evaluation import left_out
from stdet.training import fold_cells
from stdet.training.ablation import run_ablation
from stdet.training.grid import read_grid
from stdet.training.trainer import Trainer

GRID = """
base: base.yaml
seeds: [0, 1]
variants: {fpn: {model: {pyramid: {type: fpn}}}}
folds:
  first: [one, two]
  second: [three]
"""


class _KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module", autouse=True)
def loose_transfer():
    """Networks that have learnt next to nothing have many false alarms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(left_out, "TRANSFER_RATE", 19.0)
        yield


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, tiny_model, write_coco_split):
    """A grid of two seeds and two folds of four sequences, each trained for a step; run once."""
    folder = tmp_path_factory.mktemp("folds")
    sequences = [
        SyntheticConfig(name=name, seed=seed, num_frames=6, hw=(32, 32), num_targets=1)
        for seed, name in enumerate(("one", "two", "three", "four"))
    ]
    data = write_coco_split(folder / "data", sequences)
    options = TrainConfig(epochs=1, batch_size=6, learning_rate=0.05, ema_decay=0.0, device="cpu")
    # Nothing is below the floor, so that networks that have learnt next to nothing differ.
    post = PostprocessConfig(score_floor=0.0, confidence=0.0, max_detections=20)
    tracker = TrackerConfig(lookahead=2)
    config = StdetConfig(
        data=data,
        model=tiny_model(),
        train=options,
        postprocess=post,
        tracker=tracker,
        evaluation=EvaluationConfig(pd_radius_px=8.0),
    )
    save_config(config, folder / "base.yaml")
    (folder / "grid.yaml").write_text(GRID)
    _run(folder / "grid.yaml", folder / "run")
    return folder


@pytest.fixture
def grid_path(prepared, tmp_path):
    """The grid, to be changed."""
    for name in ("base.yaml", "grid.yaml"):
        shutil.copy(prepared / name, tmp_path / name)
    return tmp_path / "grid.yaml"


def _run(grid_path, run_dir, *overrides):
    run_ablation(read_grid(grid_path, overrides), run_dir=run_dir)
    return _table(run_dir)


def _table(run_dir):
    """The JSON of an ablation without what a clock says."""
    content = json.loads((run_dir / "table.json").read_text())
    return {key: content[key] for key in ("left_out", "notes")} | {
        "seeds": content["variants"]["fpn"]["seeds"]
    }


@pytest.fixture
def finished(prepared, tmp_path):
    """A finished run: its folder and table."""
    run_dir = tmp_path / "finished"
    shutil.copytree(prepared / "run", run_dir)
    return run_dir, _table(run_dir)


@pytest.fixture
def refuse_work(monkeypatch):
    """Neither training nor detection from here on."""

    def fail(*_, **__):
        raise AssertionError("worked again")

    monkeypatch.setattr(fold_cells, "train", fail)
    monkeypatch.setattr(fold_cells, "detect_sequence", fail)


def test_folds_are_scored_on_what_they_leave_out_each_and_pooled(finished):
    run_dir, table = finished
    rows = table["left_out"]["fpn"]["0"]["transferred"]
    assert list(rows) == [
        "data, first",
        "data, second",
        "data, mean of 2 folds",
        "data, pooled, 3 sequences",
    ]
    assert [row["num_frames"] for row in rows.values()] == [12, 6, 18, 18]
    first, second, mean, pooled = (row["pd_fa.pd"] for row in rows.values())
    assert 0 < pooled < 1
    assert mean == pytest.approx((first + second) / 2)
    assert pooled == pytest.approx((2 * first + second) / 3)  # One target in every frame.
    assert "score >= 0;" in (run_dir / "table.md").read_text()
    assert "operating points that the other folds choose" in table["notes"][-1]
    # Seeds differ, so that a mix-up would show.
    assert rows != table["left_out"]["fpn"]["1"]["transferred"]


def test_command_prints_both_tables(grid_path, finished, capsys, refuse_work):
    arguments = ["ablate", str(grid_path), "--run-dir", str(finished[0]), "--format", "markdown"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "| data, pooled, 3 sequences | 18 |" in out
    assert "All folds pooled, at score >= 0" in out


def test_other_tracker_and_rules_score_anew_without_training_or_detection(
    grid_path, finished, refuse_work
):
    run_dir, table = finished
    other = _run(
        grid_path,
        run_dir,
        "tracker.lookahead=null",
        "evaluation.pd_radius_px=4",
        "postprocess.confidence=0.02",
    )
    assert other["left_out"] != table["left_out"]
    assert _run(grid_path, run_dir) == table


def test_regions_are_ignored_without_training_or_detection(grid_path, finished, refuse_work):
    run_dir, before = finished
    places = [(8, 8), (8, 24), (16, 16), (24, 8), (24, 24)]  # Wherever something was found.
    regions = [[[0, *place, 8], [5, *place, 8]] for place in places]
    after = _run(grid_path, run_dir, f"evaluation.ignored_regions={{three: {regions}}}")
    (old, new) = (
        table["left_out"]["fpn"]["0"]["transferred"]["data, second"] for table in (before, after)
    )
    assert new["pd_fa.false_alarms_per_frame"] < old["pd_fa.false_alarms_per_frame"]


def test_other_values_of_training_or_detection_are_refused(grid_path, finished, capsys):
    for override in ("train.epochs=2", "postprocess.nms_iou=0.3"):
        arguments = ["ablate", str(grid_path), "--run-dir", str(finished[0]), "--set", override]
        assert main(arguments) == 2
        assert f"other values of {override.partition('=')[0]}" in capsys.readouterr().err


def test_run_killed_in_training_or_between_sources_ends_with_the_same_table(
    grid_path, tmp_path, finished, monkeypatch
):
    original, calls = Trainer._train_batch, []

    def dying(self, batch):
        calls.append(None)
        if len(calls) == 5:
            raise _KilledError
        return original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_batch", dying)
        with pytest.raises(_KilledError):
            _run(grid_path, tmp_path / "killed")
    with monkeypatch.context() as patch:

        def die(*_, **__):
            raise _KilledError

        patch.setattr(fold_cells, "write_left_out", die)
        with pytest.raises(_KilledError):
            _run(grid_path, tmp_path / "killed")
    assert not (tmp_path / "killed" / "table.json").exists()
    assert _run(grid_path, tmp_path / "killed") == finished[1]


def test_torn_detections_stop_with_their_name_and_are_detected_anew_once_deleted(
    grid_path, finished, capsys, monkeypatch
):
    run_dir, table = finished
    torn = run_dir / "fpn" / "seed1" / "second" / "left_out" / "data.detections.json"
    torn.write_bytes(torn.read_bytes()[:100])
    assert main(["ablate", str(grid_path), "--run-dir", str(run_dir)]) == 2
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert str(torn) in err
    assert "delete" in err
    torn.unlink()
    monkeypatch.setattr(Trainer, "_train_batch", None)  # The weights are there.
    assert _run(grid_path, run_dir) == table


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ("{first: [one], second: [three, tree]}", "fold second: data names 'tree'.*'three'"),
        ("{first: [one, two], second: [two]}", "folds first and second both score two of data"),
        ("{first: [one, two, three, four], second: [two]}", "names all sequences of data"),
    ],
)
def test_folds_that_do_not_fit_the_data_stop_the_work_before_it_begins(
    grid_path, tmp_path, capsys, folds, message
):
    text = grid_path.read_text()
    grid_path.write_text(text[: text.index("folds:")] + f"folds: {folds}\n")
    assert main(["ablate", str(grid_path), "--run-dir", str(tmp_path / "run")]) == 2

    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_rules_of_a_source_apply_to_it_alone(grid_path, prepared, tmp_path):
    """Two sources with the same frames: one is scored with hits within a tenth of a pixel."""
    config = read_grid(grid_path).variants["fpn"]
    (source,) = config.data.train
    for name in ("wide", "narrow"):
        (tmp_path / name).symlink_to(prepared / "data")
    sources = tuple(replace(source, root=Path(name)) for name in ("wide", "narrow"))
    config = replace(config, data=replace(config.data, root=tmp_path, train=sources))
    save_config(config, tmp_path / "base.yaml")
    grid_path.write_text(
        "base: base.yaml\nseeds: [0]\nvariants: {fpn: {}}\n"
        "folds: {first: {wide: [one], narrow: [one]}, second: {wide: [two], narrow: [two]}}\n"
        "evaluation: {narrow: {pd_radius_px: 0.1}}\n"
    )
    rows = _run(grid_path, tmp_path / "run")["left_out"]["fpn"]["0"]["stored"]
    wide, narrow = (rows[f"{name}, pooled, 2 sequences"] for name in ("wide", "narrow"))
    assert wide["pd_fa.pd"] > narrow["pd_fa.pd"]
    assert wide["tracking.idf1"] == narrow["tracking.idf1"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"boxes": "point"}, True),
        ({"boxes": "core"}, False),
        ({"format": "centroids"}, False),
    ],
)
def test_overlaps_are_scored_where_boxes_are_extents(changes, expected):
    source = SourceConfig(annotations=Path("labels"), **changes)
    assert fold_cells.has_extents(source) is expected
