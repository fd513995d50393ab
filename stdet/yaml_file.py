"""The only reader of YAML: plain values, within bounds that a settings file never reaches.

Without bounds a few hundred bytes of anchors stand for more values than any memory holds. Size,
depth and number of values are checked while the file is parsed, before anything is built from it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from stdet.errors import ConfigError, foreign_errors, shown
from stdet.regular_file import require_regular_file

MAX_BYTES = 1_000_000
"""Size of a file."""
MAX_VALUES = 20_000
"""Keys, values and list items, those behind an alias counted wherever it stands."""
MAX_DEPTH = 32
"""Sections within sections."""
_MAX_DIGITS = 64
"""Characters of a whole number."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with bounds; a key given twice is an error: the first would be lost."""

    def __init__(self, stream: str | bytes, *, where: Path | str, advice: str) -> None:
        super().__init__(stream)
        self._where, self._advice = where, advice
        self._depth = 0
        self._num_values = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, and count what stands in it; aliases count as what they stand for."""
        before = self._num_values
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        is_alias = self.check_event(yaml.AliasEvent)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.YAMLError(f"more than {MAX_DEPTH} levels deep in line {line}")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias and id(node) not in self._sizes:
            raise yaml.YAMLError(f"the alias in line {line} stands within its own anchor")
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
        number: int = super().construct_yaml_int(node)
        return number


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


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
