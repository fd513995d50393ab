"""What splits must hold before time is spent on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stdet.config import StdetConfig
from stdet.datasets.sequences import LabelledSequence
from stdet.errors import ConfigError, DataError

_MAX_LISTED = 5
"""Sequences that a message names."""


def check_splits(
    config: StdetConfig, train: Sequence[LabelledSequence], validation: Sequence[LabelledSequence]
) -> None:
    """Check that there is something to learn, and something to choose a checkpoint on.

    Args:
        config: Of the run.
        train: Sequences of all sources.
        validation: May be empty: then nothing is chosen.

    Raises:
        ConfigError: If a label has a class that the model does not have.
        DataError: If there are no targets to learn from or to validate on.
    """
    for sequence in (*train, *validation):
        _check_classes(sequence, config.model.head.num_classes)
    if not count_targets(train) and not config.train.augment.inject_targets_max:
        raise DataError(
            f"The training split ({_names(train)}) holds no targets, so that there is nothing to "
            "learn. Check the annotations of data.train, add a source of format generated to it, "
            "or let targets be drawn with train.augment.inject_targets_max."
        )
    if validation:
        require_targets(validation, "validation")


def require_targets(sequences: Sequence[LabelledSequence], split: str) -> None:
    """Refuse a split on which every score would be undefined.

    Raises:
        DataError: If it holds no targets.
    """
    if not count_targets(sequences):
        advice = "; or choose other sequences for validation" if split == "validation" else ""
        raise DataError(
            f"The {split} split ({_names(sequences)}) holds no targets, so that neither a "
            f"checkpoint nor an operating point could be chosen on it, nor a score given. Label "
            f"its targets{advice}."
        )


def count_targets(sequences: Sequence[LabelledSequence]) -> int:
    """Count the boxes that are not ignored."""
    return sum(int(np.sum(~sequence.annotation.is_ignored)) for sequence in sequences)


def _check_classes(sequence: LabelledSequence, num_classes: int) -> None:
    """Refuse labels of a class that the model cannot say."""
    used = sequence.annotation.class_ids[~sequence.annotation.is_ignored]
    if len(used) and int(used.max()) >= num_classes:
        raise ConfigError(
            f"{sequence.name}: the labels use class {int(used.max())} (counted from 0), but the "
            f"model has {num_classes}; set model.head.num_classes={int(used.max()) + 1}, or take "
            "the category out of the labels."
        )


def _names(sequences: Sequence[LabelledSequence]) -> str:
    names = [sequence.name for sequence in sequences[:_MAX_LISTED]]
    return ", ".join(names) + (", ..." if len(sequences) > _MAX_LISTED else "")
