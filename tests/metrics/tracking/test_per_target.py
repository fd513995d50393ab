import math

import pytest

from stdet.metrics.tracking.per_target import TargetRow, format_target_table, score_targets


def _box(x: float, y: float = 20.0) -> tuple[float, ...]:
    return (x - 1, y - 1, x + 1, y + 1)


def test_rows_of_two_targets_are_counted_by_hand(build):
    # Target 1 stands at x = 10: track 5 at distance 1 and 3, then nothing, then track 6 at 0.
    # Target 4 stands at x = 40 in the last two frames: nobody is near.
    truth = build.annotation(
        [[_box(10)], [_box(10)], [_box(10), _box(40)], [_box(10), _box(40)]],
        ids=[[1], [1], [1, 4], [1, 4]],
    )
    tracks = build.tracks([[(5, *_box(11))], [(5, *_box(13))], [], [(6, *_box(10))]])
    result = build.result(truth, build.detections([[]] * 4), tracks)
    first, second = score_targets(result, gate_px=8)
    assert first == TargetRow(
        target_id=1,
        num_frames=4,
        num_found=3,
        mean_distance_px=pytest.approx(4 / 3),
        track_ids=(5, 6),
    )
    assert (second.target_id, second.num_frames, second.num_found) == (4, 2, 0)
    assert math.isnan(second.mean_distance_px)
    assert second.track_ids == ()


@pytest.mark.parametrize(("distance", "is_found"), [(7.9, True), (8.0, True), (8.1, False)])
def test_gate_is_inclusive(build, distance, is_found):
    truth = build.annotation([[_box(10)]], ids=[[1]])
    tracks = build.tracks([[(1, *_box(10 + distance))]])
    (row,) = score_targets(build.result(truth, build.detections([[]]), tracks), gate_px=8)
    assert row.num_found == is_found


def test_track_between_two_targets_is_found_once(build):
    # The track is 2 px from target 1 and 3 px from target 2, within the gate of both.
    truth = build.annotation([[_box(10), _box(15)]], ids=[[1, 2]])
    tracks = build.tracks([[(9, *_box(12))]])
    rows = score_targets(build.result(truth, build.detections([[]]), tracks), gate_px=8)
    assert [row.num_found for row in rows] == [1, 0]
    assert rows[0].mean_distance_px == pytest.approx(2)


def test_each_id_is_listed_once_in_order_of_appearance(build):
    truth = build.annotation([[_box(10)]] * 4, ids=[[1]] * 4)
    tracks = build.tracks([[(track_id, *_box(10))] for track_id in (7, 3, 7, 3)])
    result = build.result(truth, build.detections([[]] * 4), tracks)
    (row,) = score_targets(result, gate_px=8)
    assert row.track_ids == (7, 3)


def test_without_truth_there_are_no_rows(build):
    result = build.result(
        build.annotation([[], []]), build.detections([[], []]), build.tracks([[(1, *_box(5))], []])
    )
    assert score_targets(result, gate_px=8) == []


def test_table_has_a_line_per_target():
    rows = [
        TargetRow(target_id=1, num_frames=4, num_found=3, mean_distance_px=1.25, track_ids=(5, 6)),
        TargetRow(
            target_id=12, num_frames=2, num_found=0, mean_distance_px=math.nan, track_ids=()
        ),
    ]
    assert [line.split() for line in format_target_table(rows).splitlines()] == [
        ["target", "frames", "found", "error", "px", "track", "ids"],
        ["1", "4", "3", "1.25", "5,", "6"],
        ["12", "2", "0", "-", "-"],
    ]
