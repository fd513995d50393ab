"""What ``paper_model.py`` leaves: curves and scores, a table, and the best weights in parts."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from paper_model_runs import RATES, PaperRun
from weight_parts import write_parts

from stdet.config import config_to_dict
from stdet.inference.checkpoint import git_commit

CURVE = ("epoch", "map50", "f1", "pd", "false_alarms_per_frame", "idf1", "validation_s")
"""What is kept of a validated epoch."""

COLUMNS = ("map50", *(f"pd_at_{rate}" for rate in RATES), "f1", "idf1")


def write_results(runs: Sequence[PaperRun], folder: Path, machine: Mapping[str, Any]) -> None:
    """Write ``results.json``, ``table.txt`` and the best weights of each pyramid.

    Args:
        runs: All, begun or not.
        folder: Where to; files there are replaced.
        machine: Noted in the JSON, beside versions and the card.
    """
    rows = [row_of(run) for run in runs]
    members = {run.member: config_to_dict(run.config) for run in reversed(runs)}
    document = {
        "machine": {**machine, "commit": machine["commit"] or git_commit(), **_versions()},
        "members": members,
        "runs": rows,
    }
    text = json.dumps(document, indent=1, default=str)
    (folder / "results.json").write_text(text, encoding="utf-8")
    (folder / "table.txt").write_text(table(rows), encoding="utf-8")
    for part in folder.glob("*of*.safetensors"):
        part.unlink()
    for pyramid, run in best_runs(runs).items():
        name = f"{pyramid}_{run.left_out}_seed{run.seed}"
        write_parts(run.run_dir / "last.safetensors", folder, name)


def row_of(run: PaperRun) -> dict[str, Any]:
    """Return what is kept of a run; ``scores`` is None where its epochs are not all done."""
    records = run.records()
    return {
        "member": run.member,
        "left_out": run.left_out,
        "seed": run.seed,
        "epochs_done": len(records),
        "epochs": run.config.train.epochs,
        "scores": run.scores(),
        "loss": [round(record["loss_total"], 4) for record in records],
        "curve": [{key: r[key] for key in CURVE} for r in records if "map50" in r],
    }


def best_runs(runs: Sequence[PaperRun]) -> dict[str, PaperRun]:
    """Return the run with the highest mAP50 of each kind of pyramid, finished ones first."""
    best: dict[str, tuple[tuple[bool, float], PaperRun]] = {}
    for run in runs:
        scores = run.scores()
        curve = [record["map50"] for record in run.records() if "map50" in record]
        rank = (True, scores["map50"]) if scores else (False, curve[-1] if curve else -1.0)
        kind = run.config.model.pyramid.type
        if run.records() and (kind not in best or rank > best[kind][0]):
            best[kind] = (rank, run)
    return {kind: run for kind, (_, run) in best.items()}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a line per run, then the means of each configuration's finished runs."""
    width = max(len(row["member"]) for row in rows)
    heads = "".join(f"{name:>11}" for name in COLUMNS)
    lines = [f"{'':{width}} left out  seed  epochs{heads}   seconds"]
    for row in rows:
        scores = row["scores"]
        begin = (
            f"{row['member']:{width}} {row['left_out']:8}{row['seed']:6}"
            f"{row['epochs_done']:4}/{row['epochs']:<3}"
        )
        if scores:
            lines.append(f"{begin}{_values(scores)}{scores['trained_s']:10.0f}")
        else:
            last = row["curve"][-1:]
            lines.append(begin + "".join(f"  unfinished, mAP50 {r['map50']:.4f}" for r in last))
    for member in dict.fromkeys(row["member"] for row in rows):
        done = [row["scores"] for row in rows if row["member"] == member and row["scores"]]
        if done:
            means = {name: mean(scores[name] for scores in done) for name in COLUMNS}
            lines.append(f"{member:{width}} mean of {len(done):<15}{_values(means)}")
    return "\n".join(lines) + "\n"


def _values(scores: Mapping[str, float]) -> str:
    return "".join(f"{scores[name]:11.4f}" for name in COLUMNS)


def _versions() -> dict[str, str]:
    """Return what the numbers were computed with."""
    is_gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if is_gpu else platform.processor() or "cpu",
        "torch": torch.__version__,
        "cudnn": str(torch.backends.cudnn.version()) if is_gpu else "",
        "python": platform.python_version(),
    }
