"""Compare exported networks with the one they were made of, from raw frames to tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stdet.errors import CheckpointError
from stdet.inference.checkpoint import Weights
from stdet.inference.detector import Detector
from stdet.inference.engines.checked import largest_difference
from stdet.inference.engines.eager import eager_engine
from stdet.inference.engines.engine import ClipOutputs, Engine, FrameMaps, State
from stdet.inference.pipeline import StreamingTracker
from stdet.inference.stages.frames import DetectedFrame
from stdet.inference.stages.stage import Stage
from stdet.inference.trained_network import network_in_engine
from stdet.inference.weights_files import operating_point
from stdet.io.open_source import open_source
from stdet.models.detector import ClipDetector
from stdet.types import Detections, FloatArray, Tracks

_NOISE_SIDES = ((2, 3), (5, 2))
"""Heights and widths of the random frames, in units of the size divisor."""
_MAX_PROBLEMS = 3
"""Frames that a message names."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What two engines may differ by.

    Attributes:
        values: Of maps and outputs.
        box_px: Of an edge of a detection.
        score: Of a detection.
    """

    values: float = 1e-4
    box_px: float = 0.02
    score: float = 1e-3


DEFAULT_TOLERANCE = Tolerance()


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far an exported network agrees.

    Attributes:
        num_frames: Frames compared.
        num_detections: Detections of the original on them, down to the score floor.
        num_tracks: Its tracks.
        difference: Largest one of any map or output.
        problems: What differs by more than the tolerance.
    """

    num_frames: int
    num_detections: int
    num_tracks: int
    difference: float
    problems: tuple[str, ...]

    def require(self, where: Path) -> None:
        """Refuse an export that does not agree.

        Raises:
            CheckpointError: If anything differs.
        """
        if self.problems:
            raise CheckpointError(
                f"{where}: the exported network is not that of the weights: "
                f"{'; '.join(self.problems)}. Nothing was written; try another format."
            )


class ComparedEngine:
    """An engine that remembers how far it is from another one.

    Args:
        engine: Whose values go on.
        exact: What they are compared with.
    """

    def __init__(self, engine: Engine, exact: Engine) -> None:
        """Start with no difference."""
        self.name = engine.name
        self.difference = 0.0
        self._engine, self._exact = engine, exact

    def frame_maps(self, frame: FloatArray) -> FrameMaps:
        """Compute what is kept of a frame, in both."""
        found = self._engine.frame_maps(frame)
        self._compare(found, self._exact.frame_maps(frame))
        return found

    def fuse(self, context: Sequence[FrameMaps], key: FrameMaps, state: State) -> ClipOutputs:
        """Predict on a key frame, in both."""
        found = self._engine.fuse(context, key, state)
        wanted = self._exact.fuse(context, key, state)
        self._compare(found.arrays, wanted.arrays)
        return found

    def _compare(self, found: FrameMaps, wanted: FrameMaps) -> None:
        self.difference = max(self.difference, largest_difference(found, wanted))


def verify_on_noise(
    engine: Engine,
    detector: ClipDetector,
    *,
    num_frames: int,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
) -> Agreement:
    """Compare maps and outputs of a clip of random frames, of two sizes.

    Args:
        engine: Of the exported files.
        detector: That they were made of, in eval mode on the CPU.
        num_frames: T.
        tolerance: Beyond which they disagree.
    """
    compared = ComparedEngine(engine, eager_engine(detector))
    generator = torch.Generator().manual_seed(0)
    num_channels, divisor = detector.pixel_mean.shape[1], detector.size_divisor
    for height, width in _NOISE_SIDES:
        shape = (num_frames, 1, num_channels, height * divisor, width * divisor)
        frames = torch.rand(shape, generator=generator).numpy()
        maps = [compared.frame_maps(frame) for frame in frames]
        compared.fuse(maps[:-1], maps[-1], ())
    return Agreement(
        num_frames=num_frames * len(_NOISE_SIDES),
        num_detections=0,
        num_tracks=0,
        difference=compared.difference,
        problems=_value_problems(compared.difference, tolerance),
    )


