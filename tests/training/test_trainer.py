import json
from dataclasses import replace

import pytest
import torch
import yaml

from stdet.config import AugmentConfig, config_to_dict
from stdet.datasets.splits import load_sequences
from stdet.errors import CheckpointError, ConfigError, TrainingError
from stdet.inference.checkpoint import load_detector, load_weights
from stdet.training import trainer as trainer_module
from stdet.training.epoch_batches import EpochBatches
from stdet.training.losses import LOSS_NAMES
from stdet.training.run import train
from stdet.training.trainer import Trainer, choose_precision

NAMES = {"best.safetensors", "last.safetensors", "resume.pt", "metrics.jsonl", "config.yaml"}


class _KilledError(Exception):
    """Stands for the end of the process."""


def _records(run_dir):
    """The lines of the log without the time that validation took."""
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "validation_s"} for line in lines]


def _killed_run(config, run_dir, monkeypatch, method, call):
    """Run until the ``call``-th call of a method of Trainer."""
    original, calls = getattr(Trainer, method), []

    def dying(self, *args, **kwargs):
        calls.append(None)
        if len(calls) == call:
            raise _KilledError
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, method, dying)
        with pytest.raises(_KilledError):
            train(config, run_dir=run_dir)


def _trainer(config, run_dir):
    sequences = load_sequences(config.data, "train")
    return Trainer(config, train_sequences=sequences, validation_sequences=[], run_dir=run_dir)


def test_finished_run_leaves_weights_log_and_configuration(tiny_run, tmp_path):
    config, run_dir = tiny_run(), tmp_path / "run"
    result = train(config, run_dir=run_dir)
    names = {p.name for p in run_dir.iterdir() if not p.name.startswith("events.")}
    assert names == NAMES
    assert yaml.safe_load((run_dir / "config.yaml").read_text()) == config_to_dict(config)
    records = _records(run_dir)
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert all(f"loss_{name}" in record for record in records for name in LOSS_NAMES)
    assert all("map50" in record and "idf1" in record for record in records)
    assert result.best["map50"] == max(record["map50"] for record in records)
    _, best = load_detector(str(result.best_weights))
    assert best.config.postprocess.confidence == result.best["confidence"]
    assert best.config.model == config.model
    assert (best.info["seed"], best.info["epoch"]) == (0, result.best["epoch"])
    # The motion prior serves training alone and does not travel with the weights.
    assert not any(name.startswith("prior") for name in load_weights(result.last_weights).state)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("_train_batch", 3),  # In the middle of the second epoch of two batches each.
        ("_save", 2),  # After its line in the log, before its resume file.
    ],
)
def test_killed_run_resumes_to_equal_weights_and_log(
    tiny_run, tmp_path, monkeypatch, optimizer, method, call
):
    augment = AugmentConfig(horizontal_flip=0.5, time_reversal=0.5, noise_max=0.02)
    rate = {"sgd": 0.05, "adamw": 0.002}[optimizer]
    config = tiny_run(optimizer=optimizer, learning_rate=rate, augment=augment)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    monkeypatch.setattr(trainer_module, "git_commit", lambda: "began")
    train(config, run_dir=whole)
    _killed_run(config, killed, monkeypatch, method, call)
    # The new process begins with other random numbers, and the working tree has moved on.
    monkeypatch.setattr(trainer_module, "git_commit", lambda: "moved on")
    assert [record["epoch"] for record in _records(killed)][:1] == [1]
    torch.manual_seed(99)
    train(config, run_dir=killed)
    assert _records(killed) == _records(whole)
    for name in ("last.safetensors", "best.safetensors"):
        wanted, found = load_weights(whole / name), load_weights(killed / name)
        assert found.state.keys() == wanted.state.keys()
        assert all(torch.equal(found.state[key], wanted.state[key]) for key in wanted.state)
        assert found.info == wanted.info
        assert found.config == wanted.config


def test_run_killed_in_its_first_epoch_starts_anew(tiny_run, tmp_path, monkeypatch):
    config = tiny_run(epochs=1)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(config, run_dir=whole)
    _killed_run(config, killed, monkeypatch, "_save", 1)
    assert len(_records(killed)) == 1
    train(config, run_dir=killed)
    assert _records(killed) == _records(whole)


def test_finished_run_run_again_changes_nothing(tiny_run, tmp_path):
    config, run_dir = tiny_run(epochs=1), tmp_path / "run"
    first = train(config, run_dir=run_dir)
    before = {name: (run_dir / name).read_bytes() for name in NAMES}
    assert train(config, run_dir=run_dir) == first
    assert {name: (run_dir / name).read_bytes() for name in NAMES} == before


