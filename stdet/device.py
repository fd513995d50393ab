"""Which device a run uses."""

from __future__ import annotations

import os

import torch

from stdet.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """Return the device; `auto` takes this process's GPU where there is one, else the CPU.

    Under torchrun a plain `auto` or `cuda` means the GPU of the process's local rank.

    Raises:
        ConfigError: If the name is no device, or a GPU is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r}: expected auto, cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: no CUDA device is available here; use cpu.")
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return device
