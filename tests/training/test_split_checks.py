"""Data on which time would be spent for nothing, and what validation says that chooses nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stdet.cli import main
from stdet.config import PostprocessConfig, TrackerConfig, save_config
from stdet.errors import ConfigError, DataError, TrainingError
from stdet.evaluation.from_model import evaluate
from stdet.inference.checkpoint import load_weights, save_weights
from stdet.inference.detector import Detector
from stdet.models.build import build_detector
from stdet.training import trainer as trainer_module
from stdet.training.run import train
from stdet.training.trainer import Trainer


def _relabel(config, keep=lambda image: True, **changes):
    """Drop boxes of a COCO file, or change all."""
    path = config.data.root / config.data.train[0].annotations
    content = json.loads(path.read_text())
    images = {image["id"]: image for image in content["images"]}
    content["annotations"] = [
        row | changes for row in content["annotations"] if keep(images[row["image_id"]])
    ]
    path.write_text(json.dumps(content))
    return content


def _stop(*_, **__):
    raise AssertionError("time was spent")


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(Trainer, "_train_epoch", _stop)


def test_validation_without_targets_is_refused_before_training(tiny_run, tmp_path, no_training):
    config = tiny_run()
    _relabel(config, lambda image: "held_out" not in image["file_name"])
    with pytest.raises(DataError, match=r"validation split \(held_out\) holds no targets"):
        train(config, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_targets_that_are_all_ignored_are_none(tiny_run, tmp_path, no_training):
    config = tiny_run()
    _relabel(config, iscrowd=1)
    with pytest.raises(DataError, match=r"training split \(one, two\) holds no targets"):
        train(config, run_dir=tmp_path / "run")


def test_training_without_targets_needs_drawn_ones(tiny_run, tmp_path):
    config = tiny_run(epochs=1)
    config = replace(config, data=replace(config.data, validation_sequences=()))
    _relabel(config, lambda image: False)
    with pytest.raises(DataError, match=r"let targets be drawn with train\.augment"):
        train(config, run_dir=tmp_path / "run")
    drawn = replace(config.train.augment, inject_targets_max=1, min_box_px=3)
    train(
        replace(config, train=replace(config.train, augment=drawn)), run_dir=tmp_path / "injected"
    )
    assert (tmp_path / "injected" / "last.safetensors").exists()


def test_labels_of_more_classes_than_the_model_are_refused(tiny_run, tmp_path, no_training):
    config = tiny_run()
    path = config.data.root / config.data.train[0].annotations
    content = json.loads(path.read_text())
    known = content["categories"][0]["id"]
    content["categories"].append({"id": known + 7, "name": "bird"})
    content["annotations"][3]["category_id"] = known + 7
    path.write_text(json.dumps(content))
    with pytest.raises(
        ConfigError, match=r"class 1 .* model has 1; set model\.head\.num_classes=2"
    ):
        train(config, run_dir=tmp_path / "run")


def test_split_to_score_without_targets_stops_an_ablation_before_it_begins(
    tiny_run, tmp_path, no_training, capsys
):
    config = tiny_run()
    _relabel(config, lambda image: "held_out" not in image["file_name"])
    save_config(config, tmp_path / "base.yaml")
    (tmp_path / "g.yaml").write_text("base: base.yaml\nsplit: validation\nvariants: {a: {}}")
    code = main(["ablate", str(tmp_path / "g.yaml"), "--run-dir", str(tmp_path / "ablation")])
    assert code == 2
    assert "The validation split (held_out) holds no targets" in capsys.readouterr().err
    assert not (tmp_path / "ablation").exists()


def _untrained(config):
    """The same with steps so small that nothing is learnt."""
    return replace(config, train=replace(config.train, learning_rate=1e-12))


def test_validation_that_finds_nothing_is_told_and_stores_no_operating_point(
    tiny_run, tmp_path, caplog
):
    result = train(_untrained(tiny_run(epochs=2)), run_dir=tmp_path / "run")
    assert result.best["map50"] == 0
    assert result.best["confidence"] is None
    assert caplog.text.count("Validation gives no usable operating point, none is stored") == 1
    assert caplog.text.count("No validated epoch found a target (mAP50 0)") == 1
    for path in (result.best_weights, result.last_weights):
        assert load_weights(path).config.postprocess.confidence is None


def test_validation_compares_with_the_reference_frames_that_the_latency_leaves(
    tiny_run, tmp_path, monkeypatch
):
    latencies = []
    build = Detector.from_network

    def noted(network, *, latency=None):
        latencies.append(latency)
        return build(network, latency=latency)

    monkeypatch.setattr(Detector, "from_network", noted)
    config = replace(tiny_run(epochs=1), tracker=TrackerConfig(latency=2))
    train(config, run_dir=tmp_path / "run")
    assert latencies == [2]


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_operating_point_at_either_end_is_not_stored(
    tiny_run, tmp_path, caplog, monkeypatch, confidence
):
    score = trainer_module.score_sequences
    monkeypatch.setattr(
        trainer_module,
        "score_sequences",
        lambda *args, **kwargs: replace(score(*args, **kwargs), confidence=confidence),
    )
    result = train(tiny_run(epochs=1), run_dir=tmp_path / "run")
    assert load_weights(result.best_weights).config.postprocess.confidence is None
    assert "no usable operating point, none is stored: `stdet track` takes 0.5" in caplog.text


def test_operating_point_that_the_user_sets_is_kept(tiny_run, tmp_path, caplog):
    config = replace(tiny_run(epochs=1), postprocess=PostprocessConfig(confidence=1.0))
    result = train(config, run_dir=tmp_path / "run")
    assert load_weights(result.best_weights).config.postprocess.confidence == 1.0
    assert "operating point" not in caplog.text


def test_network_that_breaks_in_validation_stops_with_what_to_do(tiny_run, tmp_path, monkeypatch):
    finish = Trainer._finish_epoch

    def spoil(self, *args):
        with torch.no_grad():
            self.average.module.head.obj_pred.bias.fill_(float("nan"))
        finish(self, *args)

    monkeypatch.setattr(Trainer, "_finish_epoch", spoil)
    with pytest.raises(TrainingError, match=r"validation of epoch 1: .*not finite.*learning_rate"):
        train(tiny_run(epochs=1), run_dir=tmp_path / "run")
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_log_is_json_with_null_for_what_is_undefined(tiny_run, tmp_path):
    run_dir = tmp_path / "run"
    train(_untrained(tiny_run(epochs=2, diagnostics=True)), run_dir=run_dir)
    for name in ("metrics.jsonl", "diagnostics.jsonl"):
        lines = (run_dir / name).read_text().splitlines()
        assert len(lines) == 2
        for line in lines:
            json.loads(line, parse_constant=_stop)
    metadata = load_weights(run_dir / "best.safetensors").info
    json.loads(json.dumps(metadata), parse_constant=_stop)


def test_command_without_validation_names_no_best_weights(tiny_run, tmp_path, capsys):
    config = tiny_run(epochs=1)
    save_config(
        replace(config, data=replace(config.data, validation_sequences=())), tmp_path / "c.yaml"
    )
    assert main(["train", str(tmp_path / "c.yaml"), "--run-dir", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "best" not in out
    (named,) = (line.removeprefix("last epoch: ") for line in out.splitlines())
    assert Path(named).exists()


def test_truth_of_a_class_that_the_model_lacks_is_told_when_it_is_scored(
    tiny_run, tmp_path, caplog
):
    config = tiny_run()
    save_weights(tmp_path / "w.safetensors", build_detector(config.model).state_dict(), config, {})
    path = config.data.root / config.data.train[0].annotations
    content = json.loads(path.read_text())
    known = content["categories"][0]["id"]
    content["categories"].append({"id": known + 7, "name": "bird"})
    for row in content["annotations"][::2]:
        row["category_id"] = known + 7
    path.write_text(json.dumps(content))
    evaluate(config, weights=str(tmp_path / "w.safetensors"), split="validation", device="cpu")
    assert "labels use class 1 (counted from 0), but the model has 1" in caplog.text
