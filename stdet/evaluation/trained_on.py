"""What weights were trained on, which no score of new footage may hold."""

from __future__ import annotations

from collections.abc import Sequence

from stdet.config import DataConfig, SourceConfig
from stdet.datasets.sequences import LabelledSequence


def trained_sequences(
    trained: DataConfig, scored: Sequence[LabelledSequence], *, sources: Sequence[SourceConfig]
) -> tuple[str, ...]:
    """Return the names of scored sequences that weights were trained on.

    Args:
        trained: Data of the training, as the weights state it.
        scored: Sequences; those of a source lie in its folder.
        sources: Those that they come from. Label files of other names in the same folder are of
            other splits.
    """
    labels = {source.annotations for source in sources}
    same = [(trained.root / s.root, s) for s in trained.train if s.annotations in labels]
    return tuple(
        sequence.name
        for sequence in scored
        if not {sequence.name, sequence.group} & set(trained.validation_sequences)
        and any(_holds(folder.name, source, sequence) for folder, source in same)
    )


def _holds(folder: str, source: SourceConfig, sequence: LabelledSequence) -> bool:
    """Say whether a training source in a folder takes a sequence, by folder and name."""
    names = {sequence.name, sequence.group}
    is_there = source.format != "generated" and (
        not folder or any(folder in file.parts for file in sequence.files)
    )
    is_taken = not source.sequences or bool(names & set(source.sequences))
    return is_there and is_taken and not names & set(source.excluded_sequences)
