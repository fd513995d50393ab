"""Streaming: frames -> detector -> tracker, each frame's features computed once.

    import stdet
    for frame in stdet.track("video.mp4"):
        print(frame.frame.index, frame.tracks.track_ids, frame.tracks.boxes_xyxy)

Memory does not grow with the length of the stream: a ring of per-frame features, the last 24
frames for background maps, the frames and detections that wait for later ones, live paths and
tracks, counts of bad pixels, and nothing else.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from stdet.classical.methods import OPERATING_POINTS, Method, build_classical
from stdet.config import ModelConfig, PostprocessConfig, TrackerConfig
from stdet.datasets.clip_sampler import ClipShape
from stdet.datasets.input_geometry import InputGeometry, detector_input
from stdet.datasets.sequences import Sequence
from stdet.errors import IncompleteInputError
from stdet.inference.checkpoint import DEFAULT_WEIGHTS, load_detector, operating_point
from stdet.inference.device import choose_device
from stdet.inference.postprocess import postprocess
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import Frame, FrameSource, open_source
from stdet.io.intensity.blank_frames import without_blank
from stdet.io.intensity.scene_watch import SceneWatch
from stdet.metrics.sequence_result import SequenceResult
from stdet.models.detector import ClipDetector
from stdet.models.interfaces import TemporalState
from stdet.registration.background_features import LAGS, background_features
from stdet.registration.registered_stream import RegisteredFrame, RegisteredStream
from stdet.tracking.path_scores import PathScores
from stdet.tracking.tracker import Tracker
from stdet.types import Detections, FloatArray, Tracks

log = logging.getLogger(__name__)

LARGE_MEGAPIXELS = 4.0
"""From this area of a frame on, 10^6 pixels, a stream says beforehand what the network takes."""
_GIGABYTES_PER_MEGAPIXEL = 0.4
_CORE_SECONDS_PER_MEGAPIXEL = 1.7
"""Of `stdet_n` with 24 frames registered, as `benchmarks/load.py` measures them."""
MAX_BRIDGED = 4
"""Frames that may be missing without a new start of the detector (``docs/decisions/0019``)."""


class FrameDetector(Protocol):
    """A detector on a stream of frames of one size: the network, or a classical one."""

    def reset(self) -> None:
        """Forget the past: the next frame begins a new sequence."""
        ...

    def push(self, frame_index: int, frame: FloatArray) -> list[Detections]:
        """Take the next frame, float32 (H, W) in [0, 1].

        Returns:
            Detections of the frames that can be decided now, in order.
        """
        ...

    def flush(self) -> list[Detections]:
        """Decide the frames still waiting for future ones, and forget the past."""
        ...


class StreamingDetector:
    """Detect on a stream of frames of one size with the network; a ``FrameDetector``.

    Equal to running the detector on every clip of T frames, with the sampler's padding rule at the
    start and at the end; tested. With background maps the first frames wait for later ones:
    those up to frame 23 are decided by then, most of them with frame 23.

    Args:
        detector: In eval mode.
        model: The configuration it was built from.
        config: Postprocessing; all detections down to ``score_floor`` are returned.
        device: Where to run.
        weights: Where the detector's weights came from, for messages; None where it was trained
            in this process.
    """

    def __init__(
        self,
        detector: ClipDetector,
        *,
        model: ModelConfig,
        config: PostprocessConfig,
        device: torch.device,
        weights: Path | None = None,
    ) -> None:
        """Move the detector to the device."""
        self.name = "the network" if weights is None else f"the network of {weights}"
        self.detector = detector.to(device).eval()
        self.model = model
        self.config = config
        self.device = device
        temporal = model.temporal
        self.shape = ClipShape(
            num_frames=temporal.num_frames,
            frame_stride=temporal.frame_stride,
            num_future_frames=temporal.num_future_frames,
        )
        self.delay = temporal.num_future_frames * temporal.frame_stride
        ring_length = (temporal.num_frames - 1) * temporal.frame_stride + 1
        self._ring: deque[Tensor] = deque(maxlen=ring_length)
        self._geometry: InputGeometry | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next frame begins a new sequence."""
        self._ring.clear()
        self._registered = RegisteredStream(LAGS) if self.model.background else None
        self._state: TemporalState = ()
        self._num_taken = 0
        self._num_emitted = 0
        self._pending: deque[int] = deque()

    @torch.inference_mode()
    def push(self, frame_index: int, frame: FloatArray) -> list[Detections]:
        """Take the next frame, float32 (H, W) in [0, 1].

        Returns:
            Detections of the frames that can be decided now.
        """
        hw = (frame.shape[0], frame.shape[1])
        if self._geometry is None or self._geometry.source_hw != hw:
            if self._pending or self._num_taken:
                raise ValueError(f"frame is {hw}; the stream began otherwise. Call reset().")
            self._geometry = InputGeometry.fit(
                hw, input_hw=self.model.input_hw, size_divisor=self.detector.size_divisor
            )
            _warn_of_large(self._geometry.input_hw)
        self._pending.append(frame_index)
        if self._registered is None:
            return self._take(frame, None)
        return self._take_registered(self._registered.push(frame))

    @torch.inference_mode()
    def flush(self) -> list[Detections]:
        """Decide the frames still waiting for future ones, and forget the past."""
        waiting = [] if self._registered is None else self._registered.flush()
        found = [*self._take_registered(waiting), *self._emit(self._num_taken)]
        self.reset()
        return found

    def _take_registered(self, registered: list[RegisteredFrame]) -> list[Detections]:
        """Take frames with their background maps into the ring."""
        found = []
        for frame in registered:
            maps = background_features(frame)
            found += self._take(frame.image, maps)
        return found

    def _take(self, frame: FloatArray, maps: FloatArray | None) -> list[Detections]:
        """Take a frame into the ring, and decide what can be decided."""
        assert self._geometry is not None
        frames = detector_input(
            _on(self.device, frame[None]),
            None if maps is None else _on(self.device, maps),
            geometry=self._geometry,
            in_channels=self.model.in_channels,
        )
        self._ring.append(self.detector.frame_features(frames))
        self._num_taken += 1
        return self._emit(self._num_taken - self.delay)

    def _emit(self, num_decidable: int) -> list[Detections]:
        """Decide keys up to ``num_decidable``, counted from the start of the sequence."""
        found = []
        while self._num_emitted < num_decidable:
            found.append(self._decide(self._num_emitted, self._pending.popleft()))
            self._num_emitted += 1
        return found

    def _decide(self, key: int, frame_index: int) -> Detections:
        """Detect on the frame at position ``key`` of the sequence."""
        assert self._geometry is not None
        oldest = self._num_taken - len(self._ring)
        last = self._num_taken - 1
        steps = self.shape.reference_steps * self.shape.frame_stride
        positions = [min(max(key + int(step), 0), last) - oldest for step in steps]
        references = torch.stack([self._ring[position] for position in positions], dim=1)
        found = self.detector.fuse(references, self._ring[key - oldest], self._state)
        self._state = found.state
        return postprocess(
            found.outputs,
            config=self.config,
            geometry=self._geometry,
            frame_indices=[frame_index],
            network=self.name,
        )[0]


