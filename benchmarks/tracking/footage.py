"""All contenders on recorded detections of left-out footage."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tracking.camera import poses
from benchmarks.tracking.contenders import Contender
from benchmarks.tracking.record import recorded
from benchmarks.tracking.scores import GATE_PX
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.summary import so_scale_px_of
from stdet.metrics.tracking.clear_identity_hota import TrackingCounts, count_tracking
from stdet.metrics.tracking.hota import HotaCounts, count_so_hota
from stdet.metrics.tracking.track_quality import TrackQuality, count_track_quality
from stdet.registration.frame_motion import FrameMotion
from stdet.registration.transform import Transform
from stdet.types import Detections, FloatArray


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is done to recorded sequences.

    Attributes:
        name: As tables print it.
        change: From a sequence as recorded to one that is tracked.
    """

    name: str
    change: Callable[[SequenceResult], SequenceResult]


def conditions(seed: int) -> tuple[Condition, ...]:
    """Return them; the seed is that of the jerks."""

    def jerked(sequence: SequenceResult) -> SequenceResult:
        return jerk(sequence, np.random.default_rng(seed))

    return (
        Condition(name="registered", change=lambda sequence: sequence),
        Condition(name="not registered", change=lambda sequence: replace(sequence, motions=())),
        Condition(name="jerks, registered", change=jerked),
    )


def jerk(sequence: SequenceResult, rng: np.random.Generator) -> SequenceResult:
    """Return a sequence whose camera jerks by 30 px now and then, as registration would see it.

    Args:
        sequence: With motions.
        rng: Of the jerks.
    """
    truth = sequence.annotation
    shifts = poses("jerks", truth.num_frames, truth.image_hw, rng)
    boxes = truth.boxes_xyxy.copy()
    for frame_index, shift in enumerate(shifts):
        rows = truth.rows_at(frame_index)
        boxes[rows] = _moved(boxes[rows], shift)
    motions = [sequence.motions[0]]
    for motion, (before, now) in zip(
        sequence.motions[1:], itertools.pairwise(shifts), strict=True
    ):
        transform = motion.transform
        if transform is not None:
            motion = FrameMotion.known(now @ transform @ before.inverse())
        motions.append(motion)
    return replace(
        sequence,
        annotation=replace(truth, boxes_xyxy=boxes),
        detections=tuple(
            _moved_detections(frame, shift)
            for frame, shift in zip(sequence.detections, shifts, strict=True)
        ),
        motions=tuple(motions),
    )


def _moved(boxes_xyxy: FloatArray, shift: Transform) -> FloatArray:
    return (boxes_xyxy + np.tile(shift.offset_xy, 2)).astype(np.float32)


def _moved_detections(frame: Detections, shift: Transform) -> Detections:
    return replace(frame, boxes_xyxy=_moved(frame.boxes_xyxy, shift))


def compare(contenders: Sequence[Contender], folder: Path, *, seed: int) -> list[dict[str, Any]]:
    """Return a row per part, condition and contender, counts added over sequences.

    Args:
        contenders: All of them.
        folder: Of ``record``.
        seed: Of the jerks.
    """
    rows = []
    for name, sequences in recorded(folder):
        for condition in conditions(seed):
            changed = [condition.change(sequence) for sequence in sequences]
            for contender in contenders:
                row = {"footage": name, "motion": condition.name, "tracker": contender.name}
                rows.append(row | _score(contender, changed))
                print(", ".join(map(str, rows[-1].values())), flush=True)
    return rows


def _score(contender: Contender, sequences: Sequence[SequenceResult]) -> dict[str, Any]:
    scale_px = so_scale_px_of(one.annotation for one in sequences)
    counts: list[TrackingCounts] = []
    so_counts: list[HotaCounts] = []
    qualities: list[TrackQuality] = []
    for sequence in sequences:
        tracks = contender.track(sequence)
        counts.append(count_tracking(sequence.annotation, tracks, gate_px=GATE_PX))
        qualities.append(count_track_quality(sequence.annotation, tracks, gate_px=GATE_PX))
        so_counts.append(
            count_so_hota(sequence.annotation, tracks, scale_px=scale_px, gate_px=GATE_PX)
        )
    total, quality = reduce(add, counts), reduce(add, qualities)
    return {
        "HOTA": f"{total.hota.hota:.3f}",
        "SO-HOTA": f"{reduce(add, so_counts).hota:.3f}",
        "IDF1": f"{total.idf1:.3f}",
        "switches": total.id_switches,
        "false tracks per 1000 frames": f"{quality.false_tracks_per_1000_frames:.1f}",
    }
