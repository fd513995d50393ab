"""Rules and checks that the sections of the configuration share."""

from __future__ import annotations

from pydantic import ConfigDict

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""Of every section: no unknown key, and no number that is not finite."""

_MAX_INPUT_PIXELS = 32_000_000
"""Pixels of a frame as the network sees it; the largest of thermal cameras has 20 million."""


def check_area(name: str, hw: tuple[int, int] | None) -> None:
    """Refuse a size that no memory holds, for every frame of a clip."""
    if hw and hw[0] * hw[1] > _MAX_INPUT_PIXELS:
        raise ValueError(f"{name} {list(hw)} is more than {_MAX_INPUT_PIXELS:,} pixels")
