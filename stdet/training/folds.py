"""Folds: which sequences of the training sources a training leaves out, to be scored on them.

folds:
  data5: {daub: [data5], sky: [easy1]}   # source, by its folder: sequences or their groups
  data6: {daub: [data6], sky: ["*"]}     # "*": all of the source
  data7: {daub: [data7], unscored: {sky: [easy1]}}

A fold of a grid with one training source may be the list alone: `data5: [data5]`. What is listed
under ``unscored`` is left out of training too, and not scored: another fold scores it. A source
that ``data.test`` alone lists is in no training, and a fold may score it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stdet.config import DataConfig, SourceConfig, StdetConfig
from stdet.datasets.sequences import LabelledSequence
from stdet.datasets.splits import choose_sequences, find_sequences
from stdet.errors import ConfigError, shown

WHOLE_SOURCE = "*"
"""Stands for all sequences of a source."""
_UNSCORED = "unscored"
_ONLY_SOURCE = ""
"""Key of a fold that is written as a list."""

Names = Mapping[str, tuple[str, ...]]
"""Sequences by source."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """What one training leaves out.

    Attributes:
        name: Of the fold, and of its run folder.
        scored: Sequences or groups by source.
        unscored: Likewise; left out of training alone.
    """

    name: str
    scored: Names
    unscored: Names


def source_name(source: SourceConfig) -> str:
    """Return what folds and tables call a source: its folder."""
    return source.root.name or "data"


def parse_fold(path: Path, name: str, content: Any) -> Fold:
    """Check what a grid says of a fold.

    Args:
        path: The grid, for messages.
        name: Of the fold.
        content: List of sequences, or such lists by source.

    Raises:
        ConfigError: If it is neither.
    """
    where = f"{path}: fold {name}"
    if isinstance(content, list):
        return Fold(name=name, scored=_names(where, {_ONLY_SOURCE: content}), unscored={})
    if not isinstance(content, dict):
        raise ConfigError(f"{where} is {shown(content)}; expected sequences by source.")
    scored = _names(where, {key: value for key, value in content.items() if key != _UNSCORED})
    unscored = content.get(_UNSCORED, {})
    if not isinstance(unscored, dict):
        raise ConfigError(f"{where}: unscored is {shown(unscored)}; expected sequences by source.")
    if not scored:
        raise ConfigError(f"{where} leaves out nothing that is scored; name sequences by source.")
    return Fold(name=name, scored=scored, unscored=_names(where, unscored))


def _names(where: str, content: Mapping[Any, Any]) -> Names:
    """Check lists of sequences by source."""
    for source, names in content.items():
        is_list = isinstance(names, list) and names and all(isinstance(n, str) for n in names)
        if not isinstance(source, str) or not is_list or len(set(names)) < len(names):
            raise ConfigError(
                f"{where}: {shown(source)} has {shown(names)}; expected a list of different "
                "sequences, in quotes where they read as numbers."
            )
        if WHOLE_SOURCE in names and len(names) > 1:
            raise ConfigError(f"{where}: {source} has '*' and names; '*' is all of the source.")
    return {source: tuple(names) for source, names in content.items()}


def leave_out(config: StdetConfig, fold: Fold) -> StdetConfig:
    """Take what a fold leaves out from the training sources, and make it the test split.

    What the training sources exclude (``excluded_sequences``) is scored where the fold names it.

    Raises:
        ConfigError: If the fold names no source, or leaves nothing to train on.
    """
    data = config.data
    scored, unscored = (_by_place(names, data, fold) for names in (fold.scored, fold.unscored))
    train, test = [], []
    for place, source in enumerate(_known_sources(data)):
        taken = (*scored.get(place, ()), *unscored.get(place, ()))
        if place < len(data.train) and WHOLE_SOURCE not in taken:
            excluded = dict.fromkeys((*source.excluded_sequences, *taken))
            train.append(replace(source, excluded_sequences=tuple(excluded)))
        if place in scored:
            names = source.sequences if WHOLE_SOURCE in scored[place] else scored[place]
            unneeded = _unneeded(source, scored[place])
            test.append(replace(source, sequences=names, excluded_sequences=unneeded))
    if not train:
        raise ConfigError(f"fold {fold.name} leaves nothing of data.train to train on.")
    return replace(config, data=replace(data, train=tuple(train), test=tuple(test)))


def _known_sources(data: DataConfig) -> tuple[SourceConfig, ...]:
    """Return the training sources, then those of other folders that ``data.test`` lists."""
    trained = {source_name(source) for source in data.train}
    return (*data.train, *(s for s in data.test if source_name(s) not in trained))


def _by_place(names: Names, data: DataConfig, fold: Fold) -> dict[int, tuple[str, ...]]:
    """Return sequences by the place of their source among the known ones."""
    found = {}
    sources = [source_name(source) for source in _known_sources(data)]
    for name, sequences in names.items():
        if name == _ONLY_SOURCE and len(data.train) > 1:
            raise ConfigError(
                f"fold {fold.name} is a list, but data.train has {len(data.train)} sources; "
                f"expected lists by source: {', '.join(sources[: len(data.train)])}."
            )
        places = [0] if name == _ONLY_SOURCE else [p for p, k in enumerate(sources) if k == name]
        if len(places) != 1:
            raise ConfigError(
                f"fold {fold.name} names source {shown(name)}, which is the folder of "
                f"{len(places)} sources of data.train and data.test ({', '.join(sources)}); "
                "expected one."
            )
        found[places[0]] = sequences
    return found


def check_folds(data: DataConfig, folds: Sequence[Fold]) -> dict[str, list[LabelledSequence]]:
    """Check that all that folds name is there, and that nothing is scored twice.

    Args:
        data: Without what any fold leaves out.
        folds: All of them.

    Returns:
        What is scored, by source.

    Raises:
        ConfigError: If two folds score one sequence, or one lists all of a source.
        DataError: If a fold names an unknown sequence, or a source cannot be used.
    """
    scored: dict[str, list[LabelledSequence]] = {}
    for place, source in enumerate(_known_sources(data)):
        needed = [
            name
            for fold in folds
            for names in (fold.scored, fold.unscored)
            for name in _by_place(names, data, fold).get(place, ())
        ]
        if place >= len(data.train) and not needed:
            continue
        unneeded = _unneeded(source, needed)
        whole = replace(source, sequences=(), excluded_sequences=unneeded)
        known = find_sequences(replace(data, test=(whole,)), "test")
        found = scored.setdefault(source_name(source), [])
        owners: dict[str, str] = {}
        for fold in folds:
            names = _by_place(fold.scored, data, fold).get(place, ())
            unscored = _by_place(fold.unscored, data, fold).get(place, ())
            chosen = _choose(known, source, names, fold)
            taken = {s.name for s in (*chosen, *_choose(known, source, unscored, fold))}
            is_all = len(taken) == len(known) and not unneeded
            if is_all and WHOLE_SOURCE not in (*names, *unscored):
                raise ConfigError(
                    f"fold {fold.name} names all sequences of {source_name(source)}; write ['*']."
                )
            for sequence in chosen:
                owner = owners.setdefault(sequence.name, fold.name)
                if owner != fold.name:
                    raise ConfigError(
                        f"folds {owner} and {fold.name} both score {sequence.name} of "
                        f"{source_name(source)}, which would count twice where folds are pooled; "
                        "take it out of one of them, or put it under unscored there."
                    )
            found += chosen
    return scored


def _unneeded(source: SourceConfig, names: Sequence[str]) -> tuple[str, ...]:
    """Return what a source excludes and no fold names: it need not be readable."""
    if WHOLE_SOURCE in names:
        return ()
    return tuple(name for name in source.excluded_sequences if name not in names)


def _choose(
    known: Sequence[LabelledSequence], source: SourceConfig, names: tuple[str, ...], fold: Fold
) -> list[LabelledSequence]:
    """Return the sequences of a source that a fold names."""
    if WHOLE_SOURCE in names:
        names = source.sequences or tuple(sequence.name for sequence in known)
    return choose_sequences(known, names, field=f"fold {fold.name}: {source_name(source)}")
