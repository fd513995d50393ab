"""Time `stdet.track` from end to end, several checkouts in turns on the same machine.

    python benchmarks/end_to_end.py VIDEO --checkout now=. --checkout before=/path/to/another
        [--turns 20] [--seconds 3] [--neighbour] [--json FILE]

Every checkout tracks the video in a process of its own, one OpenMP thread, without writing. One
process runs at a time, the others are stopped, so that all meet the same load. Turns begin when
all have given frame 30: start and the first frames, which come out at once, are not timed.

Columns: frames; frames per second; the same as a multiple of the last checkout's; CPU time per
frame; resident memory at the end, and its growth since frame 30. With `--neighbour` every other
turn has a process on the second core that computes without end: frames per second of CPU time that
the process was given, with it over without it, say what the neighbour costs beyond the core that
it takes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

FIRST_TIMED = 30
_CHILD = """
import sys, time, stdet
for number, frame in enumerate(stdet.track(sys.argv[1])):
    print(number, time.process_time(), flush=True)
"""
_NEIGHBOUR = "while True: pass"


@dataclass
class Spent:
    """What turns of one kind took.

    Attributes:
        frames: That came out.
        wall_s: Length of the turns.
        cpu_s: CPU time of the process in them.
    """

    frames: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one checkout takes.

    Attributes:
        checkout: Its name.
        frames: Timed.
        frames_per_second: Wall time of its turns.
        speedup: The same over that of the last checkout.
        cpu_ms: CPU time per frame.
        resident_mb: At the end.
        growth_mb: Of that since frame ``FIRST_TIMED``.
        beside_neighbour: Frames per second of CPU time with a neighbour over those without;
            None where there was none.
    """

    checkout: str
    frames: int
    frames_per_second: float
    speedup: float
    cpu_ms: float
    resident_mb: float
    growth_mb: float
    beside_neighbour: float | None


@dataclass
class Contender:
    """A checkout at work in its own process.

    Attributes:
        name: Of the checkout.
        process: Tracks, and prints a line for each frame.
        spent: Without and with a neighbour.
        started_mb: Resident memory at frame ``FIRST_TIMED``.
    """

    name: str
    process: subprocess.Popen[str]
    spent: tuple[Spent, Spent] = field(default_factory=lambda: (Spent(), Spent()))
    started_mb: float = 0.0
    _num_frames: int = 0

    @classmethod
    def start(cls, name: str, checkout: Path, video: Path) -> Contender:
        """Start to track."""
        process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(video)],
            env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
            cwd=checkout,
            stdout=subprocess.PIPE,
            text=True,
        )
        contender = cls(name, process)
        threading.Thread(target=contender._count, daemon=True).start()
        return contender

    def warm_up(self) -> None:
        """Go on to the first timed frame, and stop."""
        while self._num_frames <= FIRST_TIMED:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} has ended before frame {FIRST_TIMED}.")
            time.sleep(0.05)
        self.process.send_signal(signal.SIGSTOP)
        self.started_mb = self.resident_mb

    def take_turn(self, seconds: float, *, has_neighbour: bool) -> None:
        """Go on for so long."""
        frames, cpu_s, started = self._num_frames, self._cpu_s(), time.perf_counter()
        self.process.send_signal(signal.SIGCONT)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGSTOP)
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended; take a longer video or fewer turns.")
        spent = self.spent[has_neighbour]
        spent.wall_s += time.perf_counter() - started
        time.sleep(0.05)  # Its last line is on its way.
        spent.frames += self._num_frames - frames
        spent.cpu_s += self._cpu_s() - cpu_s

    @property
    def resident_mb(self) -> float:
        """Resident memory now."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def row(self, reference: Spent) -> Row:
        """Sum up.

        Args:
            reference: What the turns without a neighbour of the last checkout took.
        """
        alone, beside = self.spent
        rate = alone.frames / alone.wall_s
        return Row(
            checkout=self.name,
            frames=alone.frames,
            frames_per_second=round(rate, 2),
            speedup=round(rate / (reference.frames / reference.wall_s), 2),
            cpu_ms=round(1e3 * alone.cpu_s / alone.frames, 1),
            resident_mb=round(self.resident_mb),
            growth_mb=round(self.resident_mb - self.started_mb, 1),
            beside_neighbour=(
                round(beside.frames / beside.cpu_s * alone.cpu_s / alone.frames, 3)
                if beside.frames
                else None
            ),
        )

    def _count(self) -> None:
        assert self.process.stdout is not None
        for _ in self.process.stdout:
            self._num_frames += 1

    def _cpu_s(self) -> float:
        """Return its CPU time so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Time all checkouts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--checkout", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--turns", type=int, default=20, help="of each checkout (20)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn (3)")
    parser.add_argument("--neighbour", action="store_true", help="every other turn beside one")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    checkouts = [checkout.partition("=")[::2] for checkout in args.checkout]
    with contextlib.ExitStack() as ending:
        contenders = []
        for name, path in checkouts:
            contenders.append(Contender.start(name, Path(path).resolve(), args.video.resolve()))
            ending.callback(contenders[-1].process.kill)
            contenders[-1].warm_up()
        for turn in range(args.turns):
            has_neighbour = args.neighbour and turn % 2 == 1
            with neighbour() if has_neighbour else contextlib.nullcontext():
                for contender in contenders:
                    contender.take_turn(args.seconds, has_neighbour=has_neighbour)
        rows = [contender.row(contenders[-1].spent[0]) for contender in contenders]
    print(f"{args.video.name}, load {os.getloadavg()[0]:.1f}")
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in asdict(row).items()))
    if args.json is not None:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


@contextlib.contextmanager
def neighbour() -> Iterator[None]:
    """Keep the last core busy within the block."""
    core = max(os.sched_getaffinity(0))
    command = ["taskset", "--cpu-list", str(core), sys.executable, "-c", _NEIGHBOUR]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
