import contextlib
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from stdet.config import PostprocessConfig, StdetConfig, TrainConfig
from stdet.errors import CheckpointError
from stdet.inference.checkpoint import load_detector, load_state, load_weights, save_weights
from stdet.inference.weights_files import (
    DEFAULT_CONFIDENCE,
    find_weights,
    operating_point,
    shipped_weights,
)
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
    assert operating_point(weights.config, weights_path) == 0.37
    never = replace(weights, config=replace(weights.config, postprocess=PostprocessConfig()))
    assert operating_point(never.config, weights_path) == DEFAULT_CONFIDENCE


def test_operating_point_without_a_stated_lookahead_is_of_single_frames(weights_path, tmp_path):
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
    kept = {
        "epoch": 2,
        "best": {},
        "commit": "0" * 12,
        "modules": {"w": torch.ones(3)},
        "num_updates": 7,
        **{key: {} for key in ("average", "optimizer", "schedule", "scaler")},
    }
    save_resume(path, kept)
    assert [p.name for p in tmp_path.iterdir()] == ["resume.pt"]
    state = load_resume(path)
    assert state["epoch"] == 2
    assert torch.equal(state["modules"]["w"], torch.ones(3))
    trap = tmp_path / "trap"
    torch.save({"epoch": _MakesFolder(trap)}, path)
    with pytest.raises(CheckpointError, match="not a readable resume file"):
        load_resume(path)
    assert not trap.exists()


@pytest.fixture
def rewritten(weights_path):
    """Write the weights file again with other metadata or tensors."""

    def rewrite(metadata=None, tensors=None):
        with safe_open(weights_path, framework="pt") as file:
            old, state = file.metadata(), {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
        new = old | (metadata or {})
        save_file(
            state | (tensors or {}), weights_path, {k: v for k, v in new.items() if v is not None}
        )
        return weights_path

    return rewrite


def _refusal(path):
    with pytest.raises(CheckpointError) as caught:
        load_detector(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 2000
    return message


def _settings(**model):
    return json.dumps({"model": model})


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"config": None}, "metadata 'config' is not JSON"),
        ({"info": None}, "metadata 'info' is not JSON"),
        ({"config": '{"model": {'}, "metadata 'config' is not JSON"),
        ({"config": "[" * 100_000}, "metadata 'config' is not JSON"),
        ({"config": '{"a": ' * 100_000}, "metadata 'config' is not JSON"),
        ({"config": " " * 2_000_000}, "metadata 'config' is of 2,000,000 characters"),
        ({"config": f'{{"train": {{"seed": {"9" * 5000}}}}}'}, "metadata 'config' is not JSON"),
        ({"config": "[1]"}, "metadata 'config' is [1]; expected weights"),
        ({"info": "3"}, "metadata 'info' is 3; expected weights"),
        ({"config": '{"tracker": 3}'}, "settings: tracker: expected a section"),
        ({"config": '{"trian": {}}'}, "settings: unknown key 'trian' (did you mean 'train'?)"),
        ({"config": '{"data": {"root": "a\\u0000b"}}'}, "data.root: 'a\\x00b' holds characters"),
        (
            {"config": '{"postprocess": {"confidence": NaN}}'},
            "confidence: Input should be a finite",
        ),
        ({"config": _settings(backbone={"width": 1e6})}, "model.backbone.width: Input should be"),
        ({"config": _settings(backbone={"width": 8, "depth": 8})}, "parameters; expected at most"),
        ({"config": _settings(head={"channels": 10**12})}, "model.head.channels: Input should be"),
        ({"config": "{}"}, "which is not the configured architecture"),
        ({"stdet_format": "9" * 10_000}, "weights format is '999"),
    ],
)
def test_metadata_that_stdet_did_not_write_is_refused_in_one_line(rewritten, metadata, message):
    assert message in _refusal(rewritten(metadata))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["head.obj_pred.weight", "backbone.stem.1.1.running_var"])
def test_weights_that_are_not_finite_are_refused_and_named(rewritten, weights_path, name, value):
    tensor = load_weights(weights_path).state[name]
    tensor.view(-1)[0] = value
    message = _refusal(rewritten(tensors={name: tensor}))
    assert "hold values that are not finite" in message
    assert name in message


@pytest.mark.parametrize(
    "dtype", [torch.int32, torch.bool, torch.complex64, torch.uint8, torch.int64]
)
def test_weights_of_another_kind_of_number_are_refused(rewritten, weights_path, dtype):
    name = "head.obj_pred.weight"
    changed = load_weights(weights_path).state[name].to(dtype)
    assert f"{name} {dtype}, expected torch.float32" in _refusal(
        rewritten(tensors={name: changed})
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_read(rewritten, weights_path, dtype):
    state = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in load_weights(weights_path).state.items()
    }
    detector, _ = load_detector(str(rewritten(tensors=state)))
    assert all(p.dtype is torch.float32 for p in detector.parameters())


def test_value_that_overflows_in_single_precision_is_refused(rewritten, weights_path):
    name = "head.obj_pred.weight"
    large = torch.full_like(load_weights(weights_path).state[name], 1e300, dtype=torch.float64)
    assert "not finite" in _refusal(rewritten(tensors={name: large}))


def test_header_that_lies_or_has_no_end_is_refused(weights_path, tmp_path):
    content = weights_path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + size]
    for changed in (
        (1 << 62).to_bytes(8, "little") + content[8:],
        b"\xff" * 8 + content[8:],
        (size + 8).to_bytes(8, "little") + content[8:],
        content[:8] + header.replace(b'"F32"', b'"F16"', 1) + content[8 + size :],
        content[:8] + header.replace(b'"F32"', b'"Q99"', 1) + content[8 + size :],
        content[:8] + b"[" * size + content[8 + size :],
        content[:8]
        + header.replace(b'"shape":[', b'"shape":[99,', 1)[:size]
        + content[8 + size :],
        content + b"more",
    ):
        path = tmp_path / "lies.safetensors"
        path.write_bytes(changed)
        assert "not a readable safetensors file" in _refusal(path)


def test_file_larger_than_any_detector_is_not_read(tmp_path):
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # Takes no room on the disk.
    assert "has more than" in _refusal(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, make):
    path = tmp_path / "odd.safetensors"
    make(path)
    assert ": is a " in _refusal(path)


@pytest.mark.parametrize("name", ["a\0b", "a" * 3000])
def test_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(CheckpointError, match="cannot be looked at"):
        find_weights(name)


@pytest.mark.parametrize(("confidence", "passes"), [(1.0, "next to nothing"), (0.0, "everything")])
def test_operating_point_that_lets_all_or_nothing_pass_is_told(
    weights_path, caplog, confidence, passes
):
    weights = load_weights(weights_path)
    config = replace(weights.config, postprocess=PostprocessConfig(confidence=confidence))
    assert operating_point(config, weights_path) == confidence
    assert f"operating point is {confidence:g}, which lets {passes} pass" in caplog.text


@settings(
    max_examples=200, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_change_of_a_weights_file_is_loaded_or_refused(weights_path, tmp_path, data):
    content = bytearray(weights_path.read_bytes())
    size = int.from_bytes(content[:8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, size + 16))  # Length, header and the first weights.
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "changed.safetensors"
    path.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        load_detector(str(path))
