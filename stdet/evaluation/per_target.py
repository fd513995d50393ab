"""What became of each true target: how long it was seen, how well, and under which ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stdet.boxes import centre_distance
from stdet.evaluation.matching import match_points
from stdet.evaluation.sequence_result import SequenceResult


@dataclass(frozen=True, kw_only=True)
class TargetRow:
    """One true target.

    Attributes:
        target_id: Its identity in the truth.
        num_frames: Frames it is in.
        num_found: Of these, frames on which a confirmed track matches it.
        mean_distance_px: Mean centre distance where found, NaN if never.
        track_ids: Ids of the matching tracks, in order of appearance.
    """

    target_id: int
    num_frames: int
    num_found: int
    mean_distance_px: float
    track_ids: tuple[int, ...]


def score_targets(result: SequenceResult, *, gate_px: float) -> list[TargetRow]:
    """Match tracks to truth frame by frame, and gather the matches of each target.

    Args:
        result: Truth with identities, and tracks.
        gate_px: Largest centre distance of a match, pixels, inclusive.

    Returns:
        A row per identity, in order of identity.
    """
    truth, tracks = result.annotation, result.tracks
    distances: dict[int, list[float]] = {int(i): [] for i in np.unique(truth.track_ids)}
    ids: dict[int, list[int]] = {target_id: [] for target_id in distances}
    for frame_index in np.unique(truth.frame_indices):
        rows = truth.rows_at(int(frame_index))
        here = tracks.at_frame(int(frame_index))
        distance = centre_distance(here.boxes_xyxy, truth.boxes_xyxy[rows])
        matches = match_points(distance, radius_px=np.nextafter(gate_px, np.inf))
        for pred, gt in zip(matches.pred_indices, matches.gt_indices, strict=True):
            target_id = int(truth.track_ids[rows][gt])
            distances[target_id].append(float(distance[pred, gt]))
            ids[target_id].append(int(here.track_ids[pred]))
    return [
        TargetRow(
            target_id=target_id,
            num_frames=int((truth.track_ids == target_id).sum()),
            num_found=len(found),
            mean_distance_px=float(np.mean(found)) if found else float("nan"),
            track_ids=tuple(dict.fromkeys(ids[target_id])),
        )
        for target_id, found in distances.items()
    ]


def format_target_table(rows: Sequence[TargetRow]) -> str:
    """Return the rows as text."""
    lines = [f"{'target':>6}  {'frames':>6}  {'found':>6}  {'error px':>8}  track ids"]
    for row in rows:
        error = f"{row.mean_distance_px:.2f}" if row.num_found else "-"
        lines.append(
            f"{row.target_id:>6}  {row.num_frames:>6}  {row.num_found:>6}  {error:>8}  "
            f"{', '.join(map(str, row.track_ids)) or '-'}"
        )
    return "\n".join(lines) + "\n"
