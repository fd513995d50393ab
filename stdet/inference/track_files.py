"""Track a source and leave an annotated video, a MOT file and a JSON."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stdet.classical.methods import Method
from stdet.errors import DataError, IncompleteInputError, StdetError
from stdet.files.atomic_file import explain_os_errors
from stdet.files.locks import lock_output
from stdet.inference.camera_counts import CameraCounts, CameraSummary
from stdet.inference.checkpoint import DEFAULT_WEIGHTS
from stdet.inference.output_names import OutputNames, check_names, recover_leftovers
from stdet.inference.pipeline import StreamingTracker
from stdet.inference.stages.frames import TrackedFrame
from stdet.inference.stages.times import StageTime, StageTimes
from stdet.inference.track_outputs import TrackOutputs
from stdet.io.drawing import Trails, draw_frame, render_scale
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import FrameSource
from stdet.io.ignored_pixels import NOTHING_IGNORED, IgnoredZones
from stdet.io.open_source import open_source
from stdet.io.video.writer import VideoWriter
from stdet.processes.progress import ProgressBar
from stdet.types import BoolArray

_LOG = logging.getLogger(__name__)

DEFAULT_FPS = 25.0
"""Frame rate of the annotated video where the source has none."""

NOTHING_CHANGED = "No frame was finished yet; outputs are as they were."
"""Note of an error that ends a run before its first frame."""


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
        stream: Video stream of a file, from 0; None for its default one.
        ignored: Pixels that do not belong to the scene.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        with_video: Write the annotated video.
        draw_camera: Draw on it where the scene is and how well that is known.
        overwrite: Replace existing outputs.
        max_megapixels: Largest area of a frame, 10^6 pixels.
        with_profile: Time the stages and count how well frames are registered; in the summary,
            and as ``profile`` and ``camera`` in the JSON.
    """

    weights: str = DEFAULT_WEIGHTS
    detector: Method | None = None
    out_dir: Path = Path("output")
    confidence: float | None = None
    start: int = 0
    num_frames: int | None = None
    stream: int | None = None
    ignored: IgnoredZones = NOTHING_IGNORED
    device: str = "auto"
    with_video: bool = True
    draw_camera: bool = False
    overwrite: bool = False
    max_megapixels: float = MAX_MEGAPIXELS
    with_profile: bool = False


@dataclass(frozen=True, kw_only=True)
class TrackSummary:
    """What a run left.

    Attributes:
        outputs: Paths written, in the order MOT, JSON, video.
        num_frames: Frames processed.
        num_tracks: Confirmed tracks.
        frames_per_second: Frames divided by the wall time of reading, tracking and writing.
        shortfall: What was missing of the input, None if nothing was.
        missing_output: Why the annotated video could not be written, None if nothing is missing.
        profile: What each stage took, in order; empty where it was not asked for.
        camera: How well the frames were registered.
        unregistered: Of how many frames the camera's motion is not known, by why; empty for
            detectors that do not register.
    """

    outputs: tuple[Path, ...]
    num_frames: int
    num_tracks: int
    frames_per_second: float
    shortfall: str | None
    missing_output: str | None
    profile: tuple[StageTime, ...]
    camera: CameraSummary
    unregistered: Mapping[str, int]


def track_to_files(source_path: str | Path, options: TrackOptions) -> TrackSummary:
    """Track a video or folder and write ``<stem>.mot.txt``, ``<stem>.json``, ``<stem>.mp4``.

    Files are written beside their names and renamed at the end. Where the input breaks off, the
    run fails or is interrupted, the frames tracked until then are kept, by the rule of
    ``output_names.py``: more is never replaced by less.

    Raises:
        DataError: If the source or the mask cannot be read, a box or the mask does not fit the
            frames, an output exists and ``overwrite`` is false, another run writes it, or it
            cannot be written.
        IncompleteInputError: If the run failed after frames that were kept.
        CheckpointError: If the weights cannot be used.
    """
    with open_source(
        Path(source_path), stream=options.stream, max_megapixels=options.max_megapixels
    ) as source:
        names = OutputNames(
            folder=options.out_dir, stem=source.name, with_video=options.with_video
        )
        check_names(names, source.path, overwrite=options.overwrite)
        is_ignored = options.ignored.of_frames(source.hw)
        tracker = _build_tracker(options)
        with explain_os_errors(options.out_dir):
            options.out_dir.mkdir(parents=True, exist_ok=True)
        with lock_output(
            options.out_dir / source.name, advice="wait for it, or choose another --out"
        ):
            # Another run may have ended since.
            check_names(names, source.path, overwrite=options.overwrite)
            recover_leftovers(names)
            return _track(source, tracker, names, options, is_ignored)


def _build_tracker(options: TrackOptions) -> StreamingTracker:
    if options.detector is not None:
        return StreamingTracker.from_classical(options.detector, confidence=options.confidence)
    return StreamingTracker.from_weights(
        options.weights, confidence=options.confidence, device=options.device
    )


