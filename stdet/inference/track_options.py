"""What `stdet track` may be told, and what it says at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stdet.classical.methods import Method
from stdet.inference.camera_counts import CameraSummary
from stdet.inference.engines.names import EngineName
from stdet.inference.live_summary import LiveSummary
from stdet.inference.stages.times import StageTime
from stdet.inference.weights_files import DEFAULT_WEIGHTS
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.ignored_pixels import NOTHING_IGNORED, IgnoredZones
from stdet.io.sinks.line_sink import SinkCount
from stdet.tracking.false_alarms import FalseTracks


@dataclass(frozen=True, kw_only=True)
class TrackOptions:
    """What `stdet track` may be told.

    Attributes:
        weights: Name of shipped weights, or a file.
        detector: A classical detector instead of the network with its weights; None for that.
        detections: File of another detector's output, instead of both; see ``detection_file.py``.
        image_hw: Height and width of the frames of such a file without a source, pixels; None for
            the extent of its boxes.
        fps: Their frames per second, None where unknown.
        out_dir: Folder for the outputs; created.
        confidence: Operating point, None for the one stored with the weights, or that of the
            classical detector.
        smooth: Smooth the tracks once all frames are tracked; see ``tracking/offline.py``.
        start: First frame.
        num_frames: Frames to read, None for all.
        stream: Video stream of a file, from 0; None for its default one.
        raw: How frames of standard input or a named pipe lie; see ``RawFormat.parse``.
        lines: Where JSON lines go while the run goes on; see ``open_sink``.
        ignored: Pixels that do not belong to the scene.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        engine: What runs the network; see ``choose_engine``.
        latency: Frames by which outputs may be late, as ``tracker.latency``; None for
            ``LIVE_LATENCY`` of a live source, and for the tracker's default of others.
        false_alarms_per_hour: False tracks that may come out in an hour; None for all tracks.
        with_video: Write the annotated video.
        draw_camera: Draw on it where the scene is and how well that is known.
        overwrite: Replace existing outputs.
        max_megapixels: Largest area of a frame, 10^6 pixels.
        with_profile: Time the stages and count how well frames are registered; in the summary,
            and as ``profile`` and ``camera`` in the JSON.
    """

    weights: str = DEFAULT_WEIGHTS
    detector: Method | None = None
    detections: Path | None = None
    image_hw: tuple[int, int] | None = None
    fps: float | None = None
    out_dir: Path = Path("output")
    confidence: float | None = None
    smooth: bool = False
    start: int = 0
    num_frames: int | None = None
    stream: int | None = None
    raw: str | None = None
    lines: tuple[str, ...] = ()
    ignored: IgnoredZones = NOTHING_IGNORED
    device: str = "auto"
    engine: EngineName = "auto"
    latency: int | None = None
    false_alarms_per_hour: float | None = None
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
        live: How old the outputs were; None where the source is not live.
        false_tracks: How many are expected; None for detectors that they are not calibrated for.
        lines: What was sent as JSON lines.
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
    live: LiveSummary | None
    false_tracks: FalseTracks | None
    lines: tuple[SinkCount, ...]
