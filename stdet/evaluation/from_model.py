"""Run detector and tracker over a split as `stdet track` does, and score what they say."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from stdet.classical.methods import OPERATING_POINTS, Method
from stdet.config import StdetConfig, TrackerConfig
from stdet.datasets.ignored_regions import without_regions
from stdet.datasets.sequences import LabelledSequence, without_zones
from stdet.datasets.splits import Split, load_sequences
from stdet.errors import ConfigError
from stdet.evaluation.report import (
    Report,
    best_confidence,
    evaluate_sequences,
    named_subsets,
)
from stdet.formats.generated_mark import are_generated
from stdet.inference.checkpoint import load_state, load_weights
from stdet.inference.detector import Detector
from stdet.inference.engines.names import EngineName
from stdet.inference.stages.frames import DetectedFrame, StreamFrame
from stdet.inference.trained_network import network_of_weights
from stdet.inference.weights_files import DEFAULT_WEIGHTS, find_weights, operating_point
from stdet.io.ignored_pixels import NOTHING_IGNORED, IgnoredZones
from stdet.io.intensity.scene_watch import SceneWatch
from stdet.metrics.sequence_result import SequenceResult
from stdet.models.build import build_detector
from stdet.processes.progress import ProgressBar
from stdet.registration.contrast_peaks import Peaks
from stdet.registration.frame_motion import NOT_REGISTERED, FrameMotion
from stdet.tracking.track_before_detect import track_before_detect
from stdet.tracking.tracker import Tracker
from stdet.types import Detections, FloatArray, SequenceAnnotation, Tracks

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """Scores of one split.

    Attributes:
        report: Everything.
        confidence: The operating point they are given at.
        results: What was scored, by sequence.
        sequences: Where the frames are, in the same order.
    """

    report: Report
    confidence: float
    results: tuple[SequenceResult, ...]
    sequences: tuple[LabelledSequence, ...]

    def read_frame(self, name: str, index: int) -> FloatArray:
        """Return a frame of a sequence as float32 (H, W) in [0, 1]."""
        (sequence,) = (sequence for sequence in self.sequences if sequence.name == name)
        return sequence.read(index)

    @property
    def map50(self) -> float:
        """COCO average precision at IoU 0.5."""
        return self.report.overall.detection.map50

    def summary(self) -> dict[str, float]:
        """Return the headline numbers by name."""
        scores = self.report.overall
        return {
            "map50": self.map50,
            "f1": scores.detection.f1,
            "pd": scores.pd_fa.pd,
            "false_alarms_per_frame": scores.pd_fa.false_alarms_per_frame,
            "false_alarms_per_pixel": scores.pd_fa.false_alarms_per_pixel,
            "mota": scores.tracking.mota,
            "idf1": scores.tracking.idf1,
            "confidence": self.confidence,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectorAtPoint:
    """A detector and how it is run.

    Attributes:
        detector: The network or a classical one.
        config: With the operating point in ``postprocess.confidence``.
    """

    detector: Detector
    config: StdetConfig

    @property
    def confidence(self) -> float:
        """The operating point."""
        confidence = self.config.postprocess.confidence
        assert confidence is not None, "the operating point has been filled in"
        return confidence


def detect_sequence(detector: Detector, sequence: LabelledSequence) -> Iterator[DetectedFrame]:
    """Detect on every frame of a data set's sequence, in order."""
    watch = SceneWatch(sequence.source.path, sequence.source.scale)
    yield from detector.start().run(_frames_of(sequence, watch))
    watch.log()


def untracked(annotation: SequenceAnnotation, frames: Iterable[DetectedFrame]) -> SequenceResult:
    """Return what was detected in the frames of a sequence, and how its background moved."""
    # Frames hold their pixels; all of them at once may be too many.
    found = [(frame.detections, frame.from_previous, frame.peaks) for frame in frames]
    return SequenceResult(
        annotation=annotation,
        detections=tuple(detections for detections, _, _ in found),
        motions=tuple(motion for _, motion, _ in found),
        peaks=tuple(peaks for _, _, peaks in found),
        tracks=Tracks.empty(),
    )


def _frames_of(sequence: LabelledSequence, watch: SceneWatch) -> Iterator[StreamFrame]:
    fps = sequence.annotation.fps
    is_ignored = None if sequence.ignored is None else sequence.ignored.is_spoilt
    for index in range(sequence.annotation.num_frames):
        raw = sequence.read_raw(index)
        scaled = sequence.to_float(raw)
        watch.add(index, raw, scaled)
        time = None if fps is None else index / fps
        yield StreamFrame(index=index, time=time, image=raw, scaled=scaled, is_ignored=is_ignored)


