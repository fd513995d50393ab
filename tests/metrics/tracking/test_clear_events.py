"""The event table against motmetrics' own."""

import motmetrics
import numpy as np
import pandas
import pytest

from stdet.metrics.tracking.clear_events import TrackingFrame, clear_events
from stdet.metrics.tracking.clear_identity_hota import _MOTMETRICS_NAMES

GATE = 8.0
NAMES = [*_MOTMETRICS_NAMES.values(), "mota", "motp", "idf1", "num_frames"]


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


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_scores_equal_those_of_the_events_of_motmetrics(start):
    num_switches = 0
    for seed in range(start, start + 20):
        frames = random_frames(seed)
        ours, theirs = (
            motmetrics.metrics.create().compute(events, metrics=NAMES, return_dataframe=False)
            for events in (clear_events(frames, GATE), reference_events(frames))
        )
        num_switches += theirs["num_switches"]
        for name in NAMES:
            assert ours[name] == pytest.approx(theirs[name], nan_ok=True), (seed, name)
    assert num_switches > 20


def test_rows_are_those_of_motmetrics_but_for_the_kinds_left_out():
    for seed in range(40):
        frames = random_frames(seed)
        ours, theirs = clear_events(frames, GATE), reference_events(frames)
        theirs = theirs[~theirs.Type.isin(["ASCEND", "MIGRATE", "TRANSFER"])]
        assert list(ours.index.names) == list(theirs.index.names)
        keys = ["FrameId", "Type", "OId", "HId", "D"]
        tables = [
            events.reset_index()[keys]
            .astype({"Type": str, "OId": float, "HId": float, "D": float})
            .sort_values(keys, ignore_index=True)
            for events in (ours, theirs)
        ]
        pandas.testing.assert_frame_equal(*tables, check_dtype=False, check_index_type=False)


def test_events_of_no_frame_and_of_empty_frames():
    assert len(clear_events([], GATE)) == 0
    nothing = TrackingFrame(
        gt_ids=np.zeros(0, np.int64), pred_ids=np.zeros(0, np.int64), distances=np.zeros((0, 0))
    )
    assert clear_events([nothing] * 3, GATE).index.tolist() == [(0, 0), (1, 0), (2, 0)]
