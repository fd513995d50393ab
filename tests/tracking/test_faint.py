"""Tracks that go on along peaks of the residual, and clutter that does not keep them alive."""

import numpy as np
import pytest

from stdet.config import TrackerConfig
from stdet.registration.contrast_peaks import Peaks
from stdet.tracking.faint import MOST, Taken, look_for
from stdet.tracking.motion import SwitchingMotion
from stdet.tracking.pairing import Pairing
from stdet.tracking.states import MotionStates
from stdet.tracking.tracker import Tracker
from stdet.types import Detections, Tracks

HW = (200, 240)
MOTION = SwitchingMotion(
    measurement_std_px=0.5, acceleration_stds_px=(0.05, 0.6), initial_speed_std_px=5.0
)
PAIRING = Pairing(MOTION, gate_px=60.0)
NOTHING = Taken(xy=np.zeros((0, 2)), rows=np.zeros(0, np.int64))
SEEN, DIM = 45, 30
"""Frames in which the target is detected, and in which it shows in the residual alone."""


def predicted(states: MotionStates) -> MotionStates:
    return MOTION.predict(MOTION.mix(states), 1).states


def clutter(rng: np.random.Generator, num: int = 150) -> Peaks:
    """Return peaks anywhere, of the strengths that residuals have."""
    return Peaks(xy=rng.uniform(0, HW[::-1], (num, 2)), strengths=2.5 + rng.exponential(0.4, num))


def with_peak(peaks: Peaks, xy: np.ndarray, strength: float) -> Peaks:
    return Peaks(
        xy=np.concatenate([peaks.xy, xy[None]]), strengths=np.append(peaks.strengths, strength)
    )


def place(frame_index: int) -> np.ndarray:
    return np.array([30.0 + 1.5 * frame_index, 60.0 + 0.5 * frame_index])


def detections(frame_index: int, *centres: np.ndarray) -> Detections:
    points = np.array(centres).reshape(-1, 2)
    return Detections.from_unsorted(
        np.concatenate([points - 4, points + 4], axis=1),
        np.full(len(points), 0.9),
        frame_index=frame_index,
        image_hw=HW,
    )


def track(
    *, is_there: bool, has_peaks: bool, seed: int, num_after: int = 0, seen: int = SEEN
) -> Tracks:
    """Track a target that is detected, then dim, or gone, then detected again."""
    rng = np.random.default_rng(seed)
    tracker = Tracker(TrackerConfig(), lookahead=5)
    parts = []
    for frame_index in range(seen + DIM + num_after):
        is_seen = not seen <= frame_index < seen + DIM
        xy = place(frame_index) + rng.normal(0, 0.3, 2)
        peaks = clutter(rng)
        if is_seen or is_there:
            peaks = with_peak(peaks, xy, 4.5)
        parts.append(
            tracker.update(
                detections(frame_index, *([xy] if is_seen else [])),
                peaks=peaks if has_peaks else None,
                confidence=0.5,
            )
        )
    return Tracks.concatenate(parts + tracker.flush())


def test_dim_target_is_followed_under_its_id():
    tracks = track(is_there=True, has_peaks=True, seed=0, num_after=20)
    np.testing.assert_array_equal(tracks.track_ids, np.ones(SEEN + DIM + 20))
    is_dim = (tracks.frame_indices >= SEEN) & (tracks.frame_indices < SEEN + DIM)
    assert (tracks.detection_indices[is_dim] == -1).all()
    centres = (tracks.boxes_xyxy[:, :2] + tracks.boxes_xyxy[:, 2:]) / 2
    expected = np.array([place(index) for index in tracks.frame_indices])
    assert np.hypot(*(centres - expected).T).max() < 1.5


def test_without_peaks_it_is_lost_and_found_as_another():
    tracks = track(is_there=True, has_peaks=False, seed=0, num_after=20)
    assert set(tracks.track_ids.tolist()) == {1, 2}
    assert not ((tracks.frame_indices > SEEN) & (tracks.frame_indices < SEEN + DIM - 5)).any()


def test_rows_for_peaks_alone_are_no_more_than_those_for_detections():
    tracks = track(is_there=True, has_peaks=True, seed=0, num_after=20, seen=12)
    assert set(tracks.track_ids.tolist()) == {1}
    is_dim = (tracks.frame_indices >= 12) & (tracks.frame_indices < 12 + DIM)
    # What the look-ahead bridges before the next detection comes on top.
    assert 6 < np.count_nonzero(is_dim) <= 12 + 5


def test_clutter_does_not_keep_a_target_that_is_gone():
    shown = [
        np.count_nonzero(track(is_there=False, has_peaks=True, seed=seed).frame_indices >= SEEN)
        for seed in range(20)
    ]
    # From MOST down to 0, by about 0.64 a frame.
    assert np.mean(shown) < 2 * MOST / 0.64
    assert max(shown) < DIM


def test_clutter_gives_evidence_of_at_most_one_on_average():
    rng = np.random.default_rng(1)
    states = MOTION.start(np.array([[60.0, 50.0], [120.0, 100.0], [180.0, 150.0]]))
    for _ in range(4):
        states = MOTION.update(
            predicted(states), states.combined().means[:, :2] + rng.normal(0, 0.5, (3, 2))
        )
    states = predicted(states)
    found = [
        look_for(states, clutter(rng, 400), HW, NOTHING, motion=MOTION, pairing=PAIRING)
        for _ in range(1500)
    ]
    evidence = np.exp([one.log_evidence for one in found])
    assert 0.5 < evidence.mean() < 1.05


def test_two_tracks_do_not_have_one_peak_nor_that_of_a_detection():
    states = predicted(MOTION.start(np.array([[60.0, 50.0], [62.0, 50.0]])))
    alone = Peaks(xy=np.array([[61.0, 50.0]]), strengths=np.array([8.0]))
    both = look_for(states, alone, HW, NOTHING, motion=MOTION, pairing=PAIRING)
    assert (both.log_evidence > 0).sum() == 1
    taken = Taken(xy=np.array([[61.5, 50.0]]), rows=np.array([1]))
    own = look_for(states, alone, HW, taken, motion=MOTION, pairing=PAIRING)
    assert own.log_evidence[1] > 0 > own.log_evidence[0]
    other = Taken(xy=np.array([[61.5, 50.0]]), rows=np.array([-1]))
    none = look_for(states, alone, HW, other, motion=MOTION, pairing=PAIRING)
    assert none.log_evidence == pytest.approx([np.log(0.25)] * 2)


def test_order_of_peaks_does_not_matter():
    rng = np.random.default_rng(2)
    states = predicted(MOTION.start(rng.uniform(20, 180, (5, 2))))
    peaks = clutter(rng, 300)
    order = rng.permutation(300)
    shuffled = Peaks(xy=peaks.xy[order], strengths=peaks.strengths[order])
    one, other = (
        look_for(states, some, HW, NOTHING, motion=MOTION, pairing=PAIRING)
        for some in (peaks, shuffled)
    )
    np.testing.assert_allclose(one.log_evidence, other.log_evidence)
    np.testing.assert_allclose(one.xy, other.xy)
