"""A data set appears whole or not at all, and only then replaces an earlier one.

It is written into ``<folder>/data.<8 hex digits>.part`` and moved up at the end. What a killed run
left there is removed by the next.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from stdet.errors import DataError
from stdet.files.atomic_file import (
    explain_os_errors,
    find_leftovers,
    remove_leftovers,
    write_whole,
)
from stdet.files.locks import FOLDER_LOCK_NAME, lock_folder
from stdet.formats.generated_mark import SUMMARY_NAME
from stdet.processes.interrupts import uninterrupted

_CONTENT = ("images", "videos", "masks", "mot", "records", "annotations", "match.svg")
"""What belongs to a data set besides its summary, and is replaced by another."""


@contextlib.contextmanager
def staged(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder whose content becomes that of ``folder`` when the block ends.

    A block that ends by an error or a signal leaves ``folder`` as it was.

    Args:
        folder: New or empty folder, or an earlier data set with ``overwrite``.
        overwrite: Replace what belongs to the earlier data set; other files stay.

    Raises:
        DataError: If the folder is in the way, another run writes there, or it cannot be written.
    """
    _check(folder, overwrite=overwrite)
    is_new = not folder.exists()
    try:
        with explain_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with lock_folder(folder, advice="wait for it, or name another folder with --out"):
            _check(folder, overwrite=overwrite)  # Another run may have ended since.
            remove_leftovers(folder)
            with _stage(folder) as stage:
                yield stage
                with uninterrupted(), explain_os_errors(folder):
                    _replace(folder, stage)
    except BaseException as error:
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()
        error.add_note(f"{folder} is as it was; a data set is written whole or not at all.")
        raise


def _check(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder whose content is not ours to replace."""
    if folder.is_dir():
        with explain_os_errors(folder):
            names = {entry.name for entry in folder.iterdir()} - {FOLDER_LOCK_NAME}
        names -= {path.name for path in find_leftovers(folder)}
    elif os.path.lexists(folder):
        raise DataError(f"{folder}: is no folder; name a folder with --out.")
    else:
        return
    if names and not overwrite:
        raise DataError(f"{folder}: is not empty; pass --overwrite to replace it.")
    if names and SUMMARY_NAME not in names:
        raise DataError(
            f"{folder}: holds no {SUMMARY_NAME}, so it is no generated data set; refusing to "
            "replace it. Name another folder with --out."
        )


@contextlib.contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """Make a folder inside another, and remove it at the end with what is still in it."""
    stage = folder / f"data.{secrets.token_hex(4)}.part"
    with explain_os_errors(folder):
        stage.mkdir()
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _replace(folder: Path, stage: Path) -> None:
    """Move the old content out of the way and the new one into its place."""
    old = stage / "old"
    old.mkdir()
    # Until the end the folder is one that another run may overwrite, and no complete data set.
    write_whole(folder / SUMMARY_NAME, b"{}\n")
    # What the new one brings replaces a file or folder of its name, such as a label file.
    for name in {*_CONTENT, *(path.name for path in stage.iterdir())} - {old.name, SUMMARY_NAME}:
        if (folder / name).exists():
            (folder / name).rename(old / name)
    for path in stage.iterdir():
        if path.name not in (old.name, SUMMARY_NAME):
            path.rename(folder / path.name)
    (stage / SUMMARY_NAME).replace(folder / SUMMARY_NAME)
