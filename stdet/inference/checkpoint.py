"""Weights files: safetensors, for anybody.

A weights file holds the detector's state and, as text, a format number, the whole configuration,
metrics, seed and commit. It runs no code when it is loaded.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from stdet.config import StdetConfig, config_to_dict
from stdet.errors import CheckpointError, ConfigError, foreign_errors, shown
from stdet.files.atomic_file import write_whole
from stdet.files.regular_file import require_regular_file
from stdet.inference.weights_files import DEFAULT_WEIGHTS, config_of_weights, find_weights
from stdet.models.build import MAX_PARAMETERS, build_detector
from stdet.models.detector import ClipDetector

FORMAT = "1"

MAX_BYTES = 2 * 4 * MAX_PARAMETERS
"""Size of a weights file; twice the largest detector in float32."""
MAX_METADATA = 1_000_000
"""Characters of the settings or of the metrics of a weights file."""

_EXPECTED = "expected weights written by `stdet train`"


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """A weights file in memory.

    Attributes:
        state: Parameter and buffer names to tensors.
        config: The configuration they were trained with; ``postprocess.confidence`` is the
            operating point, chosen on validation or set by the recipe.
        info: Seed, commit, epoch and validation metrics.
        path: Where they came from.
    """

    state: dict[str, Tensor]
    config: StdetConfig
    info: dict[str, Any]
    path: Path


def save_weights(
    path: Path, state: Mapping[str, Tensor], config: StdetConfig, info: Mapping[str, Any]
) -> None:
    """Write a weights file beside ``path``, then rename it.

    Of ``data.root`` only the last part is kept: weights travel, the place of the data does not.

    Raises:
        DataError: If the file cannot be written or the disk is full.
    """
    portable = replace(config, data=replace(config.data, root=Path(config.data.root.name)))
    metadata = {
        "stdet_format": FORMAT,
        "config": json.dumps(config_to_dict(portable)),
        "info": json.dumps(dict(info)),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    write_whole(path, save(tensors, metadata))


def load_weights(path: Path) -> Weights:
    """Read a weights file.

    Raises:
        CheckpointError: If it is no safetensors file, was not written by stdet, holds settings
            that no detector has, or values that are not finite.
    """
    require_regular_file(path, kind=CheckpointError)
    if path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path}: has more than {MAX_BYTES:,} bytes; {_EXPECTED}.")
    with (
        foreign_errors(
            path,
            problem="not a readable safetensors file",
            advice=_EXPECTED,
            kind=CheckpointError,
        ),
        safe_open(path, framework="pt") as file,
    ):
        metadata = file.metadata() or {}
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if metadata.get("stdet_format") != FORMAT:
        raise CheckpointError(
            f"{path}: weights format is {shown(metadata.get('stdet_format'))}, expected "
            f"{FORMAT!r}; use weights written by this version of `stdet train`."
        )
    broken = [name for name, value in state.items() if not _is_finite(value)]
    if broken:
        raise CheckpointError(
            f"{path}: {len(broken)} of {len(state)} tensors hold values that are not finite "
            f"({_listed(broken)}), so that no target would ever be found; {_EXPECTED}."
        )
    settings = _read_metadata(metadata, "config", path)
    config = config_of_weights(settings, path)
    return Weights(
        state=state, config=config, info=_read_metadata(metadata, "info", path), path=path
    )


def _read_metadata(metadata: Mapping[str, str], key: str, path: Path) -> dict[str, Any]:
    """Return one JSON object of a weights file's metadata."""
    text = metadata.get(key, "")
    if len(text) > MAX_METADATA:
        raise CheckpointError(
            f"{path}: metadata {key!r} is of {len(text):,} characters; {_EXPECTED}."
        )
    with foreign_errors(
        path, problem=f"metadata {key!r} is not JSON", advice=_EXPECTED, kind=CheckpointError
    ):
        value = json.loads(text)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: metadata {key!r} is {shown(value)}; {_EXPECTED}.")
    return value


def _is_finite(value: Tensor) -> bool:
    """Say whether a tensor holds neither NaN nor infinity, as float32."""
    if value.is_complex():
        return True  # Refused by its kind when it is loaded.
    return bool(value.to(torch.float32).isfinite().all())


def load_state(detector: ClipDetector, weights: Weights) -> None:
    """Put weights into a detector.

    Raises:
        CheckpointError: If names, shapes or types differ; missing, unexpected, reshaped and
            retyped ones are listed. Floating-point types may differ among each other.
    """
    own = detector.state_dict()
    expected = {name: tuple(value.shape) for name, value in own.items()}
    given = {name: tuple(value.shape) for name, value in weights.state.items()}
    shared = expected.keys() & given.keys()
    reshaped = [
        f"{n} {given[n]}, expected {expected[n]}"
        for n in sorted(shared)
        if given[n] != expected[n]
    ]
    retyped = [
        f"{n} {weights.state[n].dtype}, expected {own[n].dtype}"
        for n in sorted(shared)
        if weights.state[n].is_complex()
        or weights.state[n].is_floating_point() != own[n].is_floating_point()
    ]
    problems = [
        f"{len(names)} {what} ({_listed(names)})"
        for what, names in (
            ("missing", sorted(expected.keys() - given.keys())),
            ("unexpected", sorted(given.keys() - expected.keys())),
            ("of another shape", reshaped),
            ("of another type", retyped),
        )
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{weights.path}: weights are for model {weights.config.model.name!r}, which is not "
            f"the configured architecture: {'; '.join(problems)}. Use the configuration they were "
            "trained with."
        )
    detector.load_state_dict(weights.state, strict=True)


def load_detector(name_or_path: str = DEFAULT_WEIGHTS) -> tuple[ClipDetector, Weights]:
    """Build the detector that a weights file describes, in eval mode on the CPU."""
    weights = load_weights(find_weights(name_or_path))
    try:
        detector = build_detector(weights.config.model)
    except ConfigError as error:
        raise CheckpointError(f"{weights.path}: {error}") from error
    load_state(detector, weights)
    return detector.eval(), weights


def git_commit() -> str:
    """Return the commit of the working tree that runs, with '+' where it is changed."""
    folder = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty=+"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip()


def _listed(names: list[str], limit: int = 6) -> str:
    more = f", ... {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
