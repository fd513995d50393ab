"""`stdet robustness`."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stdet.cli.arguments import (
    add_config,
    add_detector_options,
    add_format_option,
    add_ignored_zones,
    add_split_options,
    count,
    hold_outputs,
    ignored_zones,
    positive,
    use_threads,
)
from stdet.cli.terminal import say
from stdet.errors import ConfigError

if TYPE_CHECKING:
    from stdet.config import StdetConfig


def add_robustness(commands: Any) -> None:
    """Add `stdet robustness`."""
    parser = commands.add_parser(
        "robustness",
        help="score a detector and tracker on footage that is changed as cameras and files do",
        description="Run the model over a split whose sequences are changed one way after the "
        "other (rolling, zooming, shaken, turned, compressed, ...; docs/robustness.md has the "
        "list), the truth with them. Several CONFIGs are one protocol: the table is Pd at 0.05 "
        "false alarms per frame of each, and the mean of all.",
    )
    add_config(parser, "+", setting="evaluation.pd_radius_px=2")
    add_detector_options(parser)
    add_split_options(parser)
    add_ignored_zones(parser)
    parser.add_argument(
        "--changes", nargs="+", metavar="NAME", help="changes, such as none roll zoom (all)"
    )
    parser.add_argument(
        "--max-frames",
        type=positive,
        metavar="N",
        help="first frames of each sequence that are used (all)",
    )
    parser.add_argument(
        "--seed", type=count, default=0, help="of the random part of the changes (0)"
    )
    parser.add_argument("--json", type=Path, help="file for the scores, by sequence too")
    add_format_option(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --json file")
    parser.set_defaults(run=_run_robustness)


def _run_robustness(args: argparse.Namespace) -> int:
    from stdet.evaluation.from_model import scored_sequences
    from stdet.evaluation.protocol import Protocol
    from stdet.evaluation.report import write_report
    from stdet.evaluation.robustness import robustness
    from stdet.report.robustness_table import protocol_table, robustness_table

    with hold_outputs(args):
        configs = _configs(args)
        ignored = ignored_zones(args)
        if len(configs) > 1:
            # What the last one lacks is said before hours go into the first.
            for config in configs.values():
                scored_sequences(config, args.split, ignored)
        use_threads(next(iter(configs.values())).train.num_threads)
        sources = {
            name: robustness(
                config,
                weights=args.weights,
                method=args.detector,
                split=args.split,
                device=args.device,
                engine=args.engine,
                changes=args.changes,
                max_frames=args.max_frames,
                seed=args.seed,
                ignored=ignored,
                command=shlex.join(["stdet", *sys.argv[1:]]),
            )
            for name, config in configs.items()
        }
        protocol, first = Protocol(sources=sources), next(iter(sources.values()))
        table = robustness_table(first) if len(sources) == 1 else protocol_table(protocol)
        say(table.render(args.format))
        if args.json is not None:
            write_report(args.json, first if len(sources) == 1 else protocol)
            say(args.json)
    return 0


def _configs(args: argparse.Namespace) -> dict[str, StdetConfig]:
    """Read the configurations, by the names of their files."""
    from stdet.config import load_config

    configs: dict[str, StdetConfig] = {}
    for path in args.config:
        if path.stem in configs:
            raise ConfigError(
                f"robustness: two CONFIGs are named {path.stem}; their names are those of the "
                "sources in the table. Rename one."
            )
        configs[path.stem] = load_config(path, args.overrides)
    return configs
