"""Score a detector and tracker on a split whose footage is changed as cameras and files do."""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stdet.changes.footage import Footage
from stdet.changes.table import CHANGES, UNCHANGED
from stdet.classical.methods import Method
from stdet.config import EvaluationConfig, StdetConfig
from stdet.datasets.sequences import LabelledSequence
from stdet.datasets.splits import Split
from stdet.errors import ConfigError
from stdet.evaluation.from_model import (
    DetectorAtPoint,
    classical_at_point,
    network_at_point,
    scored_sequences,
)
from stdet.evaluation.report import require_unique_names, score_summaries
from stdet.evaluation.trained_on import trained_data, trained_sequences
from stdet.inference.checkpoint import git_commit
from stdet.inference.engines.names import EngineName
from stdet.inference.stages.frames import StreamFrame, TrackedFrame
from stdet.inference.stages.split import SplitAtGaps
from stdet.inference.stages.stage import Stage
from stdet.inference.stages.track import OperatingPoint, Track
from stdet.inference.weights_files import DEFAULT_WEIGHTS, find_weights
from stdet.io.ignored_pixels import NOTHING_IGNORED, IgnoredZones
from stdet.metrics.counts import without_nan
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.summary import SequenceSummary, so_scale_px_of, summarise
from stdet.metrics.tracking.linking import identify_truth
from stdet.processes.progress import ProgressBar
from stdet.tracking.tracker import Tracker
from stdet.types import FloatArray, SequenceAnnotation, Tracks


@dataclass(frozen=True, kw_only=True)
class ChangeScores:
    """Scores of one changed set of sequences; NaN where undefined.

    Attributes:
        pd_at_1e_6_per_pixel: Pd at 1e-6 false alarms per pixel.
        pd_at_1e_5_per_pixel: Pd at 1e-5 false alarms per pixel.
        pd_at_0_05_per_frame: Pd at 0.05 false alarms per frame.
        pd: At the operating point.
        false_alarms_per_frame: At the operating point.
        idf1: Tracking by centre distance.
        id_switches: Likewise.
        num_targets: True targets that are scored.
    """

    pd_at_1e_6_per_pixel: float
    pd_at_1e_5_per_pixel: float
    pd_at_0_05_per_frame: float
    pd: float
    false_alarms_per_frame: float
    idf1: float
    id_switches: float
    num_targets: float

    @classmethod
    def of(cls, summaries: Sequence[SequenceSummary], config: EvaluationConfig) -> ChangeScores:
        """Score sequences together; see ``score_summaries``."""
        scores = score_summaries(summaries, config)
        roc = scores.pd_fa.roc
        return cls(
            pd_at_1e_6_per_pixel=roc.pd_at_false_alarms_per_pixel["1e-6"],
            pd_at_1e_5_per_pixel=roc.pd_at_false_alarms_per_pixel["1e-5"],
            pd_at_0_05_per_frame=roc.pd_at_false_alarms_per_frame["0.05"],
            pd=scores.pd_fa.pd,
            false_alarms_per_frame=scores.pd_fa.false_alarms_per_frame,
            idf1=scores.tracking.idf1,
            id_switches=scores.tracking.id_switches,
            num_targets=sum(summary.pd_fa.num_targets for summary in summaries),
        )

    @classmethod
    def mean(cls, scores: Sequence[ChangeScores]) -> ChangeScores:
        """Return the mean of each score over changes, of those where it is defined."""
        means: dict[str, float] = {}
        for field in dataclasses.fields(cls):
            values = np.array([getattr(one, field.name) for one in scores], np.float64)
            defined = values[~np.isnan(values)]
            means[field.name] = float(defined.mean()) if len(defined) else float("nan")
        return cls(**means)


