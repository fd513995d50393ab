"""Resume files of every wrong kind: one line that names the file."""

import os
import pickle

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stdet.errors import CheckpointError
from stdet.training.resume import load_resume, save_resume, take_state
from stdet.training.run import train


@pytest.fixture
def run(tiny_run, tmp_path):
    """A finished run of one epoch, and its configuration."""
    config = tiny_run(epochs=1)
    train(config, run_dir=tmp_path / "run")
    return config, tmp_path / "run"


def _refusal(config, run_dir):
    with pytest.raises(CheckpointError) as caught:
        train(config, run_dir=run_dir)
    message = str(caught.value)
    assert message.startswith(f"{run_dir / 'resume.pt'}: ")
    assert "delete it to start the run anew" in message
    assert "\n" not in message
    assert len(message) < 1000
    return message


def _cut(path):
    path.write_bytes(path.read_bytes()[:-500])


def _pickle(path):
    path.write_bytes(pickle.dumps({"epoch": 1}))


def _code(path):
    torch.save({"epoch": os.system}, path)


def _list(path):
    torch.save([1, 2], path)


def _folder(path):
    path.unlink()
    path.mkdir()


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [_cut, _pickle, _code, _list, _folder, _pipe])
def test_file_that_is_no_resume_file_is_refused(run, spoil):
    config, run_dir = run
    spoil(run_dir / "resume.pt")
    _refusal(config, run_dir)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epoch", None, "epoch is missing or wrong"),
        ("epoch", "1", "epoch is missing or wrong"),
        ("best", 3, "best is missing or wrong"),
        ("modules", torch.ones(3), "modules is missing or wrong"),
        ("modules", {}, "does not fit this run (Error(s) in loading state_dict"),
        ("average", {"a": torch.ones(1)}, "does not fit this run"),
        ("optimizer", {}, "does not fit this run (KeyError"),
        ("optimizer", {"state": {}, "param_groups": []}, "does not fit this run"),
    ],
)
def test_state_of_another_version_or_architecture_is_refused(run, key, value, message):
    config, run_dir = run
    path = run_dir / "resume.pt"
    save_resume(path, load_resume(path) | {key: value})
    assert message in _refusal(config, run_dir)


def test_tensor_of_another_shape_is_refused(run):
    config, run_dir = run
    path = run_dir / "resume.pt"
    state = load_resume(path)
    name = next(iter(state["modules"]))
    state["modules"][name] = torch.ones(2, 3)
    save_resume(path, state)
    assert "does not fit this run" in _refusal(config, run_dir)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_change_of_a_resume_file_is_read_or_refused(tmp_path, data):
    path = tmp_path / "resume.pt"
    module = torch.nn.Linear(2, 2)
    save_resume(path, {"epoch": 1, "best": {}, "commit": "", "modules": module.state_dict(),
                       "average": {}, "num_updates": 1, "optimizer": {}, "schedule": {},
                       "scaler": {}})  # fmt: skip
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        take_state(path, {"modules": module}, load_resume(path))
    except CheckpointError as error:
        assert str(path) in str(error)  # noqa: PT017
