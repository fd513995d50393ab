"""Weights files: safetensors, for anybody.

A weights file holds the detector's state and, as text, a format number, the whole configuration,
metrics, seed and commit. It runs no code when it is loaded.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from stdet.config import StdetConfig, config_from_dict, config_to_dict
from stdet.data.part_file import write_whole
from stdet.errors import CheckpointError
from stdet.models.build import build_detector
from stdet.models.detector import ClipDetector

FORMAT = "1"

DEFAULT_WEIGHTS = "stdet_n"
"""Shipped weights that are used where none are named."""

DEFAULT_CONFIDENCE = 0.5
"""Operating point of weights that were never validated."""


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


def shipped_weights() -> dict[str, Path]:
    """Return the weights inside the package, by name."""
    folder = Path(str(resources.files("stdet"))) / "weights"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def find_weights(name_or_path: str) -> Path:
    """Return the file for a shipped name or a path.

    Raises:
        CheckpointError: If neither exists; the shipped names are listed.
    """
    shipped = shipped_weights()
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(shipped) or "none"
        raise CheckpointError(
            f"{name_or_path}: no such weights file, and no weights of that name ship with stdet "
            f"(shipped: {names})."
        )
    return path


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
        CheckpointError: If it is no safetensors file or was not written by stdet.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}); expected weights written by "
            "`stdet train`."
        ) from error
    if metadata.get("stdet_format") != FORMAT:
        raise CheckpointError(
            f"{path}: weights format is {metadata.get('stdet_format')!r}, expected {FORMAT!r}; "
            "use weights written by this version of `stdet train`."
        )
    settings = json.loads(metadata["config"])
    # Weights from before there were scores of paths have an operating point of single frames.
    settings.get("tracker", {}).setdefault("lookahead", None)
    return Weights(
        state=state,
        config=config_from_dict(settings, where=str(path)),
        info=json.loads(metadata["info"]),
        path=path,
    )


def load_state(detector: ClipDetector, weights: Weights) -> None:
    """Put weights into a detector.

    Raises:
        CheckpointError: If names or shapes differ; missing, unexpected and reshaped ones are
            listed.
    """
    expected = {name: tuple(value.shape) for name, value in detector.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in weights.state.items()}
    shared = expected.keys() & given.keys()
    reshaped = [
        f"{n} {given[n]}, expected {expected[n]}"
        for n in sorted(shared)
        if given[n] != expected[n]
    ]
    problems = [
        f"{len(names)} {what} ({_listed(names)})"
        for what, names in (
            ("missing", sorted(expected.keys() - given.keys())),
            ("unexpected", sorted(given.keys() - expected.keys())),
            ("of another shape", reshaped),
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


def load_detector(name_or_path: str = "stdet_n") -> tuple[ClipDetector, Weights]:
    """Build the detector that a weights file describes, in eval mode on the CPU."""
    weights = load_weights(find_weights(name_or_path))
    detector = build_detector(weights.config.model)
    load_state(detector, weights)
    return detector.eval(), weights


def operating_point(weights: Weights) -> float:
    """Return the score threshold that validation chose for these weights."""
    confidence = weights.config.postprocess.confidence
    return DEFAULT_CONFIDENCE if confidence is None else confidence


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
