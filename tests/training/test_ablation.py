import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from scenes import SyntheticConfig

from stdet.cli import main
from stdet.config import PostprocessConfig, StdetConfig, TrainConfig, save_config
from stdet.errors import ConfigError
from stdet.inference.detector import Detector
from stdet.training import ablation
from stdet.training.ablation import NUM_TIMED_FRAMES, measure_speed, run_ablation
from stdet.training.grid import read_grid
from stdet.training.run import train
from stdet.training.trainer import Trainer

FILES = ["map50_fps.svg", "map50_gflop.svg", "map50_parameters.svg", "table.csv", "table.json"]
GRID = """
base: base.yaml
split: validation
seeds: [0, 1]
variants:
  fpn: {model: {pyramid: {type: fpn}}}
  bp_fpn: {model: {pyramid: {type: bp_fpn}}}
"""


class _KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def grid_path(tmp_path, tiny_model, write_coco_split):
    """A grid of two variants and two seeds, each trained for two epochs of one step."""
    sequences = [
        SyntheticConfig(name=name, seed=seed, num_frames=6, hw=(32, 32), num_targets=1)
        for seed, name in enumerate(("one", "held_out", "other"))
    ]
    data = write_coco_split(
        tmp_path / "data", sequences, validation_sequences=("held_out", "other")
    )
    options = TrainConfig(
        epochs=2, batch_size=6, learning_rate=0.05, ema_decay=0.0, validate_every=2, device="cpu"
    )
    # Nothing is below the floor, so that networks that have learnt next to nothing differ.
    post = PostprocessConfig(score_floor=0.0, confidence=0.0, max_detections=20)
    save_config(
        StdetConfig(data=data, model=tiny_model(), train=options, postprocess=post),
        tmp_path / "base.yaml",
    )
    path = tmp_path / "grid.yaml"
    path.write_text(GRID)
    return path


def _table(run_dir):
    """The JSON of an ablation without what a clock says."""
    content = json.loads((run_dir / "table.json").read_text())
    for variant in content["variants"].values():
        del variant["cost"]["frames_per_second"]
    return content


def _report(folder: Path, name: Path) -> str:
    """What a cell's report says."""
    return json.dumps(json.loads((folder / name).read_text()))


