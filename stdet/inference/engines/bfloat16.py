"""Whether this CPU computes in bfloat16, the upper half of a float32, by instructions of its own.

Libraries take bfloat16 on any CPU and emulate what it lacks, more slowly than 32 bits.
"""

from __future__ import annotations

from pathlib import Path

from stdet.errors import ConfigError

SUFFIX = "-bf16"
"""Ends the name of an engine that computes in bfloat16."""

_NATIVE = ("amx_bf16", "avx512_bf16")
"""Tiles and vectors of bfloat16, as Linux calls them."""

_CPUINFO = Path("/proc/cpuinfo")


def can_run_bfloat16() -> bool:
    """Say whether this CPU has bfloat16; False where the system does not say, so not on Linux."""
    return not cpu_features().isdisjoint(_NATIVE)


def cpu_features() -> frozenset[str]:
    """Return the names of the instructions that Linux says this CPU has."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = (line.partition(":")[2] for line in lines if line.startswith("flags"))
    return frozenset(next(flags, "").split())


def require_bfloat16(engine: str, device: str) -> None:
    """Refuse what would be emulated.

    Args:
        engine: Its name.
        device: `cpu`, or another one.

    Raises:
        ConfigError: If the device is no CPU with bfloat16.
    """
    exact = engine.removesuffix(SUFFIX)
    if device != "cpu":
        raise ConfigError(f"engine {engine}: runs on the CPU, not on {device}; use {exact}.")
    if not can_run_bfloat16():
        raise ConfigError(
            f"engine {engine}: this CPU has no instructions for bfloat16 "
            f"({' or '.join(_NATIVE)} in {_CPUINFO}), and would be slower than in 32 bits; use "
            f"{exact}."
        )
