"""One pass of a stream through tracker and writers."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stdet.errors import IncompleteInputError
from stdet.formats.track_summary import summary_entry
from stdet.inference.camera_counts import CameraCounts
from stdet.inference.given_detections import TrackerWithoutPictures
from stdet.inference.line_outputs import LineOutputs
from stdet.inference.live_summary import Ages, LiveSummary
from stdet.inference.offline import WholeStream, smoothed
from stdet.inference.pipeline import StreamingTracker
from stdet.inference.stages.frames import TrackedFrame
from stdet.inference.stages.times import StageTime, StageTimes
from stdet.inference.track_options import TrackOptions
from stdet.inference.track_outputs import FrameOutputs
from stdet.inference.watcher import RunWatcher
from stdet.io.drawing import Trails, draw_frame
from stdet.io.frame_source import FrameSource
from stdet.io.live.capture import LiveEvent
from stdet.io.live.source import LiveSource
from stdet.metrics.detection.contrast import local_scr
from stdet.processes.progress import ProgressBar
from stdet.tracking.false_alarms import FalseTracks
from stdet.tracking.track_summaries import TrackSummaries
from stdet.types import BoolArray

_LOG = logging.getLogger(__name__)

SourceTracker = StreamingTracker | TrackerWithoutPictures
"""What turns the frames of a source into tracks."""

_MAX_LIVE_TRACKS = 10_000
_MAX_LIVE_FRAMES = 100_000
"""Of a live source the newest are summed up, since it may go on for weeks."""


@dataclass(kw_only=True)
class TrackRun:
    """What a run has found so far.

    Attributes:
        num_tracks: Confirmed tracks, whose ids count from 1.
        last_index: Of the frames.
        shortfall: What was missing of the input, None if nothing was.
        profile: What each stage took; empty where it was not asked for.
        live: How old the outputs were; None where the source is not live.
        summaries: Of the tracks; of a live source those of the newest.
        camera: How well the frames were registered.
        unregistered: Of how many frames the camera's motion is not known, by why.
        ages: Of live frames.
        false_tracks: How many are expected; None where nobody knows.
    """

    num_tracks: int = 0
    last_index: int = -1
    shortfall: str | None = None
    profile: tuple[StageTime, ...] = ()
    live: LiveSummary | None = None
    summaries: TrackSummaries = field(default_factory=TrackSummaries)
    camera: CameraCounts = field(default_factory=CameraCounts)
    unregistered: Counter[str] = field(default_factory=Counter)
    ages: Ages = field(default_factory=Ages)
    false_tracks: FalseTracks | None = None

    def add(self, tracked: TrackedFrame) -> str:
        """Take the next frame, and return its age for the progress bar."""
        self.last_index = tracked.index
        self.num_tracks = max(self.num_tracks, *tracked.tracks.track_ids.tolist(), 0)
        self.summaries.add(
            tracked.tracks,
            time=tracked.time,
            motion=tracked.from_previous,
            snrs=_snrs(tracked),
        )
        self.camera.add(tracked.pose)
        motion = tracked.from_previous
        if motion.problem is not None and motion.quality is not None:
            self.unregistered[motion.problem] += 1
        if tracked.capture is None:
            return ""
        return f", age {self.ages.add(tracked.capture):.2f} s"

    def footer(self, warnings: list[str], *, with_camera: bool) -> dict[str, Any]:
        """Return the last keys of the JSON."""
        footer: dict[str, Any] = {
            "track_summaries": list(map(summary_entry, self.summaries.rows())),
            **({} if self.live is None else self.live.footer()),
        }
        if self.false_tracks is not None:
            footer["false_tracks"] = self.false_tracks.entry()
        if warnings:
            footer["warnings"] = warnings
        if self.unregistered:
            footer["unregistered"] = dict(self.unregistered)
        if with_camera:
            footer["profile"] = [asdict(row) for row in self.profile]
            footer["camera"] = asdict(self.camera.summary())
        return footer


def track_stream(
    source: FrameSource,
    tracker: SourceTracker,
    outputs: FrameOutputs,
    lines: LineOutputs,
    options: TrackOptions,
    is_ignored: BoolArray | None,
    watcher: RunWatcher | None = None,
) -> TrackRun:
    """Track until the source ends or breaks off."""
    run = TrackRun()
    if isinstance(source, LiveSource):
        run.summaries = TrackSummaries(max_tracks=_MAX_LIVE_TRACKS)
        run.camera = CameraCounts(max_frames=_MAX_LIVE_FRAMES)
        source.on_event = functools.partial(_note_event, source, lines)
        if watcher is not None and isinstance(tracker, StreamingTracker):
            watcher.start(source, tracker)
    stop = None if options.num_frames is None else options.start + options.num_frames
    times = StageTimes() if options.with_profile else None
    frames = tracker.run(source, start=options.start, stop=stop, ignore=is_ignored, times=times)
    if options.smooth:
        has_pictures = isinstance(tracker, StreamingTracker)
        frames = _smoothed(frames, source, options, has_pictures=has_pictures)
    if watcher is not None:
        frames = _watched(frames, watcher)
    try:
        with contextlib.closing(frames):  # Threads that work ahead have ended after it.
            _write(frames, source, run, outputs, lines, options, is_ignored, times)
    except IncompleteInputError as error:
        run.shortfall = str(error)
    finally:
        if times is not None:
            run.profile = tuple(times.rows())
        if isinstance(source, LiveSource):
            run.live = run.ages.summary(source)
        run.false_tracks = tracker.false_tracks
        outputs.footer.update(run.footer(tracker.warnings, with_camera=times is not None))
        if options.draw_camera and not any(run.camera.summary().states.values()):
            _LOG.warning(
                "%s: the detector registers no frames; --draw-camera draws nothing.", source.path
            )
    return run


def _write(
    frames: Iterable[TrackedFrame],
    source: FrameSource,
    run: TrackRun,
    outputs: FrameOutputs,
    lines: LineOutputs,
    options: TrackOptions,
    is_ignored: BoolArray | None,
    times: StageTimes | None,
) -> None:
    """Send and write every frame, and count it."""
    trails = Trails()
    started = time.monotonic()
    with ProgressBar(source.name, num_expected(source, options)) as bar:
        for tracked in frames:
            lines.frame(tracked)  # First: who reads along waits for it.
            age = run.add(tracked)
            trails.update(tracked.tracks, transform=tracked.from_previous.transform)
            with contextlib.nullcontext() if times is None else times.clock("write").once():
                outputs.write(
                    tracked,
                    functools.partial(
                        _draw, source, tracked, trails, is_ignored, options.draw_camera
                    ),
                )
            rate = outputs.num_frames / (time.monotonic() - started)
            bar.advance(f"{rate:.1f} frames/s{age}")


def _watched(
    frames: Generator[TrackedFrame, None, None], watcher: RunWatcher
) -> Generator[TrackedFrame, None, None]:
    """Show each frame to who looks at the run."""
    with contextlib.closing(frames):
        for tracked in frames:
            watcher.frame(tracked)
            yield tracked


def _smoothed(
    frames: Generator[TrackedFrame, None, None],
    source: FrameSource,
    options: TrackOptions,
    *,
    has_pictures: bool,
) -> Generator[TrackedFrame, None, None]:
    """Track all frames first, and read them once more."""
    title = f"{source.name}, before smoothing"
    with (
        contextlib.closing(frames),
        ProgressBar(title, num_expected(source, options)) as bar,
    ):
        stream = WholeStream.of(bar.count(frames))
    read_again = functools.partial(source.frames, options.start) if has_pictures else None
    yield from smoothed(stream, read_again)


def _snrs(tracked: TrackedFrame) -> NDArray[np.float64]:
    """Return the local signal-to-clutter ratio of each row of the tracks, (M,)."""
    if not len(tracked.tracks):
        return np.zeros(0)
    return local_scr(tracked.image, tracked.tracks.boxes_xyxy)


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


def _note_event(source: LiveSource, lines: LineOutputs, event: LiveEvent) -> None:
    """Say what has happened to a live source."""
    _LOG.warning("%s: %s: %s.", source.address.label, event.kind, event.text)
    lines.event(event)


def num_expected(source: FrameSource, options: TrackOptions) -> int | None:
    """Return how many frames the run will see, None where the source does not say."""
    if source.num_declared is None:
        return options.num_frames
    left = max(source.num_declared - options.start, 0)
    return left if options.num_frames is None else min(left, options.num_frames)