def test_ablation_killed_in_its_second_cell_ends_with_the_same_table(
    grid_path, tmp_path, monkeypatch
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    result = run_ablation(read_grid(grid_path), run_dir=whole)
    assert [row[0] for row in result.summary.rows] == ["fpn", "bp_fpn"]
    assert sorted(path.name for path in result.files) == [*FILES, "table.md"]

    original, calls = Trainer._train_batch, []

    def dying(self, batch):
        calls.append(None)
        if len(calls) == 4:  # Two steps in each cell: the second epoch of the second cell.
            raise _KilledError
        return original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_batch", dying)
        with pytest.raises(_KilledError):
            run_ablation(read_grid(grid_path), run_dir=killed)
    finished = killed / "fpn" / "seed0" / "report_validation.json"
    assert [path for path in killed.rglob("report_*.json")] == [finished]
    assert not (killed / "table.md").exists()
    stamp = finished.stat().st_mtime_ns

    counted = []
    monkeypatch.setattr(
        Trainer, "_train_batch", lambda self, batch: counted.append(0) or original(self, batch)
    )
    run_ablation(read_grid(grid_path), run_dir=killed)
    # One step is left of the second cell, two for each of the others; the first is not touched.
    assert len(counted) == 1 + 2 + 2
    assert finished.stat().st_mtime_ns == stamp
    assert _table(killed) == _table(whole)
    # The reports say something: cells differ, so that a mix-up would show.
    reports = [_report(whole, path.relative_to(whole)) for path in whole.rglob("report_*.json")]
    assert len(set(reports)) == len(reports) == 4
    for path in whole.rglob("report_*.json"):
        name = path.relative_to(whole)
        assert _report(killed, name) == _report(whole, name)
    assert (killed / "table.csv").read_text() == (whole / "table.csv").read_text()


def test_command_prints_the_table_and_writes_plots(grid_path, tmp_path, capsys):
    run_dir = tmp_path / "run"
    arguments = ["ablate", str(grid_path), "--run-dir", str(run_dir), "--set", "train.epochs=1"]
    assert main([*arguments, "--format", "markdown"]) == 0
    out = capsys.readouterr().out
    assert "| fpn |" in out
    assert "| bp_fpn |" in out
    assert "weights are those of the last epoch" in out
    content = _table(run_dir)
    fpn, bp_fpn = content["variants"]["fpn"], content["variants"]["bp_fpn"]
    assert bp_fpn["cost"]["parameters"] > fpn["cost"]["parameters"]
    assert fpn["seeds"].keys() == {"0", "1"}
    assert fpn["scores"]["detection.map50"]["interval"] is not None
    assert bp_fpn["scores"]["pd_fa.pd"]["difference_interval"] is not None
    for name in FILES[:3]:
        root = ElementTree.parse(run_dir / name).getroot()
        labels = [e.text for e in root.iter() if (e.get("class") or "").startswith("label")]
        assert labels == ["fpn", "bp_fpn"]
    # Another value in a cell that is there already would mix two experiments.
    assert main([*arguments[:-1], "train.epochs=2"]) == 2
    assert "other values of train.epochs" in capsys.readouterr().err


def test_table_says_what_was_chosen_on_the_split_that_is_scored(grid_path):
    often = read_grid(grid_path, ["train.validate_every=1"])
    assert "Checkpoints were chosen on this very split" in ablation._validation_note(often)
    last = read_grid(grid_path, ["train.validate_every=2"])
    assert "weights are those of the last epoch" in ablation._validation_note(last)


def test_scores_of_another_split_do_not_finish_a_cell(grid_path, tmp_path, monkeypatch):
    grid = read_grid(grid_path)
    cell = next(grid.cells(tmp_path / "run"))
    cell.run_dir.mkdir(parents=True)
    (cell.run_dir / "report_validation.json").write_text("{}")

    def stop(*_, **__):
        raise _KilledError

    monkeypatch.setattr(ablation, "train", stop)
    ablation._finish_cell(cell, grid, title="")
    with pytest.raises(_KilledError):
        ablation._finish_cell(cell, replace(grid, split="test"), title="")


def test_split_that_is_missing_stops_the_work_before_it_begins(grid_path, tmp_path):
    grid_path.write_text(GRID.replace("validation", "test"))
    assert main(["ablate", str(grid_path), "--run-dir", str(tmp_path / "run")]) == 2
    assert not (tmp_path / "run").exists()


def test_cell_of_another_configuration_is_refused_before_any_training(grid_path, tmp_path):
    run_dir = tmp_path / "run"
    cell = next(read_grid(grid_path, ["train.epochs=1"]).cells(run_dir))
    train(cell.config, run_dir=cell.run_dir)
    with pytest.raises(ConfigError, match="fpn/seed0: holds a run with other values"):
        run_ablation(read_grid(grid_path), run_dir=run_dir)


def test_speed_is_measured_for_every_variant(tiny_model, monkeypatch):
    monkeypatch.setattr("stdet.training.ablation.NUM_TIMED_FRAMES", 3)
    variants = {
        name: StdetConfig(model=tiny_model(width=width), train=TrainConfig(device="cpu"))
        for name, width in (("thin", 1 / 16), ("wide", 1.0))
    }
    speeds = measure_speed(variants, frame_hw=(96, 96))
    assert speeds["thin"] > speeds["wide"] > 0


@pytest.mark.slow
def test_two_processes_share_the_cells_and_find_what_one_finds(grid_path, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for name, launcher in {
        "one": [],
        "two": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
    }.items():
        done = subprocess.run(
            [sys.executable, *launcher, "-m", "stdet", "ablate", str(grid_path), "--run-dir",
             str(tmp_path / name)],
            capture_output=True, text=True, timeout=300, env=environment, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("fpn") >= 2
    assert _table(tmp_path / "one") == _table(tmp_path / "two")


def test_timed_frames_of_a_model_with_background_features_are_decided_one_by_one(
    tiny_model, monkeypatch
):
    counts = []
    start = Detector.start

    def counted(detector):
        stage = start(detector)
        stage_push = stage.push

        def counted_push(frame):
            found = list(stage_push(frame))
            counts.append(len(found))
            return iter(found)

        stage.push = counted_push
        return stage

    monkeypatch.setattr(Detector, "start", counted)
    measure_speed(
        {"a": StdetConfig(model=tiny_model(background=True), train=TrainConfig(device="cpu"))},
        frame_hw=(32, 32),
    )
    assert counts[0] == 0
    assert counts[-NUM_TIMED_FRAMES:] == [1] * NUM_TIMED_FRAMES
