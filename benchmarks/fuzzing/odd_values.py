"""Values that a file or an argument should not hold, and a writer that can write them all."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Raw:
    """A piece of text that is written as it is, valid or not."""

    text: str


class Pairs(list[tuple[Any, Any]]):
    """A mapping as pairs, in which a key may occur twice."""


NUMBERS: tuple[Any, ...] = (
    *(-1, 0, 1, 2, 255, 65536, 2**31 - 1, 2**31, 2**32, 2**63, 10**9, 10**18, 10**30, -(10**18)),
    *(0.5, -0.0, 1e-320, 1e38, 1e308, -1e308, Raw("1e400"), Raw("NaN"), Raw("Infinity")),
    *(Raw("-Infinity"), Raw("9" * 400), Raw("9" * 5000), Raw("0x10"), Raw("1_0"), Raw("+1")),
)
STRINGS: tuple[str, ...] = (
    *("", " ", "x" * 300, "x" * 100_000, "\x00", "a\x00b", "\ud800", "\udcff", "\ufeff", "\u2028"),
    *(
        "\x1b[31mred",
        "a\nb",
        "=1+1",
        ".",
        "..",
        "../../up",
        "/",
        "/dev/zero",
        "/dev/null",
        "C:\\x",
    ),
    *(
        "~nobody/x",
        "NaN",
        "inf",
        "-1",
        "1e9",
        "None",
        "null",
        "%s",
        "{0}",
        "*",
        "[",
        "\\",
        "'",
        '"',
    ),
)
OTHERS: tuple[Any, ...] = (
    *(True, False, None, [], {}, [[]], [None], {"": None}, [{}], {"a": {"a": {}}}),
    *([0] * 5, [1, 2], [1.5, -2], ["a"], Raw("[" * 100 + "]" * 100), Raw("[" * 20_000)),
    *(Raw("[" * 20_000 + "]" * 20_000), Raw('{"a":' * 3000 + "1" + "}" * 3000), Raw("")),
)
YAML_FRAGMENTS: tuple[str, ...] = (
    *("!!int ''", "!!float ''", "!!timestamp x", "!!binary '*'", "!!bool x", "!!set {a: b}"),
    *("!!python/object:os.system x", "!!omap [a]", "!!pairs 1", "!!null x", "!unknown x", "!!str"),
    *(
        "&a [*a]",
        "{<<: *none}",
        "{<<: 1}",
        "{<<: [1]}",
        "*none",
        "? [a]",
        "{[a]: b}",
        "{{a: b}: c}",
    ),
    *("2001-99-99", "2001-12-14t21:59:43.10-99:99", "0b2", "0o9", "1:99", "190:20:30", "0x", "-"),
    *(
        "'",
        '"',
        "%",
        "@",
        "`",
        "|",
        ">",
        "- -",
        "{",
        "]",
        "\t- a",
        "a: b: c",
        "...",
        "---",
        "--- a",
    ),
)
BOMB_MARK = b"&b0 "
"""Stands in every text with nested anchors of ``yaml_bomb``."""


def odd_value(rng: random.Random, old: Any = None) -> Any:
    """Draw a value, more often one of the kind that stands there."""
    if isinstance(old, int | float) and not isinstance(old, bool) and rng.random() < 0.5:
        return rng.choice(
            [-old, old * 1000, old + 0.5, str(old), old - 1, old + 1, [old], old * 2]
        )
    kinds = (NUMBERS, STRINGS, OTHERS)
    if isinstance(old, str) and rng.random() < 0.5:
        return rng.choice(STRINGS)
    return rng.choice(rng.choice(kinds))


def yaml_bomb(levels: int = 9, width: int = 9) -> str:
    """Return a mapping of nested anchors that would grow to ``width ** levels`` values."""
    lines = [f"b0: &b0 [{', '.join(['x'] * width)}]"]
    for level in range(1, levels):
        lines.append(f"b{level}: &b{level} [{', '.join([f'*b{level - 1}'] * width)}]")
    return "\n".join(lines) + "\n"


def to_text(value: Any) -> str:
    """Write a value as JSON, which YAML reads too, with everything that is odd in it."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        value = Pairs(value.items())
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{to_text(k)}: {to_text(v)}" for k, v in value) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_text, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:d}" if abs(value) < 10**4000 else "9" * 4001
    return json.dumps(value, default=str)
