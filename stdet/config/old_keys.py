"""Keys of the data section of earlier versions, in terms of this one.

The main data set was spread over keys of its own, and ``extra_sources`` stood beside it. Now each
split is a list of sources.
"""

from __future__ import annotations

import json
import os
from typing import Any

_DEFAULT_ROOT = "data/daub"
_DEFAULT_TRAIN = "annotations/instances_train2017.json"
_DEFAULT_TEST = "annotations/instances_test2017.json"
_MAX_SHOWN = 400
"""Characters of a value in a message."""

_OLD: dict[str, tuple[str, ...]] = {
    "format": ("train", "test"),
    "boxes": ("train",),
    "weight": ("train",),
    "train_annotations": ("train",),
    "validation_annotations": ("validation",),
    "test_annotations": ("test",),
    "train_sequences": ("train", "validation"),
    "test_sequences": ("test",),
    "extra_sources": ("train",),
    "num_generated": ("train",),
    "generated_weight": ("train",),
    "generated_hot_spots_max": ("train",),
}
"""Old keys, and the present ones that say the same."""


def explain_old_data(values: dict[str, Any]) -> str | None:
    """Say what to write in place of old keys, in one line; None where there is none.

    Example:
        >>> explain_old_data({"test_annotations": "test.json"})
        'test_annotations is no longer read; write test: [{"annotations": "test.json"}]'
    """
    old = [key for key in values if key in _OLD]
    if not old:
        return None
    new = convert_old_data({key: values[key] for key in values if key in (*old, "root")})
    concerned = {key for name in old for key in _OLD[name]}
    wanted = [
        f"{key}: {_short(json.dumps(value, default=str))}"
        for key, value in new.items()
        if key in concerned
    ]
    verb = "is" if len(old) == 1 else "are"
    return f"{', '.join(old)} {verb} no longer read; write {', '.join(wanted)}"


def _short(text: str) -> str:
    """Cut a long text; lists of names can have thousands."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} ..."


def convert_old_data(values: dict[str, Any]) -> dict[str, Any]:
    """Return a data section with old keys in terms of the present ones.

    Args:
        values: As YAML or JSON holds them; without old keys they come back as they are.
    """
    if not _OLD.keys() & values.keys():
        return values
    kept = {key: value for key, value in values.items() if key not in _OLD}
    given = {key: value for key, value in values.items() if value not in (None, [], ())}
    labels: dict[str, Any] = {"format": given["format"]} if "format" in given else {}
    main = {
        "annotations": given.get("train_annotations", _DEFAULT_TRAIN),
        **labels,
        **{key: value for key, value in given.items() if key in ("boxes", "weight")},
    }
    validation = []
    if "validation_annotations" in given:
        validation = [{"annotations": given["validation_annotations"], **labels}]
    if "train_sequences" in given:
        if "validation_sequences" in given:
            held_out = kept.pop("validation_sequences")
            validation = [{**main, "sequences": held_out}]
        main["sequences"] = given["train_sequences"]
    test = {"annotations": given.get("test_annotations", _DEFAULT_TEST), **labels}
    if "test_sequences" in given:
        test["sequences"] = given["test_sequences"]
    converted = {**kept, "train": [main, *_extra_sources(given), *_generated(given)]}
    if validation:
        converted["validation"] = validation
    return {**converted, "test": [test]}


def _extra_sources(given: dict[str, Any]) -> list[Any]:
    """Return the extra sources, with roots relative to that of the data section."""
    sources = given.get("extra_sources", [])
    if not isinstance(sources, list | tuple):
        return [sources]
    base = given.get("root", _DEFAULT_ROOT)
    return [_relative_to(source, str(base)) for source in sources]


def _relative_to(source: Any, base: str) -> Any:
    """Return a source whose root was relative to the working directory."""
    root = source.get("root") if isinstance(source, dict) else None
    if not isinstance(root, str) or os.path.isabs(root):
        return source
    moved = os.path.abspath(root) if os.path.isabs(base) else os.path.relpath(root, base)
    return {**source, "root": moved}


def _generated(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the source of generated scenes where any were asked for."""
    if not given.get("num_generated"):
        return []
    names = {"generated_weight": "weight", "generated_hot_spots_max": "hot_spots_max"}
    return [
        {
            "format": "generated",
            "num_sequences": given["num_generated"],
            **{new: given[old] for old, new in names.items() if old in given},
        }
    ]
