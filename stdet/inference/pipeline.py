"""Track a stream: the stages joined, from a source to tracks.

    import stdet
    for frame in stdet.track("video.mp4"):
        print(frame.index, frame.tracks.ids, frame.tracks.xyxy)

Memory does not grow with the length of the stream: a ring of per-frame features, the last 24
frames for background features, the frames and detections that wait for later ones, live paths and
tracks, counts of bad pixels, and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from stdet.classical.methods import OPERATING_POINTS, Method
from stdet.config import TrackerConfig
from stdet.errors import ConfigError, IncompleteInputError
from stdet.inference.detector import Detector
from stdet.inference.engines.names import EngineName
from stdet.inference.load_network import load_network
from stdet.inference.stages.frames import StreamFrame, TrackedFrame
from stdet.inference.stages.judge import Judge
from stdet.inference.stages.read import LeaveOutBlank, Scale
from stdet.inference.stages.split import MAX_BRIDGED, MAX_BRIDGED_LIVE_S, SplitAtGaps
from stdet.inference.stages.stage import Stage
from stdet.inference.stages.threads import StageThreads
from stdet.inference.stages.times import StageTimes, timed
from stdet.inference.stages.track import LeaveOutWeak, OperatingPoint, Track
from stdet.inference.weights_files import DEFAULT_WEIGHTS, operating_point
from stdet.io.array_source import Array, ArraySource, open_frames
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import Frame, FrameSource, IntensityScale
from stdet.io.intensity.scene_watch import SceneWatch
from stdet.io.intensity.spoilt_pixels import SpoiltPixels
from stdet.io.live.capture import Pause
from stdet.io.live.source import LiveSource
from stdet.tracking.false_alarms import FalseTracks
from stdet.tracking.judge import TrackJudge
from stdet.tracking.lifetimes import longest_gap
from stdet.tracking.tracker import Tracker
from stdet.types import BoolArray

NUM_AHEAD, NUM_AHEAD_LIVE = 2, 1
"""Frames that each thread is ahead of the next. A stage of unequal times needs one in reserve; of
live frames each one makes what comes out older."""

LIVE_LATENCY = 2
"""Frames by which outputs of a live source are late where nothing else is asked for."""


class StreamingTracker:
    """Detect, score detections by their paths, and track a stream.

    Args:
        detector: The network or a classical one.
        config: Tracker settings.
        confidence: Operating point in [0, 1].
        start_judge: Returns what says of the tracks of a stream, whose frame rate it is given, how
            likely they are real; None for detectors that it is not calibrated for.

    Attributes:
        operating_point: The confidence, which may be changed while a stream runs.
    """

    def __init__(
        self,
        detector: Detector,
        config: TrackerConfig,
        *,
        confidence: float,
        start_judge: Callable[[float | None], TrackJudge] | None = None,
    ) -> None:
        """Keep the parts; every run starts with no tracks."""
        self.detector = detector
        self.config = config
        self.operating_point = OperatingPoint(confidence)
        self._start_judge = start_judge
        self._judge: TrackJudge | None = None
        self._watch: SceneWatch | None = None

    @property
    def confidence(self) -> float:
        """The operating point now."""
        return self.operating_point.confidence

    @property
    def warnings(self) -> list[str]:
        """Where nothing could be seen in the last source; see ``scene_watch.py``."""
        return [] if self._watch is None else self._watch.warnings()

    @property
    def false_tracks(self) -> FalseTracks | None:
        """How many false tracks are expected in the last stream; None where nobody knows."""
        return None if self._judge is None else self._judge.summary()

    @property
    def delay(self) -> int:
        """Frames that results come late, once a stream has gone on for a while."""
        return self._begin_sequence(Tracker.for_stream(self.config), None).delay

    @classmethod
    def from_weights(
        cls,
        weights: str,
        *,
        confidence: float | None,
        device: str,
        engine: EngineName = "auto",
        latency: int | None = None,
        false_alarms_per_hour: float | None = None,
    ) -> StreamingTracker:
        """Build detector and tracker from a weights file; arguments as in ``track``."""
        start_judge = partial(TrackJudge, limit_per_hour=false_alarms_per_hour)
        start_judge(None)  # A wrong limit is found before anything is loaded.
        loaded = load_network(weights, device=device, engine=engine)
        if confidence is None:
            confidence = operating_point(loaded.config, loaded.path)
        config = replace(loaded.config.tracker, latency=latency)
        return cls(
            Detector.from_network(loaded.network, latency=latency),
            config,
            confidence=confidence,
            start_judge=partial(start_judge, longest_gap=longest_gap(config)),
        )

    @classmethod
    def from_classical(
        cls, method: Method, *, confidence: float | None, latency: int | None = None
    ) -> StreamingTracker:
        """Build a classical detector and the tracker; arguments as in ``track``."""
        return cls(
            Detector.from_classical(method, latency=latency),
            TrackerConfig(latency=latency),
            confidence=OPERATING_POINTS[method] if confidence is None else confidence,
        )

    def stages(
        self,
        *,
        scale: IntensityScale,
        watch: SceneWatch,
        fps: float | None = None,
        gaps: frozenset[int] = frozenset(),
        max_bridged: int = MAX_BRIDGED,
        ignore: BoolArray | None = None,
        times: StageTimes | None = None,
    ) -> Stage[Frame, TrackedFrame]:
        """Return all stages of one stream, joined: raw frames in, tracked ones out.

        ``push`` and ``flush`` of what is returned take frames as they come, ``run`` a whole
        stream; both give the same.

        Args:
            scale: Map of the levels to [0, 1].
            watch: Remembers where nothing can be seen.
            fps: Frames per second, None where unknown.
            gaps: Indices of frames that follow a hole of unknown length.
            max_bridged: Frames that may be missing without a new start of the detector.
            ignore: As in ``track``.
            times: Times them; None for no times.

        Raises:
            ValueError: If ``ignore`` is not such a mask; with the first frame if its size is not
                that of the frames.
        """
        ignored = _ignored(ignore)
        blank = timed(LeaveOutBlank(watch.leave_out, ignored), times)
        scaled = timed(Scale(scale, fps=fps, watch=watch, ignored=ignored), times)
        tracker = Tracker.for_stream(self.config)
        track = SplitAtGaps(
            lambda: self._begin_sequence(tracker, times), gaps=gaps, max_bridged=max_bridged
        )
        stages = blank.then(scaled).then(track)
        if self._start_judge is not None:
            self._judge = self._start_judge(fps)
            stages = stages.then(Judge(self._judge))
        return stages.then(LeaveOutWeak(self.operating_point))

    def _begin_sequence(
        self, tracker: Tracker, times: StageTimes | None
    ) -> Stage[StreamFrame, TrackedFrame]:
        """Return fresh stages that detect, score and track."""
        track = Track(tracker, self.operating_point)
        return self.detector.start(times).then(timed(track, times))

    def run(
        self,
        source: FrameSource,
        *,
        start: int = 0,
        stop: int | None = None,
        ignore: BoolArray | None = None,
        times: StageTimes | None = None,
    ) -> Generator[TrackedFrame, None, None]:
        """Track a source frame by frame.

        Tracks are predicted over missing frames: dropped ones, repeated ones, blank ones, those
        that could not be read. Where more than ``MAX_BRIDGED`` are missing in a row, the detector
        and the paths that score its detections start anew; over fewer they go on with the frames
        that they have.
        At a gap in the numbering of an image folder, whose length nobody knows, both start anew
        and all tracks end. Frames come late, by what the detector waits for and by ``lookahead``.

        Args:
            source: Frames.
            start: First frame.
            stop: Frame to stop before, None for all.
            ignore: As in ``track``.
            times: Times the stages; None for no times.

        Raises:
            IncompleteInputError: After the last usable frame, where the source is incomplete.
            ValueError: If ``ignore`` is not such a mask.
        """
        self._watch = watch = SceneWatch(source.path, source.scale)
        incomplete: IncompleteInputError | None = None
        frames: Iterator[Frame | Pause] = source.frames(start, stop)
        max_bridged = MAX_BRIDGED
        if isinstance(source, LiveSource):
            frames = source.stream(start, stop)
            max_bridged = round(MAX_BRIDGED_LIVE_S * (source.fps or 0))
        if times is not None:
            frames = times.clock("read").watch(frames)
        stages = self.stages(
            scale=source.scale,
            watch=watch,
            fps=source.fps,
            gaps=source.gaps,
            max_bridged=max_bridged,
            ignore=ignore,
            times=times,
        )
        try:
            if isinstance(source, ArraySource) and source.is_one_by_one:
                yield from stages.run(frames)  # Whoever gives them does so in this thread.
            else:
                yield from _run_in_threads(stages, frames, source)
        except IncompleteInputError as error:
            incomplete = error
        watch.log()
        if incomplete is not None:
            raise incomplete


def track(
    source: str | Path | Iterable[Array],
    *,
    weights: str = DEFAULT_WEIGHTS,
    detector: Method | None = None,
    confidence: float | None = None,
    start: int = 0,
    num_frames: int | None = None,
    fps: float | None = None,
    stream: int | None = None,
    raw: str | None = None,
    ignore: BoolArray | None = None,
    device: str = "auto",
    engine: EngineName = "auto",
    latency: int | None = None,
    false_alarms_per_hour: float | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Iterator[TrackedFrame]:
    """Find and track moving small targets in a video, a folder, a live stream, or arrays.

    Args:
        source: Video file, folder of images or multi-page TIFF; camera or address
            (``docs/live.md``), of which the newest frame is taken; or arrays (H, W), or (H, W, 3)
            as RGB, of uint8, uint16, or float32 in [0, 1]: a stack, a list, or an iterator, from
            which frames are taken one by one.
        weights: Name of shipped weights, or a file of `stdet train`.
        detector: A classical detector, which needs no weights and no device; None for the
            network.
        confidence: Operating point in [0, 1]; None takes the one stored with the weights, or that
            of the classical detector.
        start: First frame, counted from 0.
        num_frames: Frames to read, None for all.
        fps: Frames per second of arrays; files have their own.
        stream: Video stream of a file, counted from 0; None for its default one.
        raw: How the frames of standard input (``-``) or of a named pipe lie, such as
            ``640x512:gray16le@25``.
        ignore: Pixels that do not belong to the scene (text, reticles, zones), bool (H, W), true
            where ignored: they are not registered, and nothing is detected there.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        engine: What runs the network; `docs/engines.md` has the names.
        latency: Frames by which results may be late, as ``tracker.latency``; None for
            ``LIVE_LATENCY`` of a live source, and else for five, the first ones of a scene later.
        false_alarms_per_hour: False tracks that may come out in an hour, as far as the footage
            shows it (``docs/tracking.md``); None for all tracks. For the network alone.
        max_megapixels: Largest area of a file's frame, 10^6 pixels.

    Yields:
        One ``TrackedFrame`` per frame read, in order.

    Raises:
        DataError: If the source cannot be read.
        CheckpointError: If the weights cannot be used.
        IncompleteInputError: After the last usable frame, where the source is incomplete.
        ConfigError: If a classical detector is asked for so many false alarms an hour.
        ValueError: If an array is no frame, ``ignore`` no mask of the frames, or
            ``false_alarms_per_hour`` not above 0.
    """
    require_calibrated(detector, false_alarms_per_hour)
    with open_frames(
        source, fps=fps, stream=stream, raw=raw, max_megapixels=max_megapixels
    ) as opened:
        if latency is None and isinstance(opened, LiveSource):
            latency = LIVE_LATENCY
        if detector is None:
            tracker = StreamingTracker.from_weights(
                weights,
                confidence=confidence,
                device=device,
                engine=engine,
                latency=latency,
                false_alarms_per_hour=false_alarms_per_hour,
            )
        else:
            tracker = StreamingTracker.from_classical(
                detector, confidence=confidence, latency=latency
            )
        stop = None if num_frames is None else start + num_frames
        yield from tracker.run(opened, start=start, stop=stop, ignore=ignore)


def require_calibrated(detector: str | None, false_alarms_per_hour: float | None) -> None:
    """Check that false alarms per hour are asked of the network alone.

    Args:
        detector: Another one; None for the network.
        false_alarms_per_hour: As in ``track``.

    Raises:
        ConfigError: If they are not.
    """
    if detector is not None and false_alarms_per_hour is not None:
        raise ConfigError(
            f"false alarms per hour are not calibrated for {detector}; leave them out, or use the "
            "network."
        )


def _run_in_threads(
    stages: Stage[Frame, TrackedFrame], frames: Iterator[Frame | Pause], source: FrameSource
) -> Iterator[TrackedFrame]:
    """Run a stream in threads, which have ended when this has.

    A live source reads in a thread of its own. Its newest frame is taken when the first stage is
    free, and not before.
    """
    is_live = isinstance(source, LiveSource)
    with (
        StageThreads(num_ahead=NUM_AHEAD_LIVE if is_live else NUM_AHEAD) as threads,
        contextlib.ExitStack() as ending,
    ):
        if isinstance(source, LiveSource):
            ending.callback(source.end_stream)  # Else a thread would wait for the next frame.
        else:
            frames = threads.ahead(frames, name="read")
        yield from stages.run_in_threads(frames, threads)


def _ignored(ignore: BoolArray | None) -> SpoiltPixels | None:
    """Return the pixels to ignore; None for none."""
    if ignore is None:
        return None
    if ignore.ndim != 2 or ignore.dtype != np.bool_:
        raise ValueError(f"ignore is {ignore.dtype} {ignore.shape}; expected bool (H, W).")
    if ignore.all():
        raise ValueError("ignore is true everywhere; nothing would be seen.")
    return SpoiltPixels(ignore) if ignore.any() else None
