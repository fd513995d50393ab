"""A folder of frames or a video with its truth becomes a ``Sequence``, frames on demand.

A sequence is contiguous by construction, so that no clip can span a gap: an image folder whose
numbering has a hole, or whose label file leaves frames out, gives several sequences. How folders
are cut and named is said in ``image_runs.py``; a video is one sequence named by its file stem.
"""

from __future__ import annotations

from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import numpy as np

from stdet.config import BoxKind, DataConfig, SourceConfig
from stdet.errors import ConfigError, DataError
from stdet.files.regular_file import file_mode
from stdet.formats.centroid_list import read_centroid_list
from stdet.formats.coco_video import read_coco
from stdet.formats.image_labels import ImageLabels
from stdet.formats.image_runs import cut_into_runs
from stdet.formats.mot_folder import find_mot_folders, read_mot_folder
from stdet.formats.text_list import read_text_list
from stdet.formats.video_boxes import read_video_boxes
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import FrameSource, RawImage
from stdet.io.images.folder import ImageFolder
from stdet.io.memory_source import MemorySource
from stdet.types import FloatArray, SequenceAnnotation

Split = Literal["train", "validation", "test"]

_MAX_LISTED = 30
"""Names shown in a message; a data set can have hundreds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sequence:
    """A contiguous run of frames with its truth. Picklable, for data loader processes.

    Attributes:
        group: name of the folder or video before it was cut at gaps.
        annotation: the truth; its name is unique within the data set, its ``num_frames`` is the
            length of the sequence.
        source: the frames; may hold more of them than the truth covers.
        files: the images, one per frame, or the video.
        boxes: what the boxes say of the targets, for training; see ``DataConfig.boxes``.
    """

    group: str
    annotation: SequenceAnnotation
    source: FrameSource
    files: tuple[Path, ...]
    boxes: BoxKind = "box"

    def __post_init__(self) -> None:
        """Check that frames and truth have one size."""
        (height, width), (truth_height, truth_width) = self.source.hw, self.annotation.image_hw
        if (height, width) != (truth_height, truth_width):
            raise DataError(
                f"{self.files[0]}: is {width}x{height}, but the labels of {self.name!r} are for "
                f"{truth_width}x{truth_height}. Use the labels that belong to these frames."
            )

    @property
    def name(self) -> str:
        """The name of the annotation, unique within the data set."""
        return self.annotation.name

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.annotation.num_frames

    def read(self, index: int) -> FloatArray:
        """Return one frame, scaled by one scale for the whole sequence.

        Args:
            index: Counted from 0 within the sequence.

        Returns:
            float32 (H, W) in [0, 1].

        Raises:
            DataError: If the frame is damaged or differs in size or depth from the others.
            ValueError: If the sequence has no such frame.
        """
        return self.to_float(self.read_raw(index))

    def read_raw(self, index: int) -> RawImage:
        """Return one frame (H, W) as stored, uint8 or uint16; see ``read``."""
        if not 0 <= index < len(self):
            raise ValueError(f"sequence {self.name!r} has no frame {index}; it has {len(self)}.")
        return self.source.read(index)

    def to_float(self, raw: RawImage) -> FloatArray:
        """Scale a frame of this sequence, as ``read_raw`` returns it, to float32 in [0, 1]."""
        return self.source.scale.apply(raw)


def load_sequences(config: DataConfig, split: Split) -> list[Sequence]:
    """Read the sequences of one split.

    Test is ``test_annotations``, restricted to ``test_sequences`` where that is set. Validation is
    ``validation_annotations`` where that is set, else the sequences of ``train_annotations`` whose
    name or group is in ``validation_sequences``. Training is the rest of ``train_annotations``,
    restricted to ``train_sequences`` where that is set.

    Args:
        config: The data section of the configuration.
        split: Which sequences.

    Returns:
        At least one sequence.

    Raises:
        ConfigError: If the configuration puts a sequence into both training and validation, or
            names validation sequences in two ways.
        DataError: If a file is unusable, a sequence name is unknown or the split is empty.
    """
    if split == "test":
        test = _read_annotations(config, config.test_annotations, "test_annotations")
        return _choose(test, config.test_sequences, "test_sequences") or test
    if config.validation_annotations and config.validation_sequences:
        raise ConfigError(
            "data.validation_annotations and data.validation_sequences are both set; expected "
            "one. Remove one of them."
        )
    labelled = _read_annotations(config, config.train_annotations, "train_annotations")
    validation = _choose(labelled, config.validation_sequences, "validation_sequences")
    train = _choose(labelled, config.train_sequences, "train_sequences")
    if not config.train_sequences:
        train = [sequence for sequence in labelled if sequence not in validation]
    if config.validation_annotations:
        validation = _read_annotations(
            config, config.validation_annotations, "validation_annotations"
        )
    require_disjoint(train, validation)
    if split == "train" and not train:
        raise DataError(
            "The training split is empty: data.validation_sequences takes every sequence of "
            f"{config.train_annotations}. Take some out of it."
        )
    if split == "validation" and not validation:
        raise DataError(
            "The validation split is empty. Set data.validation_annotations, or set "
            f"data.validation_sequences to some of {_listing(_known_names(labelled))}."
        )
    return train if split == "train" else validation


def load_source(
    config: SourceConfig,
    *,
    drop_invalid_boxes: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> list[Sequence]:
    """Read one further source of training material, long sequences cut to their middle.

    Raises:
        DataError: If a file is unusable, a name is unknown or nothing is left.
    """
    field = "extra_sources.annotations"
    sequences = _read_path(
        config.root,
        config.annotations,
        layout=config.format,
        boxes=config.boxes,
        drop_invalid_boxes=drop_invalid_boxes,
        pattern=config.sequence_pattern,
        max_megapixels=max_megapixels,
        field=field,
    )
    out = _choose(sequences, config.excluded_sequences, "extra_sources.excluded_sequences")
    if config.sequences:
        sequences = _choose(sequences, config.sequences, "extra_sources.sequences")
    left = [sequence for sequence in sequences if sequence not in out]
    if not left:
        raise DataError(
            f"{config.root / config.annotations}: extra_sources.excluded_sequences leaves nothing."
        )
    if config.max_frames is None:
        return left
    return [_middle(sequence, config.max_frames) for sequence in left]


def _middle(sequence: Sequence, num_frames: int) -> Sequence:
    """Cut a sequence to its middle ``num_frames`` frames, read into memory.

    Frames of a video come in order at a hundredth of the cost of single ones.
    """
    start = max((sequence.annotation.num_frames - num_frames) // 2, 0)
    stop = min(start + num_frames, sequence.annotation.num_frames)
    images: RawImage = np.stack([frame.pixels for frame in sequence.source.frames(start, stop)])  # type: ignore[assignment]
    is_video = len(sequence.files) < sequence.annotation.num_frames
    return replace(
        sequence,
        annotation=sequence.annotation.cut(start, stop),
        files=sequence.files if is_video else sequence.files[start:stop],
        source=MemorySource(
            sequence.name,
            images,
            fps=sequence.source.fps,
            bit_depth=sequence.source.bit_depth,
            scale=sequence.source.scale,
        ),
    )


def _read_annotations(config: DataConfig, annotations: Path, field: str) -> list[Sequence]:
    """Read all sequences of one annotation file or folder of the main data set."""
    return _read_path(
        config.root,
        annotations,
        layout=config.format,
        boxes=config.boxes,
        drop_invalid_boxes=config.drop_invalid_boxes,
        pattern=config.sequence_pattern,
        max_megapixels=config.max_megapixels,
        field=field,
    )


def _read_path(
    root: Path,
    annotations: Path,
    *,
    layout: str,
    boxes: BoxKind,
    drop_invalid_boxes: bool,
    pattern: str | None,
    max_megapixels: float,
    field: str,
) -> list[Sequence]:
    """Read all sequences of one annotation file or folder."""
    where = root.expanduser() / annotations
    section = ".".join(["data", *field.split(".")[:-1]])
    if file_mode(where) is None:
        raise DataError(
            f"{where}: does not exist. Set {section}.root (now {str(root)!r}) and data.{field} "
            f"(now {str(annotations)!r}, relative to it)."
        )
    drop = drop_invalid_boxes
    if layout == "videos":
        sequences = _from_videos(where, drop_invalid_boxes=drop, max_megapixels=max_megapixels)
    elif layout == "mot":
        sequences = _from_mot_folders(where, pattern=pattern, max_megapixels=max_megapixels)
    else:
        if layout == "coco":
            labels = read_coco(where, root.expanduser(), drop_invalid_boxes=drop)
        elif layout == "text":
            labels = read_text_list(where, root.expanduser(), drop_invalid_boxes=drop)
        else:
            labels = read_centroid_list(where, drop_invalid_boxes=drop)
        sequences = _from_images(labels, pattern=pattern, max_megapixels=max_megapixels)
    if not sequences:
        raise DataError(
            f"{where}: holds no sequence in the {layout!r} format. Set data.{field} or "
            f"{section}.format."
        )
    return [replace(sequence, boxes=boxes) for sequence in sequences]


def _from_images(
    labels: ImageLabels,
    *,
    pattern: str | None,
    max_megapixels: float,
    fps: float | None = None,
) -> list[Sequence]:
    """Open every contiguous run of images as a sequence."""
    return [
        Sequence(
            group=run.group,
            annotation=run.annotation,
            source=ImageFolder(run.files[0].parent, run.files, max_megapixels=max_megapixels),
            files=run.files,
        )
        for run in cut_into_runs(labels, fps=fps, pattern=pattern)
    ]


def _from_videos(path: Path, *, drop_invalid_boxes: bool, max_megapixels: float) -> list[Sequence]:
    """Open the videos of a folder or JSON file."""
    return [
        Sequence(
            group=video.annotation.name,
            annotation=video.annotation,
            source=video.source,
            files=(video.source.path,),
        )
        for video in read_video_boxes(
            path, drop_invalid_boxes=drop_invalid_boxes, max_megapixels=max_megapixels
        )
    ]


def _from_mot_folders(path: Path, *, pattern: str | None, max_megapixels: float) -> list[Sequence]:
    """Open a MOTChallenge sequence folder, or all those in a folder."""
    sequences = []
    for folder in find_mot_folders(path):
        found = read_mot_folder(folder)
        annotation, images = found.annotation, found.images
        if not images:
            raise DataError(
                f"{found.image_folder}: holds no images; expected one for each of "
                f"{annotation.num_frames} frames. Complete the folder, or name another as imDir "
                "in seqinfo.ini."
            )
        labels = ImageLabels(
            where=str(folder),
            paths=images,
            sizes_hw=np.tile(np.array(annotation.image_hw, np.int64), (len(images), 1)),
            image_rows=annotation.frame_indices,
            boxes_xyxy=annotation.boxes_xyxy,
            class_ids=annotation.class_ids,
            track_ids=annotation.track_ids,
            is_ignored=annotation.is_ignored,
            videos=(folder.resolve().name,) * len(images),
        )
        sequences += _from_images(
            labels, fps=annotation.fps, pattern=pattern, max_megapixels=max_megapixels
        )
    return sequences


def _choose(sequences: list[Sequence], names: AbstractSequence[str], field: str) -> list[Sequence]:
    """Return the sequences whose name or group is listed."""
    known = _known_names(sequences)
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(
                f"data.{field} names {name!r}, which is not in the annotations: {hint}available "
                f"are {_listing(known)}."
            )
    return [
        sequence for sequence in sequences if sequence.name in names or sequence.group in names
    ]


def _known_names(sequences: list[Sequence]) -> list[str]:
    """Return the groups and names that a configuration may list, each once, in order."""
    return list(dict.fromkeys(name for seq in sequences for name in (seq.group, seq.name)))


def _listing(names: list[str]) -> str:
    """Join names, but not hundreds of them."""
    shown = ", ".join(names[:_MAX_LISTED])
    return shown if len(names) <= _MAX_LISTED else f"{shown} and {len(names) - _MAX_LISTED} more"


def require_disjoint(
    train: AbstractSequence[Sequence], validation: AbstractSequence[Sequence]
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
                    f"({sequence.name!r}). Change data.train_sequences, "
                    "data.validation_sequences or data.validation_annotations, or leave it out "
                    "of data.extra_sources (excluded_sequences)."
                )
