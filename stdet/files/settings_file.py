"""Settings files: YAML, ``include`` and ``key=value`` over the defaults of a dataclass.

Values are defaults < YAML < overrides; ``include: [other.yaml, ...]`` at the top level names
files, relative to this one, that are read first. Every unknown key and wrong value is listed with
its origin, unknown keys with the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from stdet.errors import ConfigError, foreign_errors, shown
from stdet.files.yaml_file import MAX_DEPTH, parse_yaml, read_yaml

_Settings = TypeVar("_Settings")

MAX_NUMBER = 2**31
"""No setting means more than this; beyond it, numbers overflow somewhere in the computation."""

_MAX_PROBLEMS = 20
"""Problems that one message lists."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """Values that are laid over others.

    Attributes:
        where: Their origin, for messages.
        values: Nested dict.
    """

    where: str
    values: dict[str, Any]


def read_settings(
    kind: type[_Settings],
    path: str | Path | None,
    overrides: Sequence[str] = (),
    *,
    changes: Sequence[Layer] = (),
) -> _Settings:
    """Read settings of any kind.

    Args:
        kind: A dataclass of pydantic.
        path: YAML file, None for the defaults.
        overrides: Such as ``scene.num_frames=20``.
        changes: Further values, laid over these.

    Raises:
        ConfigError: Listing every unknown key and wrong value, each with its origin.
    """
    values = {} if path is None else _read_sections(Path(path), (), {})
    base = Layer(where="--set" if path is None else str(path), values=values)
    set_ = [Layer(where="--set", values=_parse_override(text)) for text in overrides]
    return _check_layers(kind, [base, *set_, *changes])


def check_settings(kind: type[_Settings], values: dict[str, Any], *, where: str) -> _Settings:
    """Check a nested dict of values of settings of any kind.

    Raises:
        ConfigError: Listing every unknown key and wrong value.
    """
    return _check_layers(kind, [Layer(where=where, values=values)])


def _check_layers(kind: type[_Settings], layers: Sequence[Layer]) -> _Settings:
    """Check values that are laid over each other; a problem is of the layer that brings it in."""
    merged: list[dict[str, Any]] = [{}]
    for layer in layers:
        try:
            merged.append(merge_settings(merged[-1], layer.values))
        except ConfigError as error:
            raise ConfigError(f"{layer.where}: {error}") from error
    settings, problems = _checked(kind, merged[-1])
    if settings is not None:
        return settings
    origins = {problem: len(layers) - 1 for problem in problems}
    for number in reversed(range(len(layers) - 1)):
        _, known = _checked(kind, merged[number + 1])
        origins.update((text, number) for text in known if origins.get(text) == number + 1)
    lines: dict[str, list[str]] = {}
    for problem in sorted(problems, key=origins.__getitem__)[:_MAX_PROBLEMS]:
        lines.setdefault(layers[origins[problem]].where, []).append(problem)
    message = ". ".join(f"{where}: {'; '.join(texts)}" for where, texts in lines.items())
    if len(problems) > _MAX_PROBLEMS:
        message += f"; and {len(problems) - _MAX_PROBLEMS} more problems"
    raise ConfigError(f"{message}.")


def _checked(kind: type[_Settings], values: dict[str, Any]) -> tuple[_Settings | None, list[str]]:
    """Return the settings, or else what is wrong with the values."""
    try:
        settings = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        return None, [_describe(item, kind) for item in error.errors(include_url=False)]
    problems = [*_changed_kinds(values, settings, ""), *_unusable_values(settings, "")]
    return (None, problems) if problems else (settings, [])


def settings_to_dict(settings: Any) -> dict[str, Any]:
    """Return settings of any kind as plain values that JSON and YAML can hold."""
    plain: dict[str, Any] = json.loads(TypeAdapter(type(settings)).dump_json(settings))
    return plain


def _read_sections(
    path: Path, above: tuple[Path, ...], known: dict[Path, dict[str, Any]]
) -> dict[str, Any]:
    """Read one file and everything it includes.

    Args:
        path: The file.
        above: Files that include it, outermost first.
        known: What was read before, by file: each is read once, however often it is included.
    """
    with foreign_errors(path, advice="check the path", kind=ConfigError):
        resolved = path.resolve()
    if resolved in above:
        raise ConfigError(f"{path}: includes itself; remove it from `include`.")
    if len(above) == MAX_DEPTH:
        raise ConfigError(f"{path}: is included over more than {MAX_DEPTH} files; include less.")
    if resolved in known:
        return known[resolved]
    values = read_yaml(path)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds a {type(values).__name__}; expected `key: value` lines.")
    includes = values.pop("include", [])
    if not isinstance(includes, list) or not all(isinstance(item, str) for item in includes):
        raise ConfigError(f"{path}: include is {shown(includes)}; expected a list of file names.")
    merged: dict[str, Any] = {}
    for include in includes:
        part = _read_sections(path.parent / include, (*above, resolved), known)
        merged = merge_settings(merged, part)
    known[resolved] = merge_settings(merged, values)
    return known[resolved]


def merge_settings(
    base: dict[str, Any], update: dict[str, Any], *, section: str = ""
) -> dict[str, Any]:
    """Return ``base`` with ``update`` laid over it, section by section.

    Raises:
        ConfigError: If one has a section where the other has a value: either would be lost.
    """
    merged = dict(base)
    for key, value in update.items():
        old = merged.get(key)
        name = f"{section}.{key}" if section else str(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = merge_settings(old, value, section=name)
            continue
        if old is not None and isinstance(old, dict) != isinstance(value, dict):
            alone = value if isinstance(old, dict) else old
            raise ConfigError(
                f"{name}: is {shown(alone)} in one place and a section in another; expected a "
                f"section of `key: value` lines in both, or `--set {name}.key=value`."
            )
        merged[key] = value
    return merged


def _parse_override(text: str) -> dict[str, Any]:
    """Turn ``a.b=value`` into ``{'a': {'b': value}}``."""
    key, equals, raw = text.partition("=")
    where = f"--set {shown(text)}"
    if not equals or not key.strip():
        raise ConfigError(f"{where}: expected key=value, such as train.epochs=10.")
    value = parse_yaml(raw, where=where, advice="write the value as in a YAML file")
    parts = key.strip().split(".")
    if len(parts) > MAX_DEPTH:
        raise ConfigError(f"{where}: the key has {len(parts)} parts; expected such as train.seed.")
    for part in reversed(parts):
        value = {part: value}
    return typing.cast(dict[str, Any], value)


def _section_at(root: Any, location: Sequence[int | str]) -> Any:
    """Return the type of the settings at a place, such as ``("data", "train", 1)``."""
    section = root
    for part in location:
        if isinstance(part, str) and dataclasses.is_dataclass(section):
            section = _element(typing.get_type_hints(section)[part])
    return section


def _element(kind: Any) -> Any:
    """Return the dataclass that a field is or lists, or else its type."""
    inner = [_element(part) for part in typing.get_args(kind)]
    return next((part for part in inner if dataclasses.is_dataclass(part)), kind)


def _dotted(location: Sequence[int | str]) -> str:
    """Write a place as ``data.train[1].weight``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def _hint(location: tuple[int | str, ...], root: type) -> str:
    """Name the key that was probably meant: the same in another section, or near in this one."""
    key, section = str(location[-1]), _section_at(root, location[:-1])
    known = {field.name for field in dataclasses.fields(section)}
    elsewhere = [name for name in _all_keys(root, "") if name.split(".")[-1] == key]
    if elsewhere:
        return f"did you mean {' or '.join(map(repr, elsewhere))}?"
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {_dotted((*location[:-1], near[0]))!r}?"
    return f"known here: {', '.join(sorted(known))}"