def verify_on_video(
    engine: Engine,
    detector: ClipDetector,
    weights: Weights,
    source: Path,
    *,
    num_frames: int | None = None,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
) -> Agreement:
    """Track a video with both, and compare every map, output, detection and track.

    Args:
        engine: Of the exported files.
        detector: That they were made of, in eval mode on the CPU.
        weights: Where it came from.
        source: Video, folder or TIFF.
        num_frames: First frames of it, None for all.
        tolerance: Beyond which they disagree.

    Raises:
        DataError: If the source cannot be read.
    """
    exact = eager_engine(detector)
    compared = ComparedEngine(engine, exact)
    wanted = _tracked(exact, detector, weights, source, num_frames)
    found = _tracked(compared, detector, weights, source, num_frames)
    floor = weights.config.postprocess.score_floor
    pairs = list(zip(found.detections, wanted.detections, strict=True))
    frames = [
        one.frame_index for one, other in pairs if not _is_same_set(one, other, floor, tolerance)
    ]
    problems = [*_value_problems(compared.difference, tolerance)]
    if frames:
        problems.append(f"detections differ in {_listed(frames)}")
    frames = _frames_of_other_tracks(found.tracks, wanted.tracks)
    if frames:
        problems.append(f"tracks differ in {_listed(frames)}")
    return Agreement(
        num_frames=len(wanted.detections),
        num_detections=sum(map(len, wanted.detections)),
        num_tracks=len(np.unique(wanted.tracks.track_ids)),
        difference=compared.difference,
        problems=tuple(problems),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """Detections of every frame, and all tracks."""

    detections: list[Detections]
    tracks: Tracks


class _Record(Stage[DetectedFrame, DetectedFrame]):
    """Keep detections, and let frames pass."""

    name = "record"

    def __init__(self, kept: list[Detections]) -> None:
        self._kept = kept

    def push(self, frame: DetectedFrame, /) -> Iterator[DetectedFrame]:
        self._kept.append(frame.detections)
        yield frame


def _tracked(
    engine: Engine,
    detector: ClipDetector,
    weights: Weights,
    source: Path,
    num_frames: int | None,
) -> _Found:
    alone = Detector.from_network(network_in_engine(detector, weights, engine))
    detections: list[Detections] = []
    recorded = Detector(lambda times: alone.start(times).then(_Record(detections)))
    tracker = StreamingTracker(
        recorded, weights.config.tracker, confidence=operating_point(weights.config, weights.path)
    )
    with open_source(source) as frames:
        tracks = [frame.tracks for frame in tracker.run(frames, stop=num_frames)]
    return _Found(detections=detections, tracks=Tracks.concatenate(tracks))


def _is_same_set(
    found: Detections, wanted: Detections, floor: float, tolerance: Tolerance
) -> bool:
    """Say whether each detection of one has its like in the other.

    Those that rounding may move over the score floor need none.
    """
    gaps = np.abs(found.boxes_xyxy[:, None] - wanted.boxes_xyxy[None]).max(axis=2, initial=0)
    is_like = (
        (gaps <= tolerance.box_px)
        & (np.abs(found.scores[:, None] - wanted.scores[None]) <= tolerance.score)
        & (found.class_ids[:, None] == wanted.class_ids[None])
    )
    lowest = floor + tolerance.score
    return bool(
        is_like.any(axis=1)[found.scores > lowest].all()
        and is_like.any(axis=0)[wanted.scores > lowest].all()
    )


def _frames_of_other_tracks(found: Tracks, wanted: Tracks) -> list[int]:
    """Return the frames in which ids are not the same."""
    rows = [
        set(zip(one.frame_indices.tolist(), one.track_ids.tolist(), strict=True))
        for one in (found, wanted)
    ]
    return sorted({frame for frame, _ in rows[0] ^ rows[1]})


def _value_problems(difference: float, tolerance: Tolerance) -> tuple[str, ...]:
    if difference <= tolerance.values:
        return ()
    return (f"values differ by {difference:.2g}, at most {tolerance.values:g} is allowed",)


def _listed(frames: Sequence[int]) -> str:
    more = f" and {len(frames) - _MAX_PROBLEMS} more" if len(frames) > _MAX_PROBLEMS else ""
    return f"frames {', '.join(map(str, frames[:_MAX_PROBLEMS]))}{more}"
