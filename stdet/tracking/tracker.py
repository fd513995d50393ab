"""The life of tracks: birth, confirmation, coasting, death."""

from __future__ import annotations

import numpy as np

from stdet.config import TrackerConfig
from stdet.registration.contrast_peaks import Peaks
from stdet.registration.transform import Transform
from stdet.tracking.association import Assignment, assign
from stdet.tracking.clutter import ClutterModel
from stdet.tracking.evidence import (
    NEW_PER_FRAME,
    add_evidence,
    existence,
    first_levels,
    is_credible,
    level_gain,
    missed_levels,
    needed_level,
)
from stdet.tracking.faint import MOST, follow
from stdet.tracking.found import Found
from stdet.tracking.hindsight import smoothing_gains
from stdet.tracking.leaps import continuations
from stdet.tracking.lifetimes import go_on, have_proven_paths
from stdet.tracking.motion import MotionStates, StateArray, SwitchingMotion
from stdet.tracking.pairing import Hits, Pairing
from stdet.tracking.track_records import MIN_SIZE_PX, TrackRecords
from stdet.tracking.window import FrameRows, Steps, Window, known_of
from stdet.types import BoolArray, Detections, IntArray, Tracks

MOVED_PX = 1.0
"""Where the scene moved by less, a track that did not move with it is where it is expected."""