def test_folder_of_another_run_is_refused_and_names_what_differs(tiny_run, tmp_path):
    run_dir = tmp_path / "run"
    train(tiny_run(epochs=1), run_dir=run_dir)
    before = (run_dir / "resume.pt").read_bytes()
    other = tiny_run(epochs=2, learning_rate=0.04)
    other = replace(other, model=replace(other.model, motion_channels=5))
    with pytest.raises(
        ConfigError,
        match=r"other values of model.motion_channels, train.epochs, train.learning_rate; choose",
    ):
        train(other, run_dir=run_dir)
    assert (run_dir / "resume.pt").read_bytes() == before
    train(other, run_dir=run_dir, overwrite=True)
    assert [record["epoch"] for record in _records(run_dir)] == [1, 2]


def test_overwriting_spares_a_folder_that_holds_no_run(tiny_run, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="holds no run to replace"):
        train(tiny_run(), run_dir=precious, overwrite=True)
    assert (precious / "thesis.tex").exists()


def test_damaged_resume_file_is_refused(tiny_run, tmp_path):
    config, run_dir = tiny_run(epochs=1), tmp_path / "run"
    train(config, run_dir=run_dir)
    (run_dir / "resume.pt").write_bytes(b"cut off")
    with pytest.raises(CheckpointError, match=r"resume\.pt: not a readable resume file"):
        train(config, run_dir=run_dir)


def test_loss_that_is_not_finite_names_step_clip_and_terms(tiny_run, tmp_path):
    trainer = _trainer(tiny_run(batch_size=1), tmp_path / "run")
    batches = iter(trainer.loader)
    trainer._train_batch(next(batches))
    with torch.no_grad():
        trainer.step_module.detector.head.obj_pred.bias.fill_(float("nan"))
    before = [p.clone() for p in trainer.step_module.detector.backbone.parameters()]
    with pytest.raises(TrainingError) as error:
        trainer._train_batch(next(batches))
    message = str(error.value)
    assert "epoch 1, step 2, clips " in message
    assert any(f"clips {name}[" in message for name in ("one", "two"))
    for term in ("loss nan", "obj nan", "box ", "cls ", "motion "):
        assert term in message
    after = trainer.step_module.detector.backbone.parameters()
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


def test_network_whose_boxes_are_nan_stops_with_the_same_error(tiny_run, tmp_path):
    trainer = _trainer(tiny_run(), tmp_path / "run")
    with torch.no_grad():
        trainer.step_module.detector.backbone.stem[1][0].weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="loss is not finite in epoch 1, step 1"):
        trainer.run()


def test_training_without_validation_keeps_the_last_weights_alone(tiny_run, tmp_path, caplog):
    config = tiny_run(epochs=1)
    config = replace(config, data=replace(config.data, validation_sequences=()))
    result = train(config, run_dir=tmp_path / "run")
    assert "No validation split" in caplog.text
    assert result.last_weights.exists()
    assert result.best == {}
    assert "map50" not in _records(tmp_path / "run")[0]


def test_last_epoch_is_validated_whatever_the_interval(tiny_run, tmp_path):
    train(tiny_run(epochs=3, validate_every=2), run_dir=tmp_path / "run")
    assert ["map50" in record for record in _records(tmp_path / "run")] == [False, True, True]


def test_epochs_differ_and_repeat_for_the_same_seed(tiny_run):
    batches = EpochBatches(10, tiny_run(batch_size=4))
    first = list(batches)
    assert list(batches) == first
    assert [len(batch) for batch in first] == [4, 4, 4]
    # Ten windows, then the first two again to fill the last batch.
    order = [index for batch in first for _, index in batch]
    assert sorted(order[:10]) == list(range(10))
    assert order[10:] == order[:2]
    batches.epoch = 1
    second = [index for batch in batches for _, index in batch]
    assert second != order
    other_seed = EpochBatches(10, tiny_run(batch_size=4, seed=1))
    assert [index for batch in other_seed for _, index in batch] != order


def test_fraction_of_an_epoch_draws_other_windows_each_time(tiny_run):
    batches = EpochBatches(100, tiny_run(batch_size=5, epoch_fraction=0.2))
    assert len(batches) == 4
    seen = set()
    for batches.epoch in range(3):
        indices = [index for batch in batches for _, index in batch]
        assert len(set(indices)) == 20
        seen.update(indices)
    assert len(seen) > 40


@pytest.mark.parametrize("num_windows", [50, 5_000])
@pytest.mark.parametrize("weighted", [False, True])
def test_number_of_windows_does_not_depend_on_the_data(tiny_run, num_windows, weighted):
    weights = torch.ones(num_windows, dtype=torch.float64) if weighted else None
    batches = EpochBatches(num_windows, tiny_run(batch_size=4, epoch_windows=420), weights=weights)
    keys = [key for batch in batches for key in batch]
    assert len(batches) == 105
    assert len(set(keys)) == 420
    assert {index for _, index in keys} <= set(range(num_windows))


