"""Track equal detections with several trackers and compare their scores.

    python -m benchmarks.tracking run --seeds 10 --old CHECKOUT --out docs/results
    python -m benchmarks.tracking tune
    python -m benchmarks.tracking record DATA --weights WEIGHTS --folder FOLDER
    python -m benchmarks.tracking footage FOLDER --old CHECKOUT --out docs/results
    python -m benchmarks.tracking endure --frames 1000000

Run from the root of the repository, on one thread (OMP_NUM_THREADS=1).
docs/tracking_benchmark.md says what the sequences are, who takes part, and what must be installed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.tracking.contenders import SETTINGS, STDET_CONFIDENCE, tunables
from benchmarks.tracking.endurance import HEADER, endure
from benchmarks.tracking.old_checkout import COMMIT
from benchmarks.tracking.record import record
from benchmarks.tracking.run import is_named, run, run_footage
from benchmarks.tracking.tuning import FIRST_SEED, tune


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    runs = commands.add_parser("run", help="score all trackers on generated sequences")
    footage = commands.add_parser("footage", help="score all trackers on recorded detections")
    tuning = commands.add_parser("tune", help="choose settings, and write them to settings.json")
    recording = commands.add_parser("record", help="record detections and registration")
    enduring = commands.add_parser("endure", help="memory and speed on a long stream")
    _add_run_arguments(runs)
    footage.add_argument("folder", type=Path, help="of the command record")
    footage.set_defaults(command=run_footage)
    tuning.set_defaults(command=_tune)
    recording.add_argument("data_root", type=Path, help="holds daub, drone_ir, antiuav and so on")
    recording.add_argument("--weights", required=True, help="of a training that left these out")
    recording.add_argument("--folder", type=Path, required=True, help="for what is recorded")
    recording.set_defaults(command=_record)
    enduring.add_argument("--frames", type=int, default=1_000_000, help="of it (1000000)")
    enduring.add_argument("--every", type=int, default=50_000, help="frames of a line (50000)")
    enduring.set_defaults(command=_endure)
    for command in (runs, footage, tuning):
        command.add_argument("--contenders", nargs="+", default=["*"], metavar="PATTERN")
    for command in (runs, footage):
        command.add_argument("--old", type=Path, metavar="CHECKOUT", help=f"of commit {COMMIT}")
        command.add_argument("--out", type=Path, help="folder for tables")
        command.add_argument(
            "--confidence",
            type=float,
            default=STDET_CONFIDENCE,
            help=f"operating point of stdet, by its weights ({STDET_CONFIDENCE})",
        )
        command.add_argument(
            "--first-seed",
            type=int,
            default=0,
            help=f"0 is reported; develop with {FIRST_SEED} or more (0)",
        )
    args = parser.parse_args()
    args.command(args)


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=10, help="sequences of each family (10)")
    parser.add_argument("--slow-seeds", type=int, default=3, help="those of Stone-Soup (3)")
    parser.add_argument("--families", nargs="+", default=["*"], metavar="PATTERN")
    parser.add_argument(
        "--watch-seconds",
        type=float,
        default=20.0,
        help="computing time of each tracker on clutter alone, at each of two rates (20)",
    )
    parser.add_argument(
        "--add",
        action="store_true",
        help="keep what the tables in --out say of other trackers on the same sequences",
    )
    parser.set_defaults(command=run)


def _record(args: argparse.Namespace) -> None:
    record(args.data_root, args.weights, args.folder)


def _endure(args: argparse.Namespace) -> None:
    print(HEADER)
    for stretch in endure(args.frames, args.every):
        print(stretch, flush=True)


def _tune(args: argparse.Namespace) -> None:
    """Choose the settings of every contender that is asked for."""
    for tunable in tunables():
        if not is_named(tunable.name, args.contenders):
            continue
        if not tunable.is_installed:
            print(f"{tunable.name}: left out, the package {tunable.package} is not installed")
            continue
        settings, value = tune(tunable)
        print(f"{tunable.name}: {value:.4f} {settings}", flush=True)
        content = json.loads(SETTINGS.read_text(encoding="utf-8"))
        content["contenders"][tunable.name] = {"value": round(value, 4), "settings": settings}
        SETTINGS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
