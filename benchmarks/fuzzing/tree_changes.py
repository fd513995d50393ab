"""Changes of JSON and YAML by their structure."""

from __future__ import annotations

import random
from typing import Any

from fuzzing.odd_values import Pairs, odd_value

TAKES_TIME = frozenset(
    {"epochs", "num_workers", "num_sequences", "num_frames", "num_threads"}
    | {"warmup_epochs", "hourglass_repeats"}
)
"""Numbers by which a user may rightly ask for hours: they are changed to small or wrong ones."""
SMALL_OR_WRONG: tuple[Any, ...] = (-1, 0, 1, 2, 0.5, 1.5, "2", "", "x", None, [], {}, True)

Path = tuple[Any, ...]


def change_tree(rng: random.Random, tree: Any, *, takes_time: bool = False) -> tuple[Any, str]:
    """Return a changed copy, and what was done.

    Args:
        rng: Where chance comes from.
        tree: Nested dicts and lists.
        takes_time: Whether keys of ``TAKES_TIME`` get small or wrong values alone.
    """
    paths = list(_paths(tree, ()))
    path = rng.choice(paths)
    # Long lists would otherwise get nearly all changes.
    for _ in range(2):
        other = rng.choice(paths)
        path = min(path, other, key=len)
    name = ".".join(map(str, path)) or "(root)"
    old = _at(tree, path)
    kind = rng.choice(("value", "value", "value", "delete", "key", "twice", "more", "wrap"))
    if kind == "value" or not path:
        new = _new_value(rng, path, old, takes_time=takes_time)
        return _replaced(tree, path, new), f"{name} := {_short(new)}"
    if kind == "wrap":
        return _replaced(tree, path, [old]), f"{name} in a list"
    parent = _at(tree, path[:-1])
    change = _change_list if isinstance(parent, list) else _change_mapping
    new_parent, note = change(rng, parent, path[-1], kind)
    return _replaced(tree, path[:-1], new_parent), f"{name} {note}"


def _new_value(rng: random.Random, path: Path, old: Any, *, takes_time: bool) -> Any:
    if takes_time and path and path[-1] in TAKES_TIME:
        return rng.choice(SMALL_OR_WRONG)
    return odd_value(rng, old)


def _change_list(rng: random.Random, old: list[Any], place: int, kind: str) -> tuple[Any, str]:
    if kind in ("delete", "key"):
        return old[:place] + old[place + 1 :], "left out"
    times = 1 if kind == "twice" else rng.choice((2, 10, 300))
    return old[:place] + [old[place]] * times + old[place:], f"{times} times more"


def _change_mapping(
    rng: random.Random, old: dict[Any, Any], key: Any, kind: str
) -> tuple[Any, str]:
    if kind == "delete":
        return {other: value for other, value in old.items() if other != key}, "left out"
    if kind == "key":
        new = rng.choice((f"{key}s", str(key)[:-1], str(key).upper(), "", 1, None, odd_value(rng)))
        pairs = ((new if other == key else other, value) for other, value in old.items())
        return Pairs(pairs), f"renamed {_short(new)}"
    new = key if kind == "twice" else rng.choice(("unknown", "id", "name", 1, "x" * 5000))
    value = odd_value(rng)
    return Pairs([*old.items(), (new, value)]), f"beside {_short(new)}: {_short(value)}"


def _paths(tree: Any, path: Path) -> Any:
    yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _paths(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _paths(value, (*path, index))


def _at(tree: Any, path: Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _replaced(tree: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = _replaced(tree[path[0]], path[1:], new)
    return copy


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
