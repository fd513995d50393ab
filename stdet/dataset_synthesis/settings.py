"""Settings of a whole generated data set, and the sequences that they name."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from stdet.datasets.generated import sequence_seed
from stdet.errors import ConfigError, shown
from stdet.files.settings_file import (
    check_settings,
    merge_settings,
    read_settings,
    settings_to_dict,
)
from stdet.synthesis import SceneConfig, plan_sequence

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

SplitName = Literal["train", "val", "test"]

MAX_SEQUENCES = 20_000
"""Sequences of a data set; a grid of ``axes`` multiplies quickly."""

_NAME = re.compile(r"[\w.+ -]{0,100}")

_HASH_STEPS_PER_PX = 16
"""Boxes are rounded to a sixteenth of a pixel before they are hashed: the last bits of a sum
differ between processors."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class GroupConfig:
    """Sequences of one kind."""

    split: SplitName = "train"
    """Split that they belong to."""
    name: str = "synthetic"
    """Beginning of their names."""
    num_sequences: int = Field(default=1, ge=1)
    """How many; with ``axes``, how many of each combination."""
    scene: dict[str, Any] = Field(default_factory=dict)
    """What differs from the data set's ``scene``, section by section."""
    axes: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    """A grid: for each axis the names of its values and what each changes in ``scene``. Every
    combination is generated; its name is the group's with those of the values, joined by `_`."""


@dataclass(config=_STRICT, frozen=True, kw_only=True)
class SynthConfig:
    """A generated data set."""

    seed: int | None = Field(default=None, ge=0)
    """Fixes every sequence; must be given."""
    output: Literal["png", "video"] = "png"
    """Frames as PNG in the COCO layout, or as lossless FFV1 videos."""
    scene: SceneConfig = SceneConfig()
    """Ranges from which every sequence is drawn."""
    groups: tuple[GroupConfig, ...] = (GroupConfig(num_sequences=10),)
    """What to generate."""
    truth_sha256: str | None = None
    """Expected hash of the truth of all sequences; generation stops where it differs."""


@plain_dataclass(frozen=True, kw_only=True)
class SequenceRecipe:
    """One sequence to generate.

    Attributes:
        split: Its split.
        name: Unique within the split.
        seed: Its own.
        scene: Ranges it is drawn from.
    """

    split: SplitName
    name: str
    seed: int
    scene: SceneConfig


def load_synth_config(path: Path, overrides: Sequence[str] = ()) -> SynthConfig:
    """Read a YAML file of a generated data set.

    Args:
        path: YAML file with differences from the defaults.
        overrides: Such as ``scene.num_frames=20``.

    Raises:
        ConfigError: If the file or any key or value is wrong, or the seed is missing.
    """
    config = read_settings(SynthConfig, path, overrides)
    if config.seed is None:
        raise ConfigError(
            f"{path}: seed is missing; add a line `seed: 0`, or pass --set seed=0. Without it the "
            "data set could not be made again."
        )
    list_recipes(config, where=str(path))
    return config


def list_recipes(config: SynthConfig, *, where: str = "groups") -> list[SequenceRecipe]:
    """List the sequences of a data set in order.

    Args:
        config: With a seed.
        where: Origin of the settings, for messages.

    Raises:
        ConfigError: If the settings of a group are wrong, or two sequences have one name.
    """
    assert config.seed is not None
    base = settings_to_dict(config.scene)
    num_sequences = sum(
        group.num_sequences * math.prod(len(values) for values in group.axes.values())
        for group in config.groups
    )
    if not 0 < num_sequences <= MAX_SEQUENCES:
        raise ConfigError(
            f"{where}: the groups have {num_sequences:,} sequences; expected 1 to "
            f"{MAX_SEQUENCES:,}."
        )
    recipes: list[SequenceRecipe] = []
    for number, group in enumerate(config.groups):
        options = [list(values.items()) for values in group.axes.values()]
        for combination in itertools.product(*options):
            changed = merge_settings(base, group.scene)
            for _, changes in combination:
                changed = merge_settings(changed, changes)
            scene = check_settings(SceneConfig, changed, where=f"{where}: groups[{number}].scene")
            stem = "_".join([*filter(None, [group.name]), *(name for name, _ in combination)])
            if not _NAME.fullmatch(stem):
                raise ConfigError(
                    f"{where}: groups[{number}] names sequences {shown(stem)}, which name folders"
                    "; use up to 100 letters, digits and _ . + -."
                )
            for copy in range(group.num_sequences):
                name = f"{stem}_{copy}"
                recipes.append(
                    SequenceRecipe(
                        split=group.split,
                        name=name,
                        seed=seed_of(config.seed, group.split, name),
                        scene=scene,
                    )
                )
    seen: set[tuple[str, str]] = set()
    for recipe in recipes:
        if (recipe.split, recipe.name) in seen:
            raise ConfigError(
                f"{where}: two sequences of {recipe.split!r} are named {recipe.name!r}; give the "
                "groups different names."
            )
        seen.add((recipe.split, recipe.name))
    return recipes


def truth_hash(recipes: Sequence[SequenceRecipe]) -> str:
    """Return the SHA-256 of the planned truth of sequences: names, frames, identities, boxes.

    It is taken before anything is drawn, with boxes rounded to 1/16 px and no regard to what hides
    targets, so that it is the same on every machine.
    """
    digest = hashlib.sha256()
    for recipe in recipes:
        truth = plan_sequence(recipe.scene, seed=recipe.seed, name=recipe.name).truth()
        digest.update(f"{recipe.split}/{recipe.name}:{truth.num_frames}\n".encode())
        boxes = np.rint(truth.boxes_xyxy.astype(np.float64) * _HASH_STEPS_PER_PX)
        for column in (truth.frame_indices, truth.track_ids, boxes.astype(np.int64).ravel()):
            digest.update(np.ascontiguousarray(column, "<i8").tobytes())
    return digest.hexdigest()


def seed_of(seed: int, split: str, name: str) -> int:
    """Return the seed of a sequence: by its name, so that one more sequence changes no other."""
    number = int.from_bytes(hashlib.sha256(f"{split}/{name}".encode()).digest()[:4], "little")
    return sequence_seed(seed, number)
