"""Track a live source for who looks at it, without outputs."""

from __future__ import annotations

import time

from stdet.errors import ConfigError, DataError
from stdet.inference.line_outputs import LineOutputs
from stdet.inference.pipeline import require_calibrated
from stdet.inference.track_files import build_tracker, live_options, run_header
from stdet.inference.track_options import TrackOptions, TrackSummary
from stdet.inference.track_outputs import NoOutputs
from stdet.inference.track_run import track_stream
from stdet.inference.watcher import RunWatcher
from stdet.io.live.address import live_address
from stdet.io.live.raw_format import RawFormat
from stdet.io.live.source import LiveSource
from stdet.io.open_source import open_named
from stdet.processes.interrupts import uninterrupted


def require_live(source: str, raw: str | None) -> None:
    """Check that a source is live, before anything is opened.

    Args:
        source: What a user names; see ``live_address``.
        raw: As in ``TrackOptions``.

    Raises:
        ConfigError: If it is a file or folder, or ``raw`` does not go with it.
    """
    if live_address(source, None if raw is None else RawFormat.parse(raw)) is None:
        raise ConfigError(
            f"{source}: is not live; track it with `stdet track`, and look at its JSON with "
            "`stdet view`."
        )


def watch_live(source: str, options: TrackOptions, *, watcher: RunWatcher) -> TrackSummary:
    """Track a live source until it ends or a signal comes; nothing is written but lines.

    Args:
        source: Camera, address, or ``-``; see ``require_live``.
        options: As for ``track_to_files``; what is said of files does not count.
        watcher: Looks at the run.

    Raises:
        ConfigError: If false alarms per hour are asked of another detector than the network.
        DataError: If the source cannot be read or gives no frame.
        CheckpointError: If the weights cannot be used.
    """
    require_calibrated(options.detector, options.false_alarms_per_hour)
    opened = open_named(
        source, stream=options.stream, raw=options.raw, max_megapixels=options.max_megapixels
    )
    with opened, LineOutputs(options.lines, may_drop=True) as lines:
        assert isinstance(opened, LiveSource)
        options = live_options(opened, options)
        is_ignored = options.ignored.of_frames(opened.hw)
        tracker = build_tracker(options)
        outputs, live_note = NoOutputs(), ""
        started = time.monotonic()
        try:
            # The source ends itself at a signal, so that what waits for later frames comes out.
            with uninterrupted():
                lines.start(run_header(opened, tracker, options))
                run = track_stream(opened, tracker, outputs, lines, options, is_ignored, watcher)
                live_note = "" if run.live is None else f" {run.live}"
                lines.end({"num_frames": outputs.num_frames, **outputs.footer})
        except KeyboardInterrupt as error:
            error.add_note(f"{outputs.num_frames} frames were tracked.{live_note}")
            raise
        seconds = time.monotonic() - started
    if not outputs.num_frames:
        raise DataError(run.shortfall or f"{opened.address.label}: no frames.")
    return TrackSummary(
        outputs=(),
        num_frames=outputs.num_frames,
        num_tracks=run.num_tracks,
        frames_per_second=outputs.num_frames / seconds,
        shortfall=run.shortfall,
        missing_output=None,
        profile=run.profile,
        camera=run.camera.summary(),
        unregistered=dict(run.unregistered),
        live=run.live,
        false_tracks=run.false_tracks,
        lines=lines.counts,
    )
