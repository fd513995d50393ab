"""`stdet info`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from stdet.cli.arguments import add_config, hold_outputs, load, size_hw
from stdet.cli.terminal import say


def add_info(commands: Any) -> None:
    """Add `stdet info`."""
    parser = commands.add_parser(
        "info",
        help="show what a model costs",
        description="Print parameters, GFLOP per part, strides and receptive field of a model; "
        "for BP-FPN also what it costs over the plain FPN.",
    )
    add_config(parser)
    parser.add_argument(
        "--size",
        type=size_hw,
        default=(256, 256),
        metavar="HxW",
        help="size at which a native-resolution model is counted (256x256)",
    )
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --json file")
    parser.set_defaults(run=_run_info)


def _run_info(args: argparse.Namespace) -> int:
    from stdet.inference.model_info import describe_model, format_info, write_info

    with hold_outputs(args):
        info = describe_model(load(args).model, native_hw=args.size)
        say(format_info(info))
        if args.json is not None:
            write_info(args.json, info)
            say(args.json)
    return 0