@dataclass(frozen=True, kw_only=True)
class ChangeResult:
    """What one change does.

    Attributes:
        overall: All sequences together.
        per_sequence: By name.
    """

    overall: ChangeScores
    per_sequence: Mapping[str, ChangeScores]


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """Scores of every change of a split.

    Attributes:
        changes: By name.
        confidence: The operating point.
        seed: That the changes were drawn with.
        linked_sequences: Names of sequences whose identities were guessed by linking the truth.
        trained_on: Names of sequences that the weights were trained on, as they state it.
        made_by: Where the numbers come from: command, commit, weights and such.
    """

    changes: Mapping[str, ChangeResult]
    confidence: float
    seed: int
    linked_sequences: tuple[str, ...]
    trained_on: tuple[str, ...]
    made_by: Mapping[str, Any]

    @property
    def mean(self) -> ChangeScores | None:
        """The mean over all changes but `none`; None where there is no other."""
        found = [result.overall for name, result in self.changes.items() if name != UNCHANGED]
        return ChangeScores.mean(found) if found else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes None."""
        plain: dict[str, Any] = without_nan(
            {
                **self.made_by,
                "seed": self.seed,
                "confidence": self.confidence,
                "linked_sequences": list(self.linked_sequences),
                "trained_on": list(self.trained_on),
                "changes": {
                    name: {
                        "what": CHANGES[name].what,
                        **dataclasses.asdict(result.overall),
                        "per_sequence": {
                            sequence: dataclasses.asdict(scores)
                            for sequence, scores in result.per_sequence.items()
                        },
                    }
                    for name, result in self.changes.items()
                },
                "mean": None if self.mean is None else dataclasses.asdict(self.mean),
            }
        )
        return plain


def chosen_changes(names: Sequence[str] | None) -> list[str]:
    """Return the changes that names ask for, each once; all for None.

    Raises:
        ConfigError: If there is no change of a name.
    """
    for name in names or ():
        if name not in CHANGES:
            raise ConfigError(f"no change is named {name!r}; choose from {', '.join(CHANGES)}.")
    return list(CHANGES if names is None else dict.fromkeys(names))


def robustness(
    config: StdetConfig,
    *,
    weights: str = DEFAULT_WEIGHTS,
    method: Method | None = None,
    split: Split = "validation",
    device: str = "auto",
    engine: EngineName = "auto",
    changes: Sequence[str] | None = None,
    max_frames: int | None = None,
    seed: int = 0,
    ignored: IgnoredZones = NOTHING_IGNORED,
    command: str = "",
) -> Robustness:
    """Score weights, or a classical detector, on the changed sequences of a split.

    Args:
        config: As for ``evaluate``.
        weights: Name of shipped weights, or a file; not looked at where there is a method.
        method: A classical detector; None for the network.
        split: Which sources.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        engine: What runs the network; see ``choose_engine``.
        changes: See ``score_changes``, like the next two.
        max_frames: Frames of a sequence.
        seed: Of the changes.
        ignored: As for ``evaluate``. The zones are of the original frames, and move with them.
        command: What was typed, for the report.

    Raises:
        CheckpointError: If the weights are of another architecture than ``config.model``.
        ConfigError: If there is no change of a name, or as for ``evaluate``.
        DataError: If the data set cannot be used, or the zones do not fit its frames.
    """
    names = chosen_changes(changes)
    sequences = scored_sequences(config, split, ignored)
    trained_on: tuple[str, ...] = ()
    if method is not None:
        ready = classical_at_point(config, method)
        detector: dict[str, Any] = {"detector": method}
    else:
        ready = network_at_point(config, weights=weights, device=device, engine=engine)
        path = find_weights(weights)
        data = config.data
        sources = {"validation": data.validation or data.train, "test": data.test}
        trained_on = trained_sequences(
            trained_data(path), sequences, sources=sources.get(split, data.train)
        )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        detector = {"weights": weights, "weights_sha256": digest}
    return score_changes(
        ready,
        sequences,
        changes=names,
        max_frames=max_frames,
        seed=seed,
        made_by={
            "command": command,
            "commit": git_commit(),
            **detector,
            "split": split,
            "max_frames": max_frames,
        },
        trained_on=trained_on,
    )


def score_changes(
    ready: DetectorAtPoint,
    sequences: Sequence[LabelledSequence],
    *,
    changes: Sequence[str] | None = None,
    max_frames: int | None = None,
    seed: int = 0,
    made_by: Mapping[str, Any] | None = None,
    trained_on: tuple[str, ...] = (),
) -> Robustness:
    """Change sequences and score detector and tracker on each change.

    Frames are made one at a time when they are read. The same seed gives the same frames.

    Args:
        ready: Detector, rules and operating point.
        sequences: Frames with truth.
        changes: Names of ``CHANGES``; None for all.
        max_frames: Longer sequences are cut to their first frames; None for all.
        seed: Of what changes draw.
        made_by: See ``Robustness``.
        trained_on: Likewise.

    Raises:
        ConfigError: If there is no change of a name.
        DataError: If a frame cannot be read.
    """
    config, found = ready.config, {}
    require_unique_names([sequence.name for sequence in sequences])
    # Before any change: a camera that jerks leads from one target to another.
    truths = [
        identify_truth(
            sequence.annotation.cut(0, min(max_frames or len(sequence), len(sequence))),
            link_gate_px=config.evaluation.link_gate_px,
        )
        for sequence in sequences
    ]
    for name in chosen_changes(changes):
        waiting = deque(
            _changed(sequence, truth.annotation, name, seed=seed)
            for sequence, truth in zip(sequences, truths, strict=True)
        )
        scale_px = so_scale_px_of(footage.truth for footage in waiting)
        summaries = []
        with ProgressBar(name, sum(map(len, waiting))) as bar:
            while waiting:  # Footage may hold frames once it has been read.
                result = _run(ready, waiting.popleft(), bar)
                summaries.append(
                    summarise(
                        result,
                        config.evaluation,
                        confidence=ready.confidence,
                        so_scale_px=scale_px,
                    )
                )
        found[name] = ChangeResult(
            overall=ChangeScores.of(summaries, config.evaluation),
            per_sequence={
                summary.name: ChangeScores.of([summary], config.evaluation)
                for summary in summaries
            },
        )
    return Robustness(
        changes=found,
        confidence=ready.confidence,
        seed=seed,
        linked_sequences=tuple(t.annotation.name for t in truths if t.is_linked),
        trained_on=trained_on,
        made_by=made_by or {},
    )


def detect_changed(
    ready: DetectorAtPoint, sequence: LabelledSequence, change: str, *, seed: int = 0
) -> tuple[Footage, SequenceResult]:
    """Return a changed sequence, and what detector and tracker say of it.

    Args:
        ready: Detector, rules and operating point.
        sequence: Frames with truth.
        change: Name of ``CHANGES``.
        seed: Of what the change draws.
    """
    link_gate_px = ready.config.evaluation.link_gate_px
    truth = identify_truth(sequence.annotation, link_gate_px=link_gate_px).annotation
    footage = _changed(sequence, truth, change, seed=seed)
    with ProgressBar(f"{sequence.name}, {change}", len(footage)) as bar:
        return footage, _run(ready, footage, bar)


def _changed(
    sequence: LabelledSequence, truth: SequenceAnnotation, name: str, *, seed: int
) -> Footage:
    """Return the frames of a sequence that there is truth of, changed."""
    footage = Footage.of(
        truth,
        sequence.read,
        bit_depth=sequence.source.bit_depth,
        is_ignored=None if sequence.ignored is None else sequence.ignored.is_spoilt,
    )
    rng = np.random.default_rng([seed, zlib.crc32(sequence.name.encode())])
    return CHANGES[name].apply(footage, rng)


def _run(ready: DetectorAtPoint, footage: Footage, bar: ProgressBar) -> SequenceResult:
    """Run detector and tracker over frames as `stdet track` does.

    Missing frames are neither seen nor scored, so what is found is numbered as the truth is.
    """
    tracker = Tracker.for_stream(ready.config.tracker)

    def start() -> Stage[StreamFrame, TrackedFrame]:
        return ready.detector.start().then(Track(tracker, OperatingPoint(ready.confidence)))

    detections, tracks = [], []
    for position, frame in enumerate(SplitAtGaps(start, gaps=frozenset()).run(_stream(footage))):
        detections.append(replace(frame.detections, frame_index=position))
        rows = frame.tracks
        tracks.append(replace(rows, frame_indices=np.full(len(rows), position)))
        bar.advance()
    return SequenceResult(
        annotation=footage.truth,
        detections=tuple(detections),
        tracks=Tracks.concatenate(tracks),
    )


def _stream(footage: Footage) -> Iterator[StreamFrame]:
    fps = footage.truth.fps
    for position, index in enumerate(footage.indices.tolist()):
        image: FloatArray = footage.read(position)
        time = None if fps is None else index / fps
        yield StreamFrame(
            index=index,
            time=time,
            image=image,
            scaled=image,
            is_ignored=footage.ignored_at(position),
        )
