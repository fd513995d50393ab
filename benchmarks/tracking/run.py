"""All contenders on all families, and what is printed and written of it."""

from __future__ import annotations

import argparse
import fnmatch
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from subprocess import check_output
from typing import Any

from benchmarks.tracking.contenders import (
    Contender,
    missing_packages,
    own_contenders,
    tuned_contenders,
)
from benchmarks.tracking.families import FAMILIES, Family
from benchmarks.tracking.footage import compare
from benchmarks.tracking.kept import Kept
from benchmarks.tracking.results import totals_of, write_footage, write_tables
from benchmarks.tracking.scores import FamilyScores, Mean, SequenceScores, score
from benchmarks.tracking.sequences import NUM_FRAMES, make_sequence
from benchmarks.tracking.tuning import FIRST_SEED
from benchmarks.tracking.watch import RATES, peak_megabytes, watch

_SPEEDS = {"frames/s, 10 targets": "10 targets", "frames/s, 50 targets": "50 targets"}
"""Families whose speed is given."""


def is_named(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a name fits one of some patterns of file names."""
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def chosen_contenders(args: argparse.Namespace) -> list[Contender]:
    """Return the contenders that are asked for and installed, and say what is missing."""
    for package in missing_packages():
        print(f"the package {package} is not installed: its trackers are left out")
    own = own_contenders(args.old, confidence=args.confidence)
    every = [*own, *tuned_contenders()]
    return [one for one in every if is_named(one.name, args.contenders)]


def run(args: argparse.Namespace) -> None:
    """Print a line per family and tracker, and write tables where that is asked for."""
    if args.first_seed < FIRST_SEED < args.first_seed + args.seeds:
        raise SystemExit(f"seeds from {FIRST_SEED} on are for tuning; expected fewer --seeds")
    if args.add and args.out is None:
        raise SystemExit("--add keeps what --out holds; expected --out")
    contenders = chosen_contenders(args)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    print(f"{'':<36}{'':<20}{'HOTA':>15}{'IDF1':>15}{'switches':>9}{'false/min':>18}{'fps':>8}")
    scores = {
        family.name: _score_family(family, contenders, seeds, seeds[: args.slow_seeds])
        for family in FAMILIES
        if is_named(family.name, args.families)
    }
    watched = {
        rate: watch(contenders, rate, seconds=args.watch_seconds, first_seed=args.first_seed)
        for rate in RATES
    }
    sequence = make_sequence(FAMILIES[0], args.first_seed)
    megabytes = {one.name: peak_megabytes(one, sequence) for one in contenders}
    names = [one.name for one in contenders]
    kept = Kept.beside(args.out, names) if args.add else Kept.nothing()
    totals = totals_of(scores, watched, megabytes, _SPEEDS, kept)
    for row in totals:
        print()
        for name, value in row.items():
            print(f"{name:<44}{value}")
    if args.out is not None:
        data = f"generated, {NUM_FRAMES} frames a sequence, one for each seed and family; "
        data += f"settings tuned on seed {FIRST_SEED}"
        if kept.totals:
            data += f"; trackers other than {', '.join(names)} at commit {kept.commit}"
        write_tables(args.out, scores, totals, provenance(data=data, seeds=seeds), kept)


def _score_family(
    family: Family, contenders: Sequence[Contender], seeds: range, slow_seeds: range
) -> dict[str, list[SequenceScores]]:
    """Score and print a family; the contenders take turns on each sequence."""
    scores: dict[str, list[SequenceScores]] = {one.name: [] for one in contenders}
    for seed in seeds:
        sequence = make_sequence(family, seed)
        for contender in contenders:
            if seed in slow_seeds or not contender.is_slow:
                scores[contender.name].append(score(contender, sequence))
    for contender_name, found in scores.items():
        print(_line(family.name, contender_name, FamilyScores.of(found)), flush=True)
    return scores


def _line(family: str, contender: str, scores: FamilyScores) -> str:
    rate, low, high = scores.false_tracks_per_minute
    interval = f"{rate:.1f} ({low:.1f}-{high:.1f})"
    return (
        f"{family[:35]:<36}{contender[:19]:<20}{_mean(scores.hota)}{_mean(scores.idf1)}"
        f"{scores.switches:9.1f}{interval:>18}{scores.frames_per_second:8.0f}"
    )


def _mean(mean: Mean) -> str:
    return f"{mean.mean:8.3f} +-{mean.half_width:.2f}"


def run_footage(args: argparse.Namespace) -> None:
    """Print a line per part, condition and tracker, and write a table where that is asked for."""
    rows = compare(chosen_contenders(args), args.folder, seed=args.first_seed)
    if args.out is not None:
        facts = provenance(
            data="detections of stdet_n trained without these sequences; settings tuned on "
            "generated sequences",
            seeds=[args.first_seed],
        )
        write_footage(args.out, rows, facts)


def provenance(*, data: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Return where tables come from."""
    return {
        "command": f"python -m benchmarks.tracking {_command()}",
        "commit": check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "data": data,
        "seeds": list(seeds),
        "machine": "one thread of a shared machine of two cores",
    }


def _command() -> str:
    """Return the command line, without the folders of this machine."""
    return shlex.join("FOLDER" if _is_data(Path(word)) else word for word in sys.argv[1:])


def _is_data(path: Path) -> bool:
    """Return whether it is a folder, and not that of a package whose name a tracker has."""
    return path.is_dir() and not (path / "__init__.py").exists()
