"""Track a source and leave an annotated video, a MOT file and a JSON."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stdet.errors import ConfigError, DataError, IncompleteInputError, StdetError
from stdet.files.atomic_file import explain_os_errors
from stdet.files.locks import lock_output
from stdet.formats.detection_file import DetectionRows, read_detections
from stdet.formats.track_summary import summary_entry
from stdet.inference.camera_counts import CameraCounts
from stdet.inference.given_detections import (
    TrackerWithoutPictures,
    frames_without_pictures,
    tracker_of_given,
)
from stdet.inference.offline import WholeStream, smoothed
from stdet.inference.output_names import OutputNames, check_names, recover_leftovers
from stdet.inference.pipeline import StreamingTracker
from stdet.inference.stages.frames import TrackedFrame
from stdet.inference.stages.times import StageTime, StageTimes
from stdet.inference.track_options import TrackOptions, TrackSummary
from stdet.inference.track_outputs import TrackOutputs
from stdet.io.drawing import Trails, draw_frame, render_scale
from stdet.io.frame_source import FrameSource
from stdet.io.open_source import open_source
from stdet.io.video.writer import VideoWriter
from stdet.metrics.detection.contrast import local_scr
from stdet.processes.progress import ProgressBar
from stdet.tracking.track_summaries import TrackSummaries
from stdet.types import BoolArray

_LOG = logging.getLogger(__name__)

DEFAULT_FPS = 25.0
"""Frame rate of the annotated video where the source has none."""

SourceTracker = StreamingTracker | TrackerWithoutPictures
"""What turns the frames of a source into tracks."""

NOTHING_CHANGED = "No frame was finished yet; outputs are as they were."
"""Note of an error that ends a run before its first frame."""


def track_to_files(source_path: str | Path | None, options: TrackOptions) -> TrackSummary:
    """Track a video or folder and write ``<stem>.mot.txt``, ``<stem>.json``, ``<stem>.mp4``.

    Files are written beside their names and renamed at the end. Where the input breaks off, the
    run fails or is interrupted, the frames tracked until then are kept, by the rule of
    ``output_names.py``: more is never replaced by less.

    Args:
        source_path: Video, folder or TIFF; None where ``options.detections`` is all there is, and
            then the camera is taken as resting and there is no annotated video.
        options: What else was asked for.

    Raises:
        DataError: If the source or the mask cannot be read, a box or the mask does not fit the
            frames, an output exists and ``overwrite`` is false, another run writes it, or it
            cannot be written.
        IncompleteInputError: If the run failed after frames that were kept.
        CheckpointError: If the weights cannot be used.
    """
    rows = None if options.detections is None else read_detections(options.detections)
    with _open(source_path, rows, options) as source:
        names = OutputNames(
            folder=options.out_dir,
            stem=source.name,
            with_video=options.with_video and source_path is not None,
        )
        inputs = [source.path] if rows is None else [source.path, rows.path]
        check_names(names, inputs, overwrite=options.overwrite)
        is_ignored = options.ignored.of_frames(source.hw)
        tracker = (
            _build_tracker(options)
            if rows is None
            else tracker_of_given(
                rows, source, confidence=options.confidence, has_pictures=source_path is not None
            )
        )
        with explain_os_errors(options.out_dir):
            options.out_dir.mkdir(parents=True, exist_ok=True)
        with lock_output(
            options.out_dir / source.name, advice="wait for it, or choose another --out"
        ):
            # Another run may have ended since.
            check_names(names, inputs, overwrite=options.overwrite)
            recover_leftovers(names)
            return _track(source, tracker, names, options, is_ignored, rows)


def _open(
    source_path: str | Path | None, rows: DetectionRows | None, options: TrackOptions
) -> FrameSource:
    """Open the source, or frames for detections that have none."""
    if source_path is not None:
        return open_source(
            Path(source_path), stream=options.stream, max_megapixels=options.max_megapixels
        )
    if rows is None:
        raise ConfigError("track: give a video or a folder of frames, or --detections.")
    if not rows.num_frames:
        raise DataError(f"{rows.path}: holds no detections; give the video that belongs to it.")
    hw = options.image_hw
    if hw is None:
        hw = rows.extent_hw
        _LOG.info(
            "%s: frames are taken as %d x %d px high and wide, the extent of the boxes (--size).",
            rows.path,
            *hw,
        )
    return frames_without_pictures(rows, hw=hw, fps=options.fps)


def _build_tracker(options: TrackOptions) -> SourceTracker:
    if options.detector is not None:
        return StreamingTracker.from_classical(options.detector, confidence=options.confidence)
    return StreamingTracker.from_weights(
        options.weights, confidence=options.confidence, device=options.device
    )


def _track(
    source: FrameSource,
    tracker: SourceTracker,
    names: OutputNames,
    options: TrackOptions,
    is_ignored: BoolArray | None,
    rows: DetectionRows | None,
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
        (lambda path: _open_video(source, path)) if names.with_video else None,
    )
    started = time.monotonic()
    try:
        run = _run(source, tracker, outputs, options, is_ignored)
        if not outputs.num_frames:
            raise DataError(
                run.shortfall
                or f"{source.path}: no frames from {options.start} on; check --start and --frames."
            )
        if rows is not None and run.shortfall is None and options.num_frames is None:
            run.shortfall = _beyond(rows, source, run.last_index)
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
        num_tracks=len(run.summaries.rows()),
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

    summaries: TrackSummaries = field(default_factory=TrackSummaries)
    last_index: int = -1
    shortfall: str | None = None
    profile: tuple[StageTime, ...] = ()
    camera: CameraCounts = field(default_factory=CameraCounts)
    unregistered: Counter[str] = field(default_factory=Counter)


def _run(
    source: FrameSource,
    tracker: SourceTracker,
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
    frames = tracker.run(source, start=options.start, stop=stop, ignore=is_ignored, times=times)
    if options.smooth:
        has_pictures = isinstance(tracker, StreamingTracker)
        frames = _smoothed(frames, source, options, has_pictures=has_pictures)
    with ProgressBar(source.name, _num_expected(source, options)) as bar:
        try:
            for tracked in frames:
                trails.update(tracked.tracks, transform=tracked.from_previous.transform)
                with contextlib.nullcontext() if times is None else times.clock("write").once():
                    outputs.write(
                        tracked,
                        functools.partial(
                            _draw, source, tracked, trails, is_ignored, options.draw_camera
                        ),
                    )
                run.last_index = tracked.index
                run.summaries.add(
                    tracked.tracks,
                    time=tracked.time,
                    motion=tracked.from_previous,
                    snrs=_snrs(tracked),
                )
                run.camera.add(tracked.pose)
                motion = tracked.from_previous
                if motion.problem is not None and motion.quality is not None:
                    run.unregistered[motion.problem] += 1
                bar.advance(f"{outputs.num_frames / (time.monotonic() - started):.1f} frames/s")
        except IncompleteInputError as error:
            run.shortfall = str(error)
        finally:
            outputs.footer["track_summaries"] = list(map(summary_entry, run.summaries.rows()))
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


def _smoothed(
    frames: Iterator[TrackedFrame],
    source: FrameSource,
    options: TrackOptions,
    *,
    has_pictures: bool,
) -> Iterator[TrackedFrame]:
    """Track all frames first, and read them once more."""
    title = f"{source.name}, before smoothing"
    with ProgressBar(title, _num_expected(source, options)) as bar:
        stream = WholeStream.of(bar.count(frames))
    read_again = functools.partial(source.frames, options.start) if has_pictures else None
    yield from smoothed(stream, read_again)


def _header(source: FrameSource, tracker: SourceTracker, options: TrackOptions) -> dict[str, Any]:
    """Return the first keys of the JSON: what is known before the first frame."""
    detector: dict[str, Any] = {"detector": "network", "weights": options.weights}
    if options.detector is not None:
        detector = {"detector": options.detector, "weights": None}
    elif options.detections is not None:
        given = options.detections.name
        detector = {"detector": "file", "weights": None, "detections_file": given}
    return {
        "source": source.path.name,
        **detector,
        "confidence": tracker.confidence,
        "is_smoothed": options.smooth,
        "fps": source.fps,
        "image_hw": list(source.hw),
        **source.notes,
    }


def _beyond(rows: DetectionRows, source: FrameSource, last_index: int) -> str | None:
    """Say that detections lie behind the end of the source, None where there are none."""
    last = max(last_index, (source.num_declared or 0) - 1)
    beyond = rows.frame_indices[rows.frame_indices > last]
    if not len(beyond):
        return None
    return (
        f"{rows.path}: {len(beyond)} of {len(rows.frame_indices)} detections are of frames up to "
        f"{beyond.max()}, but {source.path} ends with frame {last} (counted from 0); they "
        "are left out. Check that the two belong together."
    )


def _snrs(tracked: TrackedFrame) -> NDArray[np.float64]:
    """Return the local signal-to-clutter ratio of each row of the tracks, (M,)."""
    if not len(tracked.tracks):
        return np.zeros(0)
    return local_scr(tracked.image.astype(np.float32), tracked.tracks.boxes_xyxy)


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