def _track(
    source: FrameSource,
    tracker: StreamingTracker,
    names: OutputNames,
    options: TrackOptions,
    is_ignored: BoolArray | None,
) -> TrackSummary:
    """Run the stream through all writers, and keep what is whole at every ending."""
    header = _header(source, tracker, options)
    if is_ignored is not None:
        header["ignored_share"] = share = float(is_ignored.mean())
        mask = options.ignored.mask
        rule = "" if mask is None else f" (black in {mask.name})"
        _LOG.info("%s: %s of each frame is ignored%s.", source.path, f"{share:.1%}", rule)
    outputs = TrackOutputs(
        names,
        header,
        (lambda path: _open_video(source, path)) if options.with_video else None,
    )
    started = time.monotonic()
    try:
        run = _run(source, tracker, outputs, options, is_ignored)
        if not outputs.num_frames:
            raise DataError(
                run.shortfall
                or f"{source.path}: no frames from {options.start} on; check --start and --frames."
            )
        kept = outputs.finish(is_complete=run.shortfall is None)
    except StdetError as error:
        note = outputs.end_early()
        if not note:
            raise
        raise IncompleteInputError(f"{error} {note}") from error
    except BaseException as error:  # A signal, or a bug: it goes on, with what was kept.
        error.add_note(outputs.end_early() or NOTHING_CHANGED)
        raise
    shortfall = run.shortfall
    if shortfall is not None and kept.paths[:1] != (names.mot,):
        shortfall = f"{shortfall} {kept.note}"
    return TrackSummary(
        outputs=kept.paths,
        num_frames=outputs.num_frames,
        num_tracks=len(run.track_ids),
        frames_per_second=outputs.num_frames / (time.monotonic() - started),
        shortfall=shortfall,
        missing_output=_missing_output(outputs),
        profile=run.profile,
        camera=run.camera.summary(),
        unregistered=dict(run.unregistered),
    )


@dataclass(kw_only=True)
class _Run:
    """What a run has found so far."""

    track_ids: set[int] = field(default_factory=set)
    shortfall: str | None = None
    profile: tuple[StageTime, ...] = ()
    camera: CameraCounts = field(default_factory=CameraCounts)
    unregistered: Counter[str] = field(default_factory=Counter)


def _run(
    source: FrameSource,
    tracker: StreamingTracker,
    outputs: TrackOutputs,
    options: TrackOptions,
    is_ignored: BoolArray | None,
) -> _Run:
    """Track until the source ends or breaks off."""
    run = _Run()
    stop = None if options.num_frames is None else options.start + options.num_frames
    trails = Trails()
    times = StageTimes() if options.with_profile else None
    started = time.monotonic()
    with ProgressBar(source.name, _num_expected(source, options)) as bar:
        try:
            for tracked in tracker.run(
                source, start=options.start, stop=stop, ignore=is_ignored, times=times
            ):
                trails.update(tracked.tracks, transform=tracked.from_previous.transform)
                with contextlib.nullcontext() if times is None else times.clock("write").once():
                    outputs.write(
                        tracked,
                        functools.partial(
                            _draw, source, tracked, trails, is_ignored, options.draw_camera
                        ),
                    )
                # The number of ids is that of confirmed tracks, the one thing that grows.
                run.track_ids.update(tracked.tracks.track_ids.tolist())
                run.camera.add(tracked.pose)
                motion = tracked.from_previous
                if motion.problem is not None and motion.quality is not None:
                    run.unregistered[motion.problem] += 1
                bar.advance(f"{outputs.num_frames / (time.monotonic() - started):.1f} frames/s")
        except IncompleteInputError as error:
            run.shortfall = str(error)
        finally:
            if tracker.warnings:
                outputs.footer["warnings"] = tracker.warnings
            if run.unregistered:
                outputs.footer["unregistered"] = dict(run.unregistered)
            if times is not None:
                run.profile = tuple(times.rows())
                outputs.footer["profile"] = [asdict(row) for row in run.profile]
                outputs.footer["camera"] = asdict(run.camera.summary())
            if options.draw_camera and not any(run.camera.summary().states.values()):
                _LOG.warning(
                    "%s: the detector registers no frames; --draw-camera draws nothing.",
                    source.path,
                )
    return run


def _header(
    source: FrameSource, tracker: StreamingTracker, options: TrackOptions
) -> dict[str, Any]:
    """Return the first keys of the JSON: what is known before the first frame."""
    return {
        "source": source.path.name,
        "detector": options.detector or "network",
        "weights": options.weights if options.detector is None else None,
        "confidence": tracker.confidence,
        "fps": source.fps,
        "image_hw": list(source.hw),
        **source.notes,
    }


def _draw(
    source: FrameSource,
    tracked: TrackedFrame,
    trails: Trails,
    is_ignored: BoolArray | None,
    draw_camera: bool,
) -> NDArray[np.uint8]:
    """Return the annotated frame, with pixels that the user ignores at half brightness."""
    pixels = source.scale.to_uint8(tracked.image)
    if is_ignored is not None:
        pixels[is_ignored] //= 2
    return draw_frame(
        pixels,
        tracked.detections,
        tracked.tracks,
        trails.points,
        pose=tracked.pose if draw_camera else None,
        is_ignored=tracked.is_ignored,
    )


def _open_video(source: FrameSource, path: Path) -> VideoWriter:
    """Open the annotated video at the size that frames are drawn at."""
    scale = render_scale(source.hw)
    hw = (source.hw[0] * scale, source.hw[1] * scale)
    return VideoWriter(path, hw=hw, fps=source.fps or DEFAULT_FPS)


def _missing_output(outputs: TrackOutputs) -> str | None:
    """Say why there is no video, and what the one that is there is."""
    if outputs.video_problem is None:
        return None
    text = f"{outputs.video_problem} There is no annotated video of this run"
    if outputs.names.video.exists():
        text += "; the one that is there is of an earlier run"
    return f"{text}."


def _num_expected(source: FrameSource, options: TrackOptions) -> int | None:
    """Return how many frames the run will see, None where the source does not say."""
    if source.num_declared is None:
        return options.num_frames
    left = max(source.num_declared - options.start, 0)
    return left if options.num_frames is None else min(left, options.num_frames)
