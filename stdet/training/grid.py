"""A grid of variants x seeds (x folds), read from YAML: the plan of `stdet ablate`.

base: ../daub.yaml            # configuration that all cells share, relative to this file
split: test                   # split that is scored: validation or test; not with folds
seeds: [0, 1, 2]
variants:                     # name: what differs from the base; the first is compared with
  fpn: {model: {pyramid: {type: fpn}}}
  bp_fpn: {model: {pyramid: {type: bp_fpn}}}
folds:                        # optional: each cell once per fold, scored on what it leaves out
  data5: {daub: [data5], sky: [easy1]}
  data6: {daub: [data6], sky: [easy2]}
evaluation:                   # optional, with folds: rules that differ for a source
  sky: {pd_radius_px: 6}
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from stdet.config import EvaluationConfig, SourceConfig, StdetConfig, load_config
from stdet.errors import ConfigError, shown
from stdet.files.settings_file import Layer
from stdet.files.yaml_file import read_yaml
from stdet.training.folds import Fold, leave_out, parse_fold, source_name

GridSplit = Literal["validation", "test"]
_KEYS = {"base", "split", "seeds", "variants", "folds", "evaluation"}
MAX_CELLS = 1000
"""Trainings of a grid; a list too many multiplies quickly."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """One training of a grid.

    Attributes:
        variant: Name.
        seed: Of the training.
        fold: None in a grid without folds.
        config: Resolved; without what the fold leaves out, which is its test split.
        run_dir: Folder of the run.
    """

    variant: str
    seed: int
    fold: Fold | None
    config: StdetConfig
    run_dir: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """All trainings of an ablation.

    Attributes:
        split: What is scored; test where there are folds.
        seeds: In the order of the file.
        variants: Configuration of each variant with the first seed and no fold, the base of
            comparisons first.
        folds: At least two, or none.
        rules: By source, where they are not those of the configuration.
    """

    split: GridSplit
    seeds: tuple[int, ...]
    variants: Mapping[str, StdetConfig]
    folds: tuple[Fold, ...]
    rules: Mapping[str, EvaluationConfig]
    _cells: Mapping[tuple[str, int], StdetConfig]

    def rules_of(self, source: SourceConfig, config: StdetConfig) -> EvaluationConfig:
        """Return the rules by which a source of a cell is scored."""
        return self.rules.get(source_name(source), config.evaluation)

    def cells(self, run_dir: Path) -> Iterator[Cell]:
        """Yield the cells below a folder, seed by seed: an early stop leaves whole seeds."""
        for seed in self.seeds:
            for name in self.variants:
                config = self._cells[name, seed]
                folder = run_dir / name / f"seed{seed}"
                for fold in self.folds or (None,):
                    yield Cell(
                        variant=name,
                        seed=seed,
                        fold=fold,
                        config=leave_out(config, fold) if fold else config,
                        run_dir=folder / fold.name if fold else folder,
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
    split, seeds = content.get("split", "test"), _seeds(path, content)
    if split not in ("validation", "test"):
        raise ConfigError(f"{path}: split is {shown(split)}; expected validation or test.")
    variants = _sections(path, content, "variants")
    folds = _folds(path, content)
    rules = _rules(path, content, folds)
    if not isinstance(content.get("base"), str):
        raise ConfigError(f"{path}: has no base; expected `base: configuration.yaml`.")
    num_cells = len(variants) * len(seeds) * max(len(folds), 1)
    if num_cells > MAX_CELLS:
        raise ConfigError(f"{path}: has {num_cells:,} trainings; expected at most {MAX_CELLS:,}.")

    def resolve(values: dict[str, dict[str, Any]]) -> StdetConfig:
        layers = [Layer(where=where, values=changes) for where, changes in values.items()]
        return load_config(path.parent / content["base"], overrides, changes=layers)

    try:
        cells = {
            (name, seed): resolve({f"variant {name}": changes, "seeds": {"train": {"seed": seed}}})
            for name, changes in variants.items()
            for seed in seeds
        }
        for config, fold in itertools.product(cells.values(), folds):
            leave_out(config, fold)
        return Grid(
            split=cast(GridSplit, split),
            seeds=seeds,
            variants={name: cells[name, seeds[0]] for name in variants},
            folds=folds,
            rules={
                source: resolve({f"evaluation of {source}": {"evaluation": values}}).evaluation
                for source, values in rules.items()
            },
            _cells=cells,
        )
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _seeds(path: Path, content: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the seeds of the file."""
    seeds = content.get("seeds", [0])
    is_list = isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds)
    if not is_list or len(set(seeds)) < len(seeds):
        raise ConfigError(f"{path}: seeds is {shown(seeds)}; expected different whole numbers.")
    return tuple(seeds)


def _folds(path: Path, content: Mapping[str, Any]) -> tuple[Fold, ...]:
    """Return the folds of the file, if it has any."""
    if "folds" not in content:
        return ()
    if "split" in content:
        raise ConfigError(
            f"{path}: has split and folds, which score what they leave out; remove split."
        )
    sections = _named(path, content, "folds")
    if len(sections) < 2:
        raise ConfigError(
            f"{path}: has one fold; expected at least two, since each is scored at an operating "
            "point that the others choose."
        )
    return tuple(parse_fold(path, name, fold) for name, fold in sections.items())


def _rules(
    path: Path, content: Mapping[str, Any], folds: Sequence[Fold]
) -> Mapping[str, dict[str, Any]]:
    """Return the rules that differ for a source."""
    rules = content.get("evaluation", {})
    if not isinstance(rules, dict) or not all(isinstance(v, dict) for v in rules.values()):
        raise ConfigError(
            f"{path}: evaluation is {shown(rules)}; expected `evaluation: {{source: {{...}}}}`."
        )
    known = sorted({source for fold in folds for source in fold.scored if source})
    unknown = [source for source in rules if source not in known]
    if unknown:
        raise ConfigError(
            f"{path}: evaluation names source {shown(unknown[0])}, of which no fold leaves "
            f"anything out; expected one of {', '.join(known) or 'none, without folds'}."
        )
    return rules


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
    sections = _named(path, content, key)
    for name, changes in sections.items():
        if not isinstance(changes, dict):
            raise ConfigError(
                f"{path}: {key.removesuffix('s')} {name} is {shown(changes)}; expected sections, "
                "or {}."
            )
    return sections


def _named(path: Path, content: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return what stands under ``key``, by names that folders can have."""
    sections = content.get(key)
    if not isinstance(sections, dict) or not sections:
        raise ConfigError(f"{path}: has no {key}; expected `{key}: {{name: {{...}}, ...}}`.")
    for name in sections:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(
                f"{path}: {key.removesuffix('s')} {shown(name)} names a folder; use up to 100 "
                "letters, digits and _ . + -, in quotes if it reads as a number."
            )
    return sections
