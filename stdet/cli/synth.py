"""`stdet synth`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from stdet.cli.arguments import add_config, count, jobs, size_hw
from stdet.cli.terminal import say
from stdet.errors import ConfigError


def add_synth(commands: Any) -> None:
    """Add `stdet synth`."""
    parser = commands.add_parser(
        "synth",
        help="generate infrared sequences with exact truth",
        description="Generate the sequences that CONFIG describes (configs/benchmarks/*.yaml), "
        "each from its seed: frames, COCO and MOT truth, masks, and a record of every target. The "
        "same settings give the same data set. With --labels instead of CONFIG: a stand-in for a "
        "data set whose images are not at hand, drawn frames under the names of its label files.",
    )
    add_config(
        parser,
        "?",
        what="YAML, such as configs/benchmarks/synth1.yaml",
        setting="scene.num_frames=100",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        nargs="+",
        metavar="LABELS",
        help="text lists or COCO files: draw a frame for every image that they name, with targets "
        "where they have boxes",
    )
    parser.add_argument(
        "--size",
        type=size_hw,
        metavar="HEIGHTxWIDTH",
        help="of the frames of --labels (that of the published data set)",
    )
    parser.add_argument(
        "--seed", type=count, help="of the frames of --labels (0); CONFIG has its own"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the data set"
    )
    parser.add_argument(
        "--match",
        type=Path,
        metavar="LABELS",
        help="label file or folder, as of `stdet data`: give targets its sizes, steps and, where "
        "its images exist, contrasts; draws DIR/match.svg",
    )
    parser.add_argument(
        "--jobs",
        type=jobs,
        default=_num_processors(),
        help="sequences generated at the same time (processors: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier data set")
    parser.set_defaults(run=_run_synth)


def _run_synth(args: argparse.Namespace) -> int:
    if args.labels is not None:
        return _draw_labels(args)
    if args.config is None:
        raise ConfigError("synth: name a CONFIG, or label files with --labels.")
    if args.size is not None or args.seed is not None:
        raise ConfigError(
            "synth: --size and --seed are for --labels; a CONFIG says them, or --set scene.hw=... "
            "and --set seed=..."
        )
    from stdet.dataset_synthesis.settings import load_synth_config
    from stdet.dataset_synthesis.writer import write_dataset

    config = load_synth_config(args.config, args.overrides)
    match = None
    if args.match is not None:
        from stdet.dataset_synthesis.match import match_labels

        match = match_labels(config, args.match)
        config = match.config
    written = write_dataset(config, args.out, overwrite=args.overwrite, num_processes=args.jobs)
    say(
        f"{written.folder}: {written.num_sequences} sequences, {written.num_frames:,} frames, "
        f"{written.num_targets:,} targets; truth {written.truth_sha256[:12]}"
    )
    if match is not None:
        from stdet.dataset_synthesis.match import write_match

        say(write_match(args.out, match))
    return 0


def _draw_labels(args: argparse.Namespace) -> int:
    from stdet.dataset_synthesis.labelled import draw_labels

    if args.config is not None or args.overrides or args.match is not None:
        raise ConfigError(
            "synth: --labels takes no CONFIG, --set or --match; give one or the other."
        )
    drawn = draw_labels(
        args.labels,
        args.out,
        seed=args.seed or 0,
        hw=args.size,
        overwrite=args.overwrite,
        num_processes=args.jobs,
    )
    say(
        f"{drawn.folder}: {drawn.num_sequences} sequences, {drawn.num_frames:,} drawn frames, "
        f"{drawn.num_targets:,} targets"
    )
    return 0


def _num_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
