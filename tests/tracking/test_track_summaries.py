import math
from dataclasses import replace

import numpy as np
import pytest
from moving_camera import moving_cameras, steps_of

from stdet.registration.frame_motion import NO_FRAME_BEFORE, NOT_REGISTERED, FrameMotion
from stdet.tracking.track_summaries import TrackSummaries
from stdet.types import Tracks


def rows(frame, places, *, is_hit=True):
    """Return one frame's rows from places by id."""
    num = len(places)
    centres = np.array(list(places.values()), np.float32).reshape(-1, 2)
    return Tracks(
        frame_indices=np.full(num, frame, np.int64),
        track_ids=np.array(list(places), np.int64),
        boxes_xyxy=np.concatenate([centres - 1, centres + 1], axis=1),
        scores=np.full(num, 0.5 + frame / 1000, np.float32),
        probabilities=np.full(num, 0.9 - frame / 1000, np.float32),
        class_ids=np.zeros(num, np.int64),
        detection_indices=np.full(num, 0 if is_hit else -1, np.int64),
    )


def summary_of(path, *, fps=25.0, motions=None, noise=0.0):
    """Return the row of one track along a path, (T, 2)."""
    summaries, rng = TrackSummaries(), np.random.default_rng(0)
    for frame, xy in enumerate(path):
        summaries.add(
            rows(frame, {3: xy + rng.normal(0, noise, 2)}, is_hit=frame % 4 != 3),
            time=None if fps is None else frame / fps,
            motion=NOT_REGISTERED if motions is None else motions[frame],
            snrs=np.array([math.nan if frame % 2 else 4.0]),
        )
    (row,) = summaries.rows()
    return row


def test_straight_flight_counted_by_hand():
    row = summary_of([(10 + 3 * t, 20 + 4 * t) for t in range(41)])
    assert (row.track_id, row.first_frame, row.last_frame) == (3, 0, 40)
    assert (row.num_frames, row.num_detections) == (41, 31)
    assert (row.first_time, row.last_time) == (0, 40 / 25)
    assert row.length_px == pytest.approx(200, abs=1e-3)
    assert row.speed_px_per_frame == pytest.approx(5, abs=1e-4)
    assert row.speed_px_per_s == pytest.approx(125, abs=1e-2)
    assert row.mean_snr == 4
    assert row.score == pytest.approx(0.54)
    assert row.probability == pytest.approx(0.86)
    assert row.motion == "straight"


def test_motion_is_told_by_the_path():
    angles = np.linspace(0, np.pi, 60)
    turning = 40 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert summary_of(turning, noise=0.3).motion == "turning"
    assert summary_of(np.full((80, 2), 30.0), noise=0.5).motion == "hovering"
    straight = np.outer(np.arange(60), [0.7, 0.2])
    assert summary_of(straight, noise=0.5).motion == "straight"


def test_path_is_that_in_the_scene():
    cameras = moving_cameras(50, np.random.default_rng(2), step_px=8.0)
    motions = [NO_FRAME_BEFORE, *map(FrameMotion.known, steps_of(cameras))]
    hovering = [camera.apply(np.array([[100.0, 80.0]]))[0] for camera in cameras]
    assert summary_of(hovering, motions=motions).motion == "hovering"
    assert summary_of(hovering).motion != "hovering"
    flying = [camera.apply(np.array([[2.0 * t, 80.0]]))[0] for t, camera in enumerate(cameras)]
    row = summary_of(flying, motions=motions)
    assert row.motion == "straight"
    assert row.length_px == pytest.approx(98, abs=0.1)


def test_unknown_is_nan_and_one_row_has_no_speed():
    row = summary_of([(1, 2)], fps=None)
    assert (row.length_px, row.motion) == (0, "hovering")
    for value in (row.first_time, row.speed_px_per_frame, row.speed_px_per_s):
        assert math.isnan(value)
    assert TrackSummaries().rows() == []


def test_tracks_do_not_disturb_each_other():
    summaries = TrackSummaries()
    for t in range(20):
        places = {1: (2.0 * t, 0.0)} | ({5: (50.0, 9.0)} if t >= 10 else {})
        summaries.add(
            rows(t, places), time=None, motion=NOT_REGISTERED, snrs=np.zeros(len(places))
        )
    one, other = summaries.rows()
    assert (one.track_id, one.num_frames, one.motion) == (1, 20, "straight")
    assert (other.track_id, other.first_frame, other.num_frames) == (5, 10, 10)
    assert replace(other, first_frame=0).motion == "hovering"
