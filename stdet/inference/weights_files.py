"""Which file a name of weights means, and what the settings in one say; PyTorch is not needed."""

from __future__ import annotations

import logging
from importlib import resources
from pathlib import Path
from typing import Any

from stdet.config import StdetConfig, config_from_dict
from stdet.config.old_keys import convert_old_data
from stdet.errors import CheckpointError, ConfigError
from stdet.files.regular_file import file_mode

log = logging.getLogger(__name__)

DEFAULT_WEIGHTS = "stdet_n"
"""Shipped weights that are used where none are named."""

DEFAULT_CONFIDENCE = 0.5
"""Operating point of weights that were never validated."""


def weights_folder() -> Path:
    """Return the folder of the package that holds the shipped weights."""
    return Path(str(resources.files("stdet"))) / "weights"


def shipped_weights() -> dict[str, Path]:
    """Return the weights inside the package, by name."""
    return {path.stem: path for path in sorted(weights_folder().glob("*.safetensors"))}


def find_weights(name_or_path: str) -> Path:
    """Return the file for a shipped name or a path.

    Raises:
        CheckpointError: If neither exists; the shipped names are listed.
    """
    shipped = shipped_weights()
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if file_mode(path, kind=CheckpointError) is None:
        names = ", ".join(shipped) or "none"
        raise CheckpointError(
            f"{name_or_path}: no such weights file, and no weights of that name ship with stdet "
            f"(shipped: {names})."
        )
    return path


def config_of_weights(settings: dict[str, Any], path: Path) -> StdetConfig:
    """Check the settings that weights carry.

    Of the tracker, weights know the scores that their operating point is of: track-before-detect
    scores, or of versions without them those of single frames. The rest is no part of a network.

    Args:
        settings: Sections by name, perhaps of an earlier version; left as they are.
        path: Where they were read.

    Raises:
        CheckpointError: Listing every unknown key and wrong value.
    """
    settings = dict(settings)
    if isinstance(settings.get("data"), dict):
        settings["data"] = convert_old_data(settings["data"])
    tracker = settings.setdefault("tracker", {})
    if isinstance(tracker, dict):
        settings["tracker"] = {"lookahead": tracker.get("lookahead")}
    try:
        return config_from_dict(settings, where=f"{path}: settings")
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def operating_point(config: StdetConfig, path: Path) -> float:
    """Return the score threshold that validation chose for weights.

    A warning says where it lets nothing or everything pass.

    Args:
        config: That they carry.
        path: Where they were read.
    """
    confidence = config.postprocess.confidence
    if confidence is None:
        return DEFAULT_CONFIDENCE
    if confidence in (0, 1):
        log.warning(
            "%s: the stored operating point is %g, which lets %s pass; set another "
            "(--confidence, postprocess.confidence).",
            path,
            confidence,
            "everything" if confidence == 0 else "next to nothing",
        )
    return confidence
