"""What was found in one sequence and what is true of it: the input of all metrics."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, overload

import numpy as np

from stdet.errors import DataError
from stdet.registration.contrast_peaks import Peaks
from stdet.registration.frame_motion import FrameMotion
from stdet.types import Detections, FloatArray, IntArray, SequenceAnnotation, Tracks


class SparseDetections(Sequence[Detections]):
    """The detections of all frames, of which only those with detections take memory.

    A file of a few lines may name frame 9,999,999.

    Args:
        found: By frame.
        num_frames: Frames of the sequence.
        image_hw: Their height and width, pixels.
    """

    def __init__(
        self, found: Mapping[int, Detections], *, num_frames: int, image_hw: tuple[int, int]
    ) -> None:
        """Remember what was found."""
        self.found = found
        self._num_frames = num_frames
        self._image_hw = image_hw

    @classmethod
    def of_rows(
        cls,
        frame_indices: IntArray,
        boxes_xyxy: FloatArray,
        scores: FloatArray,
        class_ids: IntArray,
        *,
        num_frames: int,
        image_hw: tuple[int, int],
    ) -> Self:
        """Build from rows in any order.

        Args:
            frame_indices: int64 (M,), 0 to ``num_frames`` - 1.
            boxes_xyxy: float32 (M, 4), pixels.
            scores: float32 (M,) in [0, 1].
            class_ids: int64 (M,).
            num_frames: Frames of the sequence.
            image_hw: Their height and width, pixels.
        """
        order = np.argsort(frame_indices, kind="stable")
        frames, starts = np.unique(frame_indices[order], return_index=True)
        found = {}
        for index, (low, high) in zip(
            frames.tolist(), itertools.pairwise([*starts.tolist(), len(order)]), strict=True
        ):
            rows = order[low:high]
            found[index] = Detections.from_unsorted(
                boxes_xyxy[rows],
                scores[rows],
                frame_index=index,
                image_hw=image_hw,
                class_ids=class_ids[rows],
            )
        return cls(found, num_frames=num_frames, image_hw=image_hw)

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._num_frames

    @overload
    def __getitem__(self, index: int) -> Detections: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Detections]: ...

    def __getitem__(self, index: int | slice) -> Detections | Sequence[Detections]:
        """Return one frame, or some of them."""
        if isinstance(index, slice):
            return [self[frame] for frame in range(*index.indices(len(self)))]
        frame_index = range(self._num_frames)[index]
        found = self.found.get(frame_index)
        if found is not None:
            return found
        return Detections.empty(frame_index=frame_index, image_hw=self._image_hw)


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceResult:
    """Truth and output of one sequence.

    Attributes:
        annotation: The truth.
        detections: One entry per frame, in order, down to the low score floor.
        tracks: Rows of the whole sequence; ``Tracks.empty()`` where nothing was tracked.
        is_tracked: False where the output has no identities, so that tracking has no scores.
        motions: Of the background before each frame, one entry per frame; none where nothing is
            known of it.
        peaks: Of the residual of each frame, one entry per frame; none where nothing is known of
            them.
    """

    annotation: SequenceAnnotation
    detections: Sequence[Detections]
    tracks: Tracks
    is_tracked: bool = True
    motions: Sequence[FrameMotion] = ()
    peaks: Sequence[Peaks | None] = ()

    def __post_init__(self) -> None:
        """Check that truth, detections and tracks speak of the same frames.

        Raises:
            DataError: If the number or the size of the frames differs.
            ValueError: If the detections are not in the order of the frames, or some frames have
                a motion, or peaks, and others none.
        """
        name, num_frames = self.annotation.name, self.annotation.num_frames
        if len(self.detections) != num_frames:
            raise DataError(
                f"{name}: detections cover {len(self.detections)} frames; expected the "
                f"{num_frames} of the annotation. Evaluate the same frames that were annotated."
            )
        if self.motions and len(self.motions) != num_frames:
            raise ValueError(
                f"{name}: {len(self.motions)} motions of {num_frames} frames; expected one each, "
                "or none."
            )
        if self.peaks and len(self.peaks) != num_frames:
            raise ValueError(
                f"{name}: peaks of {len(self.peaks)} frames of {num_frames}; expected one entry "
                "each, or none."
            )
        for frame_index, frame in self._found():
            if frame.frame_index != frame_index:
                raise ValueError(
                    f"{name}: detections[{frame_index}] is of frame {frame.frame_index}; expected "
                    "one entry per frame, in order."
                )
            if tuple(frame.image_hw) != tuple(self.annotation.image_hw):
                raise DataError(
                    f"{name}: detections of frame {frame_index} are in a {frame.image_hw} image; "
                    f"expected {self.annotation.image_hw} (height, width) as annotated. Use "
                    "detections in original-frame pixels."
                )
        _check_frame_range(name, self.tracks, num_frames)

    def _found(self) -> Iterable[tuple[int, Detections]]:
        """Return the frames that are known to hold something, or all."""
        if isinstance(self.detections, SparseDetections):
            return self.detections.found.items()
        return enumerate(self.detections)

    def busy_frames(self) -> Iterator[Detections]:
        """Yield the frames with a detection or a target, in order: all that scores count."""
        busy = {frame_index for frame_index, frame in self._found() if len(frame)}
        for frame_index in sorted(busy.union(self.annotation.frame_indices.tolist())):
            yield self.detections[frame_index]


def detections_from_tracks(
    tracks: Tracks, *, num_frames: int, image_hw: tuple[int, int]
) -> tuple[Detections, ...]:
    """Treat track boxes as detections, to evaluate a file that holds tracks only.

    Args:
        tracks: Rows of a whole sequence.
        num_frames: Frames of the sequence.
        image_hw: Height and width of its frames.

    Returns:
        One ``Detections`` per frame, with the boxes, scores and classes of that frame's tracks.

    Raises:
        DataError: If a track lies outside the frames.
    """
    _check_frame_range("tracks", tracks, num_frames)
    per_frame = [tracks.at_frame(frame_index) for frame_index in range(num_frames)]
    return tuple(
        Detections.from_unsorted(
            rows.boxes_xyxy,
            rows.scores,
            frame_index=frame_index,
            image_hw=image_hw,
            class_ids=rows.class_ids,
        )
        for frame_index, rows in enumerate(per_frame)
    )


def _check_frame_range(name: str, tracks: Tracks, num_frames: int) -> None:
    """Raise ``DataError`` unless every row lies in one of the frames."""
    is_outside = (tracks.frame_indices < 0) | (tracks.frame_indices >= num_frames)
    if is_outside.any():
        worst = int(tracks.frame_indices[np.argmax(is_outside)])
        raise DataError(
            f"{name}: a track has a row in frame {worst} (counted from 0); expected 0 to "
            f"{num_frames - 1}. Check that tracks and annotation are of the same sequence."
        )
