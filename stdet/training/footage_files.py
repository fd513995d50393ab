"""Labels of footage as files: MOT files beside links to videos, MOTChallenge folders of links."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from stdet.files.atomic_file import write_whole
from stdet.formats.mot import write_annotation
from stdet.io.frame_source import FrameSource
from stdet.io.images.folder import ImageFolder
from stdet.types import SequenceAnnotation

IMAGES_NAME = "images"
"""Folder of the labels of folders of images."""
VIDEOS_NAME = "videos"
"""Folder of those of videos."""


def name_of(path: Path) -> str:
    """Return what labels of a video or of a folder of images are named by."""
    return path.name if path.is_dir() else path.stem


def write_labels(
    path: Path, out: Path, source: FrameSource, truth: SequenceAnnotation
) -> tuple[str, ...]:
    """Write labels where a reader of data sets finds them, with links to what they are of.

    Args:
        path: Video, or folder of images.
        out: Folder for the labels.
        source: What was tracked.
        truth: Its labels.

    Returns:
        Names of the sequences; those in which nothing is sure are left out.
    """
    edges = [0, *sorted(source.gaps), truth.num_frames]
    names = []
    for start, stop in pairwise(edges):
        part = truth.cut(start, stop)
        if part.is_ignored.all():
            continue
        names.append(name_of(path) if len(edges) == 2 else f"{name_of(path)}_{start}-{stop - 1}")
        if isinstance(source, ImageFolder):
            _write_images(out / IMAGES_NAME / names[-1], source.files[start:stop], part)
        else:
            folder = out / VIDEOS_NAME
            folder.mkdir(parents=True, exist_ok=True)
            _link(folder / path.name, path)
            write_annotation(folder / f"{path.stem}.txt", part)
    return tuple(names)


def _write_images(folder: Path, files: Sequence[Path], truth: SequenceAnnotation) -> None:
    """Write a MOTChallenge folder; its images are links, numbered from 1."""
    images = folder / "img1"
    (folder / "gt").mkdir(parents=True, exist_ok=True)
    images.mkdir(exist_ok=True)
    for earlier in images.iterdir():
        if earlier.is_symlink():
            earlier.unlink()
    for number, file in enumerate(files, start=1):
        _link(images / f"{number:06d}{file.suffix}", file)
    height, width = truth.image_hw
    info = f"[Sequence]\nname={folder.name}\nimWidth={width}\nimHeight={height}\n"
    write_whole(folder / "seqinfo.ini", info.encode())
    write_annotation(folder / "gt" / "gt.txt", truth)


def _link(place: Path, path: Path) -> None:
    """Make a link, in place of an earlier one."""
    if place.is_symlink():
        place.unlink()
    place.symlink_to(path.resolve())
