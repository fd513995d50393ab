"""`stdet data check` and `stdet data stats`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from stdet.cli.arguments import add_max_megapixels, hold_outputs
from stdet.cli.terminal import say


def add_data(commands: Any) -> None:
    """Add `stdet data`."""
    parser = commands.add_parser(
        "data",
        help="check a data set, or show its statistics",
        description="Look at the labels of data sets; every label file or labelled folder is a "
        "split.",
    )
    actions = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check = actions.add_parser(
        "check",
        help="find damage, bad boxes and leaks between splits",
        description="Find broken, blank and missing images, bad boxes, gaps, frames that occur "
        "twice, and leaks between splits. Exit code 3 where something is wrong. Works without "
        "images.",
    )
    _add_places(check)
    check.add_argument("--no-images", action="store_true", help="check labels only")
    add_max_megapixels(check)
    check.set_defaults(run=_run_data_check)
    stats = actions.add_parser(
        "stats",
        help="count targets and measure sizes and steps",
        description="Print frames, targets per frame, box sizes and steps of every split. "
        "Needs no images.",
    )
    _add_places(stats)
    stats.set_defaults(run=_run_data_stats)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "roots",
        type=Path,
        nargs="+",
        metavar="ROOT",
        help="data set folder, MOTChallenge folder, folder of videos, or one label file (COCO or "
        "boxes of videos .json, text list .txt, centroids .csv); several are compared with one "
        "another",
    )
    parser.add_argument(
        "--sequence-pattern",
        metavar="REGEX",
        help="which sequence and frame an image is; as data.sequence_pattern",
    )
    parser.add_argument("--json", type=Path, help="file for all results")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --json file")


def _run_data_check(args: argparse.Namespace) -> int:
    from stdet.dataset_check.check import check_dataset
    from stdet.dataset_check.findings import format_check, write_check

    with hold_outputs(args):
        report = check_dataset(
            args.roots,
            with_images=not args.no_images,
            sequence_pattern=_pattern(args),
            max_megapixels=args.max_megapixels,
        )
        say(format_check(report))
        if args.json is not None:
            write_check(args.json, report)
            say(args.json)
    return 3 if report.findings else 0


def _run_data_stats(args: argparse.Namespace) -> int:
    from stdet.dataset_check.stats import (
        dataset_statistics,
        format_statistics,
        write_statistics,
    )

    with hold_outputs(args):
        statistics = dataset_statistics(args.roots, sequence_pattern=_pattern(args))
        say(format_statistics(statistics))
        if args.json is not None:
            write_statistics(args.json, statistics)
            say(args.json)
    return 0


def _pattern(args: argparse.Namespace) -> str | None:
    from stdet.config import DataConfig
    from stdet.files.settings_file import check_settings

    values = {"sequence_pattern": args.sequence_pattern}
    return check_settings(DataConfig, values, where="--sequence-pattern").sequence_pattern
