"""Engines by name, without importing one."""

from __future__ import annotations

import importlib
import importlib.util
import re
from types import ModuleType
from typing import Literal, get_args

from stdet.errors import ConfigError

EngineName = Literal["auto", "eager", "eager-bf16", "openvino", "openvino-bf16", "onnxruntime"]
"""``auto`` takes the first of ``FASTEST_FIRST`` that is installed."""

ENGINES: tuple[EngineName, ...] = get_args(EngineName)

FASTEST_FIRST: tuple[EngineName, ...] = ("onnxruntime", "openvino")
"""In 32 bits, on a CPU, one thread; `docs/engines.md` has the times."""

BFLOAT16_FIRST: tuple[EngineName, ...] = ("openvino-bf16", "eager-bf16")
"""In bfloat16, likewise; never chosen by ``auto``, since scores move a little."""

_EXTRAS = {"openvino": "openvino", "onnxruntime": "onnx", "onnx": "onnx"}
"""Extra of setup.cfg that installs a library."""


_DEVICES = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")


def check_device_name(name: str) -> None:
    """Refuse what is no name of a device.

    Raises:
        ConfigError: If it is none.
    """
    if not _DEVICES.fullmatch(name):
        raise ConfigError(f"device {name!r}: expected auto, cpu, cuda or cuda:N.")


def has_library(name: str) -> bool:
    """Say whether a library can be imported, without importing it."""
    return importlib.util.find_spec(name) is not None


def is_installed(engine: str) -> bool:
    """Say whether the library of an engine, and the exporter, can be imported."""
    library, _, _ = engine.partition("-")
    return library == "eager" or (has_library(library) and has_library("onnx"))


def import_library(library: str, *, wanted_by: str) -> ModuleType:
    """Import a library of an extra.

    Args:
        library: Its name, or that of a module of it.
        wanted_by: What a message begins with.

    Raises:
        ConfigError: If it is not installed, or cannot be loaded.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        extra = _EXTRAS[library.partition(".")[0]]
        raise ConfigError(
            f"{wanted_by}: cannot import {library} ({error}); run `pip install 'stdet[{extra}]'`."
        ) from error
