"""A grid of variants x seeds (x folds), read from YAML: the plan of `stdet ablate`.

base: ../daub.yaml            # configuration that all cells share, relative to this file
split: test                   # split that is scored: validation or test
seeds: [0, 1, 2]
variants:                     # name: what differs from the base; the first is compared with
  fpn: {model: {pyramid: {type: fpn}}}
  bp_fpn: {model: {pyramid: {type: bp_fpn}}}
folds:                        # optional: every cell is trained once per fold, scores are means
  data5: {data: {validation_sequences: [data5]}}
  data6: {data: {validation_sequences: [data6]}}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from stdet.config import StdetConfig, load_config
from stdet.errors import ConfigError, shown
from stdet.files.settings_file import Layer
from stdet.files.yaml_file import read_yaml

GridSplit = Literal["validation", "test"]
_KEYS = {"base", "split", "seeds", "variants", "folds"}
MAX_CELLS = 1000
"""Trainings of a grid; a list too many multiplies quickly."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """One training of a grid.

    Attributes:
        variant: Name.
        seed: Of the training.
        fold: Name; empty in a grid without folds.
        config: Resolved.
        run_dir: Folder of the run.
    """

    variant: str
    seed: int
    fold: str
    config: StdetConfig
    run_dir: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """All trainings of an ablation.

    Attributes:
        split: What is scored.
        seeds: In the order of the file.
        variants: Configuration of each variant with the first seed and fold, the base of
            comparisons first.
        folds: Names; a single empty one where there are none.
    """

    split: GridSplit
    seeds: tuple[int, ...]
    variants: Mapping[str, StdetConfig]
    folds: tuple[str, ...]
    _cells: Mapping[tuple[str, int, str], StdetConfig]

    def cells(self, run_dir: Path) -> Iterator[Cell]:
        """Yield the cells below a folder, seed by seed: an early stop leaves whole seeds."""
        for seed in self.seeds:
            for name in self.variants:
                for fold in self.folds:
                    yield Cell(
                        variant=name,
                        seed=seed,
                        fold=fold,
                        config=self._cells[name, seed, fold],
                        run_dir=run_dir / name / f"seed{seed}" / fold,
                    )


def read_grid(path: Path, overrides: Sequence[str] = ()) -> Grid:
    """Read a grid and resolve every cell.

    Args:
        path: YAML file; see the module.
        overrides: ``key=value`` laid over the base, under what the variants say.

    Raises:
        ConfigError: If anything in the file or in any cell is wrong.
    """
    content = _read(path)
    split, seeds = content.get("split", "test"), content.get("seeds", [0])
    if split not in ("validation", "test"):
        raise ConfigError(f"{path}: split is {shown(split)}; expected validation or test.")
    is_list = isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds)
    if not is_list or len(set(seeds)) < len(seeds):
        raise ConfigError(f"{path}: seeds is {shown(seeds)}; expected different whole numbers.")
    variants = _sections(path, content, "variants")
    folds = _sections(path, content, "folds") if "folds" in content else {"": {}}
    if not isinstance(content.get("base"), str):
        raise ConfigError(f"{path}: has no base; expected `base: configuration.yaml`.")
    num_cells = len(variants) * len(seeds) * len(folds)
    if num_cells > MAX_CELLS:
        raise ConfigError(f"{path}: has {num_cells:,} trainings; expected at most {MAX_CELLS:,}.")
    cells = {}
    for name, changes in variants.items():
        for seed in seeds:
            for fold, held_out in folds.items():
                layers = (
                    Layer(where=f"fold {fold}", values=held_out),
                    Layer(where=f"variant {name}", values=changes),
                    Layer(where="seeds", values={"train": {"seed": seed}}),
                )
                base = path.parent / content["base"]
                try:
                    cells[name, seed, fold] = load_config(base, overrides, changes=layers)
                except ConfigError as error:
                    raise ConfigError(f"{path}: {error}") from error
    return Grid(
        split=cast(GridSplit, split),
        seeds=tuple(seeds),
        variants={name: cells[name, seeds[0], next(iter(folds))] for name in variants},
        folds=tuple(folds),
        _cells=cells,
    )


def _read(path: Path) -> dict[str, Any]:
    """Read the file's sections."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: holds a {type(content).__name__}; expected a grid of variants."
        )
    unknown = sorted(map(str, content.keys() - _KEYS))
    if unknown:
        raise ConfigError(
            f"{path}: unknown key {', '.join(unknown[:5])}; expected {', '.join(sorted(_KEYS))}."
        )
    return content


def _sections(path: Path, content: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the named sections under ``key``."""
    sections = content.get(key)
    if not isinstance(sections, dict) or not sections:
        raise ConfigError(f"{path}: has no {key}; expected `{key}: {{name: {{...}}, ...}}`.")
    kind = key.removesuffix("s")
    for name, changes in sections.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(
                f"{path}: {kind} {shown(name)} names a folder; use up to 100 letters, digits "
                "and _ . + -, in quotes if it reads as a number."
            )
        if not isinstance(changes, dict):
            raise ConfigError(
                f"{path}: {kind} {name} is {shown(changes)}; expected sections, or {{}}."
            )
    return sections
