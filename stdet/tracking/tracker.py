"""The life of tracks: birth, confirmation, coasting, death."""

from __future__ import annotations

import numpy as np

from stdet.config import TrackerConfig
from stdet.registration.contrast_peaks import Peaks
from stdet.registration.transform import Transform
from stdet.tracking.association import assign
from stdet.tracking.clutter import ClutterModel
from stdet.tracking.evidence import (
    NEW_PER_FRAME,
    existence,
    is_credible,
    needed_level,
)
from stdet.tracking.faint import MOST, follow
from stdet.tracking.found import Found
from stdet.tracking.hindsight import smoothing_gains
from stdet.tracking.leaps import continuations
from stdet.tracking.lifetimes import go_on, have_proven_paths, visibility
from stdet.tracking.motion import SwitchingMotion
from stdet.tracking.observation import grow, learn, missed_levels, observe, with_begun
from stdet.tracking.pairing import Hits, Pairing
from stdet.tracking.states import MotionStates, StateArray
from stdet.tracking.track_records import TrackRecords
from stdet.tracking.window import PROBABILITY, FrameRows, Steps, Window, known_of
from stdet.types import Detections, IntArray, Tracks


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
        self._known = known_of(np.zeros((0, 4)), np.zeros(0), np.zeros(0))

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
        learn(self._clutter, self._records, hits.pairs, found)
        self._begin(hits.pairs.without_track(len(found)), found, detections)
        self._mixture = self._motion.mix(self._states)
        centres_xy = self._mixture.combined.xy
        is_alive = go_on(self._records, centres_xy, image_hw, self.config, self.lookahead)
        is_alive[self._confirm(image_hw, confidence)] = False
        self._keep(is_alive.nonzero()[0])
        rows = self._rows(image_hw, confidence)
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
        before, after = self._mixture, self._motion.predict(self._mixture, num_frames)
        gains = smoothing_gains(
            before.combined.covariances.T, after.combined.covariances.T, num_frames
        )
        came_from = np.arange(len(after))
        if num_frames > 1:
            is_known = after.combined.covariances[:, 0] <= self.config.gate_px**2
            came_from = is_known.nonzero()[0]
            after, gains = after[came_from], gains.take(came_from, axis=3)
            self._records = self._records[came_from]
            self._known = self._known.take(came_from, axis=1)
        states, expected, self._growths = after.states, after.combined, None
        self._states = states
        if transform is not None:
            # The size of a track's box follows in _correct, since the track may have stayed.
            self._growths = transform.scales_at(expected.xy)
            self._states = states.carried(transform)
            expected = self._states.combined()
        self._expected_xy = expected.xy
        self._steps = Steps(
            came_from=came_from,
            expected=known_of(expected.means, *self._known[PROBABILITY:]),
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
        hits = self._pairing.pair(
            self._states,
            self._expected_xy,
            found,
            shares=shares,
            existence=self._known[PROBABILITY],
        )
        if unmoved is None:
            return hits
        more = self._pairing.pair_unmoved(
            self._states,
            unmoved,
            found,
            hits.pairs,
            shares=shares,
            is_sought=self._records.is_confirmed,
        )
        if not len(more.pairs):
            return hits
        self._stay(more.pairs.track_rows, unmoved)
        return Hits.concatenate(hits, more)

    def _stay(self, rows: IntArray, unmoved: MotionStates) -> None:
        """Take some tracks as not moved with the scene."""
        stayed = unmoved[rows]
        self._states.put(rows, stayed)
        self._steps.expected[:4, rows] = stayed.combined().means.T
        if self._growths is not None:
            self._growths[rows] = 1.0

    def _correct(
        self, hits: Hits, found: Found, detections: Detections, followed: IntArray
    ) -> None:
        """Give each paired track its detection, and those that nothing is seen of a miss."""
        records, rows = self._records, hits.pairs.track_rows
        found_xy = found.xy.take(hits.pairs.detection_rows, axis=0)
        self._states.put(rows, self._motion.update(self._states[rows], found_xy))
        if self._growths is not None:
            grow(records, self._growths)
        levels = missed_levels(
            records, rows, self._states, self._expected_xy, found, self._pairing
        )
        smoothing = self.config.size_smoothing
        observe(records, hits, found, detections, levels=levels, size_smoothing=smoothing)
        records.num_unseen[followed] = 0

    def _begin(self, columns: IntArray, found: Found, detections: Detections) -> None:
        """Begin an unconfirmed track at each of the given detections."""
        if not len(columns):
            return
        born = self._motion.start(found.xy.take(columns, axis=0))
        self._states = MotionStates.concatenate(self._states, born)
        self._records = with_begun(
            self._records, columns, found, detections, first_uid=self._num_begun
        )
        self._num_begun += len(columns)

    def _keep(self, rows: IntArray) -> None:
        """Drop the other tracks."""
        if len(rows) < len(self._records):
            self._mixture = self._mixture[rows]
            self._records = self._records[rows]
            self._steps = self._steps.of_alive(rows)

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
            self._needed_level = needed_level(
                records.score_levels.compress(is_proven), self._needed_level
            )
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
                self._steps.cut(row)
            records.take_over(row, other)
            self._steps.take_over(row, other)
            self._mixture.put(row, other)
        return others

    def _rows(self, image_hw: tuple[int, int], confidence: float) -> FrameRows:
        """Return the tracks as rows of this frame."""
        records, config = self._records, self.config
        assert self._last_frame_index is not None
        is_visible, is_coasting = visibility(
            records,
            is_credible(records, config.continue_share, confidence, self._needed_level),
            max_coast=max(config.max_coast - self.lookahead, 0),
        )
        self._known = known_of(
            self._mixture.combined.means,
            existence(records, self._clutter.per_frame),
            records.last_frames,
        )
        return FrameRows(
            frame_index=self._last_frame_index,
            image_hw=image_hw,
            records=records.copy(),
            known=self._known,
            steps=self._steps,
            is_credible=is_visible,
            is_coasting=is_coasting,
        )
