import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.metrics.tracking.linking import identify_truth


def at(x, y):
    return (x - 1, y - 1, x + 1, y + 1)


def test_one_target_per_frame_is_one_identity_even_over_gaps_and_jumps(build):
    truth = build.annotation([[at(5, 5)], [], [at(60, 60)]])
    identified = identify_truth(truth, link_gate_px=3)
    assert identified.annotation.track_ids.tolist() == [1, 1]
    assert not identified.is_linked


def test_identities_of_the_file_are_kept(build):
    truth = build.annotation([[at(5, 5), at(9, 9)], [at(5, 5)]], ids=[[4, 7], [7]])
    identified = identify_truth(truth, link_gate_px=30)
    assert identified.annotation is truth
    assert not identified.is_linked


def test_crossing_rows_keep_their_identity(build):
    # The file lists the two targets in another order in the second frame.
    truth = build.annotation([[at(5, 5), at(40, 40)], [at(41, 40), at(6, 5)]])
    identified = identify_truth(truth, link_gate_px=30)
    assert identified.is_linked
    assert identified.annotation.track_ids.tolist() == [1, 2, 1, 2]
    assert identified.annotation.boxes_xyxy[:, 0].tolist() == [4, 39, 5, 40]


def test_gate_is_inclusive_and_beyond_it_a_target_is_new(build):
    # Steps of exactly 5 px (3, 4) and of 5.5 px.
    truth = build.annotation([[at(5, 5), at(40, 40)], [at(8, 9), at(45.5, 40)]])
    assert identify_truth(truth, link_gate_px=5).annotation.track_ids.tolist() == [1, 2, 1, 3]


def test_a_target_that_was_away_comes_back_as_new(build):
    both = [at(5, 5), at(40, 40)]
    truth = build.annotation([both, [at(5, 5)], both])
    assert identify_truth(truth, link_gate_px=9).annotation.track_ids.tolist() == [1, 2, 1, 1, 3]


def test_more_links_go_before_shorter_ones(build):
    # Target at 10 could go to 10 (0 px), but then the one at 13 has nowhere to go within 4 px.
    truth = build.annotation([[at(10, 5), at(13, 5)], [at(6, 5), at(10, 5)]])
    linked = identify_truth(truth, link_gate_px=4).annotation
    assert linked.track_ids.tolist() == [1, 2, 1, 2]
    assert linked.boxes_xyxy[2:, 0].tolist() == [5, 9]


def test_ignored_rows_and_classes_travel_with_their_box(build):
    truth = build.annotation(
        [[at(5, 5), at(40, 40)], [at(40, 40), at(5, 5)]],
        ignored=[[False, True], [True, False]],
        classes=[[0, 1], [1, 0]],
    )
    linked = identify_truth(truth, link_gate_px=9).annotation
    assert linked.is_ignored.tolist() == [False, True, False, True]
    assert linked.class_ids.tolist() == [0, 1, 0, 1]


def test_what_is_ignored_beside_one_target_asks_for_no_links(build):
    # It comes first in the file, and the target jumps farther than the gate.
    truth = build.annotation(
        [[at(40, 40), at(5, 5)], [at(41, 40), at(60, 5)]], ignored=[[True, False], [True, False]]
    )
    found = identify_truth(truth, link_gate_px=9)
    assert not found.is_linked
    assert found.annotation.track_ids.tolist() == [1, 2, 1, 2]
    assert found.annotation.boxes_xyxy[:, 0].tolist() == [4, 39, 59, 40]


def test_no_truth_needs_no_linking(build):
    identified = identify_truth(build.annotation([[], []]), link_gate_px=9)
    assert len(identified.annotation) == 0
    assert not identified.is_linked


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_every_row_gets_an_identity_and_links_stay_within_the_gate(build, seed):
    rng = np.random.default_rng(seed)
    frames = [[at(*rng.integers(2, 60, 2)) for _ in range(rng.integers(0, 5))] for _ in range(8)]
    truth = build.annotation(frames)
    linked = identify_truth(truth, link_gate_px=12).annotation
    assert linked.has_identities
    assert sorted(map(tuple, linked.boxes_xyxy.tolist())) == sorted(
        map(tuple, truth.boxes_xyxy.tolist())
    )
    if not (np.diff(truth.frame_indices) > 0).all():
        for track_id in np.unique(linked.track_ids):
            rows = linked.track_ids == track_id
            assert (np.diff(linked.frame_indices[rows]) == 1).all()
            steps = np.diff(linked.boxes_xyxy[rows, :2], axis=0)
            assert (np.hypot(steps[:, 0], steps[:, 1]) <= 12).all()
