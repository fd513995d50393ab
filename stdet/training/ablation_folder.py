"""The folder of an ablation: which files in it are its own, beside the folders of its runs.

No others are ever written over or removed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from stdet.errors import ConfigError, DataError
from stdet.files.atomic_file import explain_os_errors, remove_leftovers, write_whole
from stdet.files.locks import lock_folder
from stdet.files.regular_file import file_mode, require_regular_file
from stdet.files.text_file import read_json

SUMMARY_NAME = "table.json"
"""Marks a folder as one of an ablation; the first file that is written."""

_OWN_FILES = re.compile(r"table\.(json|md|csv)|map50_(parameters|gflop|fps)\.svg")


def check_ablation_folder(run_dir: Path) -> None:
    """Refuse a folder in which results would take the place of files of no ablation.

    Raises:
        ConfigError: Naming them; or if it is no folder, or a name is taken by no regular file.
    """
    if file_mode(run_dir, kind=ConfigError) is None:
        return
    if not run_dir.is_dir():
        raise ConfigError(f"{run_dir}: is no folder; name a folder with --run-dir.")
    with explain_os_errors(run_dir):
        names = sorted(path.name for path in run_dir.iterdir() if _OWN_FILES.fullmatch(path.name))
    for name in names:
        require_regular_file(run_dir / name, advice="move it out of the folder", kind=ConfigError)
    if names and not _is_summary(run_dir / SUMMARY_NAME):
        raise ConfigError(
            f"{run_dir}: holds {', '.join(names)} but no {SUMMARY_NAME} of an ablation, so that "
            "they are of none, which would write over them; choose another --run-dir."
        )


@contextlib.contextmanager
def hold_ablation_folder(run_dir: Path) -> Iterator[None]:
    """Create the folder of an ablation and be the only one that writes there.

    Raises:
        DataError: If another run writes there, or the folder cannot be written.
    """
    with explain_os_errors(run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)
    with lock_folder(run_dir, advice="wait for it, or name another --run-dir"):
        remove_leftovers(run_dir, _OWN_FILES)
        yield


def write_ablation(run_dir: Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """Write the results, by name, and return where they stand.

    Raises:
        DataError: If one cannot be written or the disk is full.
    """
    for name in sorted(texts, key=lambda name: name != SUMMARY_NAME):
        assert _OWN_FILES.fullmatch(name)
        write_whole(run_dir / name, texts[name].encode())
    return tuple(run_dir / name for name in texts)


def _is_summary(path: Path) -> bool:
    """Say whether an ablation has written a file."""
    if not path.exists():
        return False
    try:
        content = read_json(path, advice="")
    except DataError:
        return False
    return isinstance(content, dict) and content.keys() - {"left_out"} == {"variants", "notes"}
