"""A finished run, as `stdet track` leaves it, for the page that shows it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from live_run import HW, tracked_frame

from stdet.formats.track_json import TrackJsonWriter
from stdet.formats.track_summary import summary_entry
from stdet.io.drawing import render_scale
from stdet.io.video.writer import VideoWriter, write_grey
from stdet.tracking.track_summaries import TrackSummaries

MISSING = 7
FRAMES = [index for index in range(3, 20) if index != MISSING]


def frame_of_run(index):
    """A frame of the run: track 4 comes with frame 10."""
    return tracked_frame(index, track_ids=(1,) if index < 10 else (1, 4))


def write_run(folder: Path, indices: Sequence[int] = FRAMES) -> None:
    """Write ``clip.json``, the annotated ``clip.mp4`` and what was tracked, ``clip.mkv``."""
    summaries = TrackSummaries()
    header = {"source": "clip.mkv", "confidence": 0.4, "fps": 25.0, "image_hw": list(HW)}
    scale = render_scale(HW)
    with (
        TrackJsonWriter(folder / "clip.json", header) as writer,
        VideoWriter(folder / "clip.mp4", hw=(HW[0] * scale, HW[1] * scale), fps=25) as video,
    ):
        for index in indices:
            frame = frame_of_run(index)
            writer.write(frame.detections, frame.tracks, frame.from_previous)
            summaries.add(
                frame.tracks,
                time=frame.time,
                motion=frame.from_previous,
                snrs=np.full(len(frame.tracks), 8.0),
            )
            large = frame.image.repeat(scale, 0).repeat(scale, 1)
            video.write(np.repeat(large[:, :, None], 3, axis=2), position=index - indices[0])
        writer.footer["track_summaries"] = list(map(summary_entry, summaries.rows()))
        writer.footer["has_video"] = True
        writer.is_complete = True
    write_grey(
        folder / "clip.mkv", [frame_of_run(index).image for index in range(indices[-1] + 1)], 25
    )
