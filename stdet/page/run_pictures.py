"""Pictures of a finished run: of what was tracked, or of the annotated video."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from pathlib import Path

from stdet.errors import DataError
from stdet.formats.track_json import TrackFile
from stdet.io.drawing import render_scale
from stdet.io.frame_source import FrameSource
from stdet.io.open_source import open_source
from stdet.page.picture import Picture

_MAX_KEPT = 32
"""Pictures kept encoded: who goes back and forth, or watches together, decodes once."""


class RunPictures:
    """Reads pictures of a run by the index of their frame; from any thread.

    Args:
        source: Where they are; None for a run without pictures.
        scale: By which they are larger than the frames.
        first_index: Of the frame that the source's first one shows.

    Attributes:
        scale: As given.
        is_annotated: Whether boxes are drawn on them.
    """

    def __init__(
        self, source: FrameSource | None, *, scale: int = 1, first_index: int = 0
    ) -> None:
        """Keep the source."""
        self.source = source
        self.scale = scale
        self.is_annotated = False
        self._first_index = first_index
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Picture] = OrderedDict()

    def copy(self) -> RunPictures:
        """Return the same pictures with a decoder of their own, so that neither waits."""
        copied = RunPictures(
            copy.deepcopy(self.source), scale=self.scale, first_index=self._first_index
        )
        copied.is_annotated = self.is_annotated
        return copied

    @classmethod
    def of_source(cls, path: Path, tracks: TrackFile, *, max_megapixels: float) -> RunPictures:
        """Open what was tracked.

        Raises:
            DataError: If it cannot be read, or has frames of another size.
        """
        source = open_source(path, max_megapixels=max_megapixels)
        if source.hw != tracks.image_hw:
            source.close()
            raise DataError(
                f"{path}: has frames of {_size(source.hw)}, the tracks are of "
                f"{_size(tracks.image_hw)}; give what was tracked with --source."
            )
        return cls(source)

    @classmethod
    def of_annotated(cls, path: Path, tracks: TrackFile, *, max_megapixels: float) -> RunPictures:
        """Open the annotated video of a run.

        Raises:
            DataError: If it cannot be read, or is of another run.
        """
        source = open_source(path, max_megapixels=max_megapixels)
        scale = render_scale(tracks.image_hw)
        height, width = (scale * side + scale * side % 2 for side in tracks.image_hw)
        if source.hw != (height, width):
            source.close()
            raise DataError(
                f"{path}: is no annotated video of these tracks ({_size(source.hw)}, expected "
                f"{_size((height, width))}); give what was tracked with --source."
            )
        found = cls(source, scale=scale, first_index=min(tracks.motions, default=0))
        found.is_annotated = True
        return found

    def at(self, index: int) -> Picture | None:
        """Return the picture of a frame, None where there are none.

        Raises:
            DataError: If the frame is missing or damaged.
        """
        if self.source is None:
            return None
        with self._lock:
            picture = self._kept.pop(index, None)
            if picture is None:
                image = self.source.read(index - self._first_index)
                picture = Picture(image, self.source.scale)
            self._kept[index] = picture
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return picture

    def close(self) -> None:
        """Close the source."""
        with self._lock:
            if self.source is not None:
                self.source.close()


def _size(hw: tuple[int, int]) -> str:
    return f"{hw[1]}x{hw[0]}"
