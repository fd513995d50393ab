"""How often tracks are false: fit the probabilities, and check them and the limit per hour.

    python -m benchmarks.tracking record DATA --weights WEIGHTS --folder recorded
    python -m benchmarks.false_alarms recorded --out rows.json

Detections of left-out footage are tracked again, so that a change of the calibration takes no
detector. Every set is judged by weights of `calibration.py` fitted on all other sets. A track is
real where at least half of its rows lie on a target: within 8 px of its centre, or within half the
longer side of its box.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.tracking.record import recorded
from stdet.boxes import centres_xy, xyxy_to_xywh
from stdet.config import TrackerConfig
from stdet.inference.stages.frames import DetectedFrame
from stdet.inference.stages.track import OperatingPoint, Track
from stdet.metrics.detection.matching import match_points
from stdet.metrics.false_alarm_rate import HourlyRate
from stdet.metrics.sequence_result import SequenceResult
from stdet.tracking.calibration import (
    CALIBRATION,
    Calibration,
    FootageClutter,
    TrackFacts,
)
from stdet.tracking.judge import FRAMES_PER_SECOND, TrackJudge
from stdet.tracking.tracker import Tracker
from stdet.types import BoolArray, Detections, SequenceAnnotation, Tracks

Float64Array = NDArray[np.float64]
Frame = tuple[Tracks, Detections]

INCOMPLETE = ("ptz_4", "IR_DRONE_153")
"""Beginnings of names of sequences whose labels leave targets out."""
AGES = (1, 2, 5, 10, 20, 40, 80, 160)
"""Rows of a track that the fit looks at, and its last one; a track counts once in all."""
LIMITS = (100.0, 300.0, 1000.0, 3000.0)
"""False tracks an hour that are asked for."""
GATE_PX = 8.0
_PENALTY = 1.0
"""On the square of each weight, in units of its fact's standard deviation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Replayed:
    """A sequence that was tracked.

    Attributes:
        part: Its set.
        name: Its own.
        frames: Rows and detections of each.
        is_real: By track id; tracks that are mostly on ignored truth are left out.
        fps: Frames per second.
        hours: Of footage.
    """

    part: str
    name: str
    frames: Sequence[Frame]
    is_real: dict[int, bool]
    fps: float
    hours: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """Rows of tracks at some ages.

    Attributes:
        parts: Set of each.
        values: 1, mean log-odds of the scores, log of 1 + clutter, float64 (N, 3).
        is_real: bool (N,).
        weights: 1 / rows of the track, float64 (N,).
        is_last: Whether it is the track's last row, bool (N,).
    """

    parts: NDArray[np.str_]
    values: Float64Array
    is_real: BoolArray
    weights: Float64Array
    is_last: BoolArray

    def __getitem__(self, rows: BoolArray) -> Facts:
        """Return the chosen rows."""
        return Facts(
            parts=self.parts[rows],
            values=self.values[rows],
            is_real=self.is_real[rows],
            weights=self.weights[rows],
            is_last=self.is_last[rows],
        )


def replayed(folders: Iterable[Path], confidence: float) -> Iterator[Replayed]:
    """Track all recorded sequences again, as `stdet track` does but for peaks of the residual."""
    for folder in folders:
        for part, sequences in recorded(folder):
            for sequence in sequences:
                if not sequence.annotation.name.startswith(INCOMPLETE):
                    yield replay(part, sequence, confidence)


def replay(part: str, sequence: SequenceResult, confidence: float) -> Replayed:
    """Track the detections of a sequence."""
    truth = sequence.annotation
    fps = truth.fps or FRAMES_PER_SECOND
    track = Track(Tracker.for_stream(TrackerConfig()), OperatingPoint(confidence))
    nothing = np.zeros((1, 1), np.uint8)
    out = track.run(
        DetectedFrame(
            index=index,
            time=None,
            image=nothing,
            is_ignored=None,
            follows_gap=False,
            from_previous=motion,
            pose=None,
            capture=None,
            detections=found,
        )
        for index, (found, motion) in enumerate(
            zip(sequence.detections, sequence.motions, strict=True)
        )
    )
    frames = [(frame.tracks, frame.detections) for frame in out]
    return Replayed(
        part=part,
        name=truth.name,
        frames=frames,
        is_real=which_are_real(truth, Tracks.concatenate([tracks for tracks, _ in frames])),
        fps=fps,
        hours=truth.num_frames / fps / 3600,
    )


