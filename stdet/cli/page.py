"""`stdet live` and `stdet view`: the page in a browser."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stdet.cli.arguments import (
    TRACKED_WEIGHTS_HELP,
    add_detector_options,
    add_device_options,
    add_ignored_zones,
    add_max_megapixels,
    add_page_options,
    add_stream_options,
    add_tracker_options,
    use_stage_threads,
)
from stdet.cli.terminal import say
from stdet.cli.track import say_end, track_options
from stdet.errors import ConfigError

if TYPE_CHECKING:
    from stdet.page.server import PageAddress, PageServer


def add_live(commands: Any) -> None:
    """Add `stdet live`."""
    parser = commands.add_parser(
        "live",
        help="track a live camera or stream and show it on a page in the browser",
        description="Show the newest frame with its tracks on a web page: boxes, ids, trails, "
        "probabilities, the newest tracks, frames per second, age and dropped frames, and the "
        "operating point to be changed. Nothing is written without --out. Ctrl-C ends it.",
    )
    parser.add_argument(
        "source",
        help="a camera (0, /dev/video0), an address (rtsp://, http://, udp://, ...), or - for "
        "raw frames on standard input (--raw)",
    )
    add_page_options(parser)
    add_detector_options(parser, weights_help=TRACKED_WEIGHTS_HELP)
    add_tracker_options(
        parser,
        confidence="stored with the weights; the page changes it while the run goes on",
        latency="2",
    )
    parser.add_argument(
        "--out", type=Path, help="folder to write the outputs of `stdet track` to (none)"
    )
    parser.add_argument("--no-video", action="store_true", help="write no annotated video there")
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    add_stream_options(parser)
    add_ignored_zones(parser)
    add_device_options(parser)
    add_max_megapixels(parser)
    parser.set_defaults(run=_run_live)


def add_view(commands: Any) -> None:
    """Add `stdet view`."""
    parser = commands.add_parser(
        "view",
        help="look through the tracks of a finished run on a page in the browser",
        description="Show a JSON of `stdet track` on a web page: the picture with its tracks, a "
        "timeline, tracks by length and probability, and chosen ones as files. Ctrl-C ends it.",
    )
    parser.add_argument("tracks", type=Path, metavar="JSON", help="of `stdet track`")
    parser.add_argument(
        "--source",
        type=Path,
        help="what was tracked, to be shown without drawings (annotated video beside the JSON)",
    )
    add_page_options(parser)
    add_max_megapixels(parser)
    parser.set_defaults(run=_run_view)


def _run_live(args: argparse.Namespace) -> int:
    from stdet.inference.track_files import track_to_files
    from stdet.inference.watch_run import require_live, watch_live
    from stdet.page.live_page import LivePage
    from stdet.page.server import PageServer, require_page_libraries

    require_page_libraries()
    require_live(args.source, args.raw)
    for name, is_asked in (("--no-video", args.no_video), ("--overwrite", args.overwrite)):
        if is_asked and args.out is None:
            raise ConfigError(f"live: nothing is written without --out; {name} goes with it.")
    options = track_options(args, out_dir=args.out or Path("output"))
    use_stage_threads(args)
    page = LivePage()
    with PageServer("live", page.routes(), _address(args)) as server, page:
        _say_url(server)
        run = watch_live if args.out is None else track_to_files
        summary = run(args.source, options, watcher=page)
    return say_end(summary, args.jsonl)


def _run_view(args: argparse.Namespace) -> int:
    from stdet.page.finished_page import FinishedPage
    from stdet.page.server import PageServer, require_page_libraries

    require_page_libraries()
    page = FinishedPage.open(args.tracks, source=args.source, max_megapixels=args.max_megapixels)
    with page, PageServer("view", page.routes(), _address(args)) as server:
        say(page.pictures_note)
        _say_url(server)
        server.wait()
    return 0


def _address(args: argparse.Namespace) -> PageAddress:
    from stdet.page.server import PageAddress

    return PageAddress(host=args.host, port=args.port, token=args.token)


def _say_url(server: PageServer) -> None:
    print(f"page: {server.url} (Ctrl-C ends it)", file=sys.stderr, flush=True)
