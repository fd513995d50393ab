"""Changes of binary files: blind ones, and ones that keep check sums or headers whole."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zlib
from typing import Any

from fuzzing.odd_values import Pairs, Raw, to_text
from fuzzing.tree_changes import change_tree

_MAGIC = (
    *(b"\x00", b"\xff", b"\x7f", b"\x80", b"\x00\x00", b"\xff\xff", b"\x7f\xff\xff\xff"),
    *(b"\xff\xff\xff\x7f", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x80\x00\x00\x00"),
    *(b"\x00\x00\x00\x80", b"\x01\x00\x00\x00", b"\x00\x00\x00\x01", b"\xff" * 8, b"\x00" * 8),
)
_HEADER_BYTES = 512
_WORD = re.compile(rb"[\x20-\x7e]{4,}")
_BOX = re.compile(
    rb"ftyp|moov|mvhd|trak|tkhd|edts|elst|mdhd|hdlr|stsd|avc1|avcC|stts|stss|ctts|stsc|stsz|stco"
    rb"|RIFF|LIST|avih|strh|strf|vids|MJPG|movi|idx1|00dc|mdat|udta|meta"
)
_WORDS = (0, 1, 2, 255, 2**15, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 90_000, 13_300)


def change_bytes(rng: random.Random, data: bytes, suffix: str) -> tuple[bytes, str]:
    """Return changed bytes, and what was done.

    Args:
        rng: Where chance comes from.
        data: A file's content.
        suffix: Of its name; formats with a known header are also changed inside it.
    """
    informed = {".png": _png, ".tif": _tiff, ".safetensors": _safetensors, ".pt": _torch}
    informed |= {".mp4": _boxes, ".mov": _boxes, ".avi": _boxes}
    if suffix in informed and rng.random() < 0.6:
        return informed[suffix](rng, data)
    notes = []
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        data, note = rng.choice(_BLIND)(rng, data)
        notes.append(note)
    return data, ", ".join(notes[:4])


def _place(rng: random.Random, data: bytes) -> int:
    """Draw an offset: half of them in the header, a quarter in the last bytes."""
    where = rng.random()
    if where < 0.5:
        return rng.randrange(min(len(data), _HEADER_BYTES) + 1)
    if where < 0.65:
        return max(len(data) - rng.randrange(1, _HEADER_BYTES), 0)
    return rng.randrange(len(data) + 1)


def _flip(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    place = _place(rng, data)
    flipped = bytes(byte ^ (1 << rng.randrange(8)) for byte in data[place : place + 1])
    return data[:place] + flipped + data[place + 1 :], f"bit at {place}"


def _magic(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    new = rng.choice(_MAGIC)
    place = _place(rng, data)
    place -= place % min(len(new), 4)
    return data[:place] + new + data[place + len(new) :], f"{new.hex()} at {place}"


def _cut(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    start = _place(rng, data)
    stop = len(data) if rng.random() < 0.4 else start + rng.choice((1, 2, 4, 16, 200, 2000))
    return data[:start] + data[stop:], f"bytes {start}-{stop} left out"


def _insert(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    place, new = _place(rng, data), rng.randbytes(rng.choice((1, 2, 4, 40)))
    return data[:place] + new + data[place:], f"{len(new)} bytes at {place}"


def _repeat(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    start = _place(rng, data)
    piece = data[start : start + rng.choice((1, 4, 16, 256, 4096))]
    times = rng.choice((1, 2, 20))
    return data[:start] + piece * times + data[start:], f"{len(piece)} bytes at {start} x {times}"


def _splice(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    source, place = _place(rng, data), _place(rng, data)
    piece = data[source : source + rng.choice((4, 16, 256))]
    return data[:place] + piece + data[place + len(piece) :], f"{source} over {place}"


def _word(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    """Change one of the names, tags and texts that stand in a file."""
    found = list(_WORD.finditer(data))
    if not found:
        return _flip(rng, data)
    match = rng.choice(found[:40] + found[-40:])
    old = match[0]
    new = rng.choice((b"\xff" * len(old), b"9" * len(old), b"-" + old[1:], old[::-1], b"\x00" * 4))
    return data[: match.start()] + new + data[match.start() + len(new) :], f"{old!r} := {new!r}"


_BLIND = (_flip, _magic, _magic, _cut, _insert, _repeat, _splice, _word, _word)


def _boxes(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    """Change a number near the name of a box of MP4 or a chunk of AVI."""
    found = list(_BOX.finditer(data))
    if not found:
        return _flip(rng, data)
    match = rng.choice(found)
    place = max(match.start() + rng.choice((-4, *range(4, 100, 4))), 0)
    new = rng.choice(_WORDS).to_bytes(4, rng.choice(("big", "little")))
    note = f"{match[0].decode()}{place - match.start():+} := {new.hex()}"
    return data[:place] + new + data[place + 4 :], note


def _png(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    """Change a chunk and its check sum with it."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    if not chunks:
        return _flip(rng, data)
    row = 0 if rng.random() < 0.6 else rng.randrange(len(chunks))
    kind, content = chunks[row]
    action = rng.choice(("content", "content", "kind", "twice", "left out"))
    note = f"PNG chunk {kind!r} {action}"
    if action == "content":
        content, what = _magic(rng, content) if rng.random() < 0.7 else _cut(rng, content)
        chunks[row] = (kind, content)
        note = f"{note}: {what}"
    elif action == "kind":
        new = rng.choice((b"tRNS", b"PLTE", b"iCCP", b"eXIf", b"acTL", b"tEXt", b"IEND", b"zTXt"))
        chunks[row] = (new, content)
    elif action == "twice":
        chunks.insert(row, chunks[row])
    else:
        del chunks[row]
    parts = [data[:8]]
    for kind, content in chunks:
        check = zlib.crc32(kind + content)
        parts.append(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check))
    return b"".join(parts), note


