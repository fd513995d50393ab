"""Which device a run uses."""

from __future__ import annotations

import os

import torch

from stdet.errors import ConfigError
from stdet.inference.engines.names import check_device_name


def choose_device(name: str) -> torch.device:
    """Return the device; `auto` takes this process's GPU where there is one, else the CPU.

    Under torchrun a plain `auto` or `cuda` means the GPU of the process's local rank.

    Raises:
        ConfigError: If the name is no device, or a GPU is asked for and there is none.
    """
    check_device_name(name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: no CUDA device is available here; use cpu.")
    _, _, index = name.partition(":")
    device = torch.device("cuda", int(index or os.environ.get("LOCAL_RANK", "0")))
    num_devices = torch.cuda.device_count()
    if device.index >= num_devices:
        raise ConfigError(
            f"device '{device}': there are {num_devices} CUDA devices here, counted from 0; use "
            f"cuda:{num_devices - 1} or lower, or fewer processes."
        )
    return device
