"""Weights survive being cut into parts; runs start in fair order; the best run is told rightly."""

import argparse
import json
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stdet.config import StdetConfig
from stdet.errors import CheckpointError
from stdet.inference.checkpoint import load_detector, load_weights, save_weights
from stdet.models.build import build_detector

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODULES = (
    "paper_model",
    "paper_model_runs",
    "paper_model_table",
    "paper_model_timing",
    "weight_parts",
)


@pytest.fixture(scope="module")
def benchmark_path():
    """The folder of the benchmarks on the path."""
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def weights(tiny_model, tmp_path):
    """A weights file of an untrained network."""
    config = StdetConfig(model=tiny_model())
    path = tmp_path / "whole.safetensors"
    info = {"seed": 3, "epoch": 7, "commit": "abc"}
    save_weights(path, build_detector(config.model).state_dict(), config, info)
    return path


@pytest.fixture
def args(tmp_path):
    """A command line over two configurations."""
    return argparse.Namespace(
        configs=[Path("configs/paper/daub_fpn.yaml"), Path("configs/paper/daub_bp_fpn.yaml")],
        overrides=["train.batch_size=8"],
        seeds=[0, 1],
        leave_out=None,
        epochs=9,
        out=tmp_path,
    )


@given(sizes=st.lists(st.integers(1, 9), max_size=20), largest=st.integers(9, 30))
def test_parts_hold_everything_once_and_are_small_enough(benchmark_path, sizes, largest):
    from weight_parts import cut

    state = {f"t{n}": torch.zeros(size, dtype=torch.uint8) for n, size in enumerate(sizes)}
    parts = cut(state, largest)
    assert [name for part in parts for name in part] == list(state)
    assert all(0 < sum(value.nbytes for value in part.values()) <= largest for part in parts)


def test_tensor_larger_than_a_part_is_refused(benchmark_path):
    from weight_parts import cut

    with pytest.raises(ValueError, match="a part holds 9"):
        cut({"big": torch.zeros(10, dtype=torch.uint8)}, 9)


def test_parts_join_to_the_weights_in_half_precision(benchmark_path, weights, tmp_path):
    from weight_parts import join_parts, write_parts

    parts = write_parts(weights, tmp_path, "half", largest=10_000)
    assert len(parts) > 2
    join_parts(parts[::-1], tmp_path / "joined.safetensors")
    whole, joined = load_weights(weights), load_weights(tmp_path / "joined.safetensors")
    assert (joined.config, joined.info) == (whole.config, whole.info)
    assert joined.state.keys() == whole.state.keys()
    for name, value in joined.state.items():
        assert value.dtype == whole.state[name].dtype
        torch.testing.assert_close(value, whole.state[name], rtol=1e-3, atol=1e-6)
    load_detector(str(tmp_path / "joined.safetensors"))


def test_missing_part_and_part_of_another_run_are_refused(benchmark_path, weights, tmp_path):
    from weight_parts import join_parts, write_parts

    first, *rest = write_parts(weights, tmp_path, "one", largest=10_000)
    with pytest.raises(CheckpointError, match="got parts"):
        join_parts([first, *rest[:-1]], tmp_path / "out.safetensors")
    loaded = load_weights(weights)
    save_weights(weights, loaded.state, loaded.config, {**loaded.info, "seed": 4})
    _, *others = write_parts(weights, tmp_path, "two", largest=10_000)
    with pytest.raises(CheckpointError, match="of another run"):
        join_parts([first, *others], tmp_path / "out.safetensors")


def test_runs_start_seed_by_seed_with_all_configurations_alike(benchmark_path, args):
    from paper_model import plan

    runs = plan(args)
    order = [(run.seed, run.member) for run in runs]
    assert order == [(0, "daub_fpn"), (0, "daub_bp_fpn"), (1, "daub_fpn"), (1, "daub_bp_fpn")]
    assert {run.left_out for run in runs} == {"data19"}
    for run in runs:
        train = run.config.train
        assert (train.seed, train.epochs, train.batch_size) == (run.seed, 9, 8)
    args.leave_out = ["data13", "data17"]
    assert [run.left_out for run in plan(args)[:4]] == ["data13"] * 2 + ["data17"] * 2


def test_no_run_starts_that_would_end_after_the_deadline(benchmark_path, monkeypatch):
    import paper_model_runs as module

    monkeypatch.setattr(module.time, "monotonic", lambda: 100.0)
    assert module._has_time(10.0, 111.5)
    assert not module._has_time(10.0, 110.5)
    assert module._has_time(0.0, 100.5)


def test_finished_run_comes_before_a_better_one_that_is_not(benchmark_path, args):
    from paper_model import plan
    from paper_model_table import best_runs, row_of, table

    runs = plan(args)
    for run, map50, is_done in zip(runs, (0.5, 0.4, 0.9, 0.3), (1, 1, 0, 1), strict=True):
        run.run_dir.mkdir(parents=True)
        record = {"epoch": 1, "loss_total": 2.0, "map50": map50, "f1": 0, "pd": 0}
        record |= {"false_alarms_per_frame": 0, "idf1": 0, "validation_s": 1}
        (run.run_dir / "metrics.jsonl").write_text(json.dumps(record) + "\n")
        if is_done:
            scores = {"map50": map50, "f1": 1, "idf1": 1, "trained_s": 5.0}
            scores |= dict.fromkeys(("pd_at_0.05", "pd_at_0.2", "pd_at_1.0"), 1)
            run.scores_path.write_text(json.dumps(scores))
    assert {kind: run.seed for kind, run in best_runs(runs).items()} == {"fpn": 0, "bp_fpn": 0}
    lines = table([row_of(run) for run in runs]).splitlines()
    assert "unfinished, mAP50 0.9000" in lines[3]
    assert lines[-1].split()[:5] == ["daub_bp_fpn", "mean", "of", "2", "0.3500"]