class Tracker:
    """Turn the detections of successive frames into tracks with lasting ids.

    Per frame: predict every track; choose the pairs of tracks and detections that explain the
    frame best; begin an unconfirmed track at each detection left over. What a pair explains is the
    log of how much likelier the detection is with the track than as a false alarm: by its place,
    by its score, by the share of frames in which the track was detected so far, and by how likely
    the track is to be there at all. How far a track reaches follows from it: far where false
    alarms are rare, little where they are many.

    A track adds up this log ratio. It is confirmed when clutter alone would come so far less often
    than ``false_tracks_per_hour``, and when its scores are on average at the operating point, the
    newest weighing most. It is shown while that average is above ``continue_share`` of the
    operating point. Where the stream has several targets and little that has a target's path and
    not its scores, lower scores do (``needed_level``). What is known of clutter is learnt from the
    stream.

    A confirmed track without a detection is looked for among the peaks of the residual
    (``faint.py``). It is shown, also below that level, while what the pixels say of it speaks for
    a target, in no more rows than for detections, and goes on so for up to ``MOST_FOLLOWED``
    frames.

    A track that is not found goes on along its path, and is forgotten after ``max_lost`` frames
    in which it has neither detection nor peak. A track that is confirmed where a target that was
    lost may have leapt to goes on as that target.

    Ids belong to the tracker object; they count from 1 in order of confirmation, without gaps, and
    are never used twice before ``reset``.

    Frame indices may jump. The motion model uses the true number of frames; misses count frames
    given to ``update``, because a frame that nobody looked at is no miss. A track whose centre a
    jump leaves uncertain by more than ``gate_px`` (one standard deviation) is dropped.

    Tracks are carried by the transform of the background where one is given: they move in the
    scene, and their boxes grow under zoom. A confirmed track that finds nothing there is looked
    for where it would be if the camera had rested, since the transform may be wrong, or the target
    may have leapt with the camera.

    The result does not depend on the order of detections with equal scores.

    Args:
        config: Noise levels, rates and life times; None for the defaults.
        lookahead: Frames that tracks wait for, to be put out in hindsight (``window.py``): with
            their first detections, without gaps, and smoothed. With 0 each frame comes out at
            once.

    Attributes:
        lookahead: As given.

    Source:
        Evidence for tracks: Sittler 1964; Blackman and Popoli 1999, Design and Analysis of Modern
        Tracking Systems, section 6.2. Scores and the clutter density are learnt here.

    Example:
        >>> tracker = Tracker()
        >>> for frame_index in range(4):
        ...     x = 10.0 + 8 * frame_index  # 5 px wide, so successive boxes do not overlap
        ...     tracks = tracker.update(Detections.from_unsorted(
        ...         np.array([[x, 20, x + 5, 25]]), np.array([0.9]),
        ...         frame_index=frame_index, image_hw=(100, 100)))
        ...     print(frame_index, tracks.track_ids)
        0 []
        1 []
        2 []
        3 [1]
    """

    def __init__(self, config: TrackerConfig | None = None, *, lookahead: int = 0) -> None:
        """Start without tracks."""
        self.config = config = TrackerConfig() if config is None else config
        self.lookahead = lookahead
        self._motion = SwitchingMotion(
            measurement_std_px=config.measurement_std_px,
            acceleration_stds_px=config.acceleration_stds_px,
            initial_speed_std_px=config.initial_speed_std_px,
        )
        self._pairing = Pairing(self._motion, gate_px=config.gate_px)
        self.reset()

    @classmethod
    def for_stream(cls, config: TrackerConfig) -> Tracker:
        """Return a tracker that waits as long as the scores of a stream's detections do."""
        return cls(config, lookahead=config.frames_ahead or 0)

    def reset(self) -> None:
        """Forget everything, for a new sequence; ids begin at 1 again."""
        self.end_tracks()
        self._clutter = ClutterModel()
        self._window = Window(self.lookahead)
        self._num_confirmed = self._num_begun = 0
        self._needed_level = 0.0
        self._last_frame_index: int | None = None

    def end_tracks(self) -> None:
        """End every track, at a cut in the stream; ids and frame indices go on counting."""
        self._states = self._motion.start(np.zeros((0, 2)))
        self._records = TrackRecords.empty()
        self._mixture = self._motion.mix(self._states)
        self._growths: StateArray | None = None

    def update(
        self,
        detections: Detections,
        transform: Transform | None = None,
        *,
        peaks: Peaks | None = None,
        confidence: float = 0.0,
        is_same_scene: bool = True,
    ) -> Tracks:
        """Take in one frame.

        Args:
            detections: Detections of a later frame than the one before; may be empty. With a
                detector's weak ones tracks go on longer.
            transform: Where the background of the frame given before lies in this one. None where
                the camera rests, or nothing is known.
            peaks: Of the residual's contrast; confirmed tracks go on along them where no detection
                is theirs. None where nothing is known of them.
            confidence: Operating point: tracks of lower scores are not confirmed. With 0, scores
                only tell targets from clutter.
            is_same_scene: False after a cut, and for a frame that shows nothing of the scene:
                tracks that find nothing in it are not shown, and found again if it comes back.

        Returns:
            The confirmed tracks of the frame ``lookahead`` before this one, none before there is
            one. Boxes are centred on the filtered centre, have the smoothed size and may reach
            outside the image; ``detection_indices`` is -1 where the track coasted.

        Raises:
            ValueError: If the frame index does not increase, or ``confidence`` is no score. The
                tracker is as before then.
        """
        if not 0 <= confidence <= 1:
            raise ValueError(
                f"Tracker.update got confidence {confidence!r} with frame "
                f"{detections.frame_index}; expected a score from 0 to 1."
            )
        if transform is not None and transform.is_identity:
            transform = None
        frame_index, image_hw = detections.frame_index, detections.image_hw
        predicted = self._advance_to(frame_index, transform)
        found = Found.of(detections, confidence, self._clutter)
        hits = self._pair(found, None if transform is None else predicted)
        followed = np.zeros(0, np.int64)
        if not is_same_scene:
            # What the pixels have said of tracks may be of a scene that is no more.
            self._records.faint_log_ratios[:] = -MOST
        elif peaks is not None:
            followed = follow(
                self._records,
                self._states,
                hits.pairs,
                found,
                peaks,
                image_hw,
                motion=self._motion,
                pairing=self._pairing,
            )
        self._correct(hits, found, detections, followed)
        self._learn(hits.pairs, found)
        self._begin(_others(len(found), hits.pairs.detection_rows), found, detections)
        self._mixture = self._motion.mix(self._states)
        centres_xy = self._mixture.combined.means[:, :2]
        is_alive = go_on(self._records, centres_xy, image_hw, self.config, self.lookahead)
        is_alive[self._confirm(image_hw, confidence)] = False
        steps = self._steps.of_alive(is_alive)
        self._keep(is_alive)
        rows = self._rows(steps, image_hw, confidence)
        if not is_same_scene:
            rows.is_credible[self._records.num_misses > 0] = False
        return self._window.push(rows)

    def flush(self) -> list[Tracks]:
        """Return the tracks of the frames that wait, the oldest first."""
        return self._window.flush()

    def _advance_to(self, frame_index: int, transform: Transform | None) -> MotionStates:
        """Predict every track, drop those that a jump left without a known place, and carry.

        Returns:
            The states before they were carried.
        """
        last = self._last_frame_index
        if last is not None and frame_index <= last:
            raise ValueError(
                f"Tracker.update got frame {frame_index} after frame {last}; expected a "
                "later one. Call reset() before a new sequence."
            )
        self._last_frame_index = frame_index
        num_frames = 1 if last is None else frame_index - last
        self._clutter.advance(num_frames, transform)
        before = self._mixture
        predicted = self._motion.predict(before, num_frames)
        states, expected = predicted.states, predicted.combined
        gains = smoothing_gains(before.combined.covariances, expected.covariances, num_frames)
        came_from = np.arange(len(states))
        if num_frames > 1:
            is_known = expected.covariances[:, 0] <= self.config.gate_px**2
            self._keep(is_known)
            states, expected = states[is_known], expected[is_known]
            gains, came_from = gains[is_known], came_from[is_known]
        self._states, self._expected, self._growths = states, expected, None
        if transform is not None:
            self._states = states.carried(transform)
            self._expected = self._states.combined()
            # The size of a track's box follows in _correct, since the track may have stayed.
            self._growths = transform.scales_at(expected.means[:, :2])
        self._steps = Steps(
            rows=np.arange(len(states)),
            came_from=came_from,
            predicted=self._expected.means,
            gains=gains,
        )
        return states

    def _pair(self, found: Found, unmoved: MotionStates | None) -> Hits:
        """Pair tracks and detections.

        Args:
            found: The detections.
            unmoved: The states before they were carried with the scene, if they were.
        """
        shares = self._records.detection_shares
        expected_xy = self._expected.means[:, :2]
        hits = self._pairing.pair(
            self._states,
            expected_xy,
            found,
            shares=shares,
            existence=existence(self._records, self._clutter.per_frame),
        )
        if unmoved is None:
            return hits
        is_free = self._records.is_confirmed.copy()
        is_free[hits.pairs.track_rows] = False
        moved = np.abs(self._states.means[:, 0, :2] - unmoved.means[:, 0, :2]).max(axis=1)
        is_free &= moved > MOVED_PX
        if not is_free.any():
            return hits
        is_left = np.ones(len(found), np.bool_)
        is_left[hits.pairs.detection_rows] = False
        more = self._pairing.pair_unmoved(
            unmoved, found, shares=shares, is_free=is_free, is_left=is_left
        )
        rows = more.pairs.track_rows
        self._states.put(rows, unmoved[rows])
        if self._growths is not None:
            self._growths[rows] = 1.0
        return Hits(
            pairs=Assignment.concatenate(hits.pairs, more.pairs),
            evidence=np.concatenate([hits.evidence, more.evidence]),
        )

    def _correct(
        self, hits: Hits, found: Found, detections: Detections, followed: IntArray
    ) -> None:
        """Give each paired track its detection, and those that nothing is seen of a miss."""
        records, rows, columns = self._records, hits.pairs.track_rows, hits.pairs.detection_rows
        self._states.put(rows, self._motion.update(self._states[rows], found.xy[columns]))
        add_evidence(records, rows, hits.evidence)
        levels = missed_levels(
            records,
            _others(len(records), rows),
            self._states,
            self._expected.means[:, :2],
            found,
            self._pairing,
        )
        levels[rows] = found.log_odds[columns]
        score_levels, ages = records.score_levels, detections.frame_index - records.first_frames
        score_levels += level_gain(ages) * (levels - score_levels)
        records.num_hits[rows] += 1
        for frames_without in (records.num_misses, records.num_unseen):
            frames_without += 1
            frames_without[rows] = 0
        records.num_unseen[followed] = 0
        sizes = records.sizes_wh
        if self._growths is not None:
            np.maximum(sizes * self._growths[:, None], MIN_SIZE_PX, out=sizes)
        sizes[rows] += self.config.size_smoothing * (found.sizes_wh[columns] - sizes[rows])
        taken = found.rows[columns]
        records.detection_indices[:] = -1
        records.detection_indices[rows] = taken
        records.last_frames[rows] = detections.frame_index
        records.scores[rows] = detections.scores[taken]
        records.class_ids[rows] = detections.class_ids[taken]

    def _learn(self, hits: Assignment, found: Found) -> None:
        """Learn from what the detections turned out to be."""
        false_shares = np.ones(len(found))
        is_target = np.zeros(len(found), np.bool_)
        is_confirmed = self._records.is_confirmed[hits.track_rows]
        is_real = existence(self._records, self._clutter.per_frame)[hits.track_rows]
        false_shares[hits.detection_rows] = np.where(is_confirmed, 0.0, 1 - is_real)
        is_target[hits.detection_rows] = is_confirmed
        self._clutter.learn(
            found.xy, found.worth.bins, false_shares=false_shares, is_target=is_target
        )

    def _begin(self, columns: IntArray, found: Found, detections: Detections) -> None:
        """Begin an unconfirmed track at each of the given detections."""
        if not len(columns):
            return
        rows = found.rows[columns]
        born = self._motion.start(found.xy[columns])
        self._states = MotionStates.concatenate(self._states, born)
        self._records = self._records.and_begun(
            first_uid=self._num_begun,
            frame_index=detections.frame_index,
            log_ratios=found.worth.score_log_ratios[columns],
            score_levels=first_levels(found.log_odds[columns]),
            sizes_wh=found.sizes_wh[columns],
            scores=detections.scores[rows],
            class_ids=detections.class_ids[rows],
            detection_indices=rows,
        )
        self._num_begun += len(rows)

    def _keep(self, is_kept: BoolArray) -> None:
        """Drop the other tracks."""
        if not is_kept.all():
            self._mixture = self._mixture[is_kept]
            self._records = self._records[is_kept]

    def _confirm(self, image_hw: tuple[int, int], confidence: float) -> IntArray:
        """Give ids to the tracks that have earned one, oldest first.

        Returns:
            Rows of tracks that go on as others, which were lost.
        """
        records = self._records
        is_proven = have_proven_paths(
            records,
            self._clutter.per_frame,
            false_tracks_per_hour=self.config.false_tracks_per_hour,
        )
        has_earned = is_proven & ~records.is_confirmed
        if confidence > 0:
            has_earned &= records.score_levels >= self._needed_level
            self._needed_level = needed_level(records.score_levels[is_proven], self._needed_level)
        rows = has_earned.nonzero()[0]
        if not len(rows):
            return rows
        joined = self._join(rows, image_hw)
        rows = rows[~np.isin(rows, joined)]
        records.track_ids[rows] = self._num_confirmed + 1 + np.arange(len(rows))
        self._num_confirmed += len(rows)
        self._window.name(records.uids[rows], records.track_ids[rows])
        return joined

    def _join(self, begun: IntArray, image_hw: tuple[int, int]) -> IntArray:
        """Let lost tracks go on as new ones that they may have leapt to; return the new ones."""
        records = self._records
        lost = np.flatnonzero(records.is_confirmed & (records.num_misses > 0))
        assert self._last_frame_index is not None
        ages = self._last_frame_index - records.first_frames[begun]
        pairs = assign(
            continuations(
                self._mixture.combined[lost],
                self._mixture.combined[begun],
                records.num_misses[lost][:, None] - ages,
                new_per_pixel=NEW_PER_FRAME / (image_hw[0] * image_hw[1]),
                speed_std_px=self.config.initial_speed_std_px,
            )
        )
        rows, others = lost[pairs.track_rows], begun[pairs.detection_rows]
        for row, other in zip(rows.tolist(), others.tolist(), strict=True):
            uid, other_uid = int(records.uids[row]), int(records.uids[other])
            num_before = int(records.num_misses[row]) - 1  # This frame is not in the window yet.
            if not self._window.join(uid, other_uid, num_before):
                self._steps = self._steps.without(row)
            records.take_over(row, other)
            self._steps.take_over(row, other)
            at, from_ = np.array([row]), np.array([other])
            self._mixture.put(at, self._mixture[from_])
        return others

    def _rows(self, steps: Steps, image_hw: tuple[int, int], confidence: float) -> FrameRows:
        """Return the tracks as rows of this frame."""
        records, config = self._records, self.config
        assert self._last_frame_index is not None
        credible = is_credible(records, config.continue_share, confidence, self._needed_level)
        # At most as many rows by peaks as by detections: a track of clutter is no longer for them.
        is_detected = credible & (records.detection_indices >= 0)
        is_faint = (records.faint_log_ratios > 0) & (records.faint_credits > 0)
        credits = records.faint_credits
        credits += is_detected
        credits -= is_faint & ~is_detected
        max_coast = max(config.max_coast - self.lookahead, 0)
        probabilities = existence(records, self._clutter.per_frame)
        return FrameRows(
            frame_index=self._last_frame_index,
            image_hw=image_hw,
            records=records.copy(),
            known=known_of(self._mixture.combined.means, probabilities, records),
            steps=steps,
            is_credible=credible | is_faint,
            is_coasting=(records.num_misses <= max_coast) | is_faint,
        )


def _others(num: int, rows: IntArray) -> IntArray:
    """Return the rows of so many that are not among some."""
    is_other = np.ones(num, np.bool_)
    is_other[rows] = False
    return is_other.nonzero()[0]
