"""Compare runs that were evaluated on the same sequences: paired differences, and a ranking.

A run is the JSON of `stdet evaluate --json`. It holds the headline numbers of 1000 resamples of
the sequences. Draws depend on the number of sequences alone, so two runs on the same sequences
share their resamples, and the spread of the difference is that of a paired comparison: what both
find hard cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stdet.errors import DataError, reason_of
from stdet.files.text_file import read_json
from stdet.metrics.bootstrap import HEADLINES, NUM_RESAMPLES, Vector, percentile_interval
from stdet.metrics.detection.hit_rule import HIT_SETTINGS
from stdet.report.tables import ROWS, Table, format_interval, format_score

LABELS = {key: label for label, key in ROWS.items()} | {"pd_fa.pd": "Pd"}
"""What tables call a number of the JSON."""
_RULES = (*HIT_SETTINGS, "track_gate_px", "link_gate_px", "num_frames", "num_targets")
"""What must be equal for two runs to be comparable."""
_MAX_NAME = 100
"""Characters of a sequence's name in a message."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """The headline numbers of one evaluation.

    Attributes:
        name: Stem of its file.
        scores: By the names of ``HEADLINES``; NaN where undefined.
        sequences: Names, sorted.
        resamples: float64 (1000,) by name; empty for a single sequence.
        rules: Rule of a hit, gates and numbers of frames and targets.
        labels: Published label list that the sequences are from, "" where none is known.
        truth_sha256: Of the names and the truth of the sequences.
    """

    name: str
    scores: Mapping[str, float]
    sequences: tuple[str, ...]
    resamples: Mapping[str, Vector]
    rules: Mapping[str, float | str]
    labels: str
    truth_sha256: str


def read_run(path: Path) -> Run:
    """Read a JSON of `stdet evaluate --json`.

    Raises:
        DataError: If it is missing or another kind of file.
    """
    content = read_json(path, advice="use a file of `stdet evaluate --json`")
    try:
        return run_of(content, name=path.stem)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(
            f"{path}: is no report of boxes ({reason_of(error)}); use a file of `stdet evaluate "
            "--json` of this version."
        ) from error


def run_of(content: Any, *, name: str) -> Run:
    """Return the headline numbers of a report as plain values (``Report.to_dict``)."""
    return Run(
        name=name,
        scores={key: _number(_at(content, key)) for key in HEADLINES},
        sequences=tuple(map(str, content["bootstrap"]["sequences"])),
        resamples={
            key: _resamples(values) for key, values in content["bootstrap"]["values"].items()
        },
        rules={
            key: str(content["rules"][key]) if key == "hit_rule" else float(content["rules"][key])
            for key in _RULES
        },
        labels=str(content["rules"]["labels"]),
        truth_sha256=str(content["rules"]["truth_sha256"]),
    )


def compare_runs(runs: Sequence[Run]) -> Table:
    """Set runs beside the first one.

    Args:
        runs: At least two, of the same sequences and rules.

    Returns:
        For each headline number its value in each run and, behind every run but the first, the
        difference to the first with its 95 % interval, marked * where the interval leaves out 0.
        The last row is the mean rank over the numbers.

    Raises:
        DataError: If names repeat, or the runs differ in sequences or rules.
    """
    first = runs[0]
    for run in runs[1:]:
        require_comparable(first, run)
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise DataError(f"runs {', '.join(names)}: names repeat; rename a file.")
    rows = [_row(key, runs) for key in HEADLINES]
    ranks = _mean_ranks(runs)
    last = ["mean rank", f"{ranks[0]:.2f}"]
    for rank in ranks[1:]:
        last += [f"{rank:.2f}", "", ""]
    header = ["", first.name]
    for name in names[1:]:
        header += [name, "difference", "95 % interval"]
    order = sorted(zip(ranks, names, strict=True))
    note = f"Best to worst by mean rank: {', '.join(name for _, name in order)}."
    return Table(
        header=tuple(header),
        rows=(*rows, tuple(last)),
        notes=(f"Differences to {first.name}; * where the interval leaves out 0.", note)
        + (
            (f"Paired bootstrap over {len(first.sequences)} sequences.",)
            if first.resamples
            else ("No intervals: they need at least two sequences.",)
        )
        + ((f"Labels: {first.labels}.",) if first.labels else ()),
    )


def _row(key: str, runs: Sequence[Run]) -> tuple[str, ...]:
    """Return one number of all runs."""
    first = runs[0]
    cells = [LABELS[key], format_score(key, first.scores[key])]
    for run in runs[1:]:
        difference = run.scores[key] - first.scores[key]
        interval = None
        if key in first.resamples and key in run.resamples:
            interval = percentile_interval(run.resamples[key] - first.resamples[key])
        is_clear = interval is not None and (interval[0] > 0 or interval[1] < 0)
        text = format_score(key, difference)
        sign = "+" if difference > 0 else ""
        cells += [
            format_score(key, run.scores[key]),
            f"{sign}{text}{' *' if is_clear else ''}",
            format_interval(key, interval, sign="+"),
        ]
    return tuple(cells)


def _mean_ranks(runs: Sequence[Run]) -> list[float]:
    """Return each run's rank, 1 for the best, mean over the numbers that all runs have."""
    ranks = []
    for key, more_is_better in HEADLINES.items():
        values = np.array([run.scores[key] for run in runs])
        if np.isnan(values).any():
            continue
        values = -values if more_is_better else values
        # Equal values share the mean of their places.
        ranks.append(
            [((values < value).sum() + (values <= value).sum() + 1) / 2 for value in values]
        )
    means: list[float] = np.mean(ranks, axis=0).tolist() if ranks else [math.nan] * len(runs)
    return means


def require_comparable(first: Run, other: Run) -> None:
    """Refuse runs on other labels or sequences, or by other rules.

    Raises:
        DataError: Naming what differs.
    """
    if first.labels != other.labels:
        ours, theirs = (run.labels or "no published list" for run in (other, first))
        raise DataError(
            f"{other.name}: was evaluated on {ours}, {first.name} on {theirs}; numbers on "
            "different label lists do not compare. Evaluate both on one list."
        )
    if first.sequences != other.sequences:
        only = sorted(set(first.sequences) ^ set(other.sequences))
        named = ", ".join(name[:_MAX_NAME] for name in only[:5])
        raise DataError(
            f"{other.name}: was evaluated on other sequences than {first.name} (only one has "
            f"{named}); evaluate both on the same split."
        )
    for key, value in first.rules.items():
        if other.rules[key] != value:
            raise DataError(
                f"{other.name}: has {key} {_said(other.rules[key])}, {first.name} has "
                f"{_said(value)}; "
                "evaluate both by the same rules."
            )
    if first.truth_sha256 != other.truth_sha256:
        raise DataError(
            f"{other.name}: was evaluated on other labels than {first.name}: the sequences have "
            "the same names, frames and numbers of targets, but their boxes differ; evaluate both "
            "with one label file."
        )


def _said(value: float | str) -> str:
    """Return a rule's value as text."""
    return value if isinstance(value, str) else f"{value:g}"


def _at(content: Any, key: str) -> Any:
    """Return the value under a dotted name."""
    for part in key.split("."):
        content = content[part]
    return content


def _resamples(values: Any) -> Vector:
    """Return one number of every resample, (1000,)."""
    if len(values) != NUM_RESAMPLES:
        raise ValueError(f"{len(values)} resamples")
    return np.array([_number(value) for value in values], np.float64)


def _number(value: Any) -> float:
    """Return a number of the JSON, where None stands for NaN."""
    return math.nan if value is None else float(value)
