"""`stdet train`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from stdet.cli.arguments import add_config, load
from stdet.cli.terminal import say


def add_train(commands: Any) -> None:
    """Add `stdet train`."""
    parser = commands.add_parser(
        "train",
        help="train a detector on frame clips",
        description="Train; a killed run goes on from its last finished epoch when the same "
        "command is given again. torchrun runs it on several processes.",
    )
    add_config(parser)
    parser.add_argument("--run-dir", type=Path, help="folder of the run (runs/<name of CONFIG>)")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace an earlier run; its files are kept until this run has written a checkpoint",
    )
    parser.set_defaults(run=_run_train)


def _run_train(args: argparse.Namespace) -> int:
    from stdet.training.run import train

    run_dir = args.run_dir or Path("runs") / args.config.stem
    result = train(load(args), run_dir=run_dir, overwrite=args.overwrite)
    if result is not None:
        if result.best_weights is not None:
            say(f"best epoch {result.best['epoch']}: {result.best_weights}")
        say(f"last epoch: {result.last_weights}")
    return 0
