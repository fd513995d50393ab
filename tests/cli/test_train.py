"""`stdet train --footage`: what a tracker is sure of is learnt."""

import json

import pytest
import yaml

from stdet.inference.checkpoint import load_weights
from stdet.training import footage as footage_module

SHORT = ("--set", "train.epochs=1", "--set", "train.epoch_windows=2", "--set", "train.device=cpu")


def test_footage_is_labelled_and_learnt_from_the_weights(
    cli, clip, weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(footage_module, "SURE_PROBABILITY", 0.0)
    run_dir = tmp_path / "run"
    options = ("--footage", clip.parent, "--labels-by", weights, "--run-dir", run_dir)
    outcome = cli("train", *options, *SHORT)
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == f"last epoch: {run_dir / 'last.safetensors'}"
    said = json.loads((run_dir / "footage" / "labels.json").read_text())
    assert [entry["path"] for entry in said["videos"]] == [str(clip.resolve())]
    recipe = yaml.safe_load((run_dir / "footage" / "recipe.yaml").read_text())
    assert recipe["train"]["initial_weights"] == str(weights)
    trained = load_weights(run_dir / "last.safetensors").config
    assert trained.train.epochs == 1
    assert trained.model == load_weights(weights).config.model
    # The same command again has nothing left to do.
    assert cli("train", *options, *SHORT).code == 0


def test_footage_is_learnt_where_overwrite_finds_no_earlier_run(
    cli, clip, weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(footage_module, "SURE_PROBABILITY", 0.0)
    options = ("--labels-by", weights, "--run-dir", tmp_path / "run", "--overwrite", *SHORT)
    for _ in range(2):
        assert cli("train", "--footage", clip.parent, *options).code == 0
    assert (tmp_path / "run" / "last.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a CONFIG, or --footage with a folder of videos"),
        (("c.yaml", "--labels-by", "rpca"), "--labels-by says what labels --footage"),
        (("--footage", "here", "--labels-by", "rpca"), "needs a recipe; give a CONFIG"),
        (("--footage", "here", "--labels-by", "none.safetensors"), "no such weights file"),
        (("--footage", "nowhere"), "nowhere: is no folder"),
    ],
)
def test_what_is_missing_is_one_line(refused, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert message in refused("train", *arguments)


def test_missing_data_of_the_recipe_is_said_before_footage_is_tracked(refused, clip, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("data: {root: nowhere}\ntrain: {augment: {min_box_px: 8}}\n")
    options = ("--labels-by", "framediff", "--run-dir", tmp_path / "r")
    line = refused("train", recipe, "--footage", clip.parent, *options)
    assert "nowhere" in line
    assert "does not exist" in line
    assert not (tmp_path / "r").exists()


def test_footage_is_labelled_by_one_process(refused, clip, monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    line = refused("train", "--footage", clip.parent, "--run-dir", tmp_path / "r")
    assert "is labelled by one process" in line
    assert not (tmp_path / "r").exists()
