"""The life of tracks: birth, confirmation, coasting, death."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import xyxy_to_xywh
from stdet.config import TrackerConfig
from stdet.registration.contrast_peaks import Peaks
from stdet.registration.transform import Transform
from stdet.tracking.association import Assignment, assign
from stdet.tracking.clutter import ClutterModel
from stdet.tracking.faint import MOST, Taken, look_for
from stdet.tracking.found import Found
from stdet.tracking.leaps import continuations
from stdet.tracking.log_odds import log_odds
from stdet.tracking.motion import MotionStates, StateArray, SwitchingMotion
from stdet.tracking.pairing import Hits, Pairing
from stdet.tracking.track_records import TrackRecords
from stdet.tracking.window import MIN_SIZE_PX, FrameRows, Steps, Window, smoothing_gains
from stdet.types import BoolArray, Detections, FloatArray, IntArray, Tracks

FRAMES_PER_HOUR = 25 * 3600
"""Of the video for which ``false_tracks_per_hour`` is meant."""
NEW_PER_FRAME = 1 / 500
"""Targets that appear, per frame."""
LEAST_RATE = 0.05
"""False alarms per frame that are reckoned with at least."""
SHARE_GAIN = 0.08
"""Weight of the newest frame in a track's share of frames with a detection."""
SHARES = (0.3, 0.95)
"""Least and largest share."""
LEVEL_GAIN = 0.12
"""Least weight of the newest score in a track's level of scores, at first their plain mean."""
FIRST_LEVEL, MISSED_LEVEL = -1.0, -0.5
"""Log-odds relative to the operating point: of a track before its first score, and of a frame in
which nothing is found."""
FIRST_FRAMES = 2.0
"""Scores that the level before the first score is worth."""
MOST_FOLLOWED = 60
"""Frames for which a track goes on along peaks of the residual without any detection."""
MOVED_PX = 1.0
"""Where the scene moved by less, a track that did not move with it is where it is expected."""
LARGEST_LOG_RATIO = 40.0
"""Evidence beyond it does not count: no track is certain for ever."""
LOST_LOG_RATIO = -4.0
"""An unconfirmed track is dropped when its log ratio falls below."""
MAX_UNCONFIRMED_MISSES = 4
"""Frames in a row without a detection after which an unconfirmed track is dropped."""
OUTSIDE_PX, MAX_OUTSIDE_MISSES = 8.0, 5
"""A track so far outside of the image ends after so many frames without a detection."""


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
    operating point. What is known of clutter is learnt from the stream.

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
        self._last_frame_index: int | None = None

    def end_tracks(self) -> None:
        """End every track, at a cut in the stream; ids and frame indices go on counting."""
        self._states = self._motion.start(np.zeros((0, 2)))
        self._records = TrackRecords.empty()
        self._filtered = self._states.combined()

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
            ValueError: If the frame index does not increase.
        """
        if transform is not None and transform.is_identity:
            transform = None
        predicted, steps = self._advance_to(detections.frame_index, transform)
        found = Found.of(detections, confidence, self._clutter)
        hits = self._pair(found, None if transform is None else predicted)
        followed = np.zeros(0, np.int64)
        if not is_same_scene:
            # What the pixels have said of tracks may be of a scene that is no more.
            self._records.faint_log_ratios[:] = -MOST
        elif peaks is not None:
            followed = self._follow(hits.pairs, found, peaks, detections.image_hw)
        self._correct(hits, found, detections, followed)
        self._learn(hits.pairs, found)
        is_left = np.ones(len(found), np.bool_)
        is_left[hits.pairs.detection_rows] = False
        self._begin(np.flatnonzero(is_left), found, detections)
        self._filtered = self._states.combined()
        steps = steps.extended(len(self._records))
        is_alive = self._is_alive(detections.image_hw)
        is_alive[self._confirm(detections.image_hw, steps, confidence)] = False
        self._keep(is_alive)
        rows = self._rows(steps[is_alive], confidence)
        if not is_same_scene:
            rows.is_credible[self._records.num_misses > 0] = False
        return self._window.push(detections.frame_index, detections.image_hw, rows)

    def flush(self) -> list[Tracks]:
        """Return the tracks of the frames that wait, the oldest first."""
        return self._window.flush()

    def _advance_to(
        self, frame_index: int, transform: Transform | None
    ) -> tuple[MotionStates, Steps]:
        """Predict every track, drop those that a jump left without a known place, and carry.

        Returns:
            The states before they were carried, and the steps since the frame before.
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
        states = self._motion.predict(self._states, num_frames)
        expected = states.combined()
        gains = smoothing_gains(self._filtered, expected, num_frames)
        is_known: BoolArray = np.ones(len(states), np.bool_)
        if num_frames > 1:
            is_known = expected.covariances[:, 0] <= self.config.gate_px**2
            self._keep(is_known)
            states, expected, gains = states[is_known], expected[is_known], gains[is_known]
        self._states, self._expected = states, expected
        if transform is not None:
            self._states = states.carried(transform)
            self._expected = self._states.combined()
        # The size of a track's box follows in _correct, since the track may have stayed.
        self._growths = np.ones(len(states))
        if transform is not None:
            self._growths = transform.scales_at(expected.means[:, :2])
        return states, Steps(
            predicted=self._expected.means, gains=gains, came_from=np.flatnonzero(is_known)
        )

    def _existence(self) -> StateArray:
        """Return the probability that each track is real, float64 (N,)."""
        rate = max(self._clutter.per_frame, NEW_PER_FRAME)
        log_odds = self._records.log_ratios + np.log(NEW_PER_FRAME / rate)
        existence: StateArray = 1 / (1 + np.exp(-log_odds))
        existence[self._records.is_confirmed & (existence < 0.5)] = 0.5
        return existence

    def _pair(self, found: Found, unmoved: MotionStates | None) -> Hits:
        """Pair tracks and detections.

        Args:
            found: The detections.
            unmoved: The states before they were carried with the scene, if they were.
        """
        shares = self._records.detection_shares
        expected_xy = self._expected.means[:, :2]
        hits = self._pairing.pair(
            self._states, expected_xy, found, shares=shares, existence=self._existence()
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
        self._growths[rows] = 1.0
        return Hits(
            pairs=Assignment.concatenate(hits.pairs, more.pairs),
            evidence=np.concatenate([hits.evidence, more.evidence]),
        )

    def _follow(
        self, hits: Assignment, found: Found, peaks: Peaks, image_hw: tuple[int, int]
    ) -> IntArray:
        """Follow confirmed tracks along peaks where no detection is theirs.

        Returns:
            Rows of the tracks that were.
        """
        records = self._records
        sought = np.flatnonzero(records.is_confirmed)
        row_of = np.full(len(records), -1)
        row_of[sought] = np.arange(len(sought))
        owners = np.full(len(found), -1)
        owners[hits.detection_rows] = row_of[hits.track_rows]
        taken = Taken(xy=found.xy, rows=owners)
        faint = look_for(
            self._states[sought],
            peaks,
            image_hw,
            taken,
            motion=self._motion,
            pairing=self._pairing,
        )
        ratios = np.clip(records.faint_log_ratios[sought] + faint.log_evidence, -MOST, MOST)
        records.faint_log_ratios[sought] = ratios
        is_missed = ~np.isin(sought, hits.track_rows)
        is_followed = is_missed & (ratios > 0) & (faint.log_evidence > 0)
        followed: IntArray = sought[is_followed]
        self._states.put(
            followed, self._motion.update(self._states[followed], faint.xy[is_followed])
        )
        return followed

    def _correct(
        self, hits: Hits, found: Found, detections: Detections, followed: IntArray
    ) -> None:
        """Give each paired track its detection, and those that nothing is seen of a miss."""
        records, rows, columns = self._records, hits.pairs.track_rows, hits.pairs.detection_rows
        self._states.put(rows, self._motion.update(self._states[rows], found.xy[columns]))
        is_hit = np.zeros(len(records), np.bool_)
        is_hit[rows] = True
        shares = records.detection_shares
        change = np.log(1 - shares)
        change[rows] = hits.evidence + np.log(shares[rows])
        np.minimum(records.log_ratios + change, LARGEST_LOG_RATIO, out=records.log_ratios)
        # A target that is hidden for long is not detected less often afterwards.
        is_judged = is_hit | (records.num_misses < MAX_UNCONFIRMED_MISSES)
        shares += SHARE_GAIN * (is_hit - shares) * is_judged
        np.clip(shares, *SHARES, out=shares)
        levels = self._missed_levels(np.flatnonzero(~is_hit), found)
        levels[rows] = found.log_odds[columns]
        ages = detections.frame_index - records.first_frames
        records.score_levels[:] += _level_gain(ages) * (levels - records.score_levels)
        records.num_hits[rows] += 1
        records.num_misses[:] = np.where(is_hit, 0, records.num_misses + 1)
        records.num_unseen[:] = np.where(is_hit, 0, records.num_unseen + 1)
        records.num_unseen[followed] = 0
        records.sizes_wh[:] = np.maximum(records.sizes_wh * self._growths[:, None], MIN_SIZE_PX)
        records.detection_indices[:] = -1
        taken = found.rows[columns]
        records.detection_indices[rows] = taken
        growth = _sizes_wh(detections.boxes_xyxy[taken]) - records.sizes_wh[rows]
        records.sizes_wh[rows] += self.config.size_smoothing * growth
        records.scores[rows] = detections.scores[taken]
        records.class_ids[rows] = detections.class_ids[taken]

    def _missed_levels(self, missed: IntArray, found: Found) -> StateArray:
        """Return the log-odds that frames without a detection count as, (N,).

        A weak detection where the track is expected says what the detector thinks of it.
        """
        levels: StateArray = np.full(len(self._records), MISSED_LEVEL)
        if len(missed) and len(found.weak_xy):
            states = self._states[missed]
            rows, columns = self._pairing.in_reach(
                states, self._expected.means[missed, :2], found.weak_xy
            )
            weak = np.full(len(missed), -np.inf)
            np.maximum.at(weak, rows, found.weak_log_odds[columns])
            is_dim = self._records.faint_log_ratios[missed] > 0
            levels[missed] = np.where(np.isfinite(weak) & ~is_dim, weak, MISSED_LEVEL)
        # No miss makes a track more credible.
        np.minimum(levels, self._records.score_levels, out=levels)
        return levels

    def _learn(self, hits: Assignment, found: Found) -> None:
        """Learn from what the detections turned out to be."""
        false_shares = np.ones(len(found))
        is_target = np.zeros(len(found), np.bool_)
        is_confirmed = self._records.is_confirmed[hits.track_rows]
        existence = self._existence()[hits.track_rows]
        false_shares[hits.detection_rows] = np.where(is_confirmed, 0.0, 1 - existence)
        is_target[hits.detection_rows] = is_confirmed
        self._clutter.learn(
            found.xy, found.worth.bins, false_shares=false_shares, is_target=is_target
        )

    def _begin(self, columns: IntArray, found: Found, detections: Detections) -> None:
        """Begin an unconfirmed track at each of the given detections."""
        rows = found.rows[columns]
        born = self._motion.start(found.xy[columns])
        self._states = MotionStates.concatenate(self._states, born)
        begun = TrackRecords.begin(
            first_uid=self._num_begun,
            frame_index=detections.frame_index,
            log_ratios=found.worth.score_log_ratios[columns],
            score_levels=FIRST_LEVEL
            + _level_gain(np.zeros(1, np.int64)) * (found.log_odds[columns] - FIRST_LEVEL),
            sizes_wh=_sizes_wh(detections.boxes_xyxy[rows]),
            scores=detections.scores[rows],
            class_ids=detections.class_ids[rows],
            detection_indices=rows,
        )
        self._num_begun += len(rows)
        self._records = TrackRecords.concatenate(self._records, begun)

    def _keep(self, is_kept: BoolArray) -> None:
        """Drop the other tracks."""
        if not is_kept.all():
            self._states = self._states[is_kept]
            self._records = self._records[is_kept]
            self._filtered = self._filtered[is_kept]

    def _is_alive(self, image_hw: tuple[int, int]) -> BoolArray:
        """Return which tracks go on, bool (N,)."""
        records, centres = self._records, self._filtered.means[:, :2]
        max_lost = max(self.config.max_lost, self.lookahead)
        is_alive = np.where(
            records.is_confirmed,
            (records.num_unseen <= max_lost)
            & (records.num_misses <= max(MOST_FOLLOWED, max_lost)),
            (records.num_misses <= MAX_UNCONFIRMED_MISSES)
            & (records.log_ratios >= LOST_LOG_RATIO),
        )
        size_xy = np.array(image_hw[::-1])
        is_far = np.any((centres < -OUTSIDE_PX) | (centres > size_xy + OUTSIDE_PX), axis=1)
        is_alive &= ~is_far | (records.num_misses <= max(MAX_OUTSIDE_MISSES, self.lookahead))
        return is_alive

    def _confirm(self, image_hw: tuple[int, int], steps: Steps, confidence: float) -> IntArray:
        """Give ids to the tracks that have earned one, oldest first.

        Returns:
            Rows of tracks that go on as others, which were lost.
        """
        records = self._records
        begun_per_hour = max(self._clutter.per_frame, LEAST_RATE) * FRAMES_PER_HOUR
        wanted = np.log(begun_per_hour / self.config.false_tracks_per_hour)
        has_earned = ~records.is_confirmed & (records.log_ratios >= wanted)
        has_earned &= (records.num_hits > 1) & ((records.score_levels >= 0) | (confidence == 0))
        rows = np.flatnonzero(has_earned)
        if not len(rows):
            return rows
        joined = self._join(rows, image_hw, steps)
        rows = rows[~np.isin(rows, joined)]
        records.track_ids[rows] = self._num_confirmed + 1 + np.arange(len(rows))
        self._num_confirmed += len(rows)
        self._window.name(records.uids[rows], records.track_ids[rows])
        return joined

    def _join(self, begun: IntArray, image_hw: tuple[int, int], steps: Steps) -> IntArray:
        """Let lost tracks go on as new ones that they may have leapt to; return the new ones."""
        records = self._records
        lost = np.flatnonzero(records.is_confirmed & (records.num_misses > 0))
        assert self._last_frame_index is not None
        ages = self._last_frame_index - records.first_frames[begun]
        pairs = assign(
            continuations(
                self._filtered[lost],
                self._filtered[begun],
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
                steps.came_from[row] = -1
            records.take_over(row, other)
            at, from_ = np.array([row]), np.array([other])
            steps.take_over(row, other)
            self._states.put(at, self._states[from_])
            self._filtered.put(at, self._filtered[from_])
        return others

    def _rows(self, steps: Steps, confidence: float) -> FrameRows:
        """Return the tracks as rows of this frame."""
        records, config = self._records, self.config
        is_credible = np.ones(len(records), np.bool_)
        if confidence > 0:
            least = log_odds(config.continue_share * confidence) - log_odds(confidence)
            is_credible = records.score_levels >= least
        # At most as many rows by peaks as by detections: a track of clutter is no longer for them.
        is_detected = is_credible & (records.detection_indices >= 0)
        is_faint = (records.faint_log_ratios > 0) & (records.faint_credits > 0)
        records.faint_credits[:] += is_detected.astype(np.int64) - (is_faint & ~is_detected)
        max_coast = max(config.max_coast - self.lookahead, 0)
        return FrameRows(
            uids=records.uids,
            track_ids=records.track_ids.copy(),
            means=self._filtered.means.copy(),
            steps=steps,
            sizes_wh=records.sizes_wh.copy(),
            scores=records.scores.copy(),
            probabilities=self._existence().astype(np.float32),
            class_ids=records.class_ids.copy(),
            detection_indices=records.detection_indices.copy(),
            is_credible=is_credible | is_faint,
            is_coasting=(records.num_misses <= max_coast) | is_faint,
        )


def _level_gain(ages: IntArray) -> StateArray:
    """Return the weight of the newest score in the level of tracks that are so many frames old."""
    gain: StateArray = np.maximum(LEVEL_GAIN, 1 / (ages + 1 + FIRST_FRAMES))
    return gain


def _sizes_wh(boxes_xyxy: FloatArray) -> NDArray[np.float64]:
    """Return box widths and heights, float64 (N, 2), at least ``MIN_SIZE_PX``."""
    sizes = xyxy_to_xywh(boxes_xyxy)[:, 2:].astype(np.float64)
    return np.maximum(sizes, MIN_SIZE_PX)
