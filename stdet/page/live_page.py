"""What the page shows of a live run.

The run hands over each frame and goes on. A picture is encoded in the thread of a request, once
for all who watch, and only where somebody does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stdet.inference.stages.frames import TrackedFrame
from stdet.io.drawing import Trails
from stdet.io.live.capture import LiveEvent, utc_text
from stdet.page.message import MEDIA_TYPE, crop_png, frame_values, pack
from stdet.page.newest import Newest
from stdet.page.picture import Picture
from stdet.page.recent_tracks import RecentTracks
from stdet.page.requests import WrongRequestError, read_values

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from stdet.inference.pipeline import StreamingTracker
    from stdet.io.live.source import LiveSource

_WAIT_S = 1.0
"""Seconds after which a request is answered although there is no new frame."""
_RATE_S = 3.0
"""Seconds over which the frame rate is taken."""
_MAX_RATE_TIMES = 512


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shown:
    """A frame and how the run goes with it."""

    tracked: TrackedFrame
    picture: Picture
    trails: Mapping[int, Sequence[tuple[float, float]]]
    frames_per_second: float
    num_frames: int
    num_dropped: int
    recent: list[dict[str, Any]]


@dataclass(kw_only=True)
class _Run:
    """A run from its first frame on; for the thread that tracks."""

    source: LiveSource
    tracker: StreamingTracker
    trails: Trails = field(default_factory=Trails)
    recent: RecentTracks = field(default_factory=RecentTracks)
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_RATE_TIMES))
    num_frames: int = 0
    num_dropped: int = 0

    def add(self, tracked: TrackedFrame) -> _Shown:
        """Take in the next frame."""
        picture = Picture(tracked.image, self.source.scale)
        self.trails.update(tracked.tracks, transform=tracked.from_previous.transform)
        self.recent.update(tracked.tracks, picture)
        self.num_frames += 1
        self.num_dropped += 0 if tracked.capture is None else tracked.capture.num_dropped
        return _Shown(
            tracked=tracked,
            picture=picture,
            trails={track_id: tuple(points) for track_id, points in self.trails.points.items()},
            frames_per_second=self._rate(),
            num_frames=self.num_frames,
            num_dropped=self.num_dropped,
            recent=self.recent.entries(),
        )

    def _rate(self) -> float:
        """Return the frames per second of the last seconds."""
        now = time.monotonic()
        self.times.append(now)
        while now - self.times[0] > _RATE_S:
            self.times.popleft()
        seconds = now - self.times[0]
        return (len(self.times) - 1) / seconds if seconds else 0.0


class LivePage:
    """Answers the page with the newest frame of a run; a ``RunWatcher``.

    A viewer asks for a frame newer than the one it has. So a slow one gets fewer frames, and
    nothing waits for it.

    Attributes:
        newest: Frame that viewers get; None in it before the first one.
    """

    def __init__(self) -> None:
        """Start before the run."""
        self._run: _Run | None = None
        self.newest: Newest[_Shown | None] = Newest()
        self._is_over = False

    def start(self, source: LiveSource, tracker: StreamingTracker) -> None:
        """Begin to show a run."""
        self._run = _Run(source=source, tracker=tracker)
        self.newest.put(None)

    def frame(self, tracked: TrackedFrame) -> None:
        """Show the next frame."""
        assert self._run is not None
        self.newest.put(self._run.add(tracked))

    def __enter__(self) -> Self:
        """Return the page."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Say that the run is over, to all who wait."""
        self._is_over = True
        newest = self.newest.get()
        self.newest.put(None if newest is None else newest.value)

    def routes(self) -> list[BaseRoute]:
        """Return what the page asks for."""
        from starlette.routing import Route

        return [
            Route("/next", self._next),
            Route("/crop/{track_id:int}", self._crop),
            Route("/confidence", self._set_confidence, methods=["POST"]),
        ]

    async def _next(self, request: Request) -> Response:
        """Answer with the first frame after the one that the viewer has."""
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        try:
            number = int(request.query_params.get("after", "0"))
        except ValueError:
            return Response("after: expected a number\n", 400)
        wait_s = 0.0 if self._is_over else _WAIT_S
        newest = await self.newest.after(number, wait_s)
        values = {"number": 0, **self._state()}
        picture = b""
        if newest is not None:
            values["number"] = newest.number
            if newest.value is not None and newest.number != number:
                values |= _values(newest.value)
                if "no_picture" not in request.query_params:  # A page that pauses needs none.
                    picture = await run_in_threadpool(newest.value.picture.jpeg)
        return Response(pack(values, picture), media_type=MEDIA_TYPE)

    def _state(self) -> dict[str, Any]:
        """Return what can change without a new frame."""
        run = self._run
        if run is None:
            return {"is_over": self._is_over}
        events = [event for event in run.source.events() if event.kind != "confidence"]
        return {
            "is_over": self._is_over,
            "source": run.source.address.label,
            "image_hw": list(run.source.hw),
            "source_fps": run.source.fps,
            "confidence": run.tracker.operating_point.confidence,
            "first_confidence": run.tracker.operating_point.first,
            "event": events[-1].entry() if events else None,
        }

    async def _crop(self, request: Request) -> Response:
        """Answer with the piece of the picture that shows a track, empty where it has gone."""
        from starlette.responses import Response

        crop = None
        if self._run is not None:
            crop = self._run.recent.crop(request.path_params["track_id"])
        if crop is None:
            return Response(status_code=204)
        return Response(crop_png(crop), media_type="image/png")

    async def _set_confidence(self, request: Request) -> Response:
        """Set the operating point, for all who watch and for what is recorded."""
        from starlette.responses import Response

        try:
            confidence = (await read_values(request)).get("confidence")
            if (
                not isinstance(confidence, int | float)
                or isinstance(confidence, bool)
                or not 0 <= confidence <= 1
            ):
                raise WrongRequestError("confidence: expected a number from 0 to 1")
        except WrongRequestError as error:
            return Response(f"{error}\n", 400)
        run = self._run
        if run is None or self._is_over:
            return Response("no run goes on\n", 409)
        before = run.tracker.operating_point.confidence
        run.tracker.operating_point.confidence = float(confidence)
        text = f"operating point set from {before:.4g} to {confidence:.4g}"
        run.source.note(LiveEvent(kind="confidence", utc=time.time(), text=text))
        return Response(status_code=204)


def _values(shown: _Shown) -> dict[str, Any]:
    """Return what the page gets of a frame."""
    tracked = shown.tracked
    capture = tracked.capture
    return {
        **frame_values(tracked.detections, tracked.tracks, shown.trails),
        "frame_index": tracked.index,
        "time": tracked.time,
        "captured_at": None if capture is None else utc_text(capture.utc),
        "age_s": None if capture is None else round(capture.age_s, 3),
        "frames_per_second": round(shown.frames_per_second, 2),
        "num_frames": shown.num_frames,
        "num_dropped": shown.num_dropped,
        "recent": shown.recent,
    }
