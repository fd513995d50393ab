"""What weights were trained on, which no score of new footage may hold."""

from __future__ import annotations

from collections.abc import Sequence

from stdet.config import DataConfig, SourceConfig
from stdet.datasets.sequences import LabelledSequence


def trained_sequences(trained: DataConfig, scored: Sequence[LabelledSequence]) -> tuple[str, ...]:
    """Return the names of scored sequences that weights were trained on.

    Args:
        trained: Data of the training, as the weights state it.
        scored: Sequences; those of a source lie in its folder.
    """
    return tuple(
        sequence.name
        for sequence in scored
        if not {sequence.name, sequence.group} & set(trained.validation_sequences)
        and any(_holds(source, sequence) for source in trained.train)
    )


def _holds(source: SourceConfig, sequence: LabelledSequence) -> bool:
    """Say whether a training source takes a sequence, by folder and name."""
    names = {sequence.name, sequence.group}
    folder = source.root.name
    is_there = source.format != "generated" and (
        not folder or any(folder in file.parts for file in sequence.files)
    )
    is_taken = not source.sequences or bool(names & set(source.sequences))
    return is_there and is_taken and not names & set(source.excluded_sequences)
