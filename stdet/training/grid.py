"""A grid of variants x seeds, read from YAML: the plan of `stdet ablate`.

base: ../daub.yaml            # configuration that all cells share, relative to this file
split: test                   # split that is scored: validation or test
seeds: [0, 1, 2]
variants:                     # name: what differs from the base; the first is compared with
  fpn: {model: {pyramid: {type: fpn}}}
  bp_fpn: {model: {pyramid: {type: bp_fpn}}}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from stdet.config import StdetConfig, load_config
from stdet.errors import ConfigError
from stdet.settings_file import read_yaml

GridSplit = Literal["validation", "test"]
_KEYS = {"base", "split", "seeds", "variants"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """One training of a grid.

    Attributes:
        variant: Name.
        seed: Of the training.
        config: Resolved.
        run_dir: Folder of the run.
    """

    variant: str
    seed: int
    config: StdetConfig
    run_dir: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """All trainings of an ablation.

    Attributes:
        split: What is scored.
        seeds: In the order of the file.
        variants: Configuration of each variant with the first seed, the base of comparisons first.
    """

    split: GridSplit
    seeds: tuple[int, ...]
    variants: Mapping[str, StdetConfig]
    _cells: Mapping[tuple[str, int], StdetConfig]

    def cells(self, run_dir: Path) -> Iterator[Cell]:
        """Yield the cells below a folder, seed by seed: an early stop leaves whole seeds."""
        for seed in self.seeds:
            for name in self.variants:
                yield Cell(
                    variant=name,
                    seed=seed,
                    config=self._cells[name, seed],
                    run_dir=run_dir / name / f"seed{seed}",
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
        raise ConfigError(f"{path}: split is {split!r}; expected validation or test.")
    is_list = isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds)
    if not is_list or len(set(seeds)) < len(seeds):
        raise ConfigError(f"{path}: seeds is {seeds!r}; expected different whole numbers.")
    variants = content.get("variants")
    if not isinstance(variants, dict) or not variants:
        raise ConfigError(f"{path}: has no variants; expected `variants: {{name: {{...}}, ...}}`.")
    if not isinstance(content.get("base"), str):
        raise ConfigError(f"{path}: has no base; expected `base: configuration.yaml`.")
    cells = {}
    for name, changes in variants.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(
                f"{path}: variant {name!r} names a folder; use letters, digits and _ . + -, "
                "in quotes if it reads as a number."
            )
        if not isinstance(changes, dict):
            raise ConfigError(
                f"{path}: variant {name} is {changes!r}; expected sections, or {{}}."
            )
        for seed in seeds:
            own = [*overrides, *_as_overrides(changes, ()), f"train.seed={seed}"]
            try:
                cells[name, seed] = load_config(path.parent / content["base"], own)
            except ConfigError as error:
                raise ConfigError(f"{path}: variant {name}: {error}") from error
    return Grid(
        split=cast(GridSplit, split),
        seeds=tuple(seeds),
        variants={name: cells[name, seeds[0]] for name in variants},
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
            f"{path}: unknown key {', '.join(unknown)}; expected {', '.join(sorted(_KEYS))}."
        )
    return content


def _as_overrides(changes: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield nested sections as ``a.b=value``."""
    if isinstance(changes, dict) and (changes or not path):
        for key, value in changes.items():
            yield from _as_overrides(value, (*path, str(key)))
        return
    text = yaml.safe_dump(changes, default_flow_style=True, width=10**6)
    yield f"{'.'.join(path)}={text.removesuffix(chr(10)).removesuffix('...').strip()}"
