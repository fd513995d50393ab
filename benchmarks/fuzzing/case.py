"""One case: an entry point and what is changed before it runs, fixed by seed and number."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from fuzzing.argument_changes import change_arguments
from fuzzing.byte_changes import change_bytes
from fuzzing.entry_points import EntryPoint
from fuzzing.odd_values import BOMB_MARK, to_text
from fuzzing.place_changes import change_place
from fuzzing.text_changes import change_text
from fuzzing.tree_changes import change_tree

_TREES = (".json", ".yaml")
_LINES = (".txt", ".csv", ".ini", ".jsonl")


@dataclass(frozen=True)
class Case:
    """What runs.

    Attributes:
        number: Of the case.
        entry: What it runs.
        stdout_encoding: What stdout can write; other characters are an error there.
        rng_seed: Seed of the changes.
    """

    number: int
    entry: EntryPoint
    stdout_encoding: str
    rng_seed: str


def draw_case(entries: Sequence[EntryPoint], seed: int, number: int) -> Case:
    """Draw the entry point of a case.

    Every entry point draws a number and the largest wins, so that a new one changes no case
    but those that it takes.
    """
    names = {entry.name: f"{seed}/{number}/{entry.name}" for entry in entries}
    entry = max(entries, key=lambda d: random.Random(names[d.name]).random() ** (1 / d.weight))
    encoding = "ascii" if random.Random(f"{seed}/{number}").random() < 0.1 else "utf-8"
    return Case(number, entry, encoding, f"changes {names[entry.name]}")


def change_case(case: Case) -> tuple[list[str], list[str]]:
    """Change the working directory, a copy of the folder of the entry point.

    Returns:
        The arguments, and what was done.
    """
    rng = random.Random(case.rng_seed)
    argv = list(case.entry.argv)
    notes = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        family = rng.random()
        if family < 0.15:
            argv, note = change_arguments(rng, argv)
        else:
            path = _target(rng, case.entry)
            if path is None:
                continue
            if family < 0.27 or not path.is_file() or path.stat().st_size == 0:
                argv, note = change_place(rng, path, argv)
            else:
                data, note = _change_content(rng, path, takes_time=_trains(case.entry))
                path.write_bytes(data)
                note = f"{path}: {note}"
        notes.append(note)
    return argv, notes


def _trains(entry: EntryPoint) -> bool:
    return entry.argv[0] in ("train", "ablate", "synth")


def _target(rng: random.Random, entry: EntryPoint) -> Path | None:
    """Draw a file or folder to change; None where an earlier change took them all away."""
    pattern = rng.choice(entry.targets)
    found = sorted(Path().glob(pattern))
    return rng.choice(found) if found else None


def _change_content(rng: random.Random, path: Path, *, takes_time: bool) -> tuple[bytes, str]:
    data = path.read_bytes()
    suffix = path.suffix.lower()
    # A tree of nested anchors would grow here as it should not there.
    if suffix in _TREES and BOMB_MARK not in data and rng.random() < 0.6:
        try:
            tree = json.loads(data) if suffix == ".json" else yaml.safe_load(data)
        # Changed before: a parser may raise anything on that, as PyYAML does on odd tags.
        except Exception:
            return change_text(rng, data, is_yaml=suffix == ".yaml")
        try:
            tree, note = change_tree(rng, tree, takes_time=takes_time)
            return to_text(tree).encode("utf-8", "surrogatepass"), note
        except (ValueError, RecursionError):  # Nested too deep to be written again.
            return change_text(rng, data, is_yaml=suffix == ".yaml")
    if suffix in (*_TREES, *_LINES) and rng.random() < 0.9:
        return change_text(rng, data, is_yaml=suffix == ".yaml")
    return change_bytes(rng, data, suffix)
