"""`stdet ablate`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from stdet.cli.arguments import add_config, add_format_option
from stdet.cli.terminal import say


def add_ablate(commands: Any) -> None:
    """Add `stdet ablate`."""
    parser = commands.add_parser(
        "ablate",
        help="train and compare variants of a network over several seeds",
        description="Train every variant of a grid with every seed, score all, and write a table "
        "with intervals and paired differences to the first variant, and plots of mAP50 against "
        "parameters, FLOPs and frames per second. Killed, it goes on where it was when the same "
        "command is given again. torchrun shares the trainings among its processes.",
    )
    add_config(parser, metavar="GRID", what="YAML, such as configs/ablation/pyramids.yaml")
    parser.add_argument(
        "--run-dir", type=Path, help="folder of the ablation (runs/ablation/<name of GRID>)"
    )
    add_format_option(parser)
    parser.set_defaults(run=_run_ablate)


def _run_ablate(args: argparse.Namespace) -> int:
    from stdet.training.ablation import run_ablation
    from stdet.training.grid import read_grid

    run_dir = args.run_dir or Path("runs") / "ablation" / args.config.stem
    result = run_ablation(read_grid(args.config, args.overrides), run_dir=run_dir)
    if result is not None:
        for table in (result.summary, *result.left_out):
            say(table.render(args.format))
        for path in result.files:
            say(path)
    return 0
