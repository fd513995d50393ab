"""Write the JSON of `stdet evaluate --protocols all --json RUN` as a table of docs/results.

Usage: python scripts/make_crosswalk.py RUN [RUN ...] TABLE --commit HASH --machine TEXT

TABLE, such as docs/results/protocols.json, then appears wherever a page names it
(scripts/make_tables.py): a row per protocol and number, and a column per run, named as its file.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stdet.evaluation.protocol_numbers import PROTOCOLS


def main() -> None:
    """Read the runs and write TABLE."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("table", type=Path, metavar="TABLE")
    parser.add_argument("--commit", required=True, help="that made the runs")
    parser.add_argument("--machine", required=True, help="in words")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    args = parser.parse_args()
    runs = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in args.runs}
    content = crosswalk_table(runs, commit=args.commit, machine=args.machine, date=args.date)
    args.table.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def crosswalk_table(
    runs: Mapping[str, Mapping[str, Any]], *, commit: str, machine: str, date: str
) -> dict[str, Any]:
    """Return the table of some runs.

    Args:
        runs: What `stdet evaluate` wrote, by the name of the column.
        commit: That made them.
        machine: In words.
        date: Of the runs.
    """
    rows = []
    for name, protocol in PROTOCOLS.items():
        for number in protocol.numbers:
            values = [run["protocols"]["overall"][name][number.key] for run in runs.values()]
            cells = [None if value is None else value * number.unit for value in values]
            rows.append([f"`{name}`", number.label, *cells])
    data = "; ".join(
        f"{name}: {', '.join(run['per_sequence'])}, {run['rules']['num_frames']} frames, "
        f"{run['rules']['num_targets']} targets, score >= {run['rules']['confidence']:g}"
        for name, run in runs.items()
    )
    return {
        "title": "One output under every protocol",
        "columns": [{"name": "protocol"}, {"name": "number"}]
        + [{"name": name, "format": ".3f"} for name in runs],
        "rows": rows,
        "provenance": {
            "command": "stdet evaluate configs/crosswalk/NAME.yaml --split test --protocols all "
            "--json NAME.json --set data.root=/path/to/sets "
            "[--set postprocess.confidence=SCORE]",
            "commit": commit,
            "date": date,
            "data": f"real and trained on; {data}. Weights stdet_n",
            "seeds": [],
            "machine": machine,
        },
    }


if __name__ == "__main__":
    main()
