"""`stdet bench`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stdet.cli.arguments import (
    WEIGHTS_HELP,
    add_format_option,
    hold_outputs,
    positive,
    size_hw,
    use_threads,
)
from stdet.cli.terminal import say

if TYPE_CHECKING:
    from stdet.io.frame_source import FrameSource


def add_bench(commands: Any) -> None:
    """Add `stdet bench`."""
    parser = commands.add_parser(
        "bench",
        help="time every stage on this machine, in every engine",
        description="Track a video, and run the network on each of its frames in several engines "
        "in turns: recompute (the published way, all frames of every clip anew) and those of "
        "--engines. Prints wall time (median, 95 %, 99 %) and CPU time of each stage, and the "
        "share of what this machine reaches in a product of two matrices. On a machine that is "
        "busy only ratios of CPU time mean anything.",
    )
    parser.add_argument(
        "source", nargs="?", type=Path, help="video, folder of images or TIFF (generated frames)"
    )
    parser.add_argument("--weights", default="stdet_n", help=f"{WEIGHTS_HELP} (stdet_n)")
    parser.add_argument(
        "--size",
        type=size_hw,
        default=(512, 640),
        metavar="HxW",
        help="of the generated frames, pixels (512x640)",
    )
    parser.add_argument("--frames", type=positive, default=40, help="frames that are timed (40)")
    parser.add_argument(
        "--engines",
        nargs="+",
        default=[],
        metavar="NAME",
        help="recompute, eager, ... (all that run here)",
    )
    parser.add_argument(
        "--threads", type=positive, nargs="+", default=[1], metavar="N", help="CPU threads (1)"
    )
    parser.add_argument("--json", type=Path, help="file for all numbers")
    add_format_option(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --json file")
    parser.set_defaults(run=_run_bench)


def _run_bench(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from stdet.files.atomic_file import write_whole
    from stdet.inference.bench.measure import run_bench
    from stdet.report.bench_table import bench_table

    use_threads()
    with hold_outputs(args), _source(args) as source:
        found = run_bench(
            source,
            args.weights,
            engines=args.engines,
            threads=args.threads,
            num_frames=args.frames,
        )
        say(bench_table(found).render(args.format))
        if args.json is not None:
            write_whole(args.json, (json.dumps(asdict(found), indent=2) + "\n").encode())
            say(args.json)
    return 0


def _source(args: argparse.Namespace) -> FrameSource:
    """Open the source, or generate frames."""
    from stdet.inference.bench.measure import NUM_WARM_UP
    from stdet.io.memory_source import MemorySource
    from stdet.io.open_source import open_source
    from stdet.synthesis import SceneConfig, generate

    if args.source is not None:
        return open_source(args.source)
    scene = SceneConfig(num_frames=NUM_WARM_UP + args.frames, hw=args.size)
    return MemorySource("generated frames", generate(scene, seed=0).frames, fps=None)
