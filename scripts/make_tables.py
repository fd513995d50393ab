"""Write the tables of README.md, docs and model cards from the JSON files in docs/results.

    python scripts/make_tables.py

A table stands between two comments:

    <!-- table: docs/results/NAME.json -->
    <!-- end of table -->

The first may name `rows: A; B` (first cells) and `columns: X; Y`. A JSON file holds `title`,
`columns` (`name`, optional `format`), `rows`, and `provenance`: command, commit, date, data, seeds
and machine, which are printed below a table that has all its columns.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/classical.md",
    "docs/engines.md",
    "docs/protocols.md",
    "docs/pyramids.md",
    "docs/results.md",
    "docs/robustness.md",
    "docs/tracking.md",
    "docs/tracking_benchmark.md",
    "stdet/weights/stdet_n.md",
    "stdet/weights/stdet_s.md",
)
LINE_LENGTH = 100
_MARKED = re.compile(
    r"(?P<begin><!-- table: (?P<file>\S+)(?P<options>[^>]*?) -->\n)"
    r".*?(?P<end><!-- end of table -->)",
    re.DOTALL,
)


def main() -> None:
    """Rewrite the tables of all pages in place."""
    for page in PAGES:
        path = ROOT / page
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")


def with_tables(text: str) -> str:
    """Return a page with its tables written anew."""

    def replace(marked: re.Match[str]) -> str:
        content = json.loads((ROOT / marked["file"]).read_text(encoding="utf-8"))
        options = dict(
            re.findall(r"(rows|columns): (.*?)(?=\s+(?:rows|columns): |$)", marked["options"])
        )
        return marked["begin"] + render(content, options) + marked["end"]

    return _MARKED.sub(replace, text)


def render(content: dict[str, Any], options: dict[str, str]) -> str:
    """Return a table as Markdown, and where it comes from unless columns are named.

    Raises:
        ValueError: If an option names a row or a column that does not exist.
    """
    columns, rows = content["columns"], content["rows"]
    names = [column["name"] for column in columns]
    chosen = _chosen(options.get("columns"), names)
    kept = _chosen(options.get("rows"), [row[0] for row in rows])
    lines = [
        "| " + " | ".join(names[at] for at in chosen) + " |",
        "| " + " | ".join("---:" if "format" in columns[at] else "---" for at in chosen) + " |",
    ]
    for number in kept:
        cells = (_cell(rows[number][at], columns[at].get("format", "")) for at in chosen)
        lines.append("| " + " | ".join(cells) + " |")
    if "columns" in options:
        return "\n".join(lines) + "\n"
    return "\n".join([*lines, "", _provenance(content["provenance"])]) + "\n\n"


def _chosen(option: str | None, names: list[str]) -> list[int]:
    """Return which names an option lists, in its order; all without one."""
    if option is None:
        return list(range(len(names)))
    wanted = [name.strip() for name in option.split(";")]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f"{missing[0]!r} is not one of {names}.")
    return [names.index(name) for name in wanted]


def _cell(value: Any, form: str) -> str:
    """Return a value as text; "-" for none."""
    return "-" if value is None else format(value, form)


def _provenance(facts: dict[str, Any]) -> str:
    """Return where a table comes from, wrapped as list items."""
    seeds = ", ".join(map(str, facts["seeds"])) or "none"
    items = (
        f"Command: `{facts['command']}`",
        f"Commit {facts['commit']}, {facts['date']}; seeds: {seeds}",
        f"Machine: {facts['machine']}",
        f"Data: {facts['data']}",
    )
    return "\n".join(
        textwrap.fill(
            f"- {item}",
            LINE_LENGTH,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for item in items
    )


if __name__ == "__main__":
    main()
