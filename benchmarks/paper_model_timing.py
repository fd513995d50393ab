"""``paper_model.py --smoke``: how fast steps are, alone and side by side, before time is spent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from paper_model_runs import PaperRun, start, stop

from stdet.config import StdetConfig
from stdet.datasets.clips import ClipBatch
from stdet.datasets.splits import load_sequences
from stdet.evaluation.from_model import score_sequences
from stdet.inference.detector import Detector
from stdet.inference.trained_network import network_of_detector
from stdet.training.trainer import Trainer

NUM_WARM, NUM_TIMED = 5, 20
"""Steps before and while the clock runs."""

WAIT_S = 90.0
"""A process that has not come so far by then is taken for dead."""


def time_members(runs: Sequence[PaperRun], *, parallel: int, out: Path) -> None:
    """Time the first run of each configuration alone, then the first ``parallel`` runs at once."""
    firsts = list({run.member: run for run in reversed(runs)}.values())[::-1]
    for run in firsts:
        describe([run], _measure([run], out))
    together = runs[:parallel]
    if len(together) > 1:
        describe(together, _measure(together, out))


def _measure(runs: Sequence[PaperRun], out: Path) -> list[dict[str, Any]]:
    """Time runs at once, each in its own process."""
    barrier = get_context("spawn").Barrier(len(runs))
    files = [out / f"timing_{number}.json" for number in range(len(runs))]
    for file in files:
        file.unlink(missing_ok=True)
    pairs = zip(runs, files, strict=True)
    processes = [start(time_steps, run, barrier, file) for run, file in pairs]
    by_sentinel: dict[Any, int] = {p.sentinel: number for number, p in enumerate(processes)}
    try:
        while by_sentinel:
            for sentinel in wait(list(by_sentinel)):
                number = by_sentinel.pop(sentinel)
                processes[number].join()
                if processes[number].exitcode:
                    raise SystemExit(f"{runs[number].title} failed:\n{runs[number].log_tail()}")
    finally:
        stop(processes)
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def time_steps(run: PaperRun, barrier: Any, file: Path) -> None:
    """Take steps of a run from its start, score a segment, and write how long that took."""
    with TemporaryDirectory() as folder:
        found = _time_steps(run.config, barrier, Path(folder))
    file.write_text(json.dumps(found), encoding="utf-8")


def _time_steps(config: StdetConfig, barrier: Any, folder: Path) -> dict[str, Any]:
    """Take steps in an empty folder and return how long that took."""
    torch.set_num_threads(1)
    validation = load_sequences(config.data, "validation")
    trainer = Trainer(
        config,
        train_sequences=load_sequences(config.data, "train"),
        validation_sequences=validation,
        run_dir=folder,
    )
    trainer.step_module.train()
    batches = _batches(trainer)
    for _ in range(NUM_WARM):
        trainer._train_batch(next(batches))
    barrier.wait(WAIT_S)
    began = time.monotonic()
    losses = [float(trainer._train_batch(next(batches))[0]) for _ in range(NUM_TIMED)]
    step_s = (time.monotonic() - began) / NUM_TIMED
    barrier.wait(WAIT_S)
    network = network_of_detector(
        trainer.average.module,
        model=config.model,
        config=config.postprocess,
        device=trainer.device,
    )
    began = time.monotonic()
    score_sequences(Detector.from_network(network), config, validation, title="scoring")
    score_s = time.monotonic() - began
    began = time.monotonic()
    trainer._save()
    is_gpu = trainer.device.type == "cuda"
    return {
        "step_s": step_s,
        "score_s": score_s,
        "save_s": time.monotonic() - began,
        "num_steps": len(trainer.batches) * config.train.epochs,
        "num_scored": -(-config.train.epochs // config.train.validate_every) + 1,
        "losses": losses,
        "memory_gib": torch.cuda.max_memory_allocated() / 2**30 if is_gpu else 0.0,
    }


def _batches(trainer: Trainer) -> Iterator[ClipBatch]:
    """Yield batches without end."""
    while True:
        yield from trainer.loader
        trainer.batches.epoch += 1


def describe(runs: Sequence[PaperRun], found: Sequence[dict[str, Any]]) -> None:
    """Print a line per run, and what all together do."""
    print(f"{len(runs)} at a time:")
    for run, values in zip(runs, found, strict=True):
        whole = (
            values["step_s"] * values["num_steps"]
            + values["score_s"] * values["num_scored"]
            + values["save_s"] * run.config.train.epochs
        )
        print(
            f"  {run.title}: {1 / values['step_s']:.2f} steps/s, {values['score_s']:.1f} s to "
            f"score, {values['save_s']:.2f} s to save, {values['memory_gib']:.1f} GiB, loss "
            f"{values['losses'][0]:.2f} to {values['losses'][-1]:.2f}; {run.config.train.epochs} "
            f"epochs ({values['num_steps']} steps) would take {whole:.0f} s",
            flush=True,
        )
    batch = runs[0].config.train.batch_size
    rate = sum(batch / values["step_s"] for values in found)
    print(f"  together {rate:.1f} key frames/s", flush=True)
