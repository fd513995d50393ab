"""A folder of frames or a video with its truth becomes a ``LabelledSequence``, frames on demand.

A sequence is contiguous by construction, so that no clip can span a gap: an image folder whose
numbering has a hole, or whose label file leaves frames out, gives several sequences. How folders
are cut and named is said in ``image_runs.py``; a video is one sequence named by its file stem.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stdet.boxes import centres_lie_in
from stdet.config import BoxKind
from stdet.errors import DataError
from stdet.formats.image_labels import ImageLabels
from stdet.formats.image_runs import cut_into_runs
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import FrameSource, RawImage
from stdet.io.ignored_pixels import IgnoredZones
from stdet.io.images.folder import ImageFolder
from stdet.io.intensity.spoilt_pixels import SpoiltPixels
from stdet.io.memory_source import MemorySource
from stdet.types import FloatArray, SequenceAnnotation


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledSequence:
    """A contiguous run of frames with its truth. Picklable, for data loader processes.

    Attributes:
        group: name of the folder or video before it was cut at gaps.
        annotation: the truth; its name is unique within the data set, its ``num_frames`` is the
            length of the sequence.
        source: the frames; may hold more of them than the truth covers.
        files: the images, one per frame, or the video.
        boxes: what the boxes say of the targets, for training; see ``SourceConfig.boxes``.
        ignored: pixels that do not belong to the scene, None for none; see ``without_zones``.
        first_frame: of a video: which of its frames is the first one here.
    """

    group: str
    annotation: SequenceAnnotation
    source: FrameSource
    files: tuple[Path, ...]
    boxes: BoxKind = "box"
    ignored: SpoiltPixels | None = None
    first_frame: int = 0

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
        """Scale a frame of this sequence, as ``read_raw`` returns it, to float32 in [0, 1].

        Ignored pixels are filled from those around them.
        """
        scaled = self.source.scale.apply(raw)
        if self.ignored is not None:
            self.ignored.fill(scaled)
        return scaled


def open_sequences(
    labels: Iterable[ImageLabels],
    *,
    pattern: str | None = None,
    boxes: BoxKind = "box",
    max_megapixels: float = MAX_MEGAPIXELS,
) -> list[LabelledSequence]:
    """Open the images and videos that labels name, cut into sequences.

    Args:
        labels: As ``read_labels`` gives them.
        pattern: As ``data.sequence_pattern``.
        boxes: What the boxes say of the targets.
        max_megapixels: Largest area of an image, 10^6 pixels.

    Raises:
        DataError: If images of a sequence differ in size, or names or frames contradict.
    """
    return [
        LabelledSequence(
            group=run.group,
            annotation=run.annotation,
            source=part.video
            or ImageFolder(run.files[0].parent, run.files, max_megapixels=max_megapixels),
            files=run.files if part.video is None else (part.video.path,),
            boxes=boxes,
        )
        for part in labels
        for run in cut_into_runs(part, pattern=pattern)
    ]


def without_zones(
    sequences: Iterable[LabelledSequence], zones: IgnoredZones
) -> list[LabelledSequence]:
    """Return sequences of which zones of the picture do not count.

    Their pixels are filled, and truth whose centre lies in them counts neither as hit nor as miss.

    Raises:
        DataError: If the zones do not fit the frames of a sequence.
    """
    found = []
    ignored_of: dict[tuple[int, int], SpoiltPixels | None] = {}
    for sequence in sequences:
        truth = sequence.annotation
        if truth.image_hw not in ignored_of:
            try:
                is_ignored = zones.of_frames(truth.image_hw)
            except DataError as error:
                raise DataError(f"{sequence.name}: {error}") from error
            ignored_of[truth.image_hw] = None if is_ignored is None else SpoiltPixels(is_ignored)
        ignored = ignored_of[truth.image_hw]
        if ignored is not None:
            is_hidden = centres_lie_in(ignored.is_spoilt, truth.boxes_xyxy)
            truth = replace(truth, is_ignored=truth.is_ignored | is_hidden)
            sequence = replace(sequence, annotation=truth, ignored=ignored)
        found.append(sequence)
    return found


def middle_of(sequence: LabelledSequence, num_frames: int) -> LabelledSequence:
    """Cut a sequence to its middle ``num_frames`` frames; a shorter one is taken whole."""
    start = max((sequence.annotation.num_frames - num_frames) // 2, 0)
    return stretch_of(sequence, start, min(start + num_frames, sequence.annotation.num_frames))


def stretch_of(sequence: LabelledSequence, start: int, stop: int) -> LabelledSequence:
    """Cut a sequence to frames start .. stop - 1, read into memory.

    Frames of a video come in order at a hundredth of the cost of single ones.
    """
    images: RawImage = np.stack([frame.pixels for frame in sequence.source.frames(start, stop)])  # type: ignore[assignment]
    is_video = len(sequence.files) < sequence.annotation.num_frames
    return replace(
        sequence,
        annotation=sequence.annotation.cut(start, stop),
        files=sequence.files if is_video else sequence.files[start:stop],
        first_frame=sequence.first_frame + start if is_video else 0,
        source=MemorySource(
            sequence.name,
            images,
            fps=sequence.source.fps,
            bit_depth=sequence.source.bit_depth,
            scale=sequence.source.scale,
        ),
    )
