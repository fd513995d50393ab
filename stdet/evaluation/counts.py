"""Arithmetic of counts: they are added over frames and sequences, and divided once, at the end."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Counts = TypeVar("_Counts", bound="DataclassInstance")


def add_fields(one: _Counts, other: _Counts) -> _Counts:
    """Return a dataclass whose every field is the sum of the two given."""
    names = [field.name for field in dataclasses.fields(one)]
    return type(one)(**{name: getattr(one, name) + getattr(other, name) for name in names})


def ratio(numerator: float, denominator: float) -> float:
    """Divide, with NaN where the denominator is 0.

    Example:
        >>> ratio(1, 2), ratio(0, 0)
        (0.5, nan)
    """
    return numerator / denominator if denominator else float("nan")
