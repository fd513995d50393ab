"""End commands at random moments and look at what they leave.

Usage: python benchmarks/endings.py [track synth train ablate] [--moments N] [--signals INT ...]

Each command runs once undisturbed; its outputs are the reference, its duration the span that
moments are drawn from. Then it is started again and gets a signal at a random moment, N times for
each signal, every second time on top of complete earlier outputs. Checked after each:

    code       exit code is 128 + the signal's number, or 0 where the run had ended; -9 by KILL;
               any where Python itself had not started yet
    readable   every output under its own name can be read from the first byte to the last
    equal      what it holds equals the reference: rows of the frames that are there (track), all
               files (synth), weights and metrics after the same command was given again (train,
               ablate)
    earlier    earlier complete outputs are there, or complete new ones
    workers    no worker process lives on
    .part      temporary files that were left, of all runs; only KILL may leave any

The last line of each block counts what went wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "sample" / "sample.mp4"
SIGNALS = ("INT", "TERM", "HUP", "KILL")
END_LIMIT_S = 120.0
"""Longer than any ending takes, also on a busy machine."""
CLOCKS = ("_s", "seconds", "per_second")
"""How the names of values end that differ from run to run."""


@dataclass(frozen=True)
class Command:
    """A command to end, and how its outputs are judged.

    Attributes:
        argv: Arguments after `stdet`, for an output folder.
        is_resumed: Whether the same command goes on where it was.
        read: Returns what a folder holds, by name; raises where something cannot be read.
        is_part: Whether one content (first) is the beginning of, or all of, another.
    """

    argv: Callable[[Path], list[str]]
    is_resumed: bool
    read: Callable[[Path], dict[str, Any]]
    is_part: Callable[[dict[str, Any], dict[str, Any]], bool]


@dataclass
class Counts:
    """What the runs of one signal left."""

    runs: int = 0
    finished: int = 0
    kept: int = 0
    parts: int = 0
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def expect(self, claim: str, is_true: bool, detail: str) -> None:
        """Note what went wrong."""
        found = self.wrong.setdefault(claim, [])
        if not is_true:
            found.append(detail)


def read_track(folder: Path) -> dict[str, Any]:
    """Read JSON, MOT file and video of a run, whatever its stem ends in."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        assert len(content["frames"]) == content["num_frames"], path
        rows = path.with_name(f"{path.stem}.mot.txt").read_text()
        assert not rows or rows.endswith("\n"), path
        video = path.with_suffix(".mp4")
        if video.exists():
            with av.open(str(video)) as container:
                num_drawn = sum(1 for _ in container.decode(video=0))
            assert num_drawn == content["num_frames"], video
        found[path.stem] = (content, rows.splitlines())
    return found


def is_part_of_track(found: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Say whether frames and rows are the first of the whole."""
    ((reference, rows),) = whole.values()
    return all(
        content["frames"] == reference["frames"][: content["num_frames"]]
        and mot == [row for row in rows if int(row.split(",")[0]) <= content["num_frames"]]
        and content["is_complete"] <= (content["num_frames"] == reference["num_frames"])
        for content, mot in found.values()
    )


def read_tree(folder: Path) -> dict[str, Any]:
    """Read every file of a generated data set."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_temporary(path.relative_to(folder))
    }


