"""Arithmetic of counts: they are added over frames and sequences, and divided once, at the end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from stdet.types import IntArray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Counts = TypeVar("_Counts", bound="DataclassInstance")


def add_fields(one: _Counts, other: _Counts) -> _Counts:
    """Return a dataclass whose every field is the sum of the two given."""
    names = [field.name for field in dataclasses.fields(one)]
    return type(one)(**{name: getattr(one, name) + getattr(other, name) for name in names})


def weighted_sum(items: Sequence[_Counts], weights: IntArray) -> _Counts:
    """Return a dataclass whose every field is the sum of that field times the weight.

    Args:
        items: At least one; fields are numbers, arrays or dataclasses of these.
        weights: int64 (S,), one for each item.
    """
    names = [field.name for field in dataclasses.fields(items[0])]
    totals: dict[str, Any] = {}
    for name in names:
        values = [getattr(item, name) for item in items]
        if dataclasses.is_dataclass(values[0]):
            totals[name] = weighted_sum(values, weights)
        else:
            totals[name] = np.tensordot(weights, np.array(values), axes=1)
    return type(items[0])(**totals)


def ratio(numerator: float, denominator: float) -> float:
    """Divide, with NaN where the denominator is 0.

    Example:
        >>> ratio(1, 2), ratio(0, 0)
        (0.5, nan)
    """
    return numerator / denominator if denominator else float("nan")


def without_nan(value: Any) -> Any:
    """Replace NaN by None, in dicts and sequences of any depth."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
