"""Names of what `stdet track` leaves, and which of them a run may take.

    complete run             <stem>.mot.txt, <stem>.json, <stem>.mp4
    run that ended early     the same, unless something is there that holds more

A run ends early where it is interrupted, fails or finds its input incomplete. It never replaces
more by less: where the earlier JSON is complete, or holds more frames, or cannot be read as one,
the earlier outputs stay, and what was found is written beside them as ``<stem>.partial.*``. There
too more is not replaced by less.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stdet.errors import DataError
from stdet.files.atomic_file import (
    explain_os_errors,
    find_leftovers,
    remove_leftovers,
    require_writable,
)
from stdet.files.regular_file import file_mode
from stdet.formats.track_json import read_extent

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OutputNames:
    """Names of the outputs of one run.

    Attributes:
        folder: Where they are.
        stem: What they begin with.
        with_video: Whether there is a video among them.
    """

    folder: Path
    stem: str
    with_video: bool

    @property
    def mot(self) -> Path:
        """The MOT file."""
        return self.folder / f"{self.stem}.mot.txt"

    @property
    def json(self) -> Path:
        """The JSON."""
        return self.folder / f"{self.stem}.json"

    @property
    def video(self) -> Path:
        """The annotated video, where one is written."""
        return self.folder / f"{self.stem}.mp4"

    @property
    def paths(self) -> tuple[Path, ...]:
        """What the run writes: MOT, JSON, video."""
        return (self.mot, self.json, self.video) if self.with_video else (self.mot, self.json)

    @property
    def partial(self) -> OutputNames:
        """The names of a run that ended early beside outputs that hold more."""
        return replace(self, stem=f"{self.stem}.partial")


def check_names(names: OutputNames, inputs: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse names that cannot be taken, before any work.

    Raises:
        DataError: If an output is an input itself, a folder or device, there already and
            ``overwrite`` is false, or cannot be written.
    """
    for path in names.paths:
        mode = file_mode(path)
        if mode is None:
            continue
        if os.path.realpath(path) in map(os.path.realpath, inputs):
            raise DataError(f"{path}: is the input itself; choose another folder with --out.")
        if stat.S_ISDIR(mode):
            raise DataError(f"{path}: is a folder; choose another --out, or move the folder.")
        if not stat.S_ISREG(mode):
            raise DataError(f"{path}: is no regular file; choose another --out.")
    existing = [str(path) for path in names.paths if os.path.lexists(path)]
    if existing and not overwrite:
        raise DataError(
            f"{', '.join(existing)}: already there; pass --overwrite to replace, or another --out."
        )
    require_writable(max(names.paths, key=lambda path: len(path.name)))


def choose_names(names: OutputNames, *, num_frames: int, is_complete: bool) -> OutputNames | None:
    """Return the names that a run takes at its end, by the rule of this module.

    Args:
        names: What a complete run takes.
        num_frames: Frames that were tracked.
        is_complete: Whether those are all that the run was asked for.

    Returns:
        ``names``, ``names.partial``, or None where even that holds more.
    """
    if is_complete or not _holds_more(names, num_frames):
        return names
    if not _holds_more(names.partial, num_frames):
        return names.partial
    return None


def _holds_more(names: OutputNames, num_frames: int) -> bool:
    """Say whether what is there must not be replaced by a run that ended early."""
    if not any(os.path.lexists(path) for path in names.paths):
        return False
    extent = read_extent(names.json)
    return extent is None or extent.is_complete or extent.num_frames > num_frames


def recover_leftovers(names: OutputNames) -> None:
    """Keep what a killed run (``kill -9``) has left, as a run that ended early; drop what is less.

    Call it under the lock of these outputs: then nobody writes the files that are found.

    Raises:
        DataError: If a file cannot be renamed or removed.
    """
    texts = [find_leftovers(names.folder, path.name) for path in (names.mot, names.json)]
    partial = names.partial
    extent = read_extent(texts[1][0]) if [len(found) for found in texts] == [1, 1] else None
    with explain_os_errors(names.folder):
        if extent and extent.num_frames and not _holds_more(partial, extent.num_frames):
            for (found,), path in zip(texts, (partial.mot, partial.json), strict=True):
                found.replace(path)
            log.warning(
                "%s: kept %d frames of a run that was killed, beside %s.",
                partial.json,
                extent.num_frames,
                partial.mot.name,
            )
    # Texts that hold no more than is there, and the video, which cannot be played without its end.
    for path in (names.mot, names.json, names.video):
        remove_leftovers(names.folder, path.name)
