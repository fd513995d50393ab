"""Changes of text: lines, numbers, words, separators and encodings."""

from __future__ import annotations

import random
import re

from fuzzing.odd_values import NUMBERS, STRINGS, YAML_FRAGMENTS, to_text, yaml_bomb

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_TOKEN = re.compile(r"[\w./-]+|[^\w\s]")
_ENCODINGS = ("utf-16", "utf-32", "latin-1", "utf-8-sig", "cp037")


def change_text(rng: random.Random, data: bytes, *, is_yaml: bool = False) -> tuple[bytes, str]:
    """Return changed text, and what was done."""
    text = data.decode("utf-8", "surrogateescape")
    kinds = [_number, _number, _token, _line, _line, _separator, _encoding]
    if is_yaml:
        kinds += [_fragment, _fragment, _bomb]
    return rng.choice(kinds)(rng, text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass" if "\ud800" in text else "surrogateescape")


def _number(rng: random.Random, text: str) -> tuple[bytes, str]:
    found = list(_NUMBER.finditer(text))
    if not found:
        return _token(rng, text)
    match = rng.choice(found)
    new = to_text(rng.choice(NUMBERS))
    return _spliced(text, match, new), f"{match[0][:20]} at {match.start()} := {new[:40]}"


def _token(rng: random.Random, text: str) -> tuple[bytes, str]:
    found = list(_TOKEN.finditer(text))
    if not found:
        return b"x", "one letter"
    match = rng.choice(found)
    new = rng.choice((*STRINGS, rng.choice(found)[0], match[0] * 2))
    return _spliced(text, match, new), f"{match[0][:20]!a} at {match.start()} := {new[:40]!a}"


def _line(rng: random.Random, text: str) -> tuple[bytes, str]:
    lines = text.splitlines(keepends=True) or [""]
    place = rng.randrange(len(lines))
    kind = rng.choice(
        ("left out", "twice", "2000 times", "swapped", "cut", "empty before", "junk")
    )
    if kind == "left out":
        del lines[place]
    elif kind == "twice":
        lines.insert(place, lines[place])
    elif kind == "2000 times":
        lines[place:place] = [lines[place]] * 2000
    elif kind == "swapped":
        rng.shuffle(lines)
    elif kind == "cut":
        lines[place:] = [lines[place][: rng.randrange(len(lines[place]) + 1)]]
    else:
        junk = rng.choice((*STRINGS, ",,,,,", "a b c", "# note", "-1,-1,-1,-1", '"'))
        lines.insert(place, "\n" if kind == "empty before" else f"{junk}\n")
    return _bytes("".join(lines)), f"line {place + 1} {kind}"


def _separator(rng: random.Random, text: str) -> tuple[bytes, str]:
    old = rng.choice((",", " ", "\n", ":", ".", "/", '"', "[", "-"))
    new = rng.choice((",", ";", "\t", " ", "", "\r\n", "\r", "\x00", "\u00a0", "\\", "{"))
    times = rng.choice((1, -1))
    return _bytes(text.replace(old, new, times)), f"{old!a} := {new!a} ({times})"


def _encoding(rng: random.Random, text: str) -> tuple[bytes, str]:
    if rng.random() < 0.4:
        junk = bytes(rng.choice((b"\xff\xfe", b"\x00", b"\xe9", b"\xed\xa0\x80", b"\xef\xbb\xbf")))
        data, place = _bytes(text), rng.choice((0, rng.randrange(len(text) + 1)))
        return data[:place] + junk + data[place:], f"{junk!r} at {place}"
    encoding = rng.choice(_ENCODINGS)
    return text.encode(encoding, "replace"), f"as {encoding}"


def _fragment(rng: random.Random, text: str) -> tuple[bytes, str]:
    values = list(re.finditer(r"(?<=: )[^\n{\[,}\]]+|(?<=- )[^\n{\[]+", text))
    new = rng.choice(YAML_FRAGMENTS)
    if not values or rng.random() < 0.2:
        return _bytes(f"{text}\n{new}\n"), f"line {new!a} at the end"
    match = rng.choice(values)
    return _spliced(text, match, new), f"{match[0]!a} := {new!a}"


def _bomb(rng: random.Random, text: str) -> tuple[bytes, str]:
    if rng.random() < 0.5:
        return _bytes(f"include: [seed.yaml, seed.yaml]\n{text}"), "includes itself"
    return _bytes(f"{yaml_bomb()}{text}"), "nested anchors"


def _spliced(text: str, match: re.Match[str], new: str) -> bytes:
    return _bytes(text[: match.start()] + new + text[match.end() :])