def which_are_real(truth: SequenceAnnotation, tracks: Tracks) -> dict[int, bool]:
    """Say of each track whether it is real."""
    is_hit, is_counted = np.zeros(len(tracks), np.bool_), np.ones(len(tracks), np.bool_)
    for index in np.intersect1d(truth.frame_indices, tracks.frame_indices).tolist():
        rows = truth.rows_at(index)
        low, high = np.searchsorted(tracks.frame_indices, [index, index + 1])
        boxes = truth.boxes_xyxy[rows]
        apart = centres_xy(tracks.boxes_xyxy[low:high])[:, None] - centres_xy(boxes)
        reach = np.maximum(GATE_PX, xyxy_to_xywh(boxes)[:, 2:].max(axis=1) / 2)
        matches = match_points(
            np.hypot(apart[..., 0], apart[..., 1]) / reach,
            limit=1.0,
            is_ignored=truth.is_ignored[rows],
        )
        hits = low + matches.pred_indices
        is_counted[hits] = ~truth.is_ignored[rows][matches.gt_indices]
        is_hit[hits] = is_counted[hits]
    found = {}
    for track_id in np.unique(tracks.track_ids).tolist():
        rows_of = tracks.track_ids == track_id
        num_counted = np.count_nonzero(is_counted[rows_of])
        if 2 * num_counted >= np.count_nonzero(rows_of):
            found[track_id] = bool(2 * np.count_nonzero(is_hit[rows_of]) >= max(num_counted, 1))
    return found


def facts_of(sequences: Iterable[Replayed]) -> Facts:
    """Return what is known of each track at some ages."""
    values, parts, real, weights, is_last = [], [], [], [], []
    for one in sequences:
        for track_id, rows in _rows_by_track(one).items():
            if track_id not in one.is_real:
                continue
            chosen = sorted({min(age, len(rows)) for age in (*AGES, len(rows))})
            values += [rows[age - 1] for age in chosen]
            parts += [one.part] * len(chosen)
            real += [one.is_real[track_id]] * len(chosen)
            weights += [1 / len(chosen)] * len(chosen)
            is_last += [age == len(rows) for age in chosen]
    return Facts(
        parts=np.array(parts),
        values=np.array(values).reshape(-1, 3),
        is_real=np.array(real, np.bool_),
        weights=np.array(weights),
        is_last=np.array(is_last, np.bool_),
    )


def _rows_by_track(one: Replayed) -> dict[int, list[tuple[float, float, float]]]:
    clutter, facts = FootageClutter(), {}
    rows: dict[int, list[tuple[float, float, float]]] = {}
    for tracks, detections in one.frames:
        clutter.add(detections.scores)
        for track_id, at in zip(
            tracks.track_ids.tolist(), tracks.detection_indices.tolist(), strict=True
        ):
            known = facts.setdefault(track_id, TrackFacts())
            if at >= 0:
                known.add(float(detections.scores[at]))
            rows.setdefault(track_id, []).append(
                (1.0, known.level, float(np.log1p(clutter.per_frame)))
            )
    return rows


def fitted(facts: Facts) -> Calibration:
    """Return what explains the rows best; sets weigh by the root of their tracks."""
    sets, at = np.unique(facts.parts, return_inverse=True)
    sizes = np.bincount(at, facts.weights, len(sets))
    weights = facts.weights * np.sqrt(sizes.mean() / sizes)[at]
    scale = np.array([1.0, *facts.values[:, 1:].std(axis=0)])
    scaled = facts.values / scale

    def loss(slopes: Float64Array) -> tuple[float, Float64Array]:
        odds = scaled @ slopes
        pulled = _PENALTY * slopes * [0, 1, 1]
        missed = np.logaddexp(0, odds) - facts.is_real * odds
        change = scaled.T @ (weights * (1 / (1 + np.exp(-odds)) - facts.is_real))
        return float(weights @ missed + pulled @ slopes / 2), change + pulled

    bias, score, clutter = minimize(loss, np.zeros(3), jac=True, method="L-BFGS-B").x / scale
    return Calibration(
        bias=float(bias),
        per_score=float(score),
        per_clutter=-float(clutter),
        first_per_hour=CALIBRATION.first_per_hour,
    )