class PathScoredDetector:
    """A detector whose detections are scored by their paths; a ``FrameDetector``.

    Args:
        detector: Gives the detections.
        lookahead: Frames after a frame that its scores wait for.
    """

    def __init__(self, detector: FrameDetector, lookahead: int) -> None:
        """Start before the first frame."""
        self._detector = detector
        self._scores = PathScores(lookahead)

    def reset(self) -> None:
        """Forget the past: the next frame begins a new sequence."""
        self._detector.reset()
        self._scores.reset()

    def push(self, frame_index: int, frame: FloatArray) -> list[Detections]:
        """Take the next frame, float32 (H, W) in [0, 1].

        Returns:
            Detections of the frames whose paths can be decided now, in order.
        """
        return self._scored(self._detector.push(frame_index, frame))

    def flush(self) -> list[Detections]:
        """Decide the frames still waiting for future ones, and forget the past."""
        return [*self._scored(self._detector.flush()), *self._scores.flush()]

    def _scored(self, found: list[Detections]) -> list[Detections]:
        return [scored for detections in found for scored in self._scores.push(detections)]


def _warn_of_large(input_hw: tuple[int, int]) -> None:
    """Say what the network takes on large frames, before time is spent."""
    height, width = input_hw
    megapixels = height * width / 1e6
    if megapixels >= LARGE_MEGAPIXELS:
        log.warning(
            "Frames of %dx%d (%.3g megapixels): the network holds about %.0f GB and takes about "
            "%.0f s a frame on one CPU core. Crop the frames, pass a GPU as device, or take a "
            "detector that looks at single frames (`--detector lcm`).",
            width,
            height,
            megapixels,
            1 + _GIGABYTES_PER_MEGAPIXEL * megapixels,
            _CORE_SECONDS_PER_MEGAPIXEL * megapixels,
        )


