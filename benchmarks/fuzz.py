"""Change healthy inputs at random and see how every command ends.

    python benchmarks/fuzz.py --cases 10000 --seed 1 --jobs 2
    python benchmarks/fuzz.py --seed 1 --case 4711

Seeds of every format are made by the project itself. Each case changes one to three things in a
copy of them (bytes, text, values of JSON and YAML, what stands where a file is expected,
arguments), fixed by seed and number, and runs one command in a process of its own with limits of
20 s (training 60 s) of processor time and 2 GB. What may happen: exit code 0; 2 with one line;
3 with one line and what was usable. Everything else is a failure, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import itertools
import json
import os
import pkgutil
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # Before torch: forked processes share no threads.

from fuzzing.case import Case, change_case, draw_case
from fuzzing.confinement import can_confine
from fuzzing.entry_points import EntryPoint, make_entries
from fuzzing.process import CaseProcess, end_interpreter, forget_parent, redirect
from fuzzing.seeds import make_seeds
from fuzzing.verdict import (
    FAILURES,
    Finding,
    group_findings,
    judge,
    render_groups,
    render_table,
)

POLL_S = 0.01
LIBRARIES = ("PIL.Image", "tensorboard.compat", "torch.utils.tensorboard")


def main() -> int:
    """Run cases and print what they found."""
    args = _parse()
    _load_everything()
    if not can_confine():
        print("fuzz: no Landlock here; cases can write wherever you can.", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="stdet-fuzz-") as name:
        root = Path(name)
        make_seeds(root / "seeds", _run_seed)
        entries = make_entries(root / "seeds", root / "entries")
        gc.collect()
        gc.freeze()
        if args.case is not None:
            return _show(root, draw_case(entries, args.seed, args.case), args.keep)
        unhealthy = _check_seeds(root, [entry for entry in entries if _is_wanted(entry, args)])
        if unhealthy or args.seeds_only:
            return 1 if unhealthy else 0
        return _fuzz(root, entries, args)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=200, help="number of cases (200)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (0)")
    parser.add_argument("--seed", type=int, default=1, help="fixes the cases (1)")
    parser.add_argument("--jobs", type=int, default=1, help="cases at the same time (1)")
    parser.add_argument("--case", type=int, help="run this case alone and print all of it")
    parser.add_argument(
        "--only", help="entry points whose names begin so, such as track/png,synth"
    )
    parser.add_argument("--keep", type=Path, help="folder for the inputs of failures")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--seeds-only", action="store_true", help="run the unchanged seeds alone")
    return parser.parse_args()


def _load_everything() -> None:
    """Import the package and what it would import later, so that cases begin at once."""
    import torch

    import stdet

    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(stdet.__path__, "stdet."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for library in LIBRARIES:
        importlib.import_module(library)
    from PIL import Image

    Image.init()


def _run_seed(argv: Sequence[str], folder: Path) -> None:
    """Run a command that makes seeds, in a process of its own."""
    from stdet.cli import main

    log = folder.parent / "log.txt"
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            forget_parent()
            os.chdir(folder)
            with log.open("wb") as file:
                redirect(file.fileno(), file.fileno(), "utf-8")
            code = main(argv)
            end_interpreter()
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        shown = log.read_text(errors="replace")
        raise SystemExit(f"fuzz: seeds cannot be made: {' '.join(argv)}\n{shown}")


def _start(root: Path, case: Case, *, is_changed: bool = True) -> CaseProcess:
    healthy = partial(_unchanged, case.entry)
    return CaseProcess(
        root / f"case{case.number}",
        seed=case.entry.folder,
        prepare=partial(change_case, case) if is_changed else healthy,
        limit_s=case.entry.limit_s,
        encoding=case.stdout_encoding,
    )


def _unchanged(entry: EntryPoint) -> tuple[list[str], list[str]]:
    return list(entry.argv), []


def _check_seeds(root: Path, entries: Sequence[EntryPoint]) -> int:
    """Run every entry point unchanged and return how many end badly: they would test nothing."""
    bad = 0
    for number, entry in enumerate(entries):
        process = _start(root, Case(number, entry, "utf-8", ""), is_changed=False)
        while not process.poll():
            time.sleep(POLL_S)
        verdict = judge(process.ended)
        process.remove()
        if verdict.kind != "done":
            bad += 1
            err = process.ended.err.decode("utf-8", "replace")
            print(f"fuzz: the seed of {entry.name} ends as {verdict}:\n{err}", file=sys.stderr)
    return bad


def _show(root: Path, case: Case, keep: Path | None) -> int:
    """Run one case and print everything about it."""
    process = _start(root, case)
    while not process.poll():
        time.sleep(POLL_S)
    ended, verdict = process.ended, judge(process.ended)
    print(
        f"entry     {case.entry.name}\nchanged  {'; '.join(ended.notes)}\nargv     {ended.argv!a}"
    )
    print(f"verdict  {verdict.kind} {verdict.group}\ndetail   {verdict.detail}")
    print(f"code     {ended.code}, signal {ended.signal}, {ended.seconds:.1f} s, ", end="")
    print(f"{ended.peak_bytes >> 20} MB\n--- stdout\n{ended.out.decode('utf-8', 'replace')}")
    print(f"--- stderr\n{ended.err.decode('utf-8', 'replace')}")
    if keep is not None:
        _keep(keep, process, case)
    return int(verdict.kind in FAILURES)


def _fuzz(root: Path, entries: Sequence[EntryPoint], args: argparse.Namespace) -> int:
    """Run many cases, print tables and return the exit code."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    findings: list[Finding] = []
    noises: list[Finding] = []
    slowest: list[tuple[float, int, str]] = []
    started = time.monotonic()
    for case, process in _run_all(root, entries, args):
        ended, verdict = process.ended, judge(process.ended)
        counts[case.entry.name][verdict.kind] += 1
        if verdict.kind in FAILURES:
            findings.append(Finding(case.number, case.entry.name, verdict))
            where = f"case {case.number}, {case.entry.name}"
            print(f"{where}: {verdict.kind}: {verdict.group}", file=sys.stderr, flush=True)
            if args.keep is not None:
                _keep(args.keep, process, case)
        elif verdict.kind == "noise":
            noises.append(Finding(case.number, case.entry.name, verdict))
        slowest = sorted([*slowest, (ended.seconds, case.number, case.entry.name)])[-5:]
        process.remove()
        _say_progress(sum(row.total() for row in counts.values()), args.cases, len(findings))
    seconds = time.monotonic() - started
    groups, noise = group_findings(findings), group_findings(noises)
    print(f"{render_table(counts)}\n\n{args.cases} cases in {seconds:.0f} s, seed {args.seed}")
    print("slowest: " + ", ".join(f"{s:.1f} s case {n} {d}" for s, n, d in reversed(slowest)))
    print(f"\n{len(findings)} failures of {len(groups)} kinds")
    print(render_groups(groups, args.seed))
    if noise:
        print(
            f"\nNo failures, but lines of libraries on stderr:\n{render_groups(noise, args.seed)}"
        )
    if args.json is not None:
        _write_json(args, counts, groups, seconds)
    return int(bool(findings))


