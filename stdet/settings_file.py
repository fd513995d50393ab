"""Settings files: YAML, ``include`` and ``key=value`` over the defaults of a dataclass.

The only reader of YAML. Values are defaults < YAML < overrides; ``include: [other.yaml, ...]`` at
the top level names files, relative to this one, that are read first. Every unknown key and wrong
value is listed, unknown keys with the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from stdet.errors import ConfigError

_Settings = TypeVar("_Settings")


def read_settings(
    kind: type[_Settings], path: str | Path | None, overrides: Sequence[str] = ()
) -> _Settings:
    """Read settings of any kind.

    Args:
        kind: A dataclass of pydantic.
        path: YAML file, None for the defaults.
        overrides: Such as ``scene.num_frames=20``.

    Raises:
        ConfigError: Listing every unknown key and wrong value.
    """
    values = {} if path is None else _read_sections(Path(path), ())
    for override in overrides:
        values = merge_settings(values, _parse_override(override))
    return check_settings(kind, values, where="--set" if path is None else str(path))


def check_settings(kind: type[_Settings], values: dict[str, Any], *, where: str) -> _Settings:
    """Check a nested dict of values of settings of any kind.

    Raises:
        ConfigError: Listing every unknown key and wrong value.
    """
    problems = list(_unknown_keys(values, kind, (), kind))
    try:
        settings = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        problems += [_describe(item) for item in error.errors() if item["type"] not in _UNKNOWN]
    if problems:
        raise ConfigError(f"{where}: {'; '.join(problems)}.")
    return settings


def settings_to_dict(settings: Any) -> dict[str, Any]:
    """Return settings of any kind as plain values that JSON and YAML can hold."""
    plain: dict[str, Any] = json.loads(TypeAdapter(type(settings)).dump_json(settings))
    return plain


_UNKNOWN = ("unexpected_keyword_argument", "invalid_key")
"""Pydantic's errors that ``_unknown_keys`` describes."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but a key given twice is an error: the first would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"key {key.value!r} occurs a second time in line {line}")
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse_yaml(text: str) -> Any:
    """Parse YAML.

    Raises:
        yaml.YAMLError: If it is none, or gives a key twice. PyYAML leaves ValueError of a date
            that does not exist.
    """
    try:
        return yaml.load(text, _Loader)
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from error


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        ConfigError: If it cannot be read or is not YAML.
    """
    try:
        return _parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        message = " ".join(str(error).split())
        raise ConfigError(f"{path}: not valid YAML: {message}.") from error


def _read_sections(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Read one file and everything it includes."""
    if path.resolve() in seen:
        raise ConfigError(f"{path}: includes itself; remove it from `include`.")
    values = read_yaml(path)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds a {type(values).__name__}; expected `key: value` lines.")
    includes = values.pop("include", [])
    if not isinstance(includes, list) or not all(isinstance(item, str) for item in includes):
        raise ConfigError(f"{path}: include is {includes!r}; expected a list of file names.")
    merged: dict[str, Any] = {}
    for include in includes:
        merged = merge_settings(
            merged, _read_sections(path.parent / include, (*seen, path.resolve()))
        )
    return merge_settings(merged, values)


def merge_settings(base: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``update`` laid over it, section by section."""
    merged = dict(base)
    for key, value in update.items():
        old = merged.get(key)
        both_sections = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge_settings(old, value) if both_sections else value  # type: ignore[arg-type]
    return merged


def _parse_override(text: str) -> dict[str, Any]:
    """Turn ``a.b=value`` into ``{'a': {'b': value}}``."""
    key, equals, raw = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r}: expected key=value, such as train.epochs=10.")
    try:
        value = _parse_yaml(raw)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text!r}: the value is not valid YAML.") from error
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return typing.cast(dict[str, Any], value)


def _unknown_keys(
    values: dict[str, Any], section: type, path: tuple[str, ...], root: type
) -> typing.Iterator[str]:
    """Yield a message for every key that no dataclass field knows, with the nearest one."""
    fields = typing.get_type_hints(section)
    known = {field.name for field in dataclasses.fields(section)}
    for key, value in values.items():
        dotted = ".".join((*path, str(key)))
        if key not in known:
            yield f"unknown key {dotted!r} ({_hint(str(key), known, path, root)})"
        elif isinstance(value, dict) and dataclasses.is_dataclass(fields[key]):
            section_type = typing.cast(type, fields[key])
            yield from _unknown_keys(value, section_type, (*path, str(key)), root)


def _hint(key: str, known: set[str], path: tuple[str, ...], root: type) -> str:
    """Name the key that was probably meant: near in this section, or the same in another."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {'.'.join((*path, near[0]))!r}?"
    elsewhere = [name for name in _all_keys(root, "") if name.split(".")[-1] == key]
    if elsewhere:
        return f"did you mean {' or '.join(map(repr, elsewhere))}?"
    return f"known here: {', '.join(sorted(known))}"


def _all_keys(section: type, prefix: str) -> typing.Iterator[str]:
    """Yield the dotted name of every key below a section."""
    for name, kind in typing.get_type_hints(section).items():
        yield prefix + name
        if dataclasses.is_dataclass(kind):
            yield from _all_keys(typing.cast(type, kind), f"{prefix}{name}.")


def _describe(item: Any) -> str:
    """Say one of pydantic's errors in our words."""
    dotted = ".".join(str(part) for part in item["loc"]) or "configuration"
    message = item["msg"].removeprefix("Value error, ")
    message = message.replace("tuple", "list").replace("Tuple", "List")  # As YAML calls it.
    if item["type"] == "dataclass_type":
        message = "expected a section of `key: value` lines"
    given = item.get("input")
    shown = "" if isinstance(given, dict) or "ArgsKwargs" in repr(given) else f", got {given!r}"
    return f"{dotted}: {message}{shown}"
