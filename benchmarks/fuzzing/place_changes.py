"""Changes of the file system: what stands where a file or folder is expected, and its name."""

from __future__ import annotations

import os
import random
import shutil
import socket
from pathlib import Path

_NAMES = (
    *(b"caf\xe9", b"a\nb", b"\x1b[31mred", b"-dash", b"x" * 240, b" ", b"%05d", b"a:b", b"a,b"),
    *(b"*", b"~", b"http:x", b"pipe:0", b"a|b", b"\xe2\x80\xae", b"#", b"=1+1", b"a\\b", b"con"),
)
_SUFFIXES = (".mp4", ".json", ".txt", ".png", ".tif", ".csv", "", ".PNG", ".zip", ".eps", ".mkv")
_ODD_FILES = (
    *("Thumbs.db", ".DS_Store", "._0.png", "notes.txt", "99.png", "0001.PNG", "a.tif", "99.jpg"),
    *("b.mot.txt", "labels.json", "9" * 30 + ".png", "-1.png", "x.bmp", "q.part", "99.json"),
)
_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\nshowpage\n"


def change_place(rng: random.Random, path: Path, argv: list[str]) -> tuple[list[str], str]:
    """Change what stands at a path, or its name.

    Args:
        rng: Where chance comes from.
        path: File or folder, relative to the working directory.
        argv: Arguments; a renamed path is renamed there as well.

    Returns:
        The arguments, and what was done.
    """
    if any(parent.is_symlink() for parent in path.parents):
        return argv, "nothing"  # An earlier change put a link there; the path may be its own.
    if rng.random() < 0.3:
        return _rename(rng, path, argv)
    if path.is_dir() and not path.is_symlink() and rng.random() < 0.7:
        return argv, f"{path} also holds {_add_odd(rng, path)}"
    kind = rng.choice(tuple(_KINDS))
    _remove(path)
    _KINDS[kind](path)
    return argv, f"{path} is {kind}"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _bind_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


_KINDS = {
    "missing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "an empty file": lambda path: path.touch(),
    "a fifo": lambda path: os.mkfifo(path),
    "a socket": _bind_socket,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "/dev/null": lambda path: path.symlink_to("/dev/null"),
    "a link to its folder": lambda path: path.symlink_to("."),
    "PostScript": lambda path: path.write_bytes(_EPS),
    "one byte": lambda path: path.write_bytes(b"\x00"),
    "a blank line": lambda path: path.write_bytes(b"\n"),
}


def _rename(rng: random.Random, path: Path, argv: list[str]) -> tuple[list[str], str]:
    if rng.random() < 0.3:
        new = path.with_suffix(rng.choice(_SUFFIXES))
    else:
        stem = os.fsdecode(rng.choice(_NAMES))
        new = path.with_name(f"{stem}{path.suffix}")
    if not path.exists() or os.path.lexists(new):
        return argv, "nothing"
    path.rename(new)
    argv = [str(new) if argument == str(path) else argument for argument in argv]
    return argv, f"{path} is named {str(new)!a}"


def _add_odd(rng: random.Random, folder: Path) -> str:
    new = folder / rng.choice(_ODD_FILES)
    if new.exists():
        new = folder / "zz.png"
    others = sorted(path for path in folder.iterdir() if path.is_file())
    if others and rng.random() < 0.5:
        other = rng.choice(others)
        shutil.copyfile(other, new)
        return f"{new.name} (a copy of {other.name})"
    kind = rng.choice(tuple(_KINDS))
    _KINDS[kind](new)
    return f"{new.name} ({kind})"
