"""Track equal detections with several trackers and compare their scores.

    python -m benchmarks.tracking run --seeds 10 --old CHECKOUT --out docs/results
    python -m benchmarks.tracking tune

Run from the root of the repository, on one thread (OMP_NUM_THREADS=1). docs/tracking.md says what
the sequences are, who takes part, and what must be installed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.tracking.contenders import SETTINGS, tunables
from benchmarks.tracking.old_checkout import COMMIT
from benchmarks.tracking.run import is_named, run
from benchmarks.tracking.tuning import FIRST_SEED, NUM_RANDOM, tune, tuning_sequences


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    runs = commands.add_parser("run", help="score all trackers on generated sequences")
    runs.add_argument("--seeds", type=int, default=10, help="sequences of each family (10)")
    runs.add_argument(
        "--first-seed",
        type=int,
        default=0,
        help=f"0 is reported; develop with {FIRST_SEED} or more (0)",
    )
    runs.add_argument("--families", nargs="+", default=["*"], metavar="PATTERN")
    runs.add_argument(
        "--watch-seconds",
        type=float,
        default=20.0,
        help="computing time of each tracker on clutter alone, at each of two rates (20)",
    )
    runs.add_argument("--old", type=Path, metavar="CHECKOUT", help=f"of commit {COMMIT}")
    runs.add_argument("--out", type=Path, help="folder for tables")
    runs.set_defaults(command=run)
    tuning = commands.add_parser("tune", help="choose settings, and write them to settings.json")
    tuning.add_argument("--draws", type=int, default=NUM_RANDOM, help="random settings (40)")
    tuning.set_defaults(command=_tune)
    for command in (runs, tuning):
        command.add_argument("--contenders", nargs="+", default=["*"], metavar="PATTERN")
    args = parser.parse_args()
    args.command(args)


def _tune(args: argparse.Namespace) -> None:
    """Choose the settings of every contender that is asked for."""
    sequences = tuning_sequences()
    for tunable in tunables():
        if not is_named(tunable.name, args.contenders):
            continue
        if not tunable.is_installed:
            print(f"{tunable.name}: left out, the package {tunable.package} is not installed")
            continue
        settings, value = tune(tunable, sequences, num_random=args.draws)
        print(f"{tunable.name}: {value:.4f} {settings}", flush=True)
        content = json.loads(SETTINGS.read_text(encoding="utf-8"))
        content["contenders"][tunable.name] = {"value": round(value, 4), "settings": settings}
        SETTINGS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
