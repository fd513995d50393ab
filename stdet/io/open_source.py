"""Which reader a path gets. Decoders are imported when they are needed."""

from __future__ import annotations

import stat
from pathlib import Path

from stdet.errors import DataError
from stdet.files.regular_file import file_mode, require_regular_file
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import IMAGE_SUFFIXES, FrameSource
from stdet.io.live.address import live_address
from stdet.io.live.raw_format import RawFormat

_STACK_SUFFIXES = (".tif", ".tiff")


def open_named(
    source: str,
    *,
    stream: int | None = None,
    raw: str | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> FrameSource:
    """Open what a user names: a file or folder, or a live source (``live/address.py``).

    Args:
        source: Path, camera, URL or ``-``.
        stream: Which video stream, counted from 0; ``None`` for its default one.
        raw: How the frames of ``-`` or of a named pipe lie; see ``RawFormat.parse``.
        max_megapixels: Largest area of a frame, 10^6 pixels.

    Raises:
        ConfigError: If ``raw`` or the address is none, or one does not go with the other.
        DataError: If the source cannot be opened or gives no frame.
    """
    address = live_address(source, None if raw is None else RawFormat.parse(raw))
    if address is None:
        return open_source(Path(source), stream=stream, max_megapixels=max_megapixels)
    from stdet.io.live.source import open_live

    return open_live(address, stream=stream, max_megapixels=max_megapixels)


def open_source(
    path: Path, *, stream: int | None = None, max_megapixels: float = MAX_MEGAPIXELS
) -> FrameSource:
    """Open a video, a folder of images or a multi-page TIFF.

    Args:
        path: What to read.
        stream: Which video stream of a video file, counted from 0; ``None`` for its default one.
        max_megapixels: Largest area of a frame, 10^6 pixels; see ``frame_area.py``.

    Returns:
        A source that suits the path.

    Raises:
        DataError: If the path is missing, empty, no regular file, or holds no frames that can be
            read, or frames above the limit.
    """
    advice = "pass a video file or a folder of images"
    mode = file_mode(path)
    if mode is not None and stat.S_ISDIR(mode):
        from stdet.io.images.folder import ImageFolder

        return ImageFolder(path, max_megapixels=max_megapixels)
    require_regular_file(path, advice=advice)
    if path.stat().st_size == 0:
        raise DataError(f"{path}: is empty (0 bytes); copy or export it again.")
    suffix = path.suffix.lower()
    if suffix in _STACK_SUFFIXES:
        from stdet.io.images.tiff_stack import open_tiff

        return open_tiff(path, max_megapixels=max_megapixels)
    if suffix in IMAGE_SUFFIXES:
        raise DataError(f"{path}: is a single image; pass its folder, {path.parent}, instead.")
    from stdet.io.video.source import open_video

    return open_video(path, stream=stream, max_megapixels=max_megapixels)
