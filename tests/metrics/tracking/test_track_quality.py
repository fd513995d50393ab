import math
from dataclasses import replace

import numpy as np
import pytest

from stdet.metrics.tracking.track_quality import TrackQuality, count_track_quality, match_rows

GATE = 8.0


def at(x, y):
    return (x - 1.0, y - 1.0, x + 1.0, y + 1.0)


def test_track_quality_counted_by_hand(build):
    # Target 1 in frames 0-4, target 2 in frames 1-3; track 5 picks target 1 up in frame 2, track 6
    # changes from target 2 to target 1's place never, track 7 is on nothing.
    truth = build.annotation(
        [
            [at(10, 10)],
            [at(11, 10), at(40, 40)],
            [at(12, 10), at(41, 40)],
            [at(13, 10), at(42, 40)],
            [at(14, 10)],
        ],
        ids=[[1], [1, 2], [1, 2], [1, 2], [1]],
    )
    tracks = build.tracks(
        [
            [(7, *at(60, 5))],
            [(6, *at(40, 41)), (7, *at(60, 6))],
            [(5, *at(12, 10)), (6, *at(41, 40))],
            [(5, *at(13, 11))],
            [(5, *at(14, 10))],
        ]
    )
    quality = count_track_quality(truth, tracks, gate_px=GATE)
    assert (quality.num_identities, quality.num_confirmed) == (2, 2)
    assert quality.mean_frames_to_confirmation == 1  # 2 frames for target 1, none for target 2.
    assert quality.completeness == pytest.approx((3 / 5 + 2 / 3) / 2)
    assert (quality.num_tracks, quality.num_false_tracks, quality.purity) == (3, 1, 1)
    assert quality.false_tracks_per_1000_frames == 200
    assert math.isnan(quality.seconds)
    assert math.isnan(quality.mean_seconds_to_confirmation)
    timed = count_track_quality(replace(truth, fps=25.0), tracks, gate_px=GATE)
    assert timed.seconds == 5 / 25
    assert timed.mean_seconds_to_confirmation == pytest.approx(1 / 25)
    assert math.isnan((timed + quality).mean_seconds_to_confirmation)


def test_track_that_changes_target_is_impure_and_one_mostly_off_target_is_false(build):
    truth = build.annotation([[at(10, 10), at(40, 40)]] * 4, ids=[[1, 2]] * 4)
    changing = build.tracks([[(1, *at(10, 10))]] * 3 + [[(1, *at(40, 40))]])
    quality = count_track_quality(truth, changing, gate_px=GATE)
    assert (quality.num_false_tracks, quality.purity) == (0, 0.75)
    leaving = build.tracks([[(1, *at(10, 10))]] + [[(1, *at(25, 10))]] * 3)
    quality = count_track_quality(truth, leaving, gate_px=GATE)
    assert quality.num_false_tracks == 1
    assert math.isnan(quality.purity)
    assert (quality.num_confirmed, quality.completeness) == (1, 1 / 8)


def test_gate_is_inclusive_and_ignored_truth_makes_no_track_false(build):
    truth = build.annotation([[at(10, 10)]] * 2, ids=[[1]] * 2)
    tracks = build.tracks([[(1, *at(18, 10))]] * 2)
    assert count_track_quality(truth, tracks, gate_px=GATE).completeness == 1
    assert count_track_quality(truth, tracks, gate_px=7.9).completeness == 0
    ignored = replace(truth, is_ignored=np.array([True, True]))
    quality = count_track_quality(ignored, tracks, gate_px=GATE)
    assert (quality.num_identities, quality.num_false_tracks) == (0, 0)
    assert math.isnan(quality.completeness)


def test_counts_add_over_sequences_and_nothing_is_undefined(build):
    truth = build.annotation([[at(10, 10)]], ids=[[1]])
    tracks = build.tracks([[(1, *at(10, 10))]])
    one = count_track_quality(truth, tracks, gate_px=GATE)
    total = one + one + TrackQuality()
    assert (total.num_identities, total.num_tracks, total.completeness) == (2, 2, 1)
    nothing = count_track_quality(build.annotation([[]]), build.tracks([[]]), gate_px=GATE)
    for value in (nothing.completeness, nothing.purity, nothing.mean_frames_to_confirmation):
        assert math.isnan(value)
    assert nothing.false_tracks_per_1000_frames == 0


def test_every_row_is_matched_at_most_once(build):
    truth = build.annotation([[at(10, 10), at(12, 10)]] * 3, ids=[[1, 2]] * 3)
    tracks = build.tracks([[(1, *at(11, 10)), (2, *at(11, 11)), (3, *at(12, 12))]] * 3)
    found = match_rows(truth, tracks, gate_px=GATE)
    assert len(found.gt_rows) == 6
    assert len(set(found.gt_rows.tolist())) == len(set(found.track_rows.tolist())) == 6