def rescore_results(
    results: Sequence[SequenceResult], config: TrackerConfig
) -> list[SequenceResult]:
    """Return the results with track-before-detect scores, where the configuration has them."""
    lookahead = config.frames_ahead
    if lookahead is None:
        return list(results)
    return [
        replace(
            result,
            detections=tuple(track_before_detect(result.detections, lookahead, result.motions)),
        )
        for result in results
    ]


def track_detections(
    detections: Iterable[Detections],
    config: TrackerConfig,
    *,
    confidence: float,
    motions: Sequence[FrameMotion] = (),
    peaks: Sequence[Peaks | None] = (),
) -> Tracks:
    """Track one sequence's detections at an operating point.

    Args:
        detections: Of each frame, with the detector's own scores.
        config: Tracker settings.
        confidence: Operating point.
        motions: Of the background before each frame; none where nothing is known of it.
        peaks: Of the residual of each frame; none where nothing is known of them.
    """
    tracker = Tracker.for_stream(config)
    known = motions or itertools.repeat(NOT_REGISTERED)
    tracks = [
        tracker.update(
            found,
            motion.transform,
            peaks=seen,
            confidence=confidence,
            is_same_scene=motion.is_same_scene,
        )
        for found, motion, seen in zip(
            detections, known, peaks or itertools.repeat(None), strict=False
        )
    ]
    return Tracks.concatenate(tracks + tracker.flush())


def track_results(
    results: Sequence[SequenceResult],
    config: TrackerConfig,
    *,
    confidence: float,
    as_detected: Sequence[SequenceResult],
) -> list[SequenceResult]:
    """Return the results with the tracks that detections give at an operating point.

    Args:
        results: With track-before-detect scores, where the configuration has them.
        config: Tracker settings.
        confidence: Operating point.
        as_detected: The same with the detector's own scores, which the tracker sees.
    """
    return [
        replace(
            result,
            tracks=track_detections(
                seen.detections,
                config,
                confidence=confidence,
                motions=seen.motions,
                peaks=seen.peaks,
            ),
        )
        for result, seen in zip(results, as_detected, strict=True)
    ]


def score_sequences(
    detector: Detector,
    config: StdetConfig,
    sequences: Sequence[LabelledSequence],
    *,
    title: str,
) -> Scored:
    """Run detector and tracker over sequences as `stdet track` does, and score them.

    Args:
        detector: The network or a classical one.
        config: ``postprocess.confidence`` None chooses the score with the best F1 here.
        sequences: The split.
        title: Of the progress bar.
    """
    as_detected = []
    num_frames = sum(sequence.annotation.num_frames for sequence in sequences)
    with ProgressBar(title, num_frames) as bar:
        for sequence in sequences:
            frames = bar.count(detect_sequence(detector, sequence))
            as_detected.append(untracked(sequence.annotation, frames))
    results = rescore_results(as_detected, config.tracker)
    confidence = config.postprocess.confidence
    if confidence is None:
        confidence = best_confidence(results, config.evaluation)
    tracked = track_results(
        results, config.tracker, confidence=confidence, as_detected=as_detected
    )
    report = evaluate_sequences(
        tracked,
        config.evaluation,
        confidence=confidence,
        subsets={
            **_without_leaks(sequences, config.data.leaked_sequences),
            **named_subsets([sequence.name for sequence in sequences], config.data.subsets),
        },
        is_drawn=are_generated(sequence.files[0] for sequence in sequences),
    )
    return Scored(
        report=report, confidence=confidence, results=tuple(tracked), sequences=tuple(sequences)
    )


def evaluate(
    config: StdetConfig,
    *,
    weights: str = DEFAULT_WEIGHTS,
    split: Split = "validation",
    device: str = "auto",
    engine: EngineName = "auto",
    ignored: IgnoredZones = NOTHING_IGNORED,
) -> Scored:
    """Score weights on one split of a data set.

    Args:
        config: Data, model, postprocessing, tracker and rules. ``postprocess.confidence`` None
            takes the operating point stored with the weights, never one chosen on this split.
        weights: Name of shipped weights, or a file.
        split: Which sources.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        engine: What runs the network; see ``choose_engine``.
        ignored: Where nothing is detected, and truth does not count.

    Raises:
        CheckpointError: If the weights are of another architecture than ``config.model``.
        ConfigError: If the weights' operating point is of other scores than ``tracker.lookahead``
            gives.
        DataError: If the data set cannot be used, or the zones do not fit its frames.
    """
    ready = network_at_point(config, weights=weights, device=device, engine=engine)
    sequences = scored_sequences(config, split, ignored)
    _warn_of_unknown_classes(sequences, config.model.head.num_classes)
    return score_sequences(ready.detector, ready.config, sequences, title=f"evaluating {split}")


