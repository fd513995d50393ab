"""What weights were trained on, which no score of new footage may hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stdet.config import DataConfig, SourceConfig
from stdet.datasets.sequences import LabelledSequence
from stdet.errors import CheckpointError
from stdet.inference.checkpoint import load_weights
from stdet.inference.weights_files import find_weights


def trained_data(weights: Path) -> list[DataConfig]:
    """Return the data that weights were trained on, and what they started from before.

    Initial weights that are no longer where the training found them are left out.

    Raises:
        CheckpointError: If the weights cannot be read.
    """
    found: dict[Path, DataConfig] = {}
    while weights not in found:
        config = load_weights(weights).config
        found[weights] = config.data
        if config.train.initial_weights is None:
            break
        try:
            weights = find_weights(config.train.initial_weights)
        except CheckpointError:
            break
    return list(found.values())


def trained_sequences(
    trained: Sequence[DataConfig],
    scored: Sequence[LabelledSequence],
    *,
    sources: Sequence[SourceConfig],
) -> tuple[str, ...]:
    """Return the names of scored sequences that weights were trained on.

    Args:
        trained: Data of the training, as the weights state it, and of what it started from.
        scored: Sequences; those of a source lie in its folder.
        sources: Those that they come from. Label files of other names in the same folder are of
            other splits.
    """
    labels = {source.annotations for source in sources}
    return tuple(
        sequence.name
        for sequence in scored
        if any(
            _holds((data.root / source.root).name, source, sequence)
            for data in trained
            if not {sequence.name, sequence.group} & set(data.validation_sequences)
            for source in data.train
            if source.annotations in labels
        )
    )


def _holds(folder: str, source: SourceConfig, sequence: LabelledSequence) -> bool:
    """Say whether a training source in a folder takes a sequence, by folder and name."""
    names = {sequence.name, sequence.group}
    is_there = source.format != "generated" and (
        not folder or any(folder in file.parts for file in sequence.files)
    )
    is_taken = not source.sequences or bool(names & set(source.sequences))
    return is_there and is_taken and not names & set(source.excluded_sequences)