def test_epoch_has_a_share_or_a_number_of_windows(tiny_run):
    with pytest.raises(ValueError, match="epoch_fraction"):
        tiny_run(epoch_windows=420, epoch_fraction=0.2)


def test_batch_larger_than_the_data_is_filled_by_repeating(tiny_run):
    (batch,) = EpochBatches(3, tiny_run(batch_size=8))
    assert sorted({index for _, index in batch}) == [0, 1, 2]
    assert len(batch) == 8


def test_precision_is_plain_on_a_cpu_unless_asked_for():
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) is None
    assert choose_precision("fp32", cpu) is None
    assert choose_precision("bf16", cpu) is torch.bfloat16


def test_step_under_bf16_autocast_is_finite_and_near_fp32(tiny_run, tmp_path):
    terms = {}
    for precision in ("fp32", "bf16"):
        trainer = _trainer(tiny_run(precision=precision), tmp_path / precision)
        terms[precision] = trainer._train_batch(next(iter(trainer.loader)))
    assert terms["bf16"].isfinite().all()
    assert terms["bf16"][0].item() == pytest.approx(terms["fp32"][0].item(), rel=0.05)


def test_letterboxing_on_the_device_gives_the_same_run(tiny_run, tmp_path, tiny_model):
    model = tiny_model(input_hw=(128, 128))
    runs = {}
    for is_late in (False, True):
        run_dir = tmp_path / str(is_late)
        config = tiny_run(model=model, letterbox_on_device=is_late, diagnostics=True, epochs=2)
        weights = load_weights(train(config, run_dir=run_dir).last_weights).state
        runs[is_late] = (_records(run_dir), weights, (run_dir / "diagnostics.jsonl").read_text())
    assert runs[True][0] == runs[False][0]
    assert runs[True][2] == runs[False][2]
    assert all(torch.equal(value, runs[False][1][name]) for name, value in runs[True][1].items())


def test_letterboxing_on_the_device_sends_frames_at_their_own_size(tiny_run, tmp_path, tiny_model):
    config = tiny_run(model=tiny_model(input_hw=(128, 128)), letterbox_on_device=True)
    trainer = _trainer(config, tmp_path / "run")
    batch = next(iter(trainer.loader))
    assert batch.frames.shape[-3:] == (1, 64, 64)
    assert trainer.dataset.to_input(batch.frames).shape[-2:] == (128, 128)


def test_step_with_channels_last_is_near_the_plain_one_and_resumes(tiny_run, tmp_path):
    terms = {}
    for is_last in (False, True):
        trainer = _trainer(tiny_run(channels_last=is_last), tmp_path / str(is_last))
        terms[is_last] = trainer._train_batch(next(iter(trainer.loader)))
    torch.testing.assert_close(terms[True], terms[False], rtol=1e-4, atol=1e-4)
    config = tiny_run(channels_last=True, epochs=1)
    first = load_weights(train(config, run_dir=tmp_path / "run").last_weights).state
    again = load_weights(train(config, run_dir=tmp_path / "run").last_weights).state
    assert all(torch.equal(value, again[name]) for name, value in first.items())


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_run_under_autocast_on_a_gpu_ends_with_finite_weights(tiny_run, tmp_path, precision):
    config = tiny_run(epochs=2, device="cuda", precision=precision, learning_rate=0.01)
    result = train(config, run_dir=tmp_path / "run")
    state = load_weights(result.last_weights).state
    assert all(value.isfinite().all() for value in state.values())


def test_run_of_an_older_version_that_knew_fewer_values_goes_on(tiny_run, tmp_path):
    config, run_dir = tiny_run(epochs=1), tmp_path / "run"
    first = train(config, run_dir=run_dir)
    path = run_dir / "config.yaml"
    values = yaml.safe_load(path.read_text())
    del values["train"]["diagnostics"], values["model"]["pyramid"]["gils"]["isolated"]
    path.write_text(yaml.safe_dump(values))
    assert train(config, run_dir=run_dir) == first
    with pytest.raises(ConfigError, match=r"other values of train\.diagnostics"):
        train(tiny_run(epochs=1, diagnostics=True), run_dir=run_dir)


def test_reference_frames_of_streams_can_be_trained_with(tiny_run, tmp_path, tiny_model):
    model = tiny_model(background=True)
    weights = {}
    for missing in ("first_frame", "later_frames"):
        config = tiny_run(model=model, epochs=1, missing_references=missing)
        result = train(config, run_dir=tmp_path / missing)
        weights[missing] = load_weights(result.last_weights).state
    # All sequences are shorter than the lags, so that every clip differs.
    assert any(
        not torch.equal(value, weights["later_frames"][name])
        for name, value in weights["first_frame"].items()
    )
