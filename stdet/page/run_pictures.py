"""Pictures of a finished run: of what was tracked, or of the annotated video."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from stdet.errors import DataError
from stdet.formats.track_json import TrackFile
from stdet.io.drawing import render_scale
from stdet.io.frame_source import FrameSource
from stdet.io.open_source import open_source
from stdet.io.video.source import VideoFile
from stdet.page.picture import Picture

_MAX_KEPT = 32
"""Pictures kept encoded: who goes back and forth, or watches together, decodes once."""


class RunPictures:
    """Reads pictures of a run by the index of their frame; from any thread.

    Args:
        source: Where they are; None for a run without pictures.
        scale: By which they are larger than the frames.
        places: Of an annotated video: by frame, the index in the source of the picture that shows
            it. None where boxes are not drawn and the source counts frames as the tracks do.

    Attributes:
        scale: As given.
        is_annotated: Whether boxes are drawn on them.
    """

    def __init__(
        self,
        source: FrameSource | None,
        *,
        scale: int = 1,
        places: Mapping[int, int] | None = None,
    ) -> None:
        """Keep the source."""
        self.source = source
        self.scale = scale
        self.is_annotated = places is not None
        self._places = places
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Picture] = OrderedDict()

    def copy(self) -> RunPictures:
        """Return the same pictures with a decoder of their own, so that neither waits."""
        return RunPictures(copy.deepcopy(self.source), scale=self.scale, places=self._places)

    @classmethod
    def of_source(cls, path: Path, tracks: TrackFile, *, max_megapixels: float) -> RunPictures:
        """Open what was tracked, of a video the stream that was.

        Raises:
            DataError: If it cannot be read, or has frames of another size.
        """
        source = open_source(path, stream=tracks.stream, max_megapixels=max_megapixels)
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

        It has a picture for each frame. They are taken in order: the rate of a video is a guess
        where frames were dropped, so the times of its pictures say nothing about their indices.

        Raises:
            DataError: If it cannot be read, or is of another run.
        """
        source = open_source(path, max_megapixels=max_megapixels)
        scale = render_scale(tracks.image_hw)
        height, width = (scale * side + scale * side % 2 for side in tracks.image_hw)
        indices = source.info.indices.tolist() if isinstance(source, VideoFile) else []
        if source.hw != (height, width) or len(indices) != len(tracks.motions):
            source.close()
            raise DataError(
                f"{path}: is no annotated video of these tracks ({len(indices)} pictures of "
                f"{_size(source.hw)}, expected {len(tracks.motions)} of "
                f"{_size((height, width))}); give what was tracked with --source."
            )
        return cls(
            source, scale=scale, places=dict(zip(sorted(tracks.motions), indices, strict=True))
        )

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
                place = index if self._places is None else self._places[index]
                image = self.source.read(place)
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
