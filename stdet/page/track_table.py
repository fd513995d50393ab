"""The tracks of a finished run, a row each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stdet.formats.track_json import TrackFile
from stdet.formats.track_summary import summary_entry


@dataclass(frozen=True, kw_only=True)
class BestRow:
    """Where a track is seen best.

    Attributes:
        frame_index: Of the frame with its highest score.
        row: Of the tracks.
    """

    frame_index: int
    row: int


def track_table(file: TrackFile) -> list[dict[str, Any]]:
    """Return what is known of each track, in the order in which they begin.

    Length, score and probability come from the rows, and are there for every file; speed, motion
    and signal-to-noise ratio come from the file's summaries, where it has them.
    """
    summaries = {row.track_id: summary_entry(row) for row in file.summaries}
    rows, table = file.tracks, []
    for track_id, index in _rows_by_id(file).items():
        probability = float(rows.probabilities[index[-1]])
        summary = summaries.get(track_id, {})
        table.append(
            {
                "track_id": track_id,
                "first_frame": int(rows.frame_indices[index[0]]),
                "last_frame": int(rows.frame_indices[index[-1]]),
                "num_frames": len(index),
                "score": round(float(rows.scores[index].max()), 3),
                "probability": None if np.isnan(probability) else round(probability, 4),
                **{
                    key: summary.get(key)
                    for key in ("motion", "speed_px_per_frame", "length_px", "mean_snr")
                },
            }
        )
    return sorted(table, key=lambda row: (row["first_frame"], row["track_id"]))


def best_rows(file: TrackFile) -> dict[int, BestRow]:
    """Return where each track has its highest score, by id."""
    rows = file.tracks
    best = {
        track_id: int(index[np.argmax(rows.scores[index])])
        for track_id, index in _rows_by_id(file).items()
    }
    return {
        track_id: BestRow(frame_index=int(rows.frame_indices[row]), row=row)
        for track_id, row in best.items()
    }


def _rows_by_id(file: TrackFile) -> dict[int, Any]:
    """Return the rows of each track, by id, in the order of frames."""
    ids = file.tracks.track_ids
    order = np.argsort(ids, kind="stable")
    found, starts = np.unique(ids[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True)) if len(ids) else {}
