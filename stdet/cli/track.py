"""`stdet track`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stdet.cli.arguments import (
    TRACKED_WEIGHTS_HELP,
    add_detector_options,
    add_device_options,
    add_ignored_zones,
    add_max_megapixels,
    add_stream_options,
    add_tracker_options,
    count,
    ignored_zones,
    positive,
    positive_number,
    size_hw,
    use_stage_threads,
)
from stdet.cli.terminal import complain, say
from stdet.errors import ConfigError

if TYPE_CHECKING:
    from stdet.inference.camera_counts import CameraSummary
    from stdet.inference.stages.times import StageTime
    from stdet.inference.track_options import TrackOptions, TrackSummary


def add_track(commands: Any) -> None:
    """Add `stdet track`."""
    parser = commands.add_parser(
        "track",
        help="track targets in a video, a folder of frames, or a live camera or stream",
        description="Write <stem>.mot.txt, <stem>.json and an annotated <stem>.mp4. A run that "
        "ends early keeps the frames it has tracked, under these names or, where an earlier run "
        "has left more, as <stem>.partial.*.",
    )
    parser.add_argument(
        "source",
        nargs="?",
        help="video, folder of images, or multi-page TIFF; may be left out with --detections. Or "
        "live, newest frame first: a camera (0, /dev/video0), an address (rtsp://, http://, "
        "udp://, ...), or - for raw frames on standard input (--raw); Ctrl-C ends it",
    )
    detectors = add_detector_options(parser, weights_help=TRACKED_WEIGHTS_HELP)
    detectors.add_argument(
        "--detections",
        type=Path,
        metavar="FILE",
        help="track what another detector has found: COCO results (.json), MOT rows (.txt), or "
        ".csv with a header of frame,x,y,w,h,score[,class]. With SOURCE tracks follow the scene "
        "where the camera moves; without it the camera is taken as resting",
    )
    parser.add_argument("--out", type=Path, default=Path("output"), help="folder (output)")
    add_tracker_options(
        parser,
        confidence="chosen on validation, stored with the weights; for a classical detector "
        "chosen on two segments of DAUB; 0.5 with --detections",
        latency="live: 2; files: 5, the first frames up to 23",
    )
    parser.add_argument(
        "--smooth",
        action="store_true",
        help="once all frames are tracked, smooth each track from its earlier and later "
        "detections, fill its gaps, join tracks of one target, and leave out tracks of less than "
        "four detections; the source is read twice",
    )
    parser.add_argument(
        "--size",
        type=size_hw,
        metavar="HxW",
        help="size of the frames, pixels, of --detections without SOURCE (extent of the boxes)",
    )
    parser.add_argument(
        "--fps",
        type=positive_number,
        metavar="N",
        help="frames per second of --detections without SOURCE (unknown)",
    )
    add_stream_options(parser)
    parser.add_argument("--start", type=count, default=0, help="first frame, from 0 (0)")
    parser.add_argument("--frames", type=positive, help="number of frames to read (all)")
    add_ignored_zones(parser)
    add_device_options(parser)
    video = parser.add_mutually_exclusive_group()
    video.add_argument("--no-video", action="store_true", help="write no annotated video")
    video.add_argument(
        "--draw-camera",
        action="store_true",
        help="draw on the video a grid that stays on the scene, how well each frame is "
        "registered, and the pixels that stand still or are ignored",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    add_max_megapixels(parser)
    parser.add_argument(
        "--profile",
        action="store_true",
        help="print the CPU time of each stage per frame, how many frames late it is and how "
        "well frames were registered, and add it to the JSON",
    )
    parser.set_defaults(run=_run_track)


def _run_track(args: argparse.Namespace) -> int:
    from stdet.inference.track_files import track_to_files

    if args.source is None and args.detections is None:
        raise ConfigError("track: give SOURCE, or --detections FILE.")
    if args.source is not None and (args.size is not None or args.fps is not None):
        raise ConfigError("track: SOURCE says its own --size and --fps; leave them out.")
    options = track_options(
        args,
        out_dir=args.out,
        detections=args.detections,
        image_hw=args.size,
        fps=args.fps,
        smooth=args.smooth,
        start=args.start,
        num_frames=args.frames,
        draw_camera=args.draw_camera,
        with_profile=args.profile,
    )
    use_stage_threads(args)
    return say_end(track_to_files(args.source, options), args.jsonl)


def track_options(args: argparse.Namespace, **own: Any) -> TrackOptions:
    """Return what the arguments say that `track` and `live` share; ``own`` says the rest."""
    from stdet.inference.track_options import TrackOptions

    return TrackOptions(
        weights=args.weights,
        detector=args.detector,
        confidence=args.confidence,
        latency=args.latency,
        false_alarms_per_hour=args.false_alarms_per_hour,
        stream=args.stream,
        raw=args.raw,
        lines=tuple(args.jsonl),
        ignored=ignored_zones(args),
        device=args.device,
        engine=args.engine,
        with_video=not args.no_video,
        overwrite=args.overwrite,
        max_megapixels=args.max_megapixels,
        **own,
    )


def say_end(summary: TrackSummary, lines: Sequence[str]) -> int:
    """Say how a run went, and return the exit code; ``lines`` are the targets of --jsonl."""
    # Standard output is for the lines alone, where they go there.
    with contextlib.redirect_stdout(sys.stderr) if "-" in lines else contextlib.nullcontext():
        _say_summary(summary)
    problems = [text for text in (summary.shortfall, summary.missing_output) if text is not None]
    problems += [
        f"--jsonl {sink.target}: {sink.num_dropped} of {sink.num_sent + sink.num_dropped} lines "
        f"were not sent ({sink.problem or 'too slow a reader'})."
        for sink in summary.lines
        if sink.num_dropped
    ]
    for problem in problems:
        complain(problem)
    return 3 if problems else 0


def _say_summary(summary: TrackSummary) -> None:
    """Say what was found and where it is."""
    expected = "" if summary.false_tracks is None else f"; {summary.false_tracks}"
    say(
        f"{summary.num_frames} frames, {summary.num_tracks} tracks, "
        f"{summary.frames_per_second:.1f} frames/s{expected}"
    )
    limit = None if summary.false_tracks is None else summary.false_tracks.limit_text()
    if limit is not None:
        say(limit)
    if summary.live is not None:
        say(summary.live)
    for path in summary.outputs:
        say(path)
    for problem, num_frames in summary.unregistered.items():
        say(f"camera motion not known in {num_frames} of {summary.num_frames} frames: {problem}")
    if summary.profile:
        print(_profile_table(summary.profile), file=sys.stderr)
        print(_camera_lines(summary.camera), file=sys.stderr)


def _profile_table(rows: Sequence[StageTime]) -> str:
    """Return a line for each stage, and one for all: frames late add up, medians do not."""
    lines = [f"{'stage':<10}{'frames':>8}{'median ms':>11}{'95 % ms':>10}{'frames late':>13}"]
    lines += [
        f"{row.name:<10}{row.num_frames:>8}{row.median_ms:>11.2f}{row.percentile_95_ms:>10.2f}"
        f"{row.num_frames_late:>13}"
        for row in rows
    ]
    lines.append(f"{'all':<39}{sum(row.num_frames_late for row in rows):>13}")
    return "\n".join(lines)


def _camera_lines(camera: CameraSummary) -> str:
    """Return how well the frames were registered, each line with a name in front."""
    if not any(camera.states.values()):
        return "camera    frames are not registered"
    num = camera.num_frames
    lines = [
        f"camera    {_shares(camera.states, num)}",
        f"models    {_shares(camera.models, num)}",
    ]
    if camera.median_error_px is not None:
        lines.append(
            f"median    error {camera.median_error_px:.3f} px, inliers {camera.median_inliers:.1%}"
        )
    return "\n".join(lines)


def _shares(counts: Mapping[str, int], num_frames: int) -> str:
    return ", ".join(f"{name} {count / num_frames:.1%}" for name, count in counts.items())