def is_nothing_or_all(found: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Say whether a data set is complete or not there."""
    return not found or found == whole


def read_run(folder: Path) -> dict[str, Any]:
    """Read weights and metrics of all runs below a folder, without what depends on the clock."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.safetensors")):
        tensors = load_file(path)
        found[str(path.relative_to(folder))] = {name: tensors[name].tobytes() for name in tensors}
    for path in sorted(folder.rglob("metrics.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        found[str(path.relative_to(folder))] = [
            {key: value for key, value in line.items() if not key.endswith(CLOCKS)}
            for line in lines
        ]
    return found


def is_equal(found: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Say whether a run that went on to its end is the undisturbed one."""
    return found == whole


def commands(work: Path) -> dict[str, Command]:
    """Write the settings that the commands need, and return them by name."""
    synth = work / "synth.yaml"
    synth.write_text(
        "seed: 1\nscene: {num_frames: 12, hw: [64, 64]}\n"
        "groups: [{split: train, name: one, num_sequences: 3}, {split: val, name: two}]\n"
    )
    data = work / "data.yaml"
    data.write_text(
        "seed: 2\nscene: {num_frames: 8, hw: [64, 64]}\n"
        "groups: [{split: train, name: one, num_sequences: 2}, {split: val, name: two}]\n"
    )
    train = work / "train.yaml"
    train.write_text(
        f"data: {{root: {work / 'data'}, validation: "
        "[{annotations: annotations/instances_val2017.json}]}\n"
        "model: {backbone: {width: 0.0625, num_stages: 3}, pyramid: {output_stride: 4}}\n"
        "train: {epochs: 3, batch_size: 4, num_workers: 1, device: cpu, warmup_epochs: 0.5}\n"
    )
    grid = work / "grid.yaml"
    grid.write_text(
        f"base: {train}\nsplit: validation\nseeds: [0]\n"
        "variants: {plain: {}, fpn: {model: {pyramid: {type: fpn}}}}\n"
    )
    track = [str(SAMPLE), "--detector", "tophat", "--confidence", "0.2", "--frames", "60"]
    return {
        "track": Command(
            argv=lambda out: ["track", *track, "--overwrite", "--out", str(out)],
            is_resumed=False,
            read=read_track,
            is_part=is_part_of_track,
        ),
        "synth": Command(
            argv=lambda out: ["synth", str(synth), "--jobs=2", "--overwrite", "--out", str(out)],
            is_resumed=False,
            read=read_tree,
            is_part=is_nothing_or_all,
        ),
        "train": Command(
            argv=lambda out: ["train", str(train), "--run-dir", str(out)],
            is_resumed=True,
            read=read_run,
            is_part=is_equal,
        ),
        "ablate": Command(
            argv=lambda out: ["ablate", str(grid), "--run-dir", str(out)],
            is_resumed=True,
            read=read_run,
            is_part=is_equal,
        ),
    }


def start(argv: Sequence[str]) -> subprocess.Popen[str]:
    """Start `stdet`; whatever it starts inherits the pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "stdet", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def end_at(
    command: Command, folder: Path, name: str, moment: float, whole: dict[str, Any], counts: Counts
) -> None:
    """Start a command, send it a signal after a while, and judge what it leaves."""
    had_earlier = folder.exists()
    number = signal.Signals[f"SIG{name}"]
    run = start(command.argv(folder))
    try:
        run.wait(moment)
    except subprocess.TimeoutExpired:
        run.send_signal(number)
    workers_ended = True
    try:
        # The pipes end with the last process that has them.
        _, errors = run.communicate(timeout=END_LIMIT_S)
    except subprocess.TimeoutExpired:
        workers_ended, errors = False, ""
        run.kill()
    where = f"{name} at {moment:.2f} s: "
    has_finished = run.returncode == 0
    counts.runs += 1
    counts.finished += has_finished
    expected = -number if name == "KILL" else 128 + number
    # Before the handlers are there the system ends the process; nothing has been opened then.
    counts.expect(
        "code",
        run.returncode in (0, expected, -number) or _is_start_of_python(errors),
        f"{where}{run.returncode} {errors[-300:]}",
    )
    counts.expect("workers", workers_ended, f"{where}still there after {END_LIMIT_S} s")
    parts = [path for path in folder.rglob("*") if _is_temporary(path)]
    counts.parts += len(parts)
    counts.expect(".part", name == "KILL" or not parts, f"{where}{parts}")
    if command.is_resumed and not has_finished:
        again = start(command.argv(folder))
        _, errors = again.communicate()
        counts.expect("code", again.returncode == 0, f"{where}again: {errors[-300:]}")
    try:
        found = command.read(folder) if folder.exists() else {}
    except Exception as error:  # Whatever makes an output unreadable is what is counted.
        counts.expect("readable", False, f"{where}{error!r}")
        return
    counts.kept += bool(found)
    counts.expect("readable", True, "")
    counts.expect("equal", command.is_part(found, whole), f"{where}{sorted(found)}")
    if had_earlier:
        is_there = all(found.get(key) == whole[key] for key in whole)
        counts.expect("earlier", is_there, f"{where}{sorted(found)}")


def _is_start_of_python(errors: str) -> bool:
    """Say whether Python itself was interrupted, in the 0.1 s before any line of stdet runs."""
    return errors.rstrip().endswith("KeyboardInterrupt") and str(ROOT / "stdet") not in errors


def _is_temporary(path: Path) -> bool:
    return any(part.endswith((".part", ".lock")) for part in path.parts)


def measure(command: Command, work: Path, args: argparse.Namespace, rng: random.Random) -> None:
    """Print the row of every signal for one command."""
    if command.is_resumed:
        start(["synth", str(work / "data.yaml"), "--out", str(work / "data")]).communicate()
    began = time.monotonic()
    run = start(command.argv(work / "whole"))
    _, errors = run.communicate()
    if run.returncode != 0:
        raise SystemExit(f"the undisturbed run ended with {run.returncode}: {errors}")
    duration = time.monotonic() - began
    whole = command.read(work / "whole")
    claims = ("code", "readable", "equal", "earlier", "workers", ".part")
    print(f"{duration:.1f} s undisturbed; wrong of runs:", flush=True)
    print("signal   runs  finished  kept  " + "".join(f"{claim:>10}" for claim in claims))
    for name in args.signals:
        counts = Counts()
        for index in range(args.moments):
            folder = work / "out"
            if index % 2 and not command.is_resumed:
                shutil.copytree(work / "whole", folder)
            end_at(command, folder, name, rng.uniform(0, duration), whole, counts)
            shutil.rmtree(folder, ignore_errors=True)
        wrong = "".join(f"{len(counts.wrong.get(claim, [])):>10}" for claim in claims)
        print(
            f"{name:<8}{counts.runs:>5}{counts.finished:>10}{counts.kept:>6}  {wrong}"
            f"   ({counts.parts} temporary files)",
            flush=True,
        )
        for claim, details in counts.wrong.items():
            for detail in details:
                print(f"    {claim}: {detail}", flush=True)


def main() -> None:
    """Measure the commands that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("commands", nargs="*", default=["track", "synth"])
    parser.add_argument("--moments", type=int, default=20, help="for each signal (20)")
    parser.add_argument("--signals", nargs="+", default=SIGNALS, choices=SIGNALS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for name in SIGNALS[:-1]:
        # Commands of a job that was started with nohup or & would inherit that it is ignored.
        signal.signal(signal.Signals[f"SIG{name}"], signal.default_int_handler)
    for name in args.commands:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            print(f"\n{name}: ", end="", flush=True)
            measure(commands(work)[name], work, args, random.Random(args.seed))


if __name__ == "__main__":
    main()
