import math
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.config import TrackerConfig
from stdet.tracking.calibration import CALIBRATION, FootageClutter, TrackFacts
from stdet.tracking.false_alarms import (
    FIRST_HOURS,
    NO_THRESHOLD,
    THRESHOLDS,
    FalseTracks,
    threshold_for,
)
from stdet.tracking.judge import TrackJudge
from stdet.tracking.lifetimes import longest_gap
from stdet.types import Detections, Tracks

scores = st.lists(st.one_of(st.none(), st.floats(0.05, 0.999)), min_size=1, max_size=30)
scenes = st.lists(scores, min_size=1, max_size=6)


def facts_of(found):
    facts = TrackFacts()
    for score in found:
        if score is not None:
            facts.add(score)
    return facts


def chance(found, clutter=1.0):
    return CALIBRATION.probability(facts_of(found), clutter)


def frame_of(index, found):
    """Return the rows and detections of a frame, from scores by track id; None coasts."""
    ids = sorted(found)
    boxes = np.array([[10 * i, 0, 10 * i + 4, 4] for i in ids], np.float32).reshape(-1, 4)
    given_scores = np.array([found[i] or 0.01 for i in ids], np.float32)
    order = np.argsort(-given_scores, kind="stable")
    detections = Detections.from_unsorted(
        boxes, given_scores, frame_index=index, image_hw=(64, 64)
    )
    row_of = np.empty(len(ids), np.int64)
    row_of[order] = np.arange(len(ids))
    is_coasted = np.array([found[i] is None for i in ids], np.bool_)
    tracks = Tracks(
        frame_indices=np.full(len(ids), index, np.int64),
        track_ids=np.array(ids, np.int64),
        boxes_xyxy=boxes,
        scores=given_scores,
        probabilities=np.ones(len(ids), np.float32),
        class_ids=np.zeros(len(ids), np.int64),
        detection_indices=np.where(is_coasted, -1, row_of),
    )
    return tracks, detections


def run(scene, *, limit=None, fps=25.0):
    """Judge tracks that all begin with frame 0; return the judge and the rows that come out."""
    judge, out = TrackJudge(fps=fps, limit_per_hour=limit), []
    for index in range(max(map(len, scene))):
        found = {i + 1: track[index] for i, track in enumerate(scene) if index < len(track)}
        out.append(judge.judge(*frame_of(index, found)))
    return judge, out


def places_out(out):
    """Return the left edges of all boxes that came out; each track has its own."""
    return {float(x) for tracks in out for x in tracks.boxes_xyxy[:, 0]}


@settings(deadline=None)
@given(scores, st.integers(0, 29), st.floats(0.05, 0.999))
def test_a_better_score_never_makes_a_track_less_likely(found, at, better):
    at %= len(found)
    if found[at] is None or better < found[at]:
        return
    raised = [*found[:at], better, *found[at + 1 :]]
    assert chance(raised) >= chance(found) - 1e-12


@settings(deadline=None)
@given(scores, st.floats(0, 1000), st.floats(0, 1000))
def test_more_clutter_makes_tracks_less_likely_and_nothing_is_certain(found, first, second):
    less, more = sorted((first, second))
    assert 0 < chance(found, more) <= chance(found, less) < 1


def test_clutter_is_the_mean_of_a_minute_and_leaves_targets_out():
    clutter = FootageClutter(fps=25.0)
    for _ in range(10):
        clutter.add(np.array([0.9, 0.1, 0.07, 0.01], np.float32))
    assert clutter.per_frame == pytest.approx(2)
    for _ in range(10):
        clutter.add(np.zeros(0, np.float32))
    assert clutter.per_frame == pytest.approx(1)
    for _ in range(10_000):
        clutter.add(np.full(6, 0.1, np.float32))
    assert clutter.per_frame == pytest.approx(6, rel=0.01)


@settings(deadline=None)
@given(scenes, st.floats(1, 1e5), st.floats(1, 1e5))
def test_fewer_false_alarms_asked_never_lets_more_tracks_out(scene, first, second):
    less, more = sorted((first, second))
    _, out_less = run(scene, limit=less)
    _, out_more = run(scene, limit=more)
    _, out_all = run(scene)
    assert places_out(out_less) <= places_out(out_more) <= places_out(out_all)


@settings(deadline=None)
@given(scenes)
def test_expected_number_is_the_sum_over_the_newest_rows(scene):
    judge, out = run(scene)
    newest = {}
    for tracks in out:
        newest |= dict(zip(tracks.track_ids.tolist(), tracks.probabilities.tolist(), strict=True))
    summary = judge.summary()
    assert summary.num_tracks == len(scene)
    assert summary.expected == pytest.approx(sum(1 - p for p in newest.values()), abs=1e-5)


def test_ids_stay_without_a_limit_and_have_no_gaps_with_one():
    dim, bright = [0.1] * 30, [0.995] * 30
    _, kept = run([dim, bright])
    assert [tracks.track_ids.tolist() for tracks in kept] == [[1, 2]] * 30
    p_dim, p_bright = (chance(track) for track in (dim, bright))
    assert p_dim < p_bright
    _, out = run([dim, bright], limit=limit_between(p_dim, p_bright, [dim, bright]))
    assert {i for tracks in out for i in tracks.track_ids.tolist()} == {1}
    assert places_out(out) == {20.0}
    assert out[-1].detection_indices.tolist() == [0]  # Of the brighter detection.