def _on(device: torch.device, images: FloatArray) -> Tensor:
    """Return images (C, H, W) as a tensor (1, C, H, W) on the device."""
    return torch.from_numpy(np.ascontiguousarray(images))[None].to(device)


def detect_sequence(streaming: FrameDetector, sequence: Sequence) -> Iterator[Detections]:
    """Detect on every frame of a data set's sequence, in order."""
    streaming.reset()
    watch = SceneWatch(sequence.source.path, sequence.source.scale)
    for index in range(sequence.annotation.num_frames):
        raw = sequence.read_raw(index)
        scaled = sequence.to_float(raw)
        watch.add(index, raw, scaled)
        yield from streaming.push(index, scaled)
    yield from streaming.flush()
    watch.log()


def score_paths(
    results: AbstractSequence[SequenceResult], config: TrackerConfig
) -> list[SequenceResult]:
    """Return the results with their detections scored by paths, as the tracker would see them."""
    if config.lookahead is None:
        return list(results)
    scores = PathScores(config.lookahead)
    scored = []
    for result in results:
        found = [out for detections in result.detections for out in scores.push(detections)]
        scored.append(replace(result, detections=(*found, *scores.flush())))
    return scored


def track_detections(
    detections: AbstractSequence[Detections], config: TrackerConfig, *, confidence: float
) -> Tracks:
    """Track one sequence's detections at an operating point."""
    tracker = Tracker(config)
    return Tracks.concatenate(
        [tracker.update(found, confidence=confidence) for found in detections]
    )


