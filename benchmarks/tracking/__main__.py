"""Track generated sequences with several trackers and compare their scores.

    python -m benchmarks.tracking run --seeds 10 --json scores.json
    python -m benchmarks.tracking tune

Run from the root of the repository, on one thread (OMP_NUM_THREADS=1). docs/tracking.md
says what the sequences are, who takes part, and what must be installed.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tracking.contenders import SETTINGS, own_contenders, tunables, tuned_contenders
from benchmarks.tracking.families import FAMILIES
from benchmarks.tracking.old_checkout import COMMIT
from benchmarks.tracking.scores import FamilyScores, Mean, SequenceScores, score
from benchmarks.tracking.sequences import make_sequence
from benchmarks.tracking.tuning import FIRST_SEED, NUM_RANDOM, tune, tuning_sequences


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="print a line per family and tracker")
    run.add_argument("--seeds", type=int, default=10, help="sequences of each family (10)")
    run.add_argument(
        "--first-seed",
        type=int,
        default=0,
        help=f"0 is reported; develop with {FIRST_SEED} or more (0)",
    )
    run.add_argument("--families", nargs="+", default=["*"], metavar="PATTERN")
    run.add_argument("--old", type=Path, metavar="CHECKOUT", help=f"of commit {COMMIT}")
    run.set_defaults(command=_run)
    tuning = commands.add_parser("tune", help="choose settings, and write them to settings.json")
    tuning.add_argument("--draws", type=int, default=NUM_RANDOM, help="random settings (40)")
    tuning.set_defaults(command=_tune)
    for command in (run, tuning):
        command.add_argument("--contenders", nargs="+", default=["*"], metavar="PATTERN")
    args = parser.parse_args()
    args.command(args)


def _tune(args: argparse.Namespace) -> None:
    """Choose the settings of every contender that is asked for."""
    sequences = tuning_sequences()
    for tunable in tunables():
        if not _is_named(tunable.name, args.contenders):
            continue
        if not tunable.is_installed:
            print(f"{tunable.name}: left out, the package {tunable.package} is not installed")
            continue
        settings, value = tune(tunable, sequences, num_random=args.draws)
        print(f"{tunable.name}: {value:.4f} {settings}", flush=True)
        content = json.loads(SETTINGS.read_text(encoding="utf-8"))
        content["contenders"][tunable.name] = {"value": round(value, 4), "settings": settings}
        SETTINGS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _run(args: argparse.Namespace) -> None:
    """Print a line per family and tracker."""
    if args.first_seed < FIRST_SEED < args.first_seed + args.seeds:
        raise SystemExit(f"seeds from {FIRST_SEED} on are for tuning; expected fewer --seeds")
    contenders = [
        one
        for one in [*own_contenders(args.old), *tuned_contenders()]
        if _is_named(one.name, args.contenders)
    ]
    print(f"{'':<46}{'':<24}{'HOTA':>14}{'IDF1':>14}{'switches':>9}{'false/min':>22}{'fps':>8}")
    for family in FAMILIES:
        if not _is_named(family.name, args.families):
            continue
        scores: dict[str, list[SequenceScores]] = {one.name: [] for one in contenders}
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            sequence = make_sequence(family, seed)
            for contender in contenders:
                scores[contender.name].append(score(contender, sequence))
        for name, found in scores.items():
            print(_line(family.name, name, FamilyScores.of(found)), flush=True)


def _is_named(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _line(family: str, contender: str, scores: FamilyScores) -> str:
    rate, low, high = scores.false_tracks_per_minute
    return (
        f"{family:<46}{contender:<24}{_mean(scores.hota)}{_mean(scores.idf1)}"
        f"{scores.switches:9.1f}{rate:8.1f} ({low:.1f}-{high:.1f})".ljust(130)
        + f"{scores.frames_per_second:8.0f}"
    )


def _mean(mean: Mean) -> str:
    return f"{mean.mean:8.3f} +-{mean.half_width:.3f}"


if __name__ == "__main__":
    main()