def _run_all(
    root: Path, entries: Sequence[EntryPoint], args: argparse.Namespace
) -> Iterator[tuple[Case, CaseProcess]]:
    """Yield every case when it has ended, ``args.jobs`` running at the same time."""
    drawn = (draw_case(entries, args.seed, number) for number in itertools.count(args.first))
    cases = itertools.islice((c for c in drawn if _is_wanted(c.entry, args)), args.cases)
    running: list[tuple[Case, CaseProcess]] = []
    while True:
        while len(running) < args.jobs and (case := next(cases, None)) is not None:
            running.append((case, _start(root, case)))
        if not running:
            return
        ended = [pair for pair in running if pair[1].poll()]
        running = [pair for pair in running if pair not in ended]
        yield from ended
        if not ended:
            time.sleep(POLL_S)


def _is_wanted(entry: EntryPoint, args: argparse.Namespace) -> bool:
    return not args.only or entry.name.startswith(tuple(args.only.split(",")))


def _say_progress(done: int, total: int, num_failures: int) -> None:
    if done % 100 == 0:
        print(f"{done} of {total} cases, {num_failures} failures", file=sys.stderr, flush=True)


def _keep(folder: Path, process: CaseProcess, case: Case) -> None:
    """Copy what a case left, with its output."""
    target = folder / f"case{case.number}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(process.folder / "work"), str(target)], check=False)
    (target / "err").write_bytes(process.ended.err)
    (target / "argv.json").write_text(json.dumps(process.ended.argv))


def _write_json(
    args: argparse.Namespace,
    counts: dict[str, Counter[str]],
    groups: Sequence[Sequence[Finding]],
    seconds: float,
) -> None:
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    machine = {"processors": os.cpu_count(), "system": platform.platform()}
    content = {
        "commit": commit,
        "seed": args.seed,
        "first": args.first,
        "cases": args.cases,
        "jobs": args.jobs,
        "seconds": round(seconds, 1),
        "machine": machine | {"python": platform.python_version()},
        "verdicts": {entry: dict(row) for entry, row in sorted(counts.items())},
        "failures": [
            {
                "kind": group[0].verdict.kind,
                "group": group[0].verdict.group,
                "detail": group[0].verdict.detail,
                "cases": [finding.number for finding in group],
            }
            for group in groups
        ],
    }
    args.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
