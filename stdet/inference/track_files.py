"""Track a source and leave an annotated video, a MOT file and a JSON."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from stdet.errors import ConfigError, DataError, IncompleteInputError, StdetError
from stdet.files.atomic_file import explain_os_errors
from stdet.files.locks import lock_output
from stdet.formats.detection_file import DetectionRows, read_detections
from stdet.inference.given_detections import (
    frames_without_pictures,
    tracker_of_given,
)
from stdet.inference.line_outputs import LineOutputs
from stdet.inference.output_names import OutputNames, check_names, recover_leftovers
from stdet.inference.pipeline import LIVE_LATENCY, StreamingTracker, require_calibrated
from stdet.inference.track_options import TrackOptions, TrackSummary
from stdet.inference.track_outputs import TrackOutputs
from stdet.inference.track_run import SourceTracker, track_stream
from stdet.inference.watcher import RunWatcher
from stdet.io.drawing import render_scale
from stdet.io.frame_source import FrameSource
from stdet.io.live.source import LiveSource
from stdet.io.open_source import open_named
from stdet.io.video.writer import VideoWriter
from stdet.processes.interrupts import is_interrupted, uninterrupted
from stdet.types import BoolArray

_LOG = logging.getLogger(__name__)

DEFAULT_FPS = 25.0
"""Frame rate of the annotated video where the source has none."""

NOTHING_CHANGED = "No frame was finished yet; outputs are as they were."
"""Note of an error that ends a run before its first frame."""


def track_to_files(
    source_path: str | Path | None,
    options: TrackOptions,
    *,
    watcher: RunWatcher | None = None,
) -> TrackSummary:
    """Track a video or folder and write ``<stem>.mot.txt``, ``<stem>.json``, ``<stem>.mp4``.

    Files are written beside their names and renamed at the end. Where the input breaks off, the
    run fails or is interrupted, the frames tracked until then are kept, by the rule of
    ``output_names.py``: more is never replaced by less.

    Args:
        source_path: Video, folder or TIFF; None where ``options.detections`` is all there is, and
            then the camera is taken as resting and there is no annotated video.
        options: What else was asked for.
        watcher: Looks at the run while it goes on; for live sources.

    Raises:
        ConfigError: If false alarms per hour are asked of another detector than the network.
        DataError: If the source or the mask cannot be read, a box or the mask does not fit the
            frames, an output exists and ``overwrite`` is false, another run writes it, or it
            cannot be written.
        IncompleteInputError: If the run failed after frames that were kept.
        CheckpointError: If the weights cannot be used.
    """
    given = None if options.detections is None else "--detections"
    require_calibrated(options.detector or given, options.false_alarms_per_hour)
    rows = None if options.detections is None else read_detections(options.detections)
    with _open(source_path, rows, options) as source:
        if isinstance(source, LiveSource):
            options = live_options(source, options)
        names = OutputNames(
            folder=options.out_dir,
            stem=source.name,
            with_video=options.with_video and source_path is not None,
        )
        inputs = [source.path] if rows is None else [source.path, rows.path]
        check_names(names, inputs, overwrite=options.overwrite)
        is_ignored = options.ignored.of_frames(source.hw)
        tracker = (
            build_tracker(options)
            if rows is None
            else tracker_of_given(
                rows,
                source,
                confidence=options.confidence,
                has_pictures=source_path is not None,
                latency=options.latency,
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
            return _track(source, tracker, names, options, is_ignored, rows, watcher)


def _open(
    source_path: str | Path | None, rows: DetectionRows | None, options: TrackOptions
) -> FrameSource:
    """Open the source, or frames for detections that have none."""
    if source_path is not None:
        return open_named(
            str(source_path),
            stream=options.stream,
            raw=options.raw,
            max_megapixels=options.max_megapixels,
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


def live_options(source: LiveSource, options: TrackOptions) -> TrackOptions:
    """Return the options with what a live source has where nothing else is asked for.

    Raises:
        ConfigError: If what is asked for needs the whole sequence, or frames whose number is known
            before.
    """
    for name, is_asked in (
        ("--smooth", options.smooth),
        ("--detections", options.detections is not None),
        ("--start", options.start > 0),
    ):
        if is_asked:
            raise ConfigError(f"{source.address.label}: is live; {name} goes with files.")
    return replace(options, latency=LIVE_LATENCY) if options.latency is None else options


def build_tracker(options: TrackOptions) -> StreamingTracker:
    """Build the detector that was asked for, and its tracker."""
    if options.detector is not None:
        return StreamingTracker.from_classical(
            options.detector, confidence=options.confidence, latency=options.latency
        )
    return StreamingTracker.from_weights(
        options.weights,
        confidence=options.confidence,
        device=options.device,
        engine=options.engine,
        latency=options.latency,
        false_alarms_per_hour=options.false_alarms_per_hour,
    )


def _track(
    source: FrameSource,
    tracker: SourceTracker,
    names: OutputNames,
    options: TrackOptions,
    is_ignored: BoolArray | None,
    rows: DetectionRows | None,
    watcher: RunWatcher | None,
) -> TrackSummary:
    """Run the stream through all writers, and keep what is whole at every ending."""
    header = run_header(source, tracker, options)
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
    is_live = isinstance(source, LiveSource)
    lines = LineOutputs(options.lines, may_drop=is_live)
    started, live_note = time.monotonic(), ""
    try:
        # A live source ends itself at a signal, so that what waits for later frames comes out.
        with uninterrupted() if is_live else contextlib.nullcontext():
            with lines:
                lines.start(header)
                run = track_stream(source, tracker, outputs, lines, options, is_ignored, watcher)
                lines.end({"num_frames": outputs.num_frames, **outputs.footer})
            if lines.counts:
                outputs.footer["lines"] = [asdict(count) for count in lines.counts]
            if not outputs.num_frames and not is_interrupted():
                raise DataError(
                    run.shortfall
                    or f"{source.path}: no frames from {options.start} on; check --start and "
                    "--frames."
                )
            if rows is not None and run.shortfall is None and options.num_frames is None:
                run.shortfall = _beyond(rows, source, run.last_index)
            kept = outputs.finish(is_complete=run.shortfall is None)
            live_note = "" if run.live is None else f" {run.live}"
    except StdetError as error:
        note = outputs.end_early()
        if not note:
            raise
        raise IncompleteInputError(f"{error} {note}") from error
    except BaseException as error:  # A signal, or a bug: it goes on, with what was kept.
        error.add_note((outputs.end_early() or NOTHING_CHANGED) + live_note)
        raise
    shortfall = run.shortfall
    if shortfall is not None and kept.paths[:1] != (names.mot,):
        shortfall = f"{shortfall} {kept.note}"
    return TrackSummary(
        outputs=kept.paths,
        num_frames=outputs.num_frames,
        num_tracks=run.num_tracks,
        frames_per_second=outputs.num_frames / (time.monotonic() - started),
        shortfall=shortfall,
        missing_output=_missing_output(outputs),
        profile=run.profile,
        camera=run.camera.summary(),
        unregistered=dict(run.unregistered),
        live=run.live,
        false_tracks=run.false_tracks,
        lines=lines.counts,
    )


def run_header(
    source: FrameSource, tracker: SourceTracker, options: TrackOptions
) -> dict[str, Any]:
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


def _open_video(source: FrameSource, path: Path) -> VideoWriter:
    """Open the annotated video at the size that frames are drawn at."""
    scale = render_scale(source.hw)
    hw = (source.hw[0] * scale, source.hw[1] * scale)
    return VideoWriter(
        path,
        hw=hw,
        fps=source.fps or DEFAULT_FPS,
        is_endless=isinstance(source, LiveSource),
    )


def _missing_output(outputs: TrackOutputs) -> str | None:
    """Say why there is no video, and what the one that is there is."""
    if outputs.video_problem is None:
        return None
    text = f"{outputs.video_problem} There is no annotated video of this run"
    if outputs.names.video.exists():
        text += "; the one that is there is of an earlier run"
    return f"{text}."
