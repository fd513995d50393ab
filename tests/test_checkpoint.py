import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from stdet.checkpoint import (
    DEFAULT_CONFIDENCE,
    find_weights,
    load_detector,
    load_state,
    load_weights,
    operating_point,
    save_weights,
    shipped_weights,
)
from stdet.config import PostprocessConfig, StdetConfig, TrainConfig
from stdet.errors import CheckpointError
from stdet.models.build import build_detector
from stdet.training.resume import load_resume, save_resume


class _MakesFolder:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def config(tiny_model):
    return StdetConfig(
        model=tiny_model(),
        train=TrainConfig(seed=5, learning_rate=0.003),
        postprocess=PostprocessConfig(confidence=0.37),
    )


@pytest.fixture
def weights_path(tmp_path, config, lively):
    path = tmp_path / "w.safetensors"
    torch.manual_seed(1)
    state = lively(build_detector(config.model)).state_dict()
    save_weights(path, state, config, {"epoch": 3, "validation": {"map50": 0.5}})
    return path


def test_weights_come_back_with_tensors_configuration_and_metrics(weights_path, config, lively):
    detector, weights = load_detector(str(weights_path))
    # Of data.root only the name travels.
    portable = replace(config, data=replace(config.data, root=Path(config.data.root.name)))
    assert weights.config == portable
    assert weights.info == {"epoch": 3, "validation": {"map50": 0.5}}
    torch.manual_seed(1)
    saved = lively(build_detector(config.model)).state_dict()
    assert detector.state_dict().keys() == saved.keys()
    for name, value in detector.state_dict().items():
        assert torch.equal(value, saved[name])
        assert value.dtype == saved[name].dtype
    assert not detector.training


def test_file_is_plain_safetensors_without_leftovers(weights_path, tmp_path):
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    with safe_open(weights_path, framework="pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["config"])["model"]["name"] == "tiny"


def test_operating_point_is_the_stored_one_or_the_default(weights_path):
    weights = load_weights(weights_path)
    assert operating_point(weights) == 0.37
    never = replace(weights, config=replace(weights.config, postprocess=PostprocessConfig()))
    assert operating_point(never) == DEFAULT_CONFIDENCE


def test_operating_point_from_before_scores_of_paths_is_of_single_frames(weights_path, tmp_path):
    with safe_open(weights_path, framework="pt") as file:
        metadata, tensors = file.metadata(), {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
    settings = json.loads(metadata["config"])
    assert load_weights(weights_path).config.tracker.lookahead == 5
    del settings["tracker"]["lookahead"]
    old = tmp_path / "old.safetensors"
    save_file(tensors, old, metadata | {"config": json.dumps(settings)})
    assert load_weights(old).config.tracker.lookahead is None


def test_weights_that_share_storage_or_are_not_contiguous_can_be_saved(tmp_path, config):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.arange(6.0).reshape(2, 3).T}, config, {})
    assert load_weights(path).state["a"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_other_architecture_lists_missing_unexpected_and_reshaped(weights_path, tiny_model):
    weights = load_weights(weights_path)
    other = build_detector(tiny_model(pyramid={"type": "fpn"}, temporal={"num_frames": 4}))
    with pytest.raises(CheckpointError) as error:
        load_state(other, weights)
    message = str(error.value)
    assert message.startswith(f"{weights_path}: weights are for model 'tiny', which is not")
    # The plain pyramid's names lack the prefix of BP-FPN's, and the pair weights grew by one.
    assert "missing (neck.steps.0" in message
    assert "unexpected (neck.pyramid.steps.0" in message
    assert "temporal.pair_weights (2,), expected (3,)" in message
    assert "more)" in message
    assert "\n" not in message


def test_failed_load_leaves_the_detector_as_it_was(weights_path, tiny_model):
    other = build_detector(tiny_model(temporal={"num_frames": 4}))
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(CheckpointError, match="of another shape"):
        load_state(other, load_weights(weights_path))
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"not a weights file" * 10, bytes(100)])
def test_garbage_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a readable safetensors file") as error:
        load_weights(path)
    assert str(path) in str(error.value)


def test_truncated_file_is_refused(weights_path):
    weights_path.write_bytes(weights_path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_weights(weights_path)


def test_foreign_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="weights format is None, expected '1'"):
        load_weights(path)


def test_missing_file_and_unknown_name_list_what_ships():
    for name in ("no_such_weights", "no/such/file.safetensors"):
        with pytest.raises(CheckpointError) as error:
            find_weights(name)
        assert str(error.value).startswith(f"{name}: no such weights file")
        listed = ", ".join(shipped_weights()) or "none"
        assert f"(shipped: {listed})" in str(error.value)


def test_every_shipped_file_loads_into_its_own_architecture():
    for name in shipped_weights():
        _, weights = load_detector(name)
        assert weights.path == find_weights(name)


def test_loading_weights_executes_nothing(tmp_path):
    trap = tmp_path / "trap"
    for dump in (pickle.dump, torch.save):
        path = tmp_path / "w.safetensors"
        with path.open("wb") as file:
            dump({"state": _MakesFolder(trap)}, file)
        with pytest.raises(CheckpointError):
            load_weights(path)
    assert not trap.exists()


def test_resume_file_comes_back_and_executes_nothing(tmp_path):
    path = tmp_path / "resume.pt"
    save_resume(path, {"epoch": 2, "modules": {"w": torch.ones(3)}})
    assert [p.name for p in tmp_path.iterdir()] == ["resume.pt"]
    state = load_resume(path)
    assert state["epoch"] == 2
    assert torch.equal(state["modules"]["w"], torch.ones(3))
    trap = tmp_path / "trap"
    torch.save({"epoch": _MakesFolder(trap)}, path)
    with pytest.raises(CheckpointError, match="not a readable resume file"):
        load_resume(path)
    assert not trap.exists()
