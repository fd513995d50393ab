"""CLEAR and identity counts against motmetrics."""

import motmetrics
import numpy as np
import pytest

from stdet.metrics.tracking.clear_matches import (
    count_id_true_positives,
    count_targets,
    match_frames,
)
from stdet.metrics.tracking.frames import TrackingFrame

GATE = 8.0
NAMES = [
    "num_detections",
    "num_switches",
    "num_fragmentations",
    "mostly_tracked",
    "mostly_lost",
    "idtp",
    "motp",
]


def random_frames(seed):
    """Targets that cross, hide and return; tracks that swap, vanish and appear from nothing."""
    rng = np.random.default_rng(seed)
    num_frames, num_targets = int(rng.integers(0, 25)), int(rng.integers(0, 6))
    places = rng.uniform(0, 40, (num_targets, 2))
    names = np.arange(num_targets)
    frames = []
    for _ in range(num_frames):
        places = places + rng.normal(0, 2, places.shape)
        if num_targets and rng.random() < 0.15:
            names = rng.permutation(names + int(rng.integers(0, 2)) * 10)
        is_there, is_seen = (rng.random(num_targets) < share for share in (0.85, 0.8))
        false = rng.uniform(0, 40, (int(rng.integers(0, 3)), 2))
        points = np.concatenate([(places + rng.normal(0, 3, places.shape))[is_seen], false])
        pred_ids = np.concatenate([names[is_seen], 90 + np.arange(len(false))]).astype(np.int64)
        offset = places[is_there][:, None] - points[None]
        frames.append(
            TrackingFrame(
                gt_ids=np.flatnonzero(is_there),
                pred_ids=pred_ids,
                distances=np.hypot(offset[..., 0], offset[..., 1]),
            )
        )
    return frames


def reference_events(frames):
    accumulator = motmetrics.MOTAccumulator()
    for index, frame in enumerate(frames):
        within_gate = np.where(frame.distances <= GATE, frame.distances, np.nan)
        accumulator.update(frame.gt_ids, frame.pred_ids, within_gate, frameid=index)
    return accumulator.events


def our_counts(frames):
    """Return the counts under the names of motmetrics."""
    matches = match_frames(frames, GATE)
    targets, num = count_targets(frames, matches), len(matches)
    return {
        "num_detections": num,
        "num_switches": matches.is_switch.sum(),
        "num_fragmentations": targets.fragmentations,
        "mostly_tracked": targets.mostly_tracked,
        "mostly_lost": targets.mostly_lost,
        "idtp": count_id_true_positives(frames, GATE),
        "motp": matches.distances.sum() / num if num else np.nan,
    }


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_counts_equal_those_of_motmetrics(start):
    num_switches = 0
    for seed in range(start, start + 20):
        frames = random_frames(seed)
        theirs = motmetrics.metrics.create().compute(
            reference_events(frames), metrics=NAMES, return_dataframe=False
        )
        num_switches += theirs["num_switches"]
        for name, ours in our_counts(frames).items():
            assert ours == pytest.approx(theirs[name], nan_ok=True), (seed, name)
    assert num_switches > 20


def test_frames_of_switches_are_those_of_motmetrics():
    for seed in range(40):
        frames = random_frames(seed)
        events, matches = reference_events(frames), match_frames(frames, GATE)
        theirs = events.index.get_level_values("FrameId")[events.Type == "SWITCH"]
        assert matches.frames[matches.is_switch].tolist() == theirs.tolist()


def test_no_frames_and_empty_frames_match_nothing():
    nothing = TrackingFrame(
        gt_ids=np.zeros(0, np.int64), pred_ids=np.zeros(0, np.int64), distances=np.zeros((0, 0))
    )
    for frames in ([], [nothing] * 3):
        assert set(our_counts(frames).values()) >= {0}
        assert len(match_frames(frames, GATE)) == 0
