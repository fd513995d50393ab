"""Measure start, speed and memory of `stdet track` without PyTorch and with it.

    python benchmarks/lite.py [SOURCE] [--frames 40] [--repeats 3]

Each run is a process of its own, in turns, with the latency of live runs. Columns: CPU time until
the first frame is written; CPU time of the whole run; largest resident memory. Only the
ratios of times carry over to another machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stdet.inference.pipeline import LIVE_LATENCY
from stdet.inference.weights_files import DEFAULT_WEIGHTS, weights_folder

SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "sample.mp4"
WEIGHTS = {
    "without PyTorch": str(weights_folder() / DEFAULT_WEIGHTS),
    "with PyTorch": DEFAULT_WEIGHTS,
}


def main() -> None:
    """Run both in turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", nargs="?", default=SAMPLE, type=Path, help="video (the sample)")
    parser.add_argument("--frames", type=int, default=40, help="of it (40)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (3)")
    parser.add_argument("--weights", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.weights is not None:
        print(json.dumps(track_once(args.source, args.weights, args.frames)))
        return
    found: dict[str, list[list[float]]] = {name: [] for name in WEIGHTS}
    for _ in range(args.repeats):
        for name, weights in WEIGHTS.items():
            command = [sys.executable, __file__, str(args.source), "--frames", str(args.frames)]
            run = subprocess.run(
                [*command, "--weights", weights], capture_output=True, text=True, check=True
            )
            found[name].append(json.loads(run.stdout.splitlines()[-1]))
    print(f"{'':<18}{'first output, CPU s':>20}{'all, CPU s':>12}{'resident MB':>13}")
    for name, rows in found.items():
        first, whole, resident = map(statistics.median, zip(*rows, strict=True))
        print(f"{name:<18}{first:>20.2f}{whole:>12.2f}{resident:>13.0f}")


def track_once(source: Path, weights: str, num_frames: int) -> list[float]:
    """Track in this process; return the three columns."""
    from stdet.cli import main as stdet
    from stdet.inference.track_outputs import TrackOutputs

    write, written = TrackOutputs.write, []

    def write_and_note(*args: object) -> None:
        write(*args)  # type: ignore[arg-type]
        written.append(time.process_time())

    TrackOutputs.write = write_and_note  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as out:
        what = ["track", str(source), "--weights", weights, "--engine", "onnxruntime"]
        what += ["--latency", str(LIVE_LATENCY), "--frames", str(num_frames), "--no-video"]
        code = stdet([*what, "--out", out])
    if code:
        sys.exit(code)
    return [written[0], time.process_time(), _resident_mb()]


def _resident_mb() -> float:
    """Return the largest resident memory so far, MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