def limit_between(low, high, scene):
    """Return a limit whose threshold at the end of a scene lies between two probabilities."""
    for limit in np.geomspace(1, 1e6, 60):
        judge, _ = run(scene, limit=float(limit))
        threshold = judge.summary().threshold
        if low < threshold <= high:
            return float(limit)
    raise AssertionError((low, high))


def test_an_alarm_that_was_given_goes_on_when_the_track_coasts():
    _, out = run([[0.99] * 20 + [None] * 5], limit=1e6)
    assert [len(tracks) for tracks in out[-6:]] == [1] * 6


@pytest.mark.parametrize("limit", [0, -1, math.inf, math.nan])
def test_a_limit_that_is_no_rate_is_refused(limit):
    with pytest.raises(ValueError, match="expected a number above 0"):
        TrackJudge(fps=25.0, limit_per_hour=limit)


def test_threshold_counted_by_hand():
    # In ten hours 50 false tracks reach the lowest threshold, 10 the second, none the others.
    expected = np.zeros(len(THRESHOLDS))
    expected[:2] = 50, 10
    rates = expected / (10.0 + FIRST_HOURS)
    for limit, at in ((rates[0], 0), (rates[0] * 0.999, 1), (rates[1] * 0.999, 2)):
        found = threshold_for(float(limit), expected, 10.0, first_per_hour=0.0)
        assert found == THRESHOLDS[at]


def test_first_belief_holds_before_there_is_footage_and_fades():
    nothing = np.zeros(len(THRESHOLDS))

    def at(hours):
        return threshold_for(500.0, nothing, hours, first_per_hour=500.0)

    assert at(0.0) == 0.5  # 500 an hour reach a probability of .5.
    assert 0.5 > at(FIRST_HOURS) > at(1000 * FIRST_HOURS) == THRESHOLDS[0]


def test_nothing_comes_out_where_no_probability_keeps_the_limit():
    judge, out = run([[0.99] * 20], limit=1e-9)
    assert not any(map(len, out))
    summary = judge.summary()
    assert summary.threshold == NO_THRESHOLD
    assert summary.expected == 0
    assert "no track is certain enough" in summary.limit_text()
    assert summary.entry()["threshold"] is None


def false_tracks(**changes):
    values = {
        "num_tracks": 2,
        "expected": 0.3,
        "hours": 0.1,
        "fps": 25.0,
        "is_fps_known": True,
        "limit_per_hour": None,
        "threshold": None,
    }
    return FalseTracks(**values | changes)


def test_expected_number_is_said():
    assert str(false_tracks()) == "expected false tracks: 0.3 in 0.1 h (3 an hour)"
    assert "the source states no rate" in str(false_tracks(is_fps_known=False))
    assert false_tracks().limit_text() is None


def test_short_footage_is_said_to_show_nothing():
    short = false_tracks(limit_per_hour=1.0, threshold=0.9)
    assert short.limit_text() == (
        "1 false alarms an hour: tracks come out from probability 0.90 on; 0.1 h of footage "
        "cannot show that this keeps the limit (3 h can)"
    )
    assert short.entry()["is_shown"] is False
    long = false_tracks(limit_per_hour=1.0, threshold=0.9, hours=3.0)
    assert "cannot show" not in long.limit_text()
    assert long.entry()["is_shown"] is True


def test_a_track_that_has_ended_still_counts():
    judge = TrackJudge(fps=25.0)
    tracks, detections = frame_of(0, {1: 0.9})
    probability = float(judge.judge(tracks, detections).probabilities[0])
    judge.judge(*frame_of(1000, {}))
    summary = judge.summary()
    assert summary.expected == pytest.approx(1 - probability, abs=1e-6)
    assert summary.hours == pytest.approx(1001 / 25 / 3600)


def test_clutter_is_forgotten_by_the_frame_rate():
    probabilities = []
    for fps in (25.0, None, 10.0):
        judge = TrackJudge(fps=fps)
        for index in range(1600):
            judge.judge(*frame_of(index, {i: 0.1 for i in range(1, 5) if index < 1000}))
        tracks = judge.judge(*frame_of(1600, {5: 0.9}))
        probabilities.append(float(tracks.probabilities[0]))
    assert probabilities[0] == probabilities[1] < probabilities[2]


def test_the_summary_may_be_asked_for_while_tracks_are_judged():
    judge, before = TrackJudge(fps=25.0), sys.getswitchinterval()
    frames = [
        frame_of(index, {i: 0.9 for i in range(20 * index + 1, 20 * index + 21)})
        for index in range(400)
    ]
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(lambda: [judge.judge(*frame) for frame in frames])
            while not done.done():
                judge.summary()
            assert len(done.result()) == len(frames)
    finally:
        sys.setswitchinterval(before)
    assert judge.summary().num_tracks == 20 * len(frames)


def test_a_track_that_the_tracker_keeps_for_long_is_still_the_same_one():
    config = TrackerConfig(max_lost=200)
    judge = TrackJudge(fps=25.0, limit_per_hour=2000.0, longest_gap=longest_gap(config))
    seen = [*range(50), *range(250, 300)]  # 200 frames without a row.
    out = [judge.judge(*frame_of(i, {1: 0.99} if i in seen else {})) for i in range(300)]
    assert {i for tracks in out for i in tracks.track_ids.tolist()} == {1}
    assert judge.summary().num_tracks == 1
