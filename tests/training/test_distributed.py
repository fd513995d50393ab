import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from stdet.config import AugmentConfig, save_config
from stdet.errors import TrainingError
from stdet.training import distributed, trainer
from stdet.training.distributed import JointBatchNorm2d, join_batch_norms
from stdet.training.trainer import EpochBatches

SCRIPT = Path(__file__).with_name("run_steps.py")


def test_single_process_is_its_own_sum_and_mean():
    value = torch.tensor([1.0, 2.0], requires_grad=True)
    total, count = distributed.sum_over_processes(value)
    assert (total.tolist(), count) == ([1, 2], 1)
    assert not total.requires_grad
    assert distributed.mean_over_processes(value).tolist() == [1, 2]
    assert (distributed.process_rank(), distributed.num_processes()) == (0, 1)


def test_joining_keeps_weights_and_touches_batch_norms_only():
    module = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Sequential(nn.BatchNorm2d(3)), nn.SiLU())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    join_batch_norms(module)
    assert [type(m) for m in module.modules() if isinstance(m, nn.BatchNorm2d)] == [
        JointBatchNorm2d
    ]
    after = module.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_joint_batch_norm_of_one_process_equals_batch_norm(monkeypatch):
    torch.manual_seed(0)
    plain, joint = (nn.BatchNorm2d(3, eps=1e-3, momentum=0.03) for _ in range(2))
    joint.__class__ = JointBatchNorm2d
    x = torch.randn(4, 3, 5, 7) * 3 + 2
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda sums: None)
    monkeypatch.setattr(distributed.dist, "get_world_size", lambda: 1)
    outs = [plain(inputs[0]), joint(inputs[1])]
    torch.testing.assert_close(outs[1], outs[0], rtol=1e-5, atol=1e-5)
    for out in outs:
        out.pow(3).sum().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-5, atol=1e-5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(joint.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_processes_share_every_joint_batch_without_overlap(tiny_run, monkeypatch):
    config = tiny_run(batch_size=4)
    joint = list(EpochBatches(10, config))
    shares = []
    for rank in range(2):
        monkeypatch.setattr(trainer.distributed, "process_rank", lambda rank=rank: rank)
        monkeypatch.setattr(trainer.distributed, "num_processes", lambda: 2)
        shares.append(list(EpochBatches(10, config)))
    for whole, one, other in zip(joint, *shares, strict=True):
        assert len(one) == len(other) == 2
        assert sorted(one + other) == sorted(whole)
    with pytest.raises(TrainingError, match="batch_size 3 cannot be shared by 2 processes"):
        EpochBatches(10, tiny_run(batch_size=3))


def _run(command, config_path, out):
    out.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command, str(SCRIPT), str(config_path), str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [torch.load(path, weights_only=True) for path in sorted(out.glob("rank*.pt"))]


@pytest.mark.slow
def test_two_processes_equal_one_with_the_joint_batch(tiny_run, tmp_path):
    augment = AugmentConfig(horizontal_flip=0.5, inject_targets_max=2, min_box_px=8.0)
    config_path = tmp_path / "config.yaml"
    # Injection leaves the two shares with unequal numbers of targets. Steps are small, since large
    # ones magnify the rounding of float32 from step to step, whatever the number of processes.
    save_config(tiny_run(epochs=3, learning_rate=0.001, augment=augment), config_path)
    (one,) = _run([], config_path, tmp_path / "one")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    first, second = _run(torchrun, config_path, tmp_path / "two")

    assert len(one["terms"]) == 6
    assert one["terms"][0, 0] != one["terms"][-1, 0]
    torch.testing.assert_close(first["terms"], one["terms"], rtol=1e-5, atol=1e-5)
    assert torch.equal(first["terms"], second["terms"])
    for name, value in first["weights"].items():
        assert torch.equal(value, second["weights"][name]), name
        torch.testing.assert_close(value, one["weights"][name], rtol=1e-5, atol=1e-5)
