"""`stdet synth`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from stdet.cli.arguments import add_config, jobs
from stdet.cli.terminal import say


def add_synth(commands: Any) -> None:
    """Add `stdet synth`."""
    parser = commands.add_parser(
        "synth",
        help="generate infrared sequences with exact truth",
        description="Generate the sequences that CONFIG describes (configs/benchmarks/*.yaml), "
        "each from its seed: frames, COCO and MOT truth, masks, and a record of every target. The "
        "same settings give the same data set.",
    )
    add_config(
        parser, what="YAML, such as configs/benchmarks/synth1.yaml", setting="scene.num_frames=100"
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


def _num_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
