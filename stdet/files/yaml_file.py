"""The only reader and writer of YAML: plain values, within bounds that a file never reaches.

Plain values are those of the core schema of YAML 1.2, so that each is what it looks like: `yes`,
`on`, `1:30`, `1_000` and `2024-01-01` are texts, `1e-3` is a number and `010` is ten. PyYAML alone
reads YAML 1.1: true, true, 90, 1000, a date, a text and eight.

Without bounds a few hundred bytes of anchors stand for more values than any memory holds. Size,
depth and number of values are checked while the file is parsed, before anything is built from it.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from stdet.errors import ConfigError, foreign_errors, shown
from stdet.files.regular_file import require_regular_file

MAX_BYTES = 1_000_000
"""Size of a file."""
MAX_VALUES = 20_000
"""Keys, values and list items, those behind an alias counted wherever it occurs."""
MAX_DEPTH = 32
"""Sections within sections."""
_MAX_DIGITS = 64
"""Characters of a whole number."""

_PLAIN = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}
"""Kinds of plain values that are no text: how they are written, and their first characters.

The core schema (YAML 1.2.2, section 10.3.2), and the merge key, which is of YAML 1.1. A whole
number is no float because it is looked up first.
"""
_PATTERNS = {kind: re.compile(rf"(?:{pattern})\Z") for kind, (pattern, _) in _PLAIN.items()}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with bounds; a key given twice is an error: the first would be lost."""

    def __init__(self, stream: str | bytes, *, where: Path | str, advice: str) -> None:
        super().__init__(stream)
        self._where, self._advice = where, advice
        self._depth = 0
        self._num_values = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, and count its values; an alias counts as what it refers to."""
        before = self._num_values
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        is_alias = self.check_event(yaml.AliasEvent)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.YAMLError(f"more than {MAX_DEPTH} levels deep in line {line}")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and id(node) not in self._sizes:
            raise yaml.YAMLError(f"the alias in line {line} refers to an anchor that holds it")
        self._num_values += self._sizes[id(node)] if is_alias else 1
        if self._num_values > MAX_VALUES:
            raise yaml.YAMLError(f"more than {MAX_VALUES:,} values up to line {line}")
        if not is_alias:
            self._sizes[id(node)] = self._num_values - before
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value, and name its line where PyYAML fails on an odd tag or number."""
        where = f"{self._where}: line {node.start_mark.line + 1}"
        with _as_config_error(where, self._advice):
            try:
                return super().construct_object(node, deep)
            except (AttributeError, IndexError, KeyError, TypeError) as error:
                # PyYAML trips over the value, and its message says nothing of it.
                kind = node.tag.rpartition(":")[2]
                raise yaml.YAMLError(f"{shown(node.value)} is no {kind}") from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"key {key.value!r} occurs a second time in line {line}")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Read a whole number; Python cannot print one of thousands of digits."""
        if len(node.value) > _MAX_DIGITS:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"a number of {len(node.value)} digits in line {line}")
        text = _plain_text(node, "int")
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        """Read a number."""
        return float(_plain_text(node, "float").replace(".inf", "inf").replace(".nan", "nan"))

    def construct_yaml_bool(self, node: yaml.ScalarNode) -> bool:
        """Read true or false."""
        return _plain_text(node, "bool") == "true"


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which puts in quotes what YAML 1.1 or 1.2 takes for no text."""


_Loader.yaml_implicit_resolvers = {}  # Without those of YAML 1.1.
for _kind, (_, _first) in _PLAIN.items():
    _tag = f"tag:yaml.org,2002:{_kind}"
    _Loader.add_implicit_resolver(_tag, _PATTERNS[_kind], _first)
    _Dumper.add_implicit_resolver(_tag, _PATTERNS[_kind], _first)
for _kind in ("int", "float", "bool"):
    _Loader.add_constructor(
        f"tag:yaml.org,2002:{_kind}", getattr(_Loader, f"construct_yaml_{_kind}")
    )


def _plain_text(node: yaml.ScalarNode, kind: str) -> str:
    """Return what is written in lower case; a tag (`!!int`) may stand before anything."""
    if not _PATTERNS[kind].match(node.value):
        raise yaml.YAMLError(f"{shown(node.value)} is no {kind}")
    return str(node.value).lower()


def _as_config_error(where: Path | str, advice: str) -> AbstractContextManager[None]:
    """Turn what PyYAML raises, of many kinds, into ConfigError."""
    return foreign_errors(where, problem="not valid YAML", advice=advice, kind=ConfigError)


def parse_yaml(text: str | bytes, *, where: Path | str, advice: str) -> Any:
    """Parse YAML.

    Args:
        text: Bytes may begin with a byte order mark.
        where: Its origin, for messages.
        advice: What to do where it is none.

    Raises:
        ConfigError: If it is no YAML, gives a key twice or goes beyond the bounds.
    """
    with _as_config_error(where, advice):
        return _Loader(text, where=where, advice=advice).get_single_data()


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        ConfigError: If it cannot be read, is too large or is not YAML.
    """
    require_regular_file(path, kind=ConfigError)
    with foreign_errors(path, advice="check the path", kind=ConfigError), path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError(
            f"{path}: has more than {MAX_BYTES:,} bytes; expected a YAML file of settings."
        )
    return parse_yaml(content, where=path, advice="correct the file")


def dump_yaml(values: Any) -> str:
    """Write plain values as YAML that ``parse_yaml`` reads, keys in their order."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False)
    return text
