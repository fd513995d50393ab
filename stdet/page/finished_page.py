"""What the page shows of a finished run: frames, tracks, and files of chosen ones."""

from __future__ import annotations

import urllib.parse
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, get_args

import numpy as np

from stdet.errors import DataError
from stdet.formats.track_exports import ExportFormat, export_bytes, export_path
from stdet.formats.track_json import TrackFile, read_track_json
from stdet.io.drawing import Trails
from stdet.page.crops import crop_around
from stdet.page.message import MEDIA_TYPE, crop_png, frame_values, pack
from stdet.page.requests import WrongRequestError, read_values
from stdet.page.run_pictures import RunPictures
from stdet.page.track_table import BestRow, best_rows, track_table
from stdet.types import Tracks

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

_TRAIL = 30
"""Frames that a trail reaches back."""
_MAX_CROPS = 1024
_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


class FinishedPage:
    """Answers the page with frames of a finished run.

    Args:
        tracks: Of the run.
        pictures: Of its frames.
    """

    def __init__(self, tracks: TrackFile, pictures: RunPictures) -> None:
        """Keep the run."""
        self._file = tracks
        self._pictures = pictures
        # Pieces of tracks come from all over the run; frames are not to wait for them.
        self._pictures_of_crops = pictures.copy()
        self._frames = sorted(tracks.motions)
        self._best = best_rows(tracks)
        self._crops: OrderedDict[int, bytes] = OrderedDict()

    @classmethod
    def open(cls, path: Path, *, source: Path | None, max_megapixels: float) -> FinishedPage:
        """Open a JSON of `stdet track` and pictures that belong to it.

        Args:
            path: The JSON.
            source: What was tracked; None for the annotated video beside the JSON, or no pictures
                where the run wrote none.
            max_megapixels: Largest area of a frame, 10^6 pixels.

        Raises:
            DataError: If the JSON or the pictures cannot be read, or do not belong together.
        """
        tracks = read_track_json(path)
        annotated = path.with_suffix(".mp4")
        if source is not None:
            pictures = RunPictures.of_source(source, tracks, max_megapixels=max_megapixels)
        elif tracks.has_video and annotated.exists():
            # Drawn frames are larger than those that were tracked.
            pictures = RunPictures.of_annotated(annotated, tracks, max_megapixels=max_megapixels)
        else:
            pictures = RunPictures(None)
        return cls(tracks, pictures)

    @property
    def pictures_note(self) -> str:
        """Where the pictures come from, as a sentence."""
        source = self._pictures.source
        if source is None:
            return (
                "pictures: no annotated video is beside the JSON; --source shows what was tracked"
            )
        if self._pictures.is_annotated:
            return f"pictures: {source.path}; --source shows what was tracked, without drawings"
        return f"pictures: {source.path}"

    def routes(self) -> list[BaseRoute]:
        """Return what the page asks for."""
        from starlette.routing import Route

        return [
            Route("/run", self._run),
            Route("/frame/{index:int}", self._frame),
            Route("/crop/{track_id:int}", self._crop),
            Route("/export", self._export, methods=["POST"]),
        ]

    def __enter__(self) -> Self:
        """Return the page."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the pictures."""
        self._pictures.close()
        self._pictures_of_crops.close()

    # Requests without ``async`` run in threads of their own: they read and decode.

    def _run(self, request: Request) -> Response:
        """Answer with what is known of the whole run."""
        from starlette.responses import JSONResponse

        return JSONResponse(
            {
                "name": self._file.name,
                "image_hw": list(self._file.image_hw),
                "fps": self._file.fps,
                "confidence": self._file.confidence,
                "frames": _runs(self._frames),
                "tracks": track_table(self._file),
                "has_pictures": self._pictures.source is not None,
                "is_annotated": self._pictures.is_annotated,
                "formats": list(_FORMATS),
            }
        )

    def _frame(self, request: Request) -> Response:
        """Answer with a frame, or with the tracks alone where its picture cannot be read."""
        from starlette.responses import Response

        index = request.path_params["index"]
        if index not in self._file.motions:
            return Response(f"there is no frame {index}\n", 404)
        values: dict[str, Any] = {"frame_index": index, "problem": None}
        rows = self._tracks_at(index)
        values |= frame_values(None, rows, self._trails(index))
        content = b""
        try:
            picture = self._pictures.at(index)
            content = b"" if picture is None else picture.jpeg()
        except DataError as error:
            values["problem"] = str(error)
        return Response(pack(values, content), media_type=MEDIA_TYPE)

    def _tracks_at(self, index: int) -> Tracks:
        """Return the tracks of a frame; -1 stands for no detection, as while tracking."""
        low, high = np.searchsorted(self._file.tracks.frame_indices, [index, index + 1])
        rows = slice(int(low), int(high))
        found = np.where(self._file.is_coasted[rows], -1, 0)
        return replace(self._file.tracks[rows], detection_indices=found)

    def _trails(self, index: int) -> dict[int, list[tuple[float, float]]]:
        """Return past centres, carried with the scene."""
        trails = Trails(_TRAIL)
        position = bisect_left(self._frames, index)
        for earlier in self._frames[max(position - _TRAIL + 1, 0) : position + 1]:
            motion = self._file.motions[earlier]
            trails.update(self._file.tracks.at_frame(earlier), transform=motion.transform)
        return {track_id: list(points) for track_id, points in trails.points.items()}

    def _crop(self, request: Request) -> Response:
        """Answer with the piece of a picture that shows a track best, empty where none does."""
        from starlette.responses import Response

        track_id = request.path_params["track_id"]
        best = self._best.get(track_id)
        if best is None:
            return Response(f"there is no track {track_id}\n", 404)
        content = self._crops.get(track_id)
        if content is None:
            content = self._new_crop(best)
            self._crops[track_id] = content
            while len(self._crops) > _MAX_CROPS:
                self._crops.popitem(last=False)
        return Response(content, media_type="image/png") if content else Response(status_code=204)

    def _new_crop(self, best: BestRow) -> bytes:
        """Read the piece of a picture, empty where that is not possible."""
        try:
            picture = self._pictures_of_crops.at(best.frame_index)
        except DataError:
            return b""
        if picture is None:
            return b""
        box = self._file.tracks.boxes_xyxy[best.row] * self._pictures.scale
        return crop_png(crop_around(picture.pixels, box))

    async def _export(self, request: Request) -> Response:
        """Answer with a file of chosen tracks."""
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        try:
            values = await read_values(request)
            track_ids, form = values.get("track_ids"), values.get("format")
            if form not in _FORMATS:
                raise WrongRequestError(f"format: expected one of {', '.join(_FORMATS)}")
            if not isinstance(track_ids, list) or not all(
                type(one) is int and one in self._best for one in track_ids
            ):
                raise WrongRequestError("track_ids: expected a list of ids of this run")
            chosen = self._file.chosen(set(track_ids))
            content = await run_in_threadpool(export_bytes, chosen, form)
        except (WrongRequestError, DataError) as error:
            return Response(f"{error}\n", 400)
        name = export_path(Path(), self._file.name, form).name
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{urllib.parse.quote(name)}"
        }
        return Response(content, media_type="application/octet-stream", headers=headers)


def _runs(indices: list[int]) -> list[list[int]]:
    """Return sorted numbers as runs of first and last.

    Example:
        >>> _runs([0, 1, 2, 5, 7, 8])
        [[0, 2], [5, 5], [7, 8]]
    """
    runs: list[list[int]] = []
    for index in indices:
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return runs
