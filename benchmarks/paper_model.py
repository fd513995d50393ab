"""Train the paper's model with several pyramids and seeds in a given time, and score it.

    python benchmarks/paper_model.py [CONFIG ...] --minutes 60 --set data.root=/path/to/DAUB
        [--seeds 0 1 2] [--leave-out data19 ...] [--epochs N] [--parallel 1] [--set KEY=VALUE ...]
        [--out runs/paper_model] [--results DIR] [--commit HASH] [--smoke]

Runs are scored on the segment they leave out. They start in the order seed, segment,
configuration, so that whatever the time allows all configurations have had alike. ``--parallel``
runs share one GPU. None is started that would not end in time, going by those that have ended;
those still running at the end are stopped, keep their last whole epoch and are told apart. The
same command again goes on with them. Scores are those of the last epoch: nothing is chosen on the
segment left out.

The folder of results has ``results.json`` (curves, scores, settings, machine, times) and, of each
pyramid, the run with the highest mAP50 as parts of ``weight_parts.py``. ``--smoke`` trains nothing
but times a few steps of each configuration, alone and all at once, and says how long runs would
take.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from paper_model_runs import PaperRun, run_all
from paper_model_table import write_results
from paper_model_timing import time_members

from stdet.config import StdetConfig, load_config

DEFAULTS = [Path("configs/paper/daub_fpn.yaml"), Path("configs/paper/daub_bp_fpn.yaml")]

RESERVE_S = 15.0
"""Kept at the end for writing results."""


def main() -> int:
    """Train what is missing and print the table; 1 if a run failed."""
    started = time.monotonic()
    args = parse()
    # So that what was started is stopped, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    args.results.mkdir(parents=True, exist_ok=True)
    runs = plan(args)
    if args.smoke:
        time_members(runs, parallel=args.parallel, out=args.out)
        return 0
    deadline = started + 60 * args.minutes - RESERVE_S
    machine = {"commit": args.commit, "command": sys.argv, "parallel": args.parallel}

    def report() -> None:
        write_results(runs, args.results, machine | {"seconds": time.monotonic() - started})

    try:
        failed = run_all(runs, parallel=args.parallel, deadline=deadline, finished=report)
    finally:
        report()
    print((args.results / "table.txt").read_text(encoding="utf-8"))
    for run in failed:
        print(f"FAILED {run.title}; the end of {run.log}:\n{run.log_tail()}")
    return 1 if failed else 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("configs", type=Path, nargs="*", default=DEFAULTS)
    parser.add_argument("--minutes", type=float, required=True, help="time for everything")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--leave-out", nargs="+", help="segments (those of the configuration)")
    parser.add_argument("--epochs", type=int, help="train.epochs of all")
    parser.add_argument("--parallel", type=int, default=1, help="runs at a time (1)")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--out", type=Path, default=Path("runs/paper_model"))
    parser.add_argument("--results", type=Path, help="folder of results (that of --out)")
    parser.add_argument("--commit", default="", help="noted in the results")
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    args.results = args.results or args.out
    return args


def plan(args: argparse.Namespace) -> list[PaperRun]:
    """List the runs in the order in which they are started."""
    members = {path.stem: load_config(path, args.overrides) for path in args.configs}
    (default,) = {config.data.validation_sequences for config in members.values()}
    return [
        PaperRun(
            member=name,
            seed=seed,
            left_out=segment,
            config=settled(config, seed=seed, segment=segment, epochs=args.epochs),
            run_dir=args.out / f"{name}_{segment}_seed{seed}",
        )
        for seed in args.seeds
        for segment in args.leave_out or default
        for name, config in members.items()
    ]


def settled(config: StdetConfig, *, seed: int, segment: str, epochs: int | None) -> StdetConfig:
    """Return the configuration of one run."""
    epochs = epochs or config.train.epochs
    return replace(
        config,
        data=replace(config.data, validation_sequences=(segment,)),
        train=replace(config.train, seed=seed, epochs=epochs, num_threads=1),
    )


if __name__ == "__main__":
    sys.exit(main())