def probabilities(facts: Facts, by: Calibration) -> Float64Array:
    """Return the probability of each row, (N,)."""
    slopes = np.array([by.bias, by.per_score, -by.per_clutter])
    result: Float64Array = 1 / (1 + np.exp(-facts.values @ slopes))
    return result


def left_out(facts: Facts) -> dict[str, Calibration]:
    """Return what is fitted on all other sets, by set."""
    parts = np.unique(facts.parts).tolist()
    return {part: fitted(facts[facts.parts != part]) for part in parts}


def kept(sequences: Sequence[Replayed], by: Calibration, limit: float | None) -> dict[str, Any]:
    """Judge the sequences of a set as one stream, and count what came out.

    Args:
        sequences: Of one set.
        by: Probabilities; not fitted on the set.
        limit: False tracks an hour; None for none.
    """
    judge = TrackJudge(sequences[0].fps, limit_per_hour=limit, calibration=by)
    num_real = num_false = first_frame = first_id = 0
    for one in sequences:
        out = set()
        for tracks, detections in one.frames:
            shown = judge.judge(
                replace(
                    tracks,
                    frame_indices=tracks.frame_indices + first_frame,
                    track_ids=tracks.track_ids + first_id,
                ),
                replace(detections, frame_index=detections.frame_index + first_frame),
            )
            # Ids are others with a limit; boxes are the same.
            is_shown = (tracks.boxes_xyxy[:, None] == shown.boxes_xyxy).all(axis=2).any(axis=1)
            out |= set(tracks.track_ids[is_shown].tolist())
        num_real += sum(one.is_real.get(track_id, False) for track_id in out)
        num_false += sum(not one.is_real.get(track_id, True) for track_id in out)
        first_frame += len(one.frames)
        first_id += max(one.is_real, default=0) + 1000
    summary = judge.summary()
    rate = HourlyRate.of(num_false, seconds=summary.hours * 3600)
    return {
        "asked": limit,
        "real": num_real,
        "false": num_false,
        "hours": summary.hours,
        "expected": summary.expected,
        "rate": rate.rate,
        "low": rate.low,
        "high": rate.high,
    }


def table(sequences: Sequence[Replayed]) -> list[list[Any]]:
    """Return a row per set and limit; every set by what was fitted on all others."""
    by_part: dict[str, list[Replayed]] = {}
    for one in sequences:
        by_part.setdefault(one.part, []).append(one)
    calibrations = left_out(facts_of(sequences))
    first = {part: _first_per_hour(found, calibrations[part]) for part, found in by_part.items()}
    rows: list[list[Any]] = []
    for part, found in by_part.items():
        others = [rate for other, rate in first.items() if other != part]
        by = replace(calibrations[part], first_per_hour=float(np.mean(others)))
        for limit in (None, *LIMITS):
            counted = kept(found, by, limit)
            counts = [counted[name] for name in ("real", "false", "expected")]
            rates = [counted[name] for name in ("rate", "low", "high")]
            rows.append([part, "all" if limit is None else f"{limit:g}", *counts, *rates])
            print(*rows[-1], flush=True)
    return rows


def _first_per_hour(sequences: Iterable[Replayed], by: Calibration) -> float:
    """Return the false tracks an hour that are expected to reach a probability of 0.5."""
    expected = hours = 0.0
    for one in sequences:
        judge = TrackJudge(one.fps, calibration=by)
        highest: dict[int, float] = {}
        newest: dict[int, float] = {}
        for tracks, detections in one.frames:
            shown = judge.judge(tracks, detections)
            newest |= dict(
                zip(shown.track_ids.tolist(), shown.probabilities.tolist(), strict=True)
            )
            highest |= {
                track_id: max(highest.get(track_id, 0.0), newest[track_id])
                for track_id in shown.track_ids.tolist()
            }
        expected += sum(1 - newest[track_id] for track_id, p in highest.items() if p >= 0.5)
        hours += one.hours
    return expected / hours


def main() -> None:
    """Fit, print what the fit is and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folders", type=Path, nargs="+", help="of `benchmarks.tracking record`")
    parser.add_argument("--confidence", type=float, default=0.5, help="operating point (0.5)")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write rows to")
    args = parser.parse_args()
    sequences = list(replayed(args.folders, args.confidence))
    print(fitted(facts_of(sequences)))
    args.out.write_text(json.dumps({"rows": table(sequences)}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