def network_at_point(
    config: StdetConfig, *, weights: str, device: str, engine: EngineName = "auto"
) -> DetectorAtPoint:
    """Build the network of a configuration with weights, at their operating point.

    Args:
        config: As for ``evaluate``.
        weights: Name of shipped weights, or a file.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        engine: What runs the network; see ``choose_engine``.

    Raises:
        CheckpointError: If the weights are of another architecture than ``config.model``.
        ConfigError: If the weights' operating point is of other scores than ``tracker.lookahead``
            gives.
    """
    loaded = load_weights(find_weights(weights))
    detector = build_detector(config.model)
    load_state(detector, loaded)
    stored = loaded.config
    if config.postprocess.confidence is None and stored.postprocess.confidence is not None:
        _check_same_scores(config.tracker.lookahead, stored.tracker.lookahead, weights)
    config = _operating_at(config, operating_point(loaded.config, loaded.path))
    network = network_of_weights(
        detector,
        replace(loaded, config=config),
        device=device,
        engine=engine,
        num_threads=config.train.num_threads or 1,
    )
    return DetectorAtPoint(
        detector=Detector.from_network(network, latency=config.tracker.latency), config=config
    )


def classical_at_point(config: StdetConfig, method: Method) -> DetectorAtPoint:
    """Build a classical detector at its operating point, or at that of the configuration."""
    config = _operating_at(config, OPERATING_POINTS[method])
    return DetectorAtPoint(
        detector=Detector.from_classical(
            method, config.postprocess, latency=config.tracker.latency
        ),
        config=config,
    )


def evaluate_classical(
    config: StdetConfig,
    *,
    method: Method,
    split: Split,
    ignored: IgnoredZones = NOTHING_IGNORED,
) -> Scored:
    """Score a classical detector on one split of a data set.

    Args:
        config: Data, postprocessing, tracker and rules; its model is not used.
            ``postprocess.confidence`` None takes the method's operating point.
        method: Which detector.
        split: Which sources.
        ignored: As for ``evaluate``.

    Raises:
        DataError: If the data set cannot be used, or the zones do not fit its frames.
    """
    ready = classical_at_point(config, method)
    return score_sequences(
        ready.detector,
        ready.config,
        scored_sequences(config, split, ignored),
        title=f"evaluating {split}",
    )


def scored_sequences(
    config: StdetConfig, split: Split, ignored: IgnoredZones
) -> list[LabelledSequence]:
    """Return the sequences of a split, without what the configuration and the user ignore.

    Raises:
        DataError: If the data set cannot be used, or zones or regions do not fit its frames.
    """
    sequences = without_regions(
        load_sequences(config.data, split), config.evaluation.ignored_regions
    )
    return without_zones(sequences, ignored)


def _warn_of_unknown_classes(sequences: Sequence[LabelledSequence], num_classes: int) -> None:
    """Say which truth the model cannot find because it does not have its class."""
    classes = {
        int(class_id) for sequence in sequences for class_id in sequence.annotation.class_ids
    }
    unknown = sorted(class_id for class_id in classes if class_id >= num_classes)
    if unknown:
        log.warning(
            "The labels use class %s (counted from 0), but the model has %d: those targets count "
            "as missed.",
            ", ".join(map(str, unknown[:5])),
            num_classes,
        )


def _check_same_scores(lookahead: int | None, stored: int | None, weights: str) -> None:
    """Refuse an operating point that was chosen for other scores."""
    if lookahead != stored:
        given, of_weights = ("null" if v is None else v for v in (lookahead, stored))
        raise ConfigError(
            f"tracker.lookahead is {given}, and the operating point of {weights} was chosen with "
            f"{of_weights}; set postprocess.confidence, or tracker.lookahead={of_weights}."
        )


def _operating_at(config: StdetConfig, confidence: float) -> StdetConfig:
    """Fill in the operating point where the configuration leaves it open."""
    if config.postprocess.confidence is not None:
        return config
    return replace(config, postprocess=replace(config.postprocess, confidence=confidence))


def _without_leaks(
    sequences: Sequence[LabelledSequence], leaked: Sequence[str]
) -> dict[str, list[str]]:
    """Name the sequences without those that are copies of training frames, if there are any."""
    clean = [seq.name for seq in sequences if not {seq.name, seq.group} & set(leaked)]
    if not clean or len(clean) == len(sequences):
        return {}
    return {f"without {', '.join(leaked)}": clean}
