"""What marks a generated data set, so that no score on it passes for one on footage."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

SUMMARY_NAME = "synth.json"
"""File in the folder of a generated data set."""


def are_generated(images: Iterable[Path]) -> bool:
    """Say whether one of the images lies in a generated data set."""
    folders = {folder for image in images for folder in image.absolute().parents}
    return any((folder / SUMMARY_NAME).is_file() for folder in folders)
