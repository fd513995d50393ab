"""Sequences of the training, validation and test splits that a configuration describes.

A split is a list of sources: labels of one format below one folder, or generated scenes. Names of
``validation_sequences`` are taken out of the training sources where there is no validation source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from stdet.config import DataConfig, SourceConfig
from stdet.datasets.generated import generated_sequences
from stdet.datasets.sequences import (
    LabelledSequence,
    middle_of,
    open_sequences,
    stretch_of,
)
from stdet.errors import ConfigError, DataError
from stdet.files.regular_file import file_mode
from stdet.formats.image_labels import ReadOptions
from stdet.formats.read_labels import read_labels
from stdet.formats.video_boxes import video_stems

Split = Literal["train", "validation", "test"]

_MAX_LISTED = 30
"""Names shown in a message; a data set can have hundreds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSource:
    """Sequences to train on, from one source.

    Attributes:
        weight: Share of the windows of an epoch, relative to the other sources' weights.
        sequences: At least one.
    """

    weight: float
    sequences: tuple[LabelledSequence, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """What a run trains and validates on; no frame is in both.

    Attributes:
        sources: Those of ``data.train`` that hold anything, in order; at least one.
        validation: Empty where the configuration names none.
    """

    sources: tuple[TrainingSource, ...]
    validation: tuple[LabelledSequence, ...]

    @property
    def sequences(self) -> list[LabelledSequence]:
        """The sequences to train on, source after source."""
        return [sequence for source in self.sources for sequence in source.sequences]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Read:
    """The sequences of a source, not yet cut to ``max_frames``."""

    config: SourceConfig
    sequences: list[LabelledSequence]

    def cut(self) -> tuple[LabelledSequence, ...]:
        limit = self.config.max_frames
        if limit is None:
            return tuple(self.sequences)
        return tuple(middle_of(sequence, limit) for sequence in self.sequences)


def load_sequences(data: DataConfig, split: Split) -> list[LabelledSequence]:
    """Read the sequences of one split.

    Args:
        data: The data section of the configuration.
        split: Which sequences.

    Returns:
        At least one sequence.

    Raises:
        ConfigError: If the configuration puts a frame into both training and validation, or names
            validation sequences in two ways.
        DataError: If a file is unusable, a sequence name is unknown or the split is empty.
    """
    return [sequence for source in _find(data, split) for sequence in source.cut()]


def find_sequences(data: DataConfig, split: Split) -> list[LabelledSequence]:
    """Find the sequences of one split, not yet cut to ``max_frames``.

    No frame is read but those of sequences that ``frames`` of their source cuts.

    Raises:
        ConfigError: As ``load_sequences``.
        DataError: As ``load_sequences``.
    """
    return _all(_find(data, split))


def choose_sequences(
    sequences: Sequence[LabelledSequence], names: Sequence[str], *, field: str
) -> list[LabelledSequence]:
    """Return the sequences whose name or group is listed.

    Args:
        sequences: To choose from.
        names: Each of at least one of them.
        field: Where the names stand, for messages.

    Raises:
        DataError: If a name is of no sequence.
    """
    _require_known(_known_names(sequences), names, field)
    return [s for s in sequences if s.name in names or s.group in names]


def _find(data: DataConfig, split: Split) -> list[_Read]:
    """Find the sequences of one split, by source; at least one."""
    if split == "test":
        found = _read_split(data, "test")
    else:
        train, validation = _read_training(data)
        require_disjoint(_all(train), _all(validation))
        found = train if split == "train" else validation
        if split == "validation" and not _all(found):
            raise DataError(
                "The validation split is empty. Set data.validation, or set "
                f"data.validation_sequences to some of {_listing(_known_names(_all(train)))}."
            )
    if not _all(found):
        raise DataError(f"The {split} split is empty: data.{split} lists no source.")
    return found


def load_training(data: DataConfig) -> TrainingData:
    """Read the sequences to train and to validate on.

    Raises:
        ConfigError: As ``load_sequences``.
        DataError: If a file is unusable, a sequence name is unknown or there is none to train on.
    """
    train, validation = _read_training(data)
    if not train:
        raise DataError("The training split is empty: data.train lists no source.")
    training = TrainingData(
        sources=tuple(
            TrainingSource(weight=source.config.weight, sequences=source.cut())
            for source in train
            if source.sequences
        ),
        validation=tuple(sequence for source in validation for sequence in source.cut()),
    )
    require_disjoint(training.sequences, training.validation)
    return training


def require_disjoint(
    train: Sequence[LabelledSequence], validation: Sequence[LabelledSequence]
) -> None:
    """Check that no frame is used for both training and validation.

    Raises:
        ConfigError: Naming the first file that is.
    """
    owners = {file: sequence.name for sequence in train for file in sequence.files}
    for sequence in validation:
        for file in sequence.files:
            if file in owners:
                raise ConfigError(
                    f"{file}: is in training (sequence {owners[file]!r}) and in validation "
                    f"({sequence.name!r}). Leave it out of one of them: sequences and "
                    "excluded_sequences of the sources in data.train and data.validation."
                )


def _read_training(data: DataConfig) -> tuple[list[_Read], list[_Read]]:
    """Read the sources of training and of validation, those that are held out of training too."""
    train = _read_split(data, "train")
    if not data.validation_sequences:
        return train, _read_split(data, "validation")
    if data.validation:
        raise ConfigError(
            "data.validation and data.validation_sequences are both set; expected one. Remove one "
            "of them."
        )
    names = data.validation_sequences
    _require_known(_known_names(_all(train)), names, "data.validation_sequences")
    held_out = [_select(source, names, is_chosen=True) for source in train]
    train = [_select(source, names, is_chosen=False) for source in train]
    if not _all(train):
        raise DataError(
            "The training split is empty: data.validation_sequences takes every sequence of "
            "data.train. Take some out of it."
        )
    return train, held_out


def _read_split(data: DataConfig, split: Split) -> list[_Read]:
    """Read the sources of a split, each with the sequences that it chooses."""
    sources: tuple[SourceConfig, ...] = getattr(data, split)
    return [
        _read_source(data, source, where=f"data.{split}[{number}]")
        for number, source in enumerate(sources)
    ]


def _read_source(data: DataConfig, source: SourceConfig, *, where: str) -> _Read:
    """Read one source; ``where`` is its place in the configuration, for messages."""
    unread = _unread_videos(data, source)
    sequences = _open(data, source, frozenset(unread), where=where)
    known = [*_known_names(sequences), *unread]
    _require_known(known, source.sequences, f"{where}.sequences")
    _require_known(known, source.excluded_sequences, f"{where}.excluded_sequences")
    found = _Read(config=source, sequences=sequences)
    if source.sequences:
        found = _select(found, source.sequences, is_chosen=True)
    found = _select(found, source.excluded_sequences, is_chosen=False)
    if source.frames:
        _require_known(known, tuple(source.frames), f"{where}.frames")
        found = _Read(config=source, sequences=[_cut(s, source, where) for s in found.sequences])
    if not found.sequences:
        raise DataError(f"{where}: excluded_sequences leaves no sequence. Take some out of it.")
    return found


def _cut(sequence: LabelledSequence, source: SourceConfig, where: str) -> LabelledSequence:
    """Cut a sequence to the frames that its source states of it, if any."""
    stated = source.frames.get(sequence.name)
    if stated is None:
        return sequence
    first, last = stated
    if last >= len(sequence):
        raise DataError(
            f"{where}.frames of {sequence.name} end with {last}, and it has {len(sequence)} "
            f"frames; expected at most {len(sequence) - 1}."
        )
    return stretch_of(sequence, first, last + 1)


def _unread_videos(data: DataConfig, source: SourceConfig) -> list[str]:
    """Return which videos are not taken: neither they nor their labels need be readable."""
    path = _annotations(data, source)
    if source.format != "videos" or file_mode(path) is None:
        return []
    if not source.sequences and not source.excluded_sequences:
        return []
    return [
        stem
        for stem in video_stems(path)
        if stem in source.excluded_sequences or (source.sequences and stem not in source.sequences)
    ]


def _annotations(data: DataConfig, source: SourceConfig) -> Path:
    """Return the label file or folder of a source."""
    return data.root.expanduser() / source.root.expanduser() / (source.annotations or "")


def _open(
    data: DataConfig, source: SourceConfig, unread: frozenset[str], *, where: str
) -> list[LabelledSequence]:
    """Open all sequences of a source, without the videos that are not read."""
    if source.format == "generated":
        assert source.num_sequences is not None
        return generated_sequences(
            source.num_sequences, seed=source.seed, hot_spots_max=source.hot_spots_max
        )
    root = data.root.expanduser() / source.root.expanduser()
    path = _annotations(data, source)
    if file_mode(path) is None:
        raise DataError(
            f"{path}: does not exist. Set data.root (now {str(data.root)!r}), or root and "
            f"annotations of {where} (now {str(source.root)!r} and {str(source.annotations)!r}, "
            "relative to it)."
        )
    labels = read_labels(
        source.format,
        path,
        root,
        ReadOptions(
            bad_boxes="drop" if data.drop_invalid_boxes else "refuse",
            max_megapixels=data.max_megapixels,
            skipped_videos=unread,
        ),
    )
    sequences = open_sequences(
        labels,
        pattern=source.sequence_pattern or data.sequence_pattern,
        boxes=source.boxes,
        max_megapixels=data.max_megapixels,
    )
    if not sequences and not unread:
        raise DataError(
            f"{path}: holds no sequence in the {source.format!r} format. Set annotations or "
            f"format of {where}."
        )
    return sequences


def _all(sources: list[_Read]) -> list[LabelledSequence]:
    """Return the sequences of some sources."""
    return [sequence for source in sources for sequence in source.sequences]


def _select(source: _Read, names: Sequence[str], *, is_chosen: bool) -> _Read:
    """Keep the sequences whose name or group is listed, or else those where neither is."""
    kept = [
        sequence
        for sequence in source.sequences
        if (sequence.name in names or sequence.group in names) == is_chosen
    ]
    return _Read(config=source.config, sequences=kept)


def _require_known(known: Sequence[str], names: Sequence[str], field: str) -> None:
    """Refuse a name that is not known."""
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(
                f"{field} names {name!r}, which is not in the annotations: {hint}available are "
                f"{_listing(known)}."
            )


def _known_names(sequences: Sequence[LabelledSequence]) -> list[str]:
    """Return the groups and names that a configuration may list, each once, in order."""
    return list(dict.fromkeys(name for seq in sequences for name in (seq.group, seq.name)))


def _listing(names: Sequence[str]) -> str:
    """Join names, but not hundreds of them."""
    shown = ", ".join(names[:_MAX_LISTED])
    return shown if len(names) <= _MAX_LISTED else f"{shown} and {len(names) - _MAX_LISTED} more"
