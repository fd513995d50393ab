"""Write the JSON of `stdet robustness CONFIG CONFIG ... --json RUN` as a table of docs/results.

Usage: python scripts/make_protocol_table.py RUN TABLE --machine TEXT [--date YYYY-MM-DD]

TABLE, such as docs/results/protocol.json, then stands wherever a page names it
(scripts/make_tables.py): Pd at 0.05 false alarms per frame of each change and source.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    """Read RUN and write TABLE."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--machine", required=True, help="in words")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    args = parser.parse_args()
    content = protocol_table(
        json.loads(args.run.read_text(encoding="utf-8")), machine=args.machine, date=args.date
    )
    args.table.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def protocol_table(run: dict[str, Any], *, machine: str, date: str) -> dict[str, Any]:
    """Return the table of a run: a row per change, a column per source, and the means.

    Args:
        run: What `stdet robustness` wrote for several configurations.
        machine: In words.
        date: Of the run.

    Raises:
        ValueError: If scores are of sequences that the weights were trained on.
    """
    sources: dict[str, Any] = run["sources"]
    first = next(iter(sources.values()))
    known = [name for source in sources.values() for name in source["trained_on"]]
    if known:
        raise ValueError(f"the weights were trained on {', '.join(known)}; leave them out.")
    rows = [
        [
            change,
            *(source["changes"][change]["pd_at_0_05_per_frame"] for source in sources.values()),
        ]
        for change in first["changes"]
    ]
    rows = [[*row, _mean(row[1:])] for row in rows]
    columns = list(zip(*rows, strict=True))[1:]
    targets = ", ".join(f"{name} {_targets(source)}" for name, source in sources.items())
    return {
        "title": "Pd at 0.05 false alarms per frame by source and change",
        "columns": [{"name": "change"}]
        + [{"name": name, "format": ".3f"} for name in (*sources, "mean")],
        "rows": [*rows, ["mean", *map(_mean, columns[:-1]), run["headline"]]],
        "provenance": {
            "command": first["command"],
            "commit": first["commit"],
            "date": date,
            "data": f"left out of training; targets without a change: {targets}. Weights of "
            f"sha256 {first.get('weights_sha256', first.get('detector', ''))[:12]}",
            "seeds": [first["seed"]],
            "machine": machine,
        },
    }


def _targets(source: dict[str, Any]) -> int:
    """Return the number of targets that the first change scores."""
    return int(next(iter(source["changes"].values()))["num_targets"])


def _mean(values: Any) -> float | None:
    """Return the mean of what is defined, None where nothing is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


if __name__ == "__main__":
    main()