def _tiff(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    """Change a field of one of a little-endian file's directories."""
    if len(data) < 8 or data[:2] != b"II":
        return _flip(rng, data)
    entries, start = [], int.from_bytes(data[4:8], "little")
    for _ in range(64):
        count = int.from_bytes(data[start : start + 2], "little")
        entries += [start + 2 + 12 * index for index in range(count)]
        place = start + 2 + 12 * count
        start = int.from_bytes(data[place : place + 4], "little")
        if not start:
            break
    if not entries:
        return _flip(rng, data)
    place = rng.choice(entries)
    offset, size = rng.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 4), (8, 4)))
    new = rng.choice((0, 1, 2, 3, 8, 12, 32, 255, 32946, 65535, 2**31 - 1, 2**32 - 1))
    new = (new % (1 << 8 * size)).to_bytes(size, "little")
    tag = int.from_bytes(data[place : place + 2], "little")
    place += offset
    return data[:place] + new + data[place + size :], f"TIFF tag {tag} +{offset} := {new.hex()}"


def _safetensors(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    """Change the header's JSON, or the JSON texts inside its metadata."""
    size = int.from_bytes(data[:8], "little")
    try:
        header: Any = json.loads(data[8 : 8 + size])
    except (ValueError, RecursionError):  # Changed before.
        return _flip(rng, data)
    if rng.random() < 0.1:
        return data[: 8 + size] + b"\xff" * (len(data) - 8 - size), "NaN everywhere"
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if isinstance(metadata, dict) and metadata and rng.random() < 0.7:
        key = rng.choice(sorted(metadata))
        if key == "stdet_format" or rng.random() < 0.2:
            text, note = rng.choice((("", "empty"), ("{", "cut"), ("null", "null"), ("[]", "[]")))
        else:
            try:
                tree, note = change_tree(rng, json.loads(metadata[key]))
            except ValueError:  # Changed before.
                return _flip(rng, data)
            text = to_text(tree)
        header["__metadata__"] = metadata | {key: text}
        note = f"metadata {key}: {note}"
    else:
        header, note = change_tree(rng, header)
    new = to_text(header).encode("utf-8", "surrogatepass")
    length = len(new) if rng.random() < 0.9 else rng.choice((0, 1, 2**40, len(new) - 1))
    return length.to_bytes(8, "little") + new + data[8 + size :], note


def _torch(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    """Change a value of a file of ``torch.save``, or a tensor's shape and numbers."""
    import torch

    try:
        tree = torch.load(io.BytesIO(data), weights_only=True)
    except Exception:  # Changed before.
        return _flip(rng, data)
    if rng.random() < 0.4:
        tensors = [(tree, key) for key in tree if torch.is_tensor(tree[key])]
        tensors += [
            (inner, key)
            for inner in tree.values()
            if isinstance(inner, dict)
            for key in inner
            if torch.is_tensor(inner[key])
        ]
        owner, key = rng.choice(tensors)
        kind = rng.choice(("flat", "empty", "double", "nan", "more"))
        old = owner[key]
        owner[key] = {
            "flat": old.flatten(),
            "empty": old.flatten()[:0],
            "double": old.double(),
            "nan": old.double() * float("nan"),
            "more": torch.stack([old, old]),
        }[kind]
        note = f"tensor {key}: {kind}"
    else:
        tree, note = change_tree(rng, tree)
    file = io.BytesIO()
    torch.save(_plain(tree), file)
    return file.getvalue(), note


def _plain(tree: Any) -> Any:
    """Return a tree of plain values, which ``torch.load`` accepts."""
    if isinstance(tree, Raw):
        return tree.text
    if isinstance(tree, Pairs):
        return {key if not isinstance(key, list | dict) else 0: _plain(v) for key, v in tree}
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree.items()}
    return [_plain(value) for value in tree] if isinstance(tree, list) else tree
