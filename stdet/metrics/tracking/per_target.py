"""What became of each true target: how long it was seen, how well, and under which ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stdet.boxes import centres_xy
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.tracking.track_quality import match_rows


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
    found = match_rows(truth, tracks, gate_px=gate_px)
    offsets = centres_xy(tracks.boxes_xyxy[found.track_rows]) - centres_xy(
        truth.boxes_xyxy[found.gt_rows]
    )
    distances = np.hypot(offsets[:, 0], offsets[:, 1])
    rows = []
    for target_id in np.unique(truth.track_ids).tolist():
        is_it = truth.track_ids[found.gt_rows] == target_id
        rows.append(
            TargetRow(
                target_id=target_id,
                num_frames=int((truth.track_ids == target_id).sum()),
                num_found=int(is_it.sum()),
                mean_distance_px=float(distances[is_it].mean()) if is_it.any() else float("nan"),
                track_ids=tuple(dict.fromkeys(tracks.track_ids[found.track_rows[is_it]].tolist())),
            )
        )
    return rows


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
