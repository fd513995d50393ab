"""Count up what a track was, while its rows come by.

Paths are measured in the scene: places are carried back to the first frame by the motion of the
background, as far as it is known. The path is taken in chords of ``CHORD_FRAMES`` rows, so that
the noise of places is no way travelled. A track that never comes farther than ``HOVER_PX`` from
its first place hovers. Of the others, one flies straight when its first and last place are at
least ``STRAIGHT_SHARE`` of the length of its path apart; it turns otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import centres_xy
from stdet.formats.track_summary import MotionClass, TrackRow
from stdet.registration.frame_motion import FrameMotion
from stdet.registration.transform import Transform
from stdet.types import Tracks

Float = NDArray[np.float64]

CHORD_FRAMES = 10
HOVER_PX = 5.0
STRAIGHT_SHARE = 0.95
"""Of an arc of 63 degrees the chord is so much."""


@dataclass(kw_only=True)
class _Running:
    """A track so far; times in seconds, NaN where unknown, places (2,) in the scene, pixels."""

    first_frame: int
    first_time: float
    first_xy: Float
    anchor_xy: Float
    last_xy: Float
    last_frame: int = 0
    last_time: float = np.nan
    num_frames: int = 0
    num_detections: int = 0
    chords_px: float = 0.0
    farthest_px: float = 0.0
    snrs: list[float] = field(default_factory=lambda: [0.0, 0.0])
    score: float = 0.0
    probability: float = np.nan

    def add_place(self, xy: Float) -> None:
        """Go on to a place in the scene."""
        self.num_frames += 1
        self.last_xy = xy
        self.farthest_px = max(self.farthest_px, float(np.hypot(*(xy - self.first_xy))))
        if self.num_frames % CHORD_FRAMES == 0:
            self.chords_px += float(np.hypot(*(xy - self.anchor_xy)))
            self.anchor_xy = xy

    @property
    def length_px(self) -> float:
        """Of the path."""
        return self.chords_px + float(np.hypot(*(self.last_xy - self.anchor_xy)))

    @property
    def motion(self) -> MotionClass:
        """See the module."""
        if self.farthest_px <= HOVER_PX:
            return "hovering"
        ends_px = float(np.hypot(*(self.last_xy - self.first_xy)))
        return "straight" if ends_px >= STRAIGHT_SHARE * self.length_px else "turning"


class TrackSummaries:
    """Sums over the tracks of a stream; memory grows with their number, not with its length.

    Args:
        max_tracks: Of more, the oldest are left out; None keeps all.
    """

    def __init__(self, *, max_tracks: int | None = None) -> None:
        """Start before the first frame."""
        self._max_tracks = max_tracks
        self._tracks: dict[int, _Running] = {}
        self._to_scene = Transform.identity()

    def add(self, tracks: Tracks, *, time: float | None, motion: FrameMotion, snrs: Float) -> None:
        """Take the next frame.

        Args:
            tracks: Its rows, perhaps none.
            time: Seconds from frame 0, None where not known.
            motion: Of the background since the frame before.
            snrs: Of each row, float64 (M,); NaN where not known.
        """
        if motion.transform is not None:
            self._to_scene = self._to_scene @ motion.transform.inverse()
        places = self._to_scene.apply(centres_xy(tracks.boxes_xyxy).astype(np.float64))
        seconds = np.nan if time is None else time
        for row, track_id in enumerate(tracks.track_ids.tolist()):
            xy, frame = places[row], int(tracks.frame_indices[row])
            one = self._tracks.get(track_id)
            if one is None:
                one = self._tracks[track_id] = _Running(
                    first_frame=frame, first_time=seconds, first_xy=xy, anchor_xy=xy, last_xy=xy
                )
                if len(self._tracks) - 1 == self._max_tracks:
                    del self._tracks[next(iter(self._tracks))]
            one.add_place(xy)
            one.last_frame, one.last_time = frame, seconds
            one.num_detections += int(tracks.detection_indices[row] >= 0)
            if not np.isnan(snrs[row]):
                one.snrs[0] += float(snrs[row])
                one.snrs[1] += 1
            one.score = max(one.score, float(tracks.scores[row]))
            one.probability = float(tracks.probabilities[row])

    def rows(self) -> list[TrackRow]:
        """Return a row for every track, by id."""
        return [_row(track_id, one) for track_id, one in sorted(self._tracks.items())]


def _row(track_id: int, one: _Running) -> TrackRow:
    """Return what is known of a track."""
    num_steps, seconds = one.last_frame - one.first_frame, one.last_time - one.first_time
    return TrackRow(
        track_id=track_id,
        first_frame=one.first_frame,
        last_frame=one.last_frame,
        first_time=one.first_time,
        last_time=one.last_time,
        num_frames=one.num_frames,
        num_detections=one.num_detections,
        length_px=one.length_px,
        speed_px_per_frame=one.length_px / num_steps if num_steps else np.nan,
        speed_px_per_s=one.length_px / seconds if seconds > 0 else np.nan,
        mean_snr=one.snrs[0] / one.snrs[1] if one.snrs[1] else np.nan,
        score=one.score,
        probability=one.probability,
        motion=one.motion,
    )
