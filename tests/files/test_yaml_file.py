"""YAML within bounds: each of these had no end, or ended in a traceback, without them."""

import os
import time

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stdet.errors import ConfigError
from stdet.files.yaml_file import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    dump_yaml,
    parse_yaml,
    read_yaml,
)


def _laughs(levels, width):
    lines = ["a0: &a0 [1]"]
    for level in range(1, levels + 1):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
    return "\n".join(lines)


HOSTILE = {
    "laughs in lists": (_laughs(9, 9), f"more than {MAX_VALUES:,} values"),
    "laughs in one line": (
        "x: [&b0 [1], "
        + ", ".join(f"&b{i} [{', '.join([f'*b{i - 1}'] * 9)}]" for i in range(1, 9))
        + "]",
        f"more than {MAX_VALUES:,} values",
    ),
    "laughs by merging": (
        "a0: &a0 {x: 1}\n"
        + "".join(f"a{i + 1}: &a{i + 1} {{<<: [*a{i}, *a{i}]}}\n" for i in range(40)),
        f"more than {MAX_VALUES:,} values",
    ),
    "alias within itself": ("a: &a [*a]", "refers to an anchor that holds it"),
    "many values": ("a: [" + "1, " * (MAX_VALUES + 1) + "]", f"more than {MAX_VALUES:,} values"),
    "deep lists": ("[" * 300_000, f"more than {MAX_DEPTH} levels"),
    "deep lists by dashes": ("- " * 300_000, f"more than {MAX_DEPTH} levels"),
    "deep sections": ("{a: " * 200_000, f"more than {MAX_DEPTH} levels"),
    "deep keys": ("? " * 300_000, f"more than {MAX_DEPTH} levels"),
    "whole number": ("a: " + "9" * 5000, "a number of 5000 digits in line 1"),
    "hexadecimal number": ("a: 0x" + "f" * 6000, "a number of 6002 digits in line 1"),
    "empty number": ("a:\n b: !!int ''", "line 2: not valid YAML ('' is no int)"),
    "time that is none": ("a:\n- !!timestamp x", "line 2: not valid YAML ('x' is no timestamp)"),
    "date that does not exist": ("a: !!timestamp 2024-13-45", "month must be in 1..12"),
    "float that is none": ("a: !!float x", "line 1: not valid YAML"),
    "bytes that are none": ("a: !!binary \u00e9", "line 1: not valid YAML"),
    "boolean that is none": ("a: !!bool x", "line 1: not valid YAML"),
    "whole number of YAML 1.1": ("a: !!int 1:30", "not valid YAML ('1:30' is no int)"),
    "number of YAML 1.1": ("a: !!float 1:30.5", "not valid YAML ('1:30.5' is no float)"),
    "boolean of YAML 1.1": ("a: !!bool yes", "not valid YAML ('yes' is no bool)"),
    "object of Python": ("a: !!python/object/apply:os.getcwd []", "could not determine"),
    "unhashable key": ("? [a]\n: 1", "unhashable key"),
    "two documents": ("a: 1\n---\nb: 2", "expected a single document"),
}


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_yaml_is_refused_at_once_in_one_line(tmp_path, text, message):
    path = tmp_path / "h.yaml"
    path.write_text(text, encoding="utf-8")
    started = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert time.monotonic() - started < 5
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, text) for text in ("yes", "No", "on", "OFF", "y", "n")),
        *((text, text) for text in ("1:30", "-1:30:00", "1:30.5", "2024-01-01", "=")),
        *((text, text) for text in ("1_000", "1_000.5", "0b11", "0X1f", "-0x1f", "1e", ".", "+")),
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, False) for text in ("false", "False", "FALSE")),
        *((text, None) for text in ("~", "null", "Null", "NULL", "")),
        *(("0", 0), ("-7", -7), ("+7", 7), ("010", 10), ("0o10", 8), ("0x1F", 31)),
        *(("1e-3", 1e-3), ("1E5", 1e5), ("-.5", -0.5), ("1.", 1.0), ("+1.5e+3", 1500.0)),
        *((".inf", float("inf")), ("-.INF", float("-inf")), ("1e400", float("inf"))),
        *(("!!float 3", 3.0), ("'3'", "3"), ('"true"', "true"), ("!!str 3", "3")),
    ],
)
def test_plain_values_are_those_of_yaml_1_2(text, value):
    found = parse_yaml(f"a: {text}", where="t", advice="")["a"]
    assert (type(found), found) == (type(value), value)


PLAIN = st.text("+-.0123456789_:eExXoabfinyYNOstrue~", max_size=8) | st.text(max_size=8)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats() | PLAIN,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
        max_leaves=5,
    )
)
@example(["1e5", "0o10", "yes", "1:30", "010", "2024-01-01", 1e-5, 1e22, float("-inf")])
def test_what_is_written_is_read_as_it_was(values):
    try:
        text = dump_yaml(values).encode()
    except UnicodeEncodeError:  # A surrogate is no text.
        return
    assert repr(parse_yaml(text, where="t", advice="")) == repr(values)
    if ".nan" not in text.decode():
        assert yaml.safe_load(text) == values


def test_anchors_and_merging_within_the_bounds_are_read():
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]"
    x = {"x": 1, "y": 2}
    assert parse_yaml(text, where="t", advice="") == {"a": x, "b": {"x": 1, "y": 3}, "c": [x, x]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_mark_is_accepted(tmp_path, encoding):
    path = tmp_path / "b.yaml"
    path.write_text("a: \u00e9", encoding=encoding)
    assert read_yaml(path) == {"a": "\u00e9"}


def test_file_that_is_too_large_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # Takes no room on the disk.
    with pytest.raises(ConfigError, match=f"has more than {MAX_BYTES:,} bytes"):
        read_yaml(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("gone", path)])
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, make):
    path = tmp_path / "odd.yaml"
    make(path)
    with pytest.raises(ConfigError, match=r"odd\.yaml: "):
        read_yaml(path)


PIECES = [
    *(
        "a: ",
        "&a ",
        "*a",
        "!!int ",
        "!!timestamp ",
        "!!set ",
        "!!omap ",
        "!!binary ",
        "<<: ",
        "= ",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        ", ",
        "- ",
        "? ",
        ": ",
        "\n",
        "  ",
        "|\n",
        "'",
        '"',
        "\\ud800",
        "0x",
        "~",
    ),
    *("1:2", "2024-01-01", "%YAML 1.1\n", "---\n", "\x00", "\ufeff", "\u00e9"),
]


@settings(max_examples=300, deadline=2000)
@given(st.data())
def test_any_text_near_yaml_is_read_or_refused(data):
    text = "".join(data.draw(st.lists(st.sampled_from(PIECES), max_size=12)))
    try:
        parse_yaml(text.encode(), where="t", advice="correct it")
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017
