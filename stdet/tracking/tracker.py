"""The life of tracks: birth, confirmation, coasting, death."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import centres_xy, xyxy_to_xywh
from stdet.config import TrackerConfig
from stdet.registration.transform import Transform
from stdet.tracking.association import Assignment, assign, possible_pairs
from stdet.tracking.motion import ConstantVelocityFilter, MotionStates, StateArray
from stdet.tracking.track_records import TrackRecords
from stdet.types import BoolArray, Detections, IntArray, Tracks

MIN_SIZE_PX = 0.1
"""Smallest side of a track's box: a detection clipped to a line still needs x1 < x2 in files."""


class Tracker:
    """Turn the detections of successive frames into tracks with lasting ids.

    Per frame: predict every track; pair the tracks that are shown with strong detections, and what
    is left of them with weak ones; pair lost tracks, then unconfirmed ones, with what remains of
    the strong ones (so that neither a track whose place is uncertain nor clutter can steal from a
    known target); start an unconfirmed track from each strong detection left over.

    A track is confirmed at ``confirm_hits`` hits within ``confirm_window`` frames of its birth,
    and dropped as soon as it can no longer get there. A confirmed track without a detection coasts
    on its prediction through ``max_coast`` frames in a row. Then it is lost: not shown, but
    remembered until ``max_lost`` frames in a row, so that found again it has its id back.

    Strong detections are those at the operating point or above, weak ones those from
    ``continue_share`` of it on: two thresholds, the higher one to begin and the lower one to go
    on. Going on takes less evidence, since it is known where to look.

    Ids belong to the tracker object; they count from 1 in order of confirmation, without gaps, and
    are never used twice before ``reset``.

    Frame indices may jump. The motion model uses the true number of frames; the counts above
    count frames given to ``update``, because a frame that nobody looked at is neither a hit nor a
    miss. A track whose centre a jump leaves uncertain by more than ``gate_px`` (one standard
    deviation) is dropped, because its id could go to anything near.

    Tracks are carried by the transform of the background where one is given: they move in the
    scene, and their boxes grow under zoom. A shown track that finds nothing there is looked for
    where it would be if the camera had rested, since the transform may be wrong, or the target may
    have leapt with the camera.

    The result does not depend on the order of detections with equal scores.

    Args:
        config: Noise levels, gates and life times; None for the defaults, which suit
            track-before-detect scores: a track begins with its first strong detection.

    Source:
        Weak detections go to tracks alone: Zhang et al. 2022 (ByteTrack, ECCV), by overlap there.

    Example:
        >>> tracker = Tracker(TrackerConfig(confirm_hits=2, confirm_window=2))
        >>> for frame_index in range(3):
        ...     x = 10.0 + 8 * frame_index  # 5 px wide, so successive boxes do not overlap
        ...     tracks = tracker.update(Detections.from_unsorted(
        ...         np.array([[x, 20, x + 5, 25]]), np.array([0.9]),
        ...         frame_index=frame_index, image_hw=(100, 100)))
        ...     print(frame_index, tracks.track_ids)
        0 []
        1 [1]
        2 [1]
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        """Start without tracks."""
        self._config = config = TrackerConfig() if config is None else config
        self._motion = ConstantVelocityFilter(
            measurement_std_px=config.measurement_std_px,
            acceleration_std_px=config.acceleration_std_px,
            initial_speed_std_px=config.initial_speed_std_px,
        )
        self.reset()

    def reset(self) -> None:
        """Forget everything, for a new sequence; ids begin at 1 again."""
        self._states = MotionStates.empty()
        self._records = TrackRecords.empty()
        self._num_confirmed = 0
        self._last_frame_index: int | None = None

    def end_tracks(self) -> None:
        """End every track, at a cut in the stream; ids and frame indices go on counting."""
        self._states = MotionStates.empty()
        self._records = TrackRecords.empty()

    def update(
        self,
        detections: Detections,
        *,
        confidence: float = 0.0,
        transform: Transform | None = None,
        is_same_scene: bool = True,
    ) -> Tracks:
        """Take in one frame.

        Args:
            detections: Detections of a later frame than the one before; may be empty.
            confidence: Operating point; detections below it start no track.
            transform: Where the background of the frame given before lies in this one. None where
                the camera rests, or nothing is known.
            is_same_scene: False after a cut, and for a frame that shows nothing of the scene:
                tracks that find nothing in it are lost at once, and found again if it comes back.

        Returns:
            The confirmed tracks of this frame that are not lost. Boxes are centred on the filtered
            centre, have the smoothed size and may reach outside the image; ``detection_indices``
            is -1 where the track coasted.

        Raises:
            ValueError: If the frame index does not increase.
        """
        self._advance_to(detections.frame_index)
        stayed, stayed_wh = self._states, self._records.sizes_wh.copy()
        if transform is not None:
            self._carry(transform)
        # Ties are broken by position, not by row, so that row order never matters.
        order = _canonical_order(detections)
        scores = detections.scores[order]
        strong = order[scores >= confidence]
        is_weak = (scores < confidence) & (scores >= self._config.continue_share * confidence)
        weak = order[is_weak]
        measured_xy = centres_xy(detections.boxes_xyxy).astype(np.float64)

        is_confirmed, is_shown = self._records.is_confirmed, self._is_shown()
        shown = np.flatnonzero(is_shown)
        hits = self._associate(shown, self._states, measured_xy, strong)
        missed = _without(shown, hits.track_rows)
        going_on = self._associate(missed, self._states, measured_xy, weak)
        if transform is not None:
            missed = _without(missed, going_on.track_rows)
            left_over = _without(strong, hits.detection_rows)
            found = self._associate(missed, stayed, measured_xy, left_over)
            self._states.put(found.track_rows, stayed[found.track_rows])
            self._records.sizes_wh[found.track_rows] = stayed_wh[found.track_rows]
            hits = Assignment.concatenate(hits, found)
        for rows in (np.flatnonzero(is_confirmed & ~is_shown), np.flatnonzero(~is_confirmed)):
            left_over = _without(strong, hits.detection_rows)
            found = self._associate(rows, self._states, measured_xy, left_over)
            hits = Assignment.concatenate(hits, found)
        births = _without(strong, hits.detection_rows)

        if not is_same_scene:
            misses = self._records.num_misses
            np.maximum(misses, self._config.max_coast, out=misses, where=is_shown)
        self._correct(Assignment.concatenate(hits, going_on), detections, measured_xy)
        self._start(births, detections, measured_xy)
        self._confirm()
        return self._rows_of(detections.frame_index)

    def _advance_to(self, frame_index: int) -> None:
        """Predict every track, and drop those that a jump left without a known place."""
        last = self._last_frame_index
        if last is not None:
            if frame_index <= last:
                raise ValueError(
                    f"Tracker.update got frame {frame_index} after frame {last}; expected a "
                    "later one. Call reset() before a new sequence."
                )
            self._states = self._motion.predict(self._states, frame_index - last)
            if frame_index - last > 1:
                variances = self._states.covariances.diagonal(axis1=1, axis2=2)[:, :2]
                is_known: BoolArray = np.all(variances <= self._config.gate_px**2, axis=1)
                self._keep(is_known)
        self._last_frame_index = frame_index

    def _carry(self, transform: Transform) -> None:
        """Move every track with the scene, and let its box grow with it.

        Boxes stay upright and keep their shape: around a small thing that turns they say nothing
        else, and boxes around turned boxes would grow with every frame.
        """
        scales = transform.scales_at(self._states.centres_xy)
        sizes_wh = self._records.sizes_wh
        np.maximum(sizes_wh * scales[:, None], MIN_SIZE_PX, out=sizes_wh)
        self._states = self._states.carried(transform)

    def _is_shown(self) -> BoolArray:
        """Return of each track whether it is confirmed and not lost."""
        is_seen: BoolArray = self._records.num_misses <= self._config.max_coast
        return self._records.is_confirmed & is_seen

    def _associate(
        self,
        track_rows: IntArray,
        states: MotionStates,
        measured_xy: StateArray,
        candidates: IntArray,
    ) -> Assignment:
        """Pair some tracks with some detections; rows count over all tracks and detections."""
        if not len(track_rows) or not len(candidates):  # Most calls of most frames.
            return Assignment.concatenate()
        states = states[track_rows]
        pairs = assign(
            possible_pairs(
                states.centres_xy,
                self._motion.innovation_covariances(states),
                measured_xy[candidates],
                gate_sigma=self._config.gate_sigma,
                gate_px=self._config.gate_px,
            )
        )
        return Assignment(
            track_rows=track_rows[pairs.track_rows],
            detection_rows=candidates[pairs.detection_rows],
        )

    def _correct(self, hits: Assignment, detections: Detections, measured_xy: StateArray) -> None:
        """Give each paired track its detection, the others a miss, and drop the dead."""
        rows = hits.track_rows
        corrected = self._motion.update(self._states[rows], measured_xy[hits.detection_rows])
        self._states.put(rows, corrected)
        self._record(hits, detections)
        config, records = self._config, self._records
        is_missed = np.ones(len(records), np.bool_)
        is_missed[rows] = False
        records.detection_indices[is_missed] = -1
        records.num_misses[is_missed] += 1
        allowed_misses = np.where(
            records.is_confirmed, config.max_lost, config.confirm_window - config.confirm_hits
        )
        self._keep(records.num_misses <= allowed_misses)

    def _record(self, hits: Assignment, detections: Detections) -> None:
        """Store what detections say besides their centres."""
        records, rows, found = self._records, hits.track_rows, hits.detection_rows
        growth = _sizes_wh(detections)[found] - records.sizes_wh[rows]
        records.sizes_wh[rows] += self._config.size_smoothing * growth
        records.scores[rows] = detections.scores[found]
        records.class_ids[rows] = detections.class_ids[found]
        records.detection_indices[rows] = found
        records.num_hits[rows] += 1
        records.num_misses[rows[records.is_confirmed[rows]]] = 0

    def _start(self, rows: IntArray, detections: Detections, measured_xy: StateArray) -> None:
        """Begin an unconfirmed track at each of the given detections."""
        born = self._motion.start(measured_xy[rows])
        self._states = MotionStates.concatenate(self._states, born)
        begun = TrackRecords.begin(
            _sizes_wh(detections)[rows], detections.scores[rows], detections.class_ids[rows], rows
        )
        self._records = TrackRecords.concatenate(self._records, begun)

    def _keep(self, is_kept: BoolArray) -> None:
        """Drop the other tracks."""
        self._states = self._states[is_kept]
        self._records = self._records[is_kept]

    def _confirm(self) -> None:
        """Give the next ids to the tracks that have earned one, oldest first."""
        records = self._records
        has_earned = ~records.is_confirmed & (records.num_hits >= self._config.confirm_hits)
        rows = np.flatnonzero(has_earned)
        records.track_ids[rows] = self._num_confirmed + 1 + np.arange(len(rows))
        records.num_misses[rows] = 0
        self._num_confirmed += len(rows)

    def _rows_of(self, frame_index: int) -> Tracks:
        """Return the confirmed tracks that are not lost as rows of this frame."""
        rows = np.flatnonzero(self._is_shown())
        rows = rows[np.argsort(self._records.track_ids[rows])]
        records, centre_xy = self._records[rows], self._states.centres_xy[rows]
        half_wh = records.sizes_wh / 2
        return Tracks(
            frame_indices=np.full(len(rows), frame_index, np.int64),
            track_ids=records.track_ids,
            boxes_xyxy=np.concatenate([centre_xy - half_wh, centre_xy + half_wh], axis=1).astype(
                np.float32
            ),
            scores=records.scores,
            probabilities=records.scores,
            class_ids=records.class_ids,
            detection_indices=records.detection_indices,
        )


def _without(rows: IntArray, others: IntArray) -> IntArray:
    """Return the rows that are not among others."""
    return rows[~np.isin(rows, others)]


def _sizes_wh(detections: Detections) -> NDArray[np.float64]:
    """Return box widths and heights, float64 (N, 2), at least ``MIN_SIZE_PX``."""
    sizes = xyxy_to_xywh(detections.boxes_xyxy)[:, 2:].astype(np.float64)
    return np.maximum(sizes, MIN_SIZE_PX)


def _canonical_order(detections: Detections) -> IntArray:
    """Return the rows by descending score, equal scores by box and class."""
    boxes = detections.boxes_xyxy
    keys = (detections.class_ids, *boxes.T[::-1], -detections.scores)
    return np.lexsort(keys)
