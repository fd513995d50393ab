"""Changes of a command line: odd values, options left out, given twice or added."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import random
import typing
from collections.abc import Iterator

from fuzzing.odd_values import NUMBERS, STRINGS, to_text
from fuzzing.tree_changes import SMALL_OR_WRONG, TAKES_TIME

_WORDS = (
    *("", " ", "-1", "0", "1", "0.5", "nan", "inf", "1e400", "1e9", "9" * 400, "9" * 5000, "x"),
    *("1e9x1e9", "1000000000x1000000000", "0x0", "48x64", "\u0663x\u0664", "\u00b2x\u00b2", "-"),
    *("cpu", "cuda", "cuda:9", "cuda:x", "meta", "mps", "text", "latex", "tophat", "stdet_n"),
    *(
        ".",
        "..",
        "/",
        "out",
        "out.json",
        "no/such/out",
        "/dev/null",
        "/dev/full",
        "/proc/self/mem",
    ),
    *("/proc/nope/x", "a\nb", "\x1b[31m", "caf\udce9", "x" * 300, "x" * 5000, "a" + "/a" * 3000),
)
_REMOTE_OR_SLOW = ("--jobs",)


def change_arguments(rng: random.Random, argv: list[str]) -> tuple[list[str], str]:
    """Return changed arguments, and what was done."""
    parser, start = _parser_of(argv)
    options = [a for a in parser._actions if a.option_strings and a.dest != "help"]
    kind = rng.choice(("value", "value", "add", "add", "set", "leave out", "twice"))
    if kind == "set" and not any("--set" in action.option_strings for action in options):
        kind = "value"
    places = range(start, len(argv))
    if kind == "add" and options:
        extra = _option(rng, rng.choice(options))
        return [*argv, *extra], f"also {' '.join(map(ascii, extra))[:80]}"
    if kind == "set":
        setting = _setting(rng, argv[0])
        return [*argv, "--set", setting], f"also --set {setting[:80]!a}"
    if not places:
        return argv, "nothing"
    place = rng.choice(places)
    if kind == "leave out":
        return argv[:place] + argv[place + 1 :], f"without {argv[place]}"
    if kind == "twice":
        return argv[:place] + argv[place:][:1] + argv[place:], f"{argv[place]} twice"
    if argv[place - 1] in _REMOTE_OR_SLOW:
        return argv, "nothing"
    new = rng.choice(_WORDS).replace("\x00", "")
    return [*argv[:place], new, *argv[place + 1 :]], f"{argv[place]} := {new[:60]!a}"


@functools.cache
def _commands() -> dict[str, argparse.ArgumentParser]:
    from stdet.cli import build_parser

    return _children(build_parser())


def _children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _parser_of(argv: list[str]) -> tuple[argparse.ArgumentParser, int]:
    """Return the parser of a command line, and where its own arguments begin."""
    parser = _commands()[argv[0]]
    inner = _children(parser)
    return (inner[argv[1]], 2) if inner else (parser, 1)


def _option(rng: random.Random, action: argparse.Action) -> list[str]:
    name = action.option_strings[0]
    if action.nargs == 0:
        return [name]
    if name in _REMOTE_OR_SLOW:
        return [name, rng.choice(("0", "-1", "x", "", "2"))]
    if action.choices and rng.random() < 0.6:
        return [name, str(rng.choice(list(action.choices)))]
    return [name, rng.choice(_WORDS)]


def _setting(rng: random.Random, command: str) -> str:
    from stdet.config import StdetConfig
    from stdet.dataset_synthesis.settings import SynthConfig

    keys = sorted(_keys(SynthConfig if command == "synth" else StdetConfig))
    key = rng.choice(keys)
    last = key.rsplit(".", 1)[-1]
    values = SMALL_OR_WRONG if last in TAKES_TIME else (*NUMBERS, *STRINGS, None, [], {}, [1, 2])
    value = rng.choice(values)
    text = value if isinstance(value, str) else to_text(value)
    shape = rng.choice(("{0}={1}",) * 8 + ("{0}", "={1}", "{0}.x={1}", "{0}=={1}", ".{0}={1}"))
    return shape.format(key, text).replace("\x00", "")


def _keys(section: type) -> Iterator[str]:
    for name, kind in typing.get_type_hints(section).items():
        yield name
        if dataclasses.is_dataclass(kind):
            yield from (f"{name}.{inner}" for inner in _keys(typing.cast(type, kind)))
