from dataclasses import replace

import pytest
import torch

from stdet.datasets.splits import load_sequences
from stdet.errors import CheckpointError
from stdet.evaluation.trained_on import trained_data
from stdet.inference.checkpoint import load_weights
from stdet.training.run import train
from stdet.training.trainer import Trainer


@pytest.fixture
def first(tiny_run, tmp_path):
    """Weights of a run of one epoch."""
    return train(tiny_run(epochs=1), run_dir=tmp_path / "first").last_weights


def _trainer(config, run_dir):
    sequences = load_sequences(config.data, "train")
    return Trainer(config, train_sequences=sequences, validation_sequences=[], run_dir=run_dir)


def test_run_starts_from_weights_and_says_so(tiny_run, first, tmp_path):
    config = tiny_run(initial_weights=str(first), seed=5)
    trainer = _trainer(config, tmp_path / "second")
    given = load_weights(first).state
    for model in (trainer.step_module.detector, trainer.average.module):
        state = model.state_dict()
        assert state.keys() == given.keys()
        assert all(torch.equal(state[name], given[name]) for name in given)
    result = train(config, run_dir=tmp_path / "second")
    assert load_weights(result.last_weights).config.train.initial_weights == str(first)


def test_resumed_run_no_longer_needs_what_it_started_from(tiny_run, first, tmp_path):
    config = tiny_run(initial_weights=str(first), epochs=2)
    train(config, run_dir=tmp_path / "run")
    first.unlink()
    with pytest.raises(CheckpointError, match="no such weights file"):
        _trainer(config, tmp_path / "other")
    assert _trainer(config, tmp_path / "run").epoch == 2


def test_weights_of_another_architecture_are_refused(tiny_run, tiny_model, first, tmp_path):
    other = tiny_run(initial_weights=str(first), model=tiny_model(width=1 / 8))
    with pytest.raises(CheckpointError, match="not the configured architecture"):
        train(other, run_dir=tmp_path / "second")
    assert not (tmp_path / "second" / "last.safetensors").exists()


def test_data_of_the_weights_that_a_run_started_from_count_as_trained_on(
    tiny_run, first, tmp_path
):
    config = tiny_run(initial_weights=str(first), epochs=1)
    source = config.data.train[0]
    config = replace(config, data=replace(config.data, train=(replace(source, weight=2.0),)))
    second = train(config, run_dir=tmp_path / "second").last_weights
    assert [data.train[0].weight for data in trained_data(second)] == [2.0, 1.0]
    first.unlink()
    assert [data.train[0].weight for data in trained_data(second)] == [2.0]
