"""The typed values that packages hand to one another.

Truth and prediction share one row form so that evaluation compares like with like. Coordinates
and boxes are stated once, in ``boxes.py``. All arrays are NumPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stdet.conversions import DetectionRows, TrackRows

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LARGEST_COORDINATE = 1e9
"""Pixels; far beyond any image, and squares of it are finite."""

UNKNOWN_TRACK_ID = -1
"""Stands in ``SequenceAnnotation.track_ids`` where a data set gives no identities."""


def _check_rows(owner: str, num_rows: int, **columns: NDArray[np.generic]) -> None:
    """Raise ``ValueError`` unless every column has ``num_rows`` rows."""
    for name, column in columns.items():
        if len(column) != num_rows:
            raise ValueError(f"{owner}.{name} has {len(column)} rows; expected {num_rows}.")


def _check_boxes(owner: str, boxes_xyxy: FloatArray) -> None:
    """Raise ``ValueError`` unless boxes are (N, 4), finite, with x1 <= x2 and y1 <= y2."""
    if boxes_xyxy.ndim != 2 or boxes_xyxy.shape[1] != 4:
        raise ValueError(f"{owner}.boxes_xyxy has shape {boxes_xyxy.shape}; expected (N, 4).")
    # Frames are many and small: counting is several times faster than any() and all().
    if np.count_nonzero(np.isfinite(boxes_xyxy)) < boxes_xyxy.size:
        raise ValueError(f"{owner}.boxes_xyxy holds a value that is not finite.")
    if np.count_nonzero(boxes_xyxy[:, 2:] < boxes_xyxy[:, :2]):
        raise ValueError(f"{owner}.boxes_xyxy holds a box with x2 < x1 or y2 < y1.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections(DetectionRows):
    """What the detector says of one frame, in original-frame pixels (NumPy).

    Attributes:
        boxes_xyxy: float32 (N, 4).
        scores: float32 (N,) in [0, 1], descending.
        class_ids: int64 (N,), counted from 0.
        frame_index: counted from 0.
        image_hw: height and width of the original frame.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    class_ids: IntArray
    frame_index: int
    image_hw: tuple[int, int]

    def __post_init__(self) -> None:
        """Check shapes, finiteness and the order of the rows."""
        _check_boxes("Detections", self.boxes_xyxy)
        if np.count_nonzero(np.abs(self.boxes_xyxy) > LARGEST_COORDINATE):
            raise ValueError(
                f"Detections.boxes_xyxy holds a coordinate beyond {LARGEST_COORDINATE:g} pixels."
            )
        _check_rows(
            "Detections", len(self.boxes_xyxy), scores=self.scores, class_ids=self.class_ids
        )
        if np.count_nonzero((self.scores >= 0) & (self.scores <= 1)) < len(self.scores):
            raise ValueError("Detections.scores lie outside [0, 1] or are NaN.")
        if np.count_nonzero(self.scores[1:] > self.scores[:-1]):
            raise ValueError("Detections rows are not in descending score.")

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.boxes_xyxy)

    def __getitem__(self, rows: BoolArray | IntArray | slice) -> Detections:
        """Return the chosen rows; their order must keep scores descending."""
        return Detections(
            boxes_xyxy=self.boxes_xyxy[rows],
            scores=self.scores[rows],
            class_ids=self.class_ids[rows],
            frame_index=self.frame_index,
            image_hw=self.image_hw,
        )

    @classmethod
    def empty(cls, *, frame_index: int, image_hw: tuple[int, int]) -> Detections:
        """Return a frame on which nothing was found."""
        return cls(
            boxes_xyxy=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            class_ids=np.zeros(0, np.int64),
            frame_index=frame_index,
            image_hw=image_hw,
        )

    @classmethod
    def from_unsorted(
        cls,
        boxes_xyxy: FloatArray,
        scores: FloatArray,
        *,
        frame_index: int,
        image_hw: tuple[int, int],
        class_ids: IntArray | None = None,
    ) -> Detections:
        """Build from rows in any order; ``class_ids`` defaults to class 0."""
        order = np.argsort(-scores, kind="stable")
        if class_ids is None:
            class_ids = np.zeros(len(scores), np.int64)
        return cls(
            boxes_xyxy=boxes_xyxy[order].astype(np.float32),
            scores=scores[order].astype(np.float32),
            class_ids=class_ids[order].astype(np.int64),
            frame_index=frame_index,
            image_hw=image_hw,
        )

    @property
    def xyxy(self) -> FloatArray:
        """The boxes, short for ``boxes_xyxy``."""
        return self.boxes_xyxy


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracks(TrackRows):
    """Rows of (frame, confirmed track), for one frame or a whole sequence (NumPy).

    Attributes:
        frame_indices: int64 (M,), counted from 0.
        track_ids: int64 (M,), at least 1; one id at most once per frame.
        boxes_xyxy: float32 (M, 4) in original-frame pixels.
        scores: float32 (M,) in [0, 1]; that of a neighbouring detection where
            the track coasted.
        probabilities: that the track is real, as known when the row came out, float32 (M,) in
            [0, 1]; NaN where a file does not say.
        class_ids: int64 (M,).
        detection_indices: int64 (M,), the row in that frame's ``Detections``, -1 where the track
            coasted.
    """

    frame_indices: IntArray
    track_ids: IntArray
    boxes_xyxy: FloatArray
    scores: FloatArray
    probabilities: FloatArray
    class_ids: IntArray
    detection_indices: IntArray

    def __post_init__(self) -> None:
        """Check shapes, ids and the order of the rows."""
        _check_boxes("Tracks", self.boxes_xyxy)
        _check_rows(
            "Tracks",
            len(self.boxes_xyxy),
            frame_indices=self.frame_indices,
            track_ids=self.track_ids,
            scores=self.scores,
            probabilities=self.probabilities,
            class_ids=self.class_ids,
            detection_indices=self.detection_indices,
        )
        if np.count_nonzero((self.probabilities < 0) | (self.probabilities > 1)):
            raise ValueError("Tracks.probabilities lie outside [0, 1].")
        if np.count_nonzero(self.track_ids < 1):
            raise ValueError("Tracks.track_ids must be at least 1.")
        _check_frame_id_order("Tracks", self.frame_indices, self.track_ids)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.track_ids)

    def at_frame(self, frame_index: int) -> Tracks:
        """Return the rows of one frame."""
        low, high = np.searchsorted(self.frame_indices, [frame_index, frame_index + 1])
        return self[slice(int(low), int(high))]

    def __getitem__(self, rows: BoolArray | IntArray | slice) -> Tracks:
        """Return the chosen rows; they must stay sorted by (frame, id)."""
        return Tracks(
            frame_indices=self.frame_indices[rows],
            track_ids=self.track_ids[rows],
            boxes_xyxy=self.boxes_xyxy[rows],
            scores=self.scores[rows],
            probabilities=self.probabilities[rows],
            class_ids=self.class_ids[rows],
            detection_indices=self.detection_indices[rows],
        )

    @classmethod
    def empty(cls) -> Tracks:
        """Return no tracks."""
        return cls(
            frame_indices=np.zeros(0, np.int64),
            track_ids=np.zeros(0, np.int64),
            boxes_xyxy=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            probabilities=np.zeros(0, np.float32),
            class_ids=np.zeros(0, np.int64),
            detection_indices=np.zeros(0, np.int64),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Tracks]) -> Tracks:
        """Join parts whose frames follow one another."""
        if not parts:
            return cls.empty()
        return cls(
            frame_indices=np.concatenate([part.frame_indices for part in parts]),
            track_ids=np.concatenate([part.track_ids for part in parts]),
            boxes_xyxy=np.concatenate([part.boxes_xyxy for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
            probabilities=np.concatenate([part.probabilities for part in parts]),
            class_ids=np.concatenate([part.class_ids for part in parts]),
            detection_indices=np.concatenate([part.detection_indices for part in parts]),
        )

    @property
    def ids(self) -> IntArray:
        """The track ids, short for ``track_ids``."""
        return self.track_ids

    @property
    def xyxy(self) -> FloatArray:
        """The boxes, short for ``boxes_xyxy``."""
        return self.boxes_xyxy


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceAnnotation:
    """The truth about one contiguous sequence, in the same row form as ``Tracks`` (NumPy).

    Attributes:
        name: unique within a data set.
        num_frames: frames without targets are real frames, so this is stored, never guessed.
        image_hw: height and width of the frames.
        fps: frames per second, ``None`` where unknown.
        frame_indices: int64 (M,), counted from 0 within this sequence, not decreasing.
        track_ids: int64 (M,), at least 1, or ``UNKNOWN_TRACK_ID`` for every row.
        boxes_xyxy: float32 (M, 4); made read-only here like the others, because rescaling labels
            in place on every access is a bug the field has seen.
        class_ids: int64 (M,), counted from 0.
        is_ignored: bool (M,), true where a target counts neither as hit nor as miss.
    """

    name: str
    num_frames: int
    image_hw: tuple[int, int]
    fps: float | None
    frame_indices: IntArray
    track_ids: IntArray
    boxes_xyxy: FloatArray
    class_ids: IntArray
    is_ignored: BoolArray

    def __post_init__(self) -> None:
        """Check the rows and make the arrays read-only."""
        owner = f"SequenceAnnotation({self.name!r})"
        _check_boxes(owner, self.boxes_xyxy)
        _check_rows(
            owner,
            len(self.boxes_xyxy),
            frame_indices=self.frame_indices,
            track_ids=self.track_ids,
            class_ids=self.class_ids,
            is_ignored=self.is_ignored,
        )
        if len(self) and not 0 <= self.frame_indices.min() <= self.frame_indices.max() < (
            self.num_frames
        ):
            raise ValueError(f"{owner} has rows outside its {self.num_frames} frames.")
        if (np.diff(self.frame_indices) < 0).any():
            raise ValueError(f"{owner} rows are not sorted by frame.")
        if not (self.track_ids == UNKNOWN_TRACK_ID).all():
            if (self.track_ids < 1).any():
                raise ValueError(
                    f"{owner}.track_ids must be at least 1, or {UNKNOWN_TRACK_ID} in every row."
                )
            _check_frame_id_order(owner, self.frame_indices, self.track_ids)
        for array in (
            self.frame_indices,
            self.track_ids,
            self.boxes_xyxy,
            self.class_ids,
            self.is_ignored,
        ):
            array.flags.writeable = False

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.boxes_xyxy)

    @property
    def has_identities(self) -> bool:
        """Whether every row carries a known identity."""
        return bool((self.track_ids != UNKNOWN_TRACK_ID).all())

    def cut(self, start: int, stop: int) -> SequenceAnnotation:
        """Return the truth of frames start .. stop - 1, counted from 0 again."""
        first, last = self.rows_at(start).start, self.rows_at(stop).start
        return replace(
            self,
            num_frames=stop - start,
            frame_indices=self.frame_indices[first:last] - start,
            track_ids=self.track_ids[first:last],
            boxes_xyxy=self.boxes_xyxy[first:last],
            class_ids=self.class_ids[first:last],
            is_ignored=self.is_ignored[first:last],
        )

    def rows_at(self, frame_index: int) -> slice:
        """Return the rows of one frame as a slice."""
        low, high = np.searchsorted(self.frame_indices, [frame_index, frame_index + 1])
        return slice(int(low), int(high))

    @classmethod
    def empty(
        cls, *, name: str, num_frames: int, image_hw: tuple[int, int], fps: float | None = None
    ) -> SequenceAnnotation:
        """Return a sequence of real frames without any target."""
        return cls(
            name=name,
            num_frames=num_frames,
            image_hw=image_hw,
            fps=fps,
            frame_indices=np.zeros(0, np.int64),
            track_ids=np.zeros(0, np.int64),
            boxes_xyxy=np.zeros((0, 4), np.float32),
            class_ids=np.zeros(0, np.int64),
            is_ignored=np.zeros(0, np.bool_),
        )


def _check_frame_id_order(owner: str, frame_indices: IntArray, track_ids: IntArray) -> None:
    """Raise ``ValueError`` unless rows are strictly sorted by (frame, id)."""
    is_later = frame_indices[1:] > frame_indices[:-1]
    is_right = frame_indices[1:] == frame_indices[:-1]
    is_right &= track_ids[1:] > track_ids[:-1]
    is_right |= is_later
    if np.count_nonzero(is_right) < len(is_right):
        raise ValueError(f"{owner} rows are not sorted by (frame, id) or repeat an id in a frame.")