def _all_keys(section: type, prefix: str) -> Iterator[str]:
    """Yield the dotted name of every key below a section."""
    for name, kind in typing.get_type_hints(section).items():
        yield prefix + name
        element = _element(kind)
        if dataclasses.is_dataclass(element):
            index = "" if element is kind else "[0]"
            yield from _all_keys(typing.cast(type, element), f"{prefix}{name}{index}.")


def _describe(item: Any, root: type) -> str:
    """Say one of pydantic's errors in our words."""
    dotted = _dotted(item["loc"]) or "configuration"
    if item["type"] in ("unexpected_keyword_argument", "invalid_key"):
        location = (*item["loc"][:-1], str(item["loc"][-1]))  # A key may be a number.
        return f"unknown key {shown(_dotted(location))} ({_hint(location, root)})"
    message = item["msg"].removeprefix("Value error, ")
    message = message.replace("tuple", "list").replace("Tuple", "List")  # As YAML calls it.
    if item["type"] == "dataclass_type":
        message = "expected a section of `key: value` lines"
    given = item.get("input")
    is_section = isinstance(given, dict) or type(given).__name__ == "ArgsKwargs"
    return f"{dotted}: {message}" + ("" if is_section else f", got {shown(given)}")


def _changed_kinds(given: Any, got: Any, path: str) -> Iterator[str]:
    """Yield a message for every number that was made of a text, or of true or false."""
    if isinstance(given, dict):
        for key, value in given.items():
            item = got[key] if isinstance(got, dict) else getattr(got, key)
            yield from _changed_kinds(value, item, f"{path}.{key}".removeprefix("."))
    elif isinstance(given, list | tuple):
        for number, (value, item) in enumerate(zip(given, got, strict=True)):
            yield from _changed_kinds(value, item, f"{path}[{number}]")
    elif isinstance(given, bool | str) and type(got) in (int, float):
        yield f"{path}: expected a number, got {shown(given)}"


def _unusable_values(value: Any, path: str) -> Iterator[str]:
    """Yield a message for every number and text of checked settings that nothing can use."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            name = f"{path}.{field.name}".removeprefix(".")
            yield from _unusable_values(getattr(value, field.name), name)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unusable_values(key, path)
            yield from _unusable_values(item, f"{path}.{key}")
    elif isinstance(value, tuple | list):
        for number, item in enumerate(value):
            yield from _unusable_values(item, f"{path}[{number}]")
    elif isinstance(value, int | float) and abs(value) > MAX_NUMBER:
        yield f"{path}: {shown(value)} is too large; expected at most {MAX_NUMBER}"
    elif isinstance(value, str | Path) and not _is_text(str(value)):
        yield f"{path}: {shown(str(value))} holds characters that no name has"


def _is_text(text: str) -> bool:
    """Say whether a text can be a name: no NUL, and no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
