import pytest
import torch

from stdet.errors import ConfigError
from stdet.inference.device import choose_device


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_cpu_and_auto_without_a_gpu_are_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("cpu") == choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(
    "name", ["banana", "", "mps", "meta", "cpu:3", "cuda:-1", "cuda:x", "cuda:99999999999", "CPU",
             "cuda:\u0663", "cuda:0\n", "a\0b", "\udce9"]
)  # fmt: skip
def test_what_is_no_device_is_refused(two_gpus, name):
    with pytest.raises(ConfigError, match="expected auto, cpu, cuda or cuda:N") as caught:
        choose_device(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_gpu_where_there_is_none_is_refused(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device is available here; use cpu"):
        choose_device(name)


def test_gpu_beyond_the_last_is_refused(two_gpus, monkeypatch):
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match=r"'cuda:99': there are 2 CUDA devices here"):
        choose_device("cuda:99")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match=r"'cuda:2': there are 2 CUDA devices here"):
        choose_device("auto")
