"""Tables of a run, in the form of docs/results."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tracking.kept import Kept
from benchmarks.tracking.own_tracker import SMOOTHED
from benchmarks.tracking.scores import FamilyScores, Mean, SequenceScores
from stdet.files.atomic_file import write_whole
from stdet.metrics.false_alarm_rate import HourlyRate

Scores = Mapping[str, Mapping[str, Sequence[SequenceScores]]]
"""Of each sequence of a family, by family and contender; sequences are the same for all."""

TITLES = {"hota": "HOTA", "so_hota": "SO-HOTA", "idf1": "IDF1"}
MEASURES = tuple(TITLES)


def write_tables(
    folder: Path,
    scores: Scores,
    totals: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    kept: Kept,
) -> None:
    """Write a file per measure, one of totals, and one of all numbers.

    Args:
        folder: For `tracking_hota.json` and so on.
        scores: Of all contenders on all families.
        totals: A row for each contender, by column.
        facts: The provenance.
        kept: Of an earlier run; its totals are among ``totals``.
    """
    for measure in MEASURES:
        content = {
            "title": f"{TITLES[measure]} of trackers on equal detections",
            "provenance": facts,
            **_by_family(scores, measure, kept),
        }
        _write(folder / f"tracking_{measure}.json", content)
    _write(
        folder / "tracking_totals.json",
        {"title": "Trackers on generated sequences", "provenance": facts, **_table(totals)},
    )
    _write(
        folder / "tracking.json",
        {"title": "All numbers", "provenance": facts, **_table(list(_all_numbers(scores, kept)))},
    )


def write_footage(
    folder: Path, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]
) -> None:
    """Write a file per measure, a row for footage and motion, and one of all numbers."""
    title = "Trackers on equal detections of left-out footage"
    for name, measure in TITLES.items():
        by_part: dict[str, dict[str, Any]] = {}
        for row in rows:
            part = f"{row['footage']}, {row['motion']}"
            by_part.setdefault(part, {"footage": part})[row["tracker"]] = row[measure]
        content = {"title": f"{measure}. {title}", "provenance": facts}
        _write(
            folder / f"tracking_footage_{name}.json",
            {**content, **_table(list(by_part.values()))},
        )
    content = {"title": title, "provenance": facts, **_table(rows)}
    _write(folder / "tracking_footage.json", content)


def best_or_equal(
    scores: Mapping[str, Sequence[SequenceScores]],
    measure: str,
    kept: Mapping[str, Mean] | None = None,
) -> set[str]:
    """Return the best online contender of a family, and those that are not known to be worse.

    A contender is worse where the 95 % interval of its differences to the best, sequence by
    sequence, lies below 0. Slow ones were given the first sequences alone.

    Args:
        scores: Of one run.
        measure: The attribute of the scores.
        kept: Of contenders of an earlier run, whose single sequences are not known: their
            differences are taken as those of independent means.
    """
    values = {name: [getattr(one, measure) for one in found] for name, found in scores.items()}
    num = max(map(len, values.values()))
    means = {name: Mean.of(own) for name, own in values.items()} | dict(kept or {})
    whole = [name for name in means if len(values.get(name, range(num))) == num]
    best = max((name for name in whole if name != SMOOTHED), key=lambda name: means[name].mean)
    equal = {best}
    for name, mean in means.items():
        if name in values and best in values:
            behind = Mean.of([b - a for a, b in zip(values[name], values[best], strict=False)])
        else:
            behind = Mean(
                mean=means[best].mean - mean.mean,
                half_width=math.hypot(means[best].half_width, mean.half_width),
            )
        if math.isnan(behind.half_width) or behind.mean <= behind.half_width:
            equal.add(name)
    return equal


def _equal_by_family(scores: Scores, measure: str, kept: Kept) -> dict[str, set[str]]:
    """Return the best contenders of each family, and those not known to be worse."""
    return {
        family: best_or_equal(found, measure, kept.means(family, TITLES[measure]))
        for family, found in scores.items()
    }


def _means(scores: Scores, family: str, measure: str, kept: Kept) -> dict[str, float]:
    """Return the mean of each contender on a family."""
    found = scores[family]
    new = {name: Mean.of([getattr(one, measure) for one in own]) for name, own in found.items()}
    every = kept.means(family, TITLES[measure]) | new
    return {name: every[name].mean for name in kept.ordered(found)}


def _by_family(scores: Scores, measure: str, kept: Kept) -> dict[str, Any]:
    """Return a row per family and a column per contender."""
    rows, names = [], kept.ordered(next(iter(scores.values())))
    for family, equal in _equal_by_family(scores, measure, kept).items():
        row: list[str] = [family]
        for name, mean in _means(scores, family, measure, kept).items():
            row.append(f"**{mean:.3f}**" if name in equal else f"{mean:.3f}")
        rows.append(row)
    columns: list[dict[str, str]] = [{"name": "family"}]
    columns += [{"name": name, "format": "s"} for name in names]
    return {"columns": columns, "rows": rows}


def _all_numbers(scores: Scores, kept: Kept) -> Any:
    """Yield a row per family and contender."""
    for family, found in scores.items():
        for name in kept.ordered(found):
            if name in found:
                yield {"family": family, "tracker": name, **_numbers(found[name])}
            else:
                yield kept.numbers[family][name]


def _numbers(sequences: Sequence[SequenceScores]) -> dict[str, Any]:
    """Return all numbers of a contender on a family."""
    total = FamilyScores.of(sequences)
    low, rate, high = (total.false_tracks_per_minute[at] for at in (1, 0, 2))
    row: dict[str, Any] = {}
    for measure in MEASURES:
        mean: Mean = getattr(total, measure)
        row[TITLES[measure]] = round(mean.mean, 4)
        is_known = len(sequences) > 1
        row[f"{TITLES[measure]} +-"] = round(mean.half_width, 4) if is_known else None
    return {
        **row,
        "switches": total.switches,
        "false tracks a minute": round(rate, 3),
        "at least": round(low, 3),
        "at most": round(high, 3),
        "frames/s": round(total.frames_per_second),
    }


def totals_of(
    scores: Scores,
    watched: Mapping[float, Mapping[str, HourlyRate]],
    megabytes: Mapping[str, float],
    speeds: Mapping[str, str],
    kept: Kept,
) -> list[dict[str, Any]]:
    """Return a row for each contender.

    Args:
        scores: On all families.
        watched: False tracks an hour by false alarms per frame and contender.
        megabytes: Peak memory by contender.
        speeds: Families whose speed is given, by the name of the column.
        kept: Of an earlier run; how often they are best is counted anew.
    """
    best = {measure: _equal_by_family(scores, measure, kept).values() for measure in MEASURES}
    means = {
        measure: [_means(scores, family, measure, kept) for family in scores]
        for measure in MEASURES
    }
    new = next(iter(scores.values()))
    rows = []
    for name in kept.ordered(new):
        row: dict[str, Any] = {"tracker": name}
        for measure in MEASURES:
            of_families = [found[name] for found in means[measure]]
            row[TITLES[measure]] = f"{sum(of_families) / len(of_families):.3f}"
            num_best = sum(name in names for names in best[measure])
            row[f"best {TITLES[measure]}"] = f"{num_best} of {len(scores)}"
        rows.append(
            row | _costs(name, scores, watched, megabytes, speeds)
            if name in new
            else {**kept.totals[name], **row}
        )
    return rows


def _costs(
    name: str,
    scores: Scores,
    watched: Mapping[float, Mapping[str, HourlyRate]],
    megabytes: Mapping[str, float],
    speeds: Mapping[str, str],
) -> dict[str, Any]:
    """Return false tracks, speed and memory of a contender; see ``totals_of``."""
    row: dict[str, Any] = {}
    for rate, found in watched.items():
        hourly = found[name]
        row[f"false tracks an hour, {rate:g} false alarms"] = (
            f"{hourly.rate:.0f} ({hourly.low:.0f}-{hourly.high:.0f})"
        )
    for column, family in speeds.items():
        if family in scores:
            speed = FamilyScores.of(scores[family][name]).frames_per_second
            row[column] = f"{speed:.0f}"
    row["memory, MB"] = f"{megabytes[name]:.1f}"
    return row


def _table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = [
        {"name": name, "format": "s" if isinstance(value, str) else ""}
        for name, value in rows[0].items()
    ]
    del columns[0]["format"]
    return {"columns": columns, "rows": [list(row.values()) for row in rows]}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())
