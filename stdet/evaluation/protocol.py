"""One number for a detector on footage of several kinds, each changed in several ways.

The headline is the mean over sources and changes of Pd at 0.05 false alarms per frame, each
source with each change (`none` is one of them) with the same weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stdet.evaluation.robustness import Robustness
from stdet.metrics.counts import without_nan


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Scores of several sources under the same changes.

    Attributes:
        sources: By name, at least one.
    """

    sources: Mapping[str, Robustness]

    @property
    def headline(self) -> float:
        """Mean of all sources and changes, NaN where nothing is defined."""
        return _mean([pd for name in self.sources for pd in self.pds_of(name).values()])

    def pds_of(self, source: str) -> dict[str, float]:
        """Return Pd at 0.05 false alarms per frame of a source, by change."""
        changes = self.sources[source].changes
        return {name: result.overall.pd_at_0_05_per_frame for name, result in changes.items()}

    def mean_of_source(self, source: str) -> float:
        """Return the mean over changes."""
        return _mean(list(self.pds_of(source).values()))

    def mean_of_change(self, change: str) -> float:
        """Return the mean over sources."""
        return _mean([self.pds_of(name)[change] for name in self.sources])

    @property
    def trained_on(self) -> list[str]:
        """Scored sequences that the weights were trained on."""
        return [name for found in self.sources.values() for name in found.trained_on]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes None."""
        plain: dict[str, Any] = without_nan(
            {
                "headline": self.headline,
                "sources": {name: found.to_dict() for name, found in self.sources.items()},
            }
        )
        return plain


def _mean(values: Sequence[float]) -> float:
    """Return the mean of what is defined."""
    defined = np.array(values)[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
