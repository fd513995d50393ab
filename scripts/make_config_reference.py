"""Write docs/configuration.md: every key, from the dataclasses of stdet.config.

    python scripts/make_config_reference.py

The text of a key is the string below its field.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from stdet.config import StdetConfig

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
HEAD = """# Configuration

A configuration is a YAML file that holds what differs from these defaults;
`include: [other.yaml]` reads files before it. `--set key=value` overrides both, such as
`--set train.epochs=10`. An unknown key is answered with the nearest known one.

This page is made by `python scripts/make_config_reference.py` from `stdet/config/`.
"""
NAMES: dict[Any, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true, false",
    Path: "path",
}
SIGNS = ((Gt, "gt", ">"), (Ge, "ge", ">="), (Lt, "lt", "<"), (Le, "le", "<="))


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(), encoding="utf-8")


def render() -> str:
    """Return the page."""
    parts = [HEAD]
    for title, section in sections(StdetConfig, ""):
        parts.append(f"## {title}\n\n{inspect.getdoc(section)}\n\n{table(section)}\n")
    return "\n".join(parts)


def sections(section: type, prefix: str) -> Iterator[tuple[str, type]]:
    """Yield the title and class of every section below one, in order; of equal lists once."""
    hints = typing.get_type_hints(section)
    lists: dict[type, list[str]] = {}
    for name, kind in hints.items():
        element = listed(kind)
        if element is not None:
            lists.setdefault(element, []).append(f"{prefix}{name}[]")
    for name, kind in hints.items():
        if dataclasses.is_dataclass(kind):
            yield f"{prefix}{name}", typing.cast(type, kind)
            yield from sections(typing.cast(type, kind), f"{prefix}{name}.")
    for element, names in lists.items():
        yield ", ".join(names), element


def listed(kind: Any) -> type | None:
    """Return the section that a list has as elements, or None."""
    inner = typing.get_args(kind)[:1]
    return inner[0] if inner and dataclasses.is_dataclass(inner[0]) else None


def table(section: type) -> str:
    """Return the keys of a section as a Markdown table."""
    hints, texts = typing.get_type_hints(section), field_texts(section)
    lines = ["| key | values | default | what |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(section):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind):
            continue
        values = named(kind) + limits(field.default)
        text = texts[field.name].replace("``", "`")
        cells = (f"`{field.name}`", values, f"`{default_of(field)}`", text)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines)


def field_texts(section: type) -> dict[str, str]:
    """Return the string below each field of a class."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        is_field = isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)
        if is_field and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[before.target.id] = re.sub(r"\s+", " ", str(after.value.value))
    return found


def named(kind: Any) -> str:
    """Return what values a type has, as YAML writes them."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        parts = [named(part) for part in inner if part is not type(None)]
        return ", ".join([*parts, "null"] if type(None) in inner else parts)
    if origin is tuple:
        if inner[1:] == (...,):
            return "list of sources" if listed(kind) else f"list of {named(inner[0])}"
        return f"[{', '.join(named(part) for part in inner)}]"
    if origin is dict:
        return f"{named(inner[0])}: {named(inner[1])}"
    return NAMES[kind]


def limits(default: Any) -> str:
    """Return the limits that a field states, such as "; > 0, <= 1"."""
    if not isinstance(default, FieldInfo):
        return ""
    found = [
        f"{sign} {getattr(rule, name):,g}"
        for rule in default.metadata
        for kind, name, sign in SIGNS
        if isinstance(rule, kind)
    ]
    return "; " + ", ".join(found) if found else ""


def default_of(field: dataclasses.Field[Any]) -> str:
    """Return a default as YAML writes it."""
    default = field.default
    if isinstance(default, FieldInfo):
        default = default.get_default(call_default_factory=True)
    if isinstance(default, tuple) and default and dataclasses.is_dataclass(default[0]):
        plain: Any = [{"annotations": str(source.annotations)} for source in default]
    else:
        plain = TypeAdapter(Any).dump_python(default, mode="json")
    return plain if isinstance(plain, str) else json.dumps(plain).replace('"', "")


if __name__ == "__main__":
    main()
