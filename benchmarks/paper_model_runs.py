"""The runs of ``paper_model.py``: each in its own process, several at a time, until a deadline."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from stdet.config import StdetConfig
from stdet.datasets.splits import load_sequences
from stdet.evaluation.from_model import score_sequences
from stdet.inference.detector import Detector
from stdet.metrics.detection.hit_rule import hit_rule
from stdet.metrics.detection.pd_fa import score_curve
from stdet.metrics.detection.roc import pd_at
from stdet.training.run import train

RATES = (0.05, 0.2, 1.0)
"""False alarms per frame that Pd is given at."""

MARGIN = 1.1
"""A run is started where so many times the longest one so far would still end in time."""


@dataclass(frozen=True, kw_only=True)
class PaperRun:
    """One training and its place.

    Attributes:
        member: Name of its configuration.
        seed: Of the training.
        left_out: Segment that it is scored on.
        config: Everything, these included.
        run_dir: Folder of the run.
    """

    member: str
    seed: int
    left_out: str
    config: StdetConfig
    run_dir: Path

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.member}, {self.left_out} left out, seed {self.seed}"

    @property
    def log(self) -> Path:
        """What the process prints."""
        return self.run_dir.with_suffix(".log")

    def log_tail(self, num_lines: int = 25) -> str:
        """Return the last lines of the log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(line[:300] for line in text.splitlines()[-num_lines:])

    def records(self) -> list[dict[str, Any]]:
        """Return the line of every finished epoch."""
        path = self.run_dir / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def scores_path(self) -> Path:
        """Scores of the last epoch; there once the run is done."""
        return self.run_dir / "scores.json"

    def scores(self) -> dict[str, Any] | None:
        """Return the scores of the last epoch, None before the run is done."""
        if not self.scores_path.exists():
            return None
        found: dict[str, Any] = json.loads(self.scores_path.read_text(encoding="utf-8"))
        return found


def run_all(
    runs: Sequence[PaperRun],
    *,
    parallel: int,
    deadline: float,
    finished: Callable[[], None],
) -> list[PaperRun]:
    """Run what is not done yet, in order.

    Args:
        runs: All of them.
        parallel: Most at a time.
        deadline: Of ``time.monotonic``; what still runs then is stopped, and can be resumed.
        finished: Called after each run that ended.

    Returns:
        Those that failed.
    """
    waiting = [run for run in runs if run.scores() is None]
    running: dict[SpawnProcess, tuple[PaperRun, float]] = {}
    failed: list[PaperRun] = []
    longest = 0.0
    try:
        while True:
            while waiting and len(running) < parallel and _has_time(longest, deadline):
                run = waiting.pop(0)
                running[start(train_and_score, run)] = (run, time.monotonic())
            if not running:
                break
            left = max(deadline - time.monotonic(), 0)
            ended = wait([process.sentinel for process in running], timeout=left)
            if not ended:
                break
            for process in [p for p in running if p.sentinel in ended]:
                run, began = running.pop(process)
                process.join()
                if process.exitcode:
                    failed.append(run)
                else:
                    longest = max(longest, time.monotonic() - began)
                finished()
    finally:
        stop(list(running))
    for run in [*(run for run, _ in running.values()), *waiting]:
        print(
            f"out of time: {run.title}, {len(run.records())} of {run.config.train.epochs} epochs"
        )
    return failed


def _has_time(longest: float, deadline: float) -> bool:
    """Say whether a run of ``longest`` seconds would end in time."""
    return time.monotonic() + MARGIN * longest < deadline


def start(work: Callable[..., None], run: PaperRun, *rest: Any) -> SpawnProcess:
    """Start work on a run in a fresh process, whose output goes to the run's log."""
    run.log.parent.mkdir(parents=True, exist_ok=True)
    process = get_context("spawn").Process(target=_logged, args=(work, run, *rest))
    process.start()
    return process


def stop(processes: Sequence[SpawnProcess]) -> None:
    """End processes that are still running."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


def _logged(work: Callable[..., None], run: PaperRun, *rest: Any) -> None:
    """Send everything that this process prints to the log, errors included."""
    with run.log.open("a", encoding="utf-8") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    work(run, *rest)


def train_and_score(run: PaperRun) -> None:
    """Train to the last epoch, and score its weights on the segment left out."""
    began = time.monotonic()
    num_known = len(run.records())
    train(run.config, run_dir=run.run_dir)
    trained_s = time.monotonic() - began
    weights = str(run.run_dir / "last.safetensors")
    streaming = Detector.from_weights(weights, device=run.config.train.device)
    sequences = load_sequences(run.config.data, "validation")
    scored = score_sequences(streaming, run.config, sequences, title="scoring")
    curve = score_curve(scored.results, rule=hit_rule(run.config.evaluation))
    scores = scored.summary() | {
        f"pd_at_{rate}": pd_at(curve, false_alarms=rate * curve.num_frames) for rate in RATES
    }
    scores |= {"trained_s": trained_s, "num_epochs_in_that": len(run.records()) - num_known}
    run.scores_path.write_text(json.dumps(scores, indent=1), encoding="utf-8")
