"""Track a source and leave an annotated video, a MOT file and a JSON."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from stdet.checkpoint import DEFAULT_WEIGHTS
from stdet.classical.methods import Method
from stdet.data.formats.mot import MotWriter
from stdet.data.formats.track_json import TrackJsonWriter
from stdet.data.frame_source import FrameSource, open_source
from stdet.data.part_file import explain_os_errors
from stdet.data.video_writer import VideoWriter
from stdet.errors import DataError, IncompleteInputError
from stdet.pipeline import StreamingTracker
from stdet.progress import ProgressBar
from stdet.visualize import Trails, draw_frame, render_scale

DEFAULT_FPS = 25.0
"""Frame rate of the annotated video where the source has none."""


@dataclass(frozen=True, kw_only=True)
class TrackOptions:
    """What `stdet track` may be told.

    Attributes:
        weights: Name of shipped weights, or a file.
        detector: A classical detector instead of the network with its weights; None for that.
        out_dir: Folder for the outputs; created.
        confidence: Operating point, None for the one stored with the weights, or that of the
            classical detector.
        start: First frame.
        num_frames: Frames to read, None for all.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        with_video: Write the annotated video.
        overwrite: Replace existing outputs.
    """

    weights: str = DEFAULT_WEIGHTS
    detector: Method | None = None
    out_dir: Path = Path("output")
    confidence: float | None = None
    start: int = 0
    num_frames: int | None = None
    device: str = "auto"
    with_video: bool = True
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class TrackSummary:
    """What a run left.

    Attributes:
        outputs: Paths written, in the order MOT, JSON, video.
        num_frames: Frames processed.
        num_tracks: Confirmed tracks.
        frames_per_second: Frames divided by the wall time of reading, tracking and writing.
        shortfall: What was missing of the input, None if nothing was.
    """

    outputs: tuple[Path, ...]
    num_frames: int
    num_tracks: int
    frames_per_second: float
    shortfall: str | None


def track_to_files(source_path: str | Path, options: TrackOptions) -> TrackSummary:
    """Track a video or folder and write ``<stem>.mot.txt``, ``<stem>.json``, ``<stem>.mp4``.

    Files are written beside their names and renamed at the end; where the input breaks off, what
    was found until then is kept; where the run fails, earlier outputs stay as they were.

    Raises:
        DataError: If the source cannot be read, an output exists and ``overwrite`` is false, or
            an output cannot be written.
        CheckpointError: If the weights cannot be used.
    """
    with open_source(Path(source_path)) as source:
        outputs = _output_paths(source, options)
        if options.detector is None:
            tracker = StreamingTracker.from_weights(
                options.weights, confidence=options.confidence, device=options.device
            )
        else:
            tracker = StreamingTracker.from_classical(
                options.detector, confidence=options.confidence
            )
        with explain_os_errors(options.out_dir):
            options.out_dir.mkdir(parents=True, exist_ok=True)
        return _track(source, tracker, outputs, options)


def _output_paths(source: FrameSource, options: TrackOptions) -> tuple[Path, ...]:
    """Name the outputs, and refuse to replace any unless asked to."""
    suffixes = ("mot.txt", "json", "mp4") if options.with_video else ("mot.txt", "json")
    outputs = tuple(options.out_dir / f"{source.name}.{suffix}" for suffix in suffixes)
    for path in outputs:
        if path.exists() and path.resolve() == source.path.resolve():
            raise DataError(f"{path}: is the input itself; choose another folder with --out.")
    existing = [str(path) for path in outputs if path.exists()]
    if existing and not options.overwrite:
        raise DataError(
            f"{', '.join(existing)}: already there; pass --overwrite to replace, or another --out."
        )
    return outputs


def _track(
    source: FrameSource,
    tracker: StreamingTracker,
    outputs: tuple[Path, ...],
    options: TrackOptions,
) -> TrackSummary:
    """Run the stream through all writers."""
    header = {
        "source": source.path.name,
        "detector": options.detector or "network",
        "weights": options.weights if options.detector is None else None,
        "confidence": tracker.confidence,
        "fps": source.fps,
        "image_hw": list(source.hw),
    }
    stop = None if options.num_frames is None else options.start + options.num_frames
    ids: set[int] = set()
    num_frames = 0
    first_index: int | None = None
    shortfall: str | None = None
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        mot = stack.enter_context(MotWriter(outputs[0]))
        json_file = stack.enter_context(TrackJsonWriter(outputs[1], header))
        video = _open_video(source, outputs) if options.with_video else None
        if video is not None:
            stack.enter_context(video)
        trails = Trails()
        bar = stack.enter_context(ProgressBar(source.name, _num_expected(source, options)))
        try:
            for tracked in tracker.run(source, start=options.start, stop=stop):
                mot.write(tracked.tracks)
                json_file.write(tracked.detections, tracked.tracks)
                if video is not None:
                    trails.update(tracked.tracks)
                    pixels = source.scale.to_uint8(tracked.frame.pixels)
                    if first_index is None:
                        first_index = tracked.frame.index
                    video.write(
                        draw_frame(pixels, tracked.detections, tracked.tracks, trails.points),
                        position=tracked.frame.index - first_index,  # Holes take their time.
                    )
                num_frames += 1
                # The number of ids is that of confirmed tracks, the one thing that grows.
                ids.update(tracked.tracks.track_ids.tolist())
                bar.advance(f"{num_frames / (time.monotonic() - started):.1f} frames/s")
        except IncompleteInputError as error:
            shortfall = str(error)
        if num_frames == 0:
            raise DataError(
                shortfall
                or f"{source.path}: no frames from {options.start} on; check --start and --frames."
            )
        json_file.is_complete = shortfall is None
    return TrackSummary(
        outputs=outputs,
        num_frames=num_frames,
        num_tracks=len(ids),
        frames_per_second=num_frames / (time.monotonic() - started),
        shortfall=shortfall,
    )


def _open_video(source: FrameSource, outputs: tuple[Path, ...]) -> VideoWriter:
    """Open the annotated video at the size that frames are drawn at."""
    scale = render_scale(source.hw)
    hw = (source.hw[0] * scale, source.hw[1] * scale)
    return VideoWriter(outputs[2], hw=hw, fps=source.fps or DEFAULT_FPS)


def _num_expected(source: FrameSource, options: TrackOptions) -> int | None:
    """Return how many frames the run will see, None where the source does not say."""
    if source.num_declared is None:
        return options.num_frames
    left = max(source.num_declared - options.start, 0)
    return left if options.num_frames is None else min(left, options.num_frames)