def track_results(
    results: AbstractSequence[SequenceResult], config: TrackerConfig, *, confidence: float
) -> list[SequenceResult]:
    """Return the results with the tracks that their detections give at an operating point."""
    return [
        replace(result, tracks=track_detections(result.detections, config, confidence=confidence))
        for result in results
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedFrame:
    """One frame of a tracked stream.

    Attributes:
        frame: Its index and pixels as stored.
        detections: At or above the operating point, and weaker ones that belong to a track; their
            scores are those of paths, where ``tracker.lookahead`` is not None.
        tracks: Confirmed tracks on this frame.
    """

    frame: Frame
    detections: Detections
    tracks: Tracks


class StreamingTracker:
    """Detect, score detections by their paths, and track a stream.

    Args:
        streaming: The detector.
        config: Tracker settings.
        confidence: Operating point in [0, 1].
    """

    def __init__(
        self, streaming: FrameDetector, config: TrackerConfig, *, confidence: float
    ) -> None:
        """Start with no tracks."""
        if config.lookahead is not None:
            streaming = PathScoredDetector(streaming, config.lookahead)
        self.streaming = streaming
        self.tracker = Tracker(config)
        self.confidence = confidence
        self._watch: SceneWatch | None = None

    @property
    def warnings(self) -> list[str]:
        """Where nothing could be seen in the last source; see ``scene_watch.py``."""
        return [] if self._watch is None else self._watch.warnings()

    @classmethod
    def from_weights(
        cls, weights: str, *, confidence: float | None, device: str
    ) -> StreamingTracker:
        """Build detector and tracker from a weights file; arguments as in ``track``."""
        detector, loaded = load_detector(weights)
        config = loaded.config
        streaming = StreamingDetector(
            detector,
            model=config.model,
            config=config.postprocess,
            device=choose_device(device),
            weights=loaded.path,
        )
        if confidence is None:
            confidence = operating_point(loaded)
        return cls(streaming, config.tracker, confidence=confidence)

    @classmethod
    def from_classical(cls, method: Method, *, confidence: float | None) -> StreamingTracker:
        """Build a classical detector and the tracker; ``confidence`` as in ``track``."""
        return cls(
            build_classical(method, PostprocessConfig()),
            TrackerConfig(),
            confidence=OPERATING_POINTS[method] if confidence is None else confidence,
        )

    def run(
        self, source: FrameSource, *, start: int = 0, stop: int | None = None
    ) -> Iterator[TrackedFrame]:
        """Track a source frame by frame.

        Tracks are predicted over missing frames: dropped ones, repeated ones, blank ones, those
        that could not be read. Where more than ``MAX_BRIDGED`` are missing in a row, the detector
        and the paths that score its detections start anew; over fewer they go on with the frames
        that they have.
        At a gap in the numbering of an image folder, whose length nobody knows, both start anew
        and all tracks end. Frames come late, by what the detector waits for and by ``lookahead``.

        Args:
            source: Frames.
            start: First frame.
            stop: Frame to stop before, None for all.

        Raises:
            IncompleteInputError: After the last usable frame, where the source is incomplete.
        """
        self.streaming.reset()
        self.tracker.reset()
        self._watch = watch = SceneWatch(source.path, source.scale)
        waiting: deque[Frame] = deque()
        incomplete: IncompleteInputError | None = None
        previous = -1
        try:
            for frame in without_blank(source.frames(start, stop), watch.leave_out):
                passed = range(previous + 1, frame.index + 1)
                is_gap = not source.gaps.isdisjoint(passed)
                if previous >= 0 and (is_gap or len(passed) > 1 + MAX_BRIDGED):
                    yield from self._tracked(waiting, self.streaming.flush())
                    if is_gap:
                        self.tracker.end_tracks()
                previous = frame.index
                waiting.append(frame)
                scaled = source.scale.apply(frame.pixels)
                watch.add(frame.index, frame.pixels, scaled)
                yield from self._tracked(waiting, self.streaming.push(frame.index, scaled))
        except IncompleteInputError as error:
            incomplete = error
        yield from self._tracked(waiting, self.streaming.flush())
        watch.log()
        if incomplete is not None:
            raise incomplete

    def _tracked(
        self, waiting: deque[Frame], detections: list[Detections]
    ) -> Iterator[TrackedFrame]:
        for found in detections:
            tracks = self.tracker.update(found, confidence=self.confidence)
            is_kept = found.scores >= self.confidence
            is_kept[tracks.detection_indices[tracks.detection_indices >= 0]] = True
            # Rows among all become rows among the kept; a coasted track's -1 stays.
            kept_row = np.append(np.cumsum(is_kept) - 1, -1)
            yield TrackedFrame(
                frame=waiting.popleft(),
                detections=found[is_kept],
                tracks=replace(tracks, detection_indices=kept_row[tracks.detection_indices]),
            )


def track(
    source: str | Path,
    *,
    weights: str = DEFAULT_WEIGHTS,
    detector: Method | None = None,
    confidence: float | None = None,
    start: int = 0,
    num_frames: int | None = None,
    stream: int | None = None,
    device: str = "auto",
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Iterator[TrackedFrame]:
    """Find and track moving small targets in a video or a folder of frames.

    Args:
        source: Video file, folder of images or multi-page TIFF.
        weights: Name of shipped weights, or a file of `stdet train`.
        detector: A classical detector, which needs no weights and no device; None for the
            network.
        confidence: Operating point in [0, 1]; None takes the one stored with the weights, or that
            of the classical detector.
        start: First frame, counted from 0.
        num_frames: Frames to read, None for all.
        stream: Video stream of a file, counted from 0; None for its default one.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        max_megapixels: Largest area of a frame, 10^6 pixels.

    Yields:
        One ``TrackedFrame`` per frame read, in order.

    Raises:
        DataError: If the source cannot be read.
        CheckpointError: If the weights cannot be used.
        IncompleteInputError: After the last usable frame, where the source is incomplete.
    """
    with open_source(Path(source), stream=stream, max_megapixels=max_megapixels) as opened:
        if detector is None:
            tracker = StreamingTracker.from_weights(weights, confidence=confidence, device=device)
        else:
            tracker = StreamingTracker.from_classical(detector, confidence=confidence)
        stop = None if num_frames is None else start + num_frames
        yield from tracker.run(opened, start=start, stop=stop)
