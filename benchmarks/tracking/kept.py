"""Results of an earlier run that stay beside those of a new one on the same sequences."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tracking.scores import Mean

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the tables of a folder say of contenders that did not take part again.

    Attributes:
        names: All contenders of the earlier run, in its order.
        numbers: Rows of `tracking.json` of those that are kept, by family and contender.
        totals: Their rows of `tracking_totals.json`.
        commit: Of the earlier run.
    """

    names: tuple[str, ...] = ()
    numbers: Mapping[str, Mapping[str, Row]]
    totals: Mapping[str, Row]
    commit: str = ""

    @classmethod
    def nothing(cls) -> Kept:
        """Return no results."""
        return cls(numbers={}, totals={})

    @classmethod
    def beside(cls, folder: Path, new: Collection[str]) -> Kept:
        """Return what the tables of a folder say of all but some contenders."""
        content = json.loads((folder / "tracking.json").read_text(encoding="utf-8"))
        numbers: dict[str, dict[str, Row]] = {}
        for row in _rows(content):
            if row["tracker"] not in new:
                numbers.setdefault(row["family"], {})[row["tracker"]] = row
        totals = json.loads((folder / "tracking_totals.json").read_text(encoding="utf-8"))
        return cls(
            names=tuple(dict.fromkeys(row["tracker"] for row in _rows(content))),
            numbers=numbers,
            totals={row["tracker"]: row for row in _rows(totals) if row["tracker"] not in new},
            commit=content["provenance"]["commit"],
        )

    def means(self, family: str, title: str) -> dict[str, Mean]:
        """Return the means of a family by contender.

        Args:
            family: Its name.
            title: Of the measure, as tables print it.
        """
        return {
            name: Mean(mean=row[title], half_width=row[f"{title} +-"])
            for name, row in self.numbers.get(family, {}).items()
        }

    def ordered(self, new: Collection[str]) -> list[str]:
        """Return all contenders, those of the earlier run first."""
        return [*self.names, *(name for name in new if name not in self.names)]


def _rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = [column["name"] for column in content["columns"]]
    return [dict(zip(names, row, strict=True)) for row in content["rows"]]
