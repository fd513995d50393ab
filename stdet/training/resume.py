"""Resume files: everything that the run which wrote them needs to go on."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from stdet.data.part_file import write_whole
from stdet.errors import CheckpointError


def save_resume(path: Path, state: Mapping[str, Any]) -> None:
    """Write a resume file beside ``path``, then rename it.

    Raises:
        DataError: If the file cannot be written or the disk is full; the earlier one stays.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_whole(path, buffer.getvalue())


def load_resume(path: Path) -> dict[str, Any]:
    """Read a resume file; it may hold tensors and plain values only.

    Raises:
        CheckpointError: If it cannot be read.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for a damaged file
        raise CheckpointError(
            f"{path}: not a readable resume file ({type(error).__name__}); delete it to start the "
            "run anew."
        ) from error
    return state
