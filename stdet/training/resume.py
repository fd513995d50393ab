"""Resume files: everything that the run which wrote them needs to go on."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from stdet.errors import CheckpointError, foreign_errors
from stdet.files.atomic_file import write_whole
from stdet.files.regular_file import require_regular_file

_ADVICE = "delete it to start the run anew"
_KINDS: Mapping[str, type] = {
    "epoch": int,
    "best": dict,
    "commit": str,
    "modules": dict,
    "average": dict,
    "num_updates": int,
    "optimizer": dict,
    "schedule": dict,
    "scaler": dict,
}
"""What a resume file holds."""


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
        CheckpointError: If it cannot be read, or holds something else.
    """
    require_regular_file(path, advice=_ADVICE, kind=CheckpointError)
    with foreign_errors(
        path, problem="not a readable resume file", advice=_ADVICE, kind=CheckpointError
    ):
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: holds no state of a run; {_ADVICE}.")
    wrong = [key for key, kind in _KINDS.items() if not isinstance(state.get(key), kind)]
    if wrong:
        raise CheckpointError(f"{path}: {', '.join(wrong)} is missing or wrong; {_ADVICE}.")
    return state


def take_state(path: Path, parts: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Give every part (module, optimizer, ...) its state of a resume file.

    Raises:
        CheckpointError: If a state is of another architecture or version. Parts that came first
            have theirs then: start again with new ones.
    """
    with foreign_errors(
        path, problem="does not fit this run", advice=_ADVICE, kind=CheckpointError
    ):
        for name, part in parts.items():
            part.load_state_dict(state[name])
