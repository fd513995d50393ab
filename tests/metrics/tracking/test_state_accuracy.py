import numpy as np
import pytest

from stdet.metrics.tracking.state_accuracy import (
    count_state_accuracy,
    has_one_target,
    mean_state_accuracy,
)

BOX = (10, 10, 20, 20)
HALF = (10, 10, 20, 15)  # IoU 0.5 with BOX.


def test_frames_with_and_without_target_and_box(build):
    # There and boxed by half; there and denied; absent and boxed; absent and denied.
    truth = build.annotation([[BOX], [BOX], [], []])
    counts = count_state_accuracy(truth, build.tracks([[(1, *HALF)], [], [(1, *BOX)], []]))
    assert counts.state_accuracy == (0.5 + 0 + 0 + 1) / 4
    # One of two present frames is denied.
    assert counts.challenge_accuracy == pytest.approx(0.375 - 0.2 * 0.5**0.3)


def test_perfect_tracks_score_one_and_none_score_the_share_of_empty_frames(build):
    truth = build.annotation([[BOX], [], [BOX], [BOX]])
    perfect = count_state_accuracy(
        truth, build.tracks([[(1, *BOX)], [], [(1, *BOX)], [(2, *BOX)]])
    )
    assert perfect.state_accuracy == perfect.challenge_accuracy == 1
    none = count_state_accuracy(truth, build.tracks([[], [], [], []]))
    assert none.state_accuracy == 1 / 4
    assert none.challenge_accuracy == pytest.approx(1 / 4 - 0.2)


def test_box_of_a_frame_is_its_track_of_highest_score_then_lowest_id(build):
    truth = build.annotation([[BOX]])
    both = [[(1, *HALF), (2, *BOX)]]
    for scores, expected in [((0.4, 0.9), 1), ((0.9, 0.4), 0.5), ((0.5, 0.5), 0.5)]:
        tracks = build.tracks(both, scores=scores)
        assert count_state_accuracy(truth, tracks).state_accuracy == expected


def test_frames_whose_target_is_ignored_do_not_count(build):
    truth = build.annotation([[BOX], [BOX]], ignored=[[True], [False]])
    counts = count_state_accuracy(truth, build.tracks([[(1, *HALF)], [(1, *BOX)]]))
    assert (counts.num_frames, counts.state_accuracy) == (1, 1)


def test_sequences_are_averaged_whatever_their_length(build):
    long = build.annotation([[BOX]] * 9)
    short = build.annotation([[]])
    counts = [
        count_state_accuracy(long, build.tracks([[]] * 9)),
        count_state_accuracy(short, build.tracks([[]])),
    ]
    assert mean_state_accuracy(counts) == (1 / 2, pytest.approx(1 / 2 - 0.1))
    assert np.isnan(mean_state_accuracy([])).all()


def test_several_targets_are_refused(build):
    truth = build.annotation([[BOX, HALF]])
    assert not has_one_target(truth)
    with pytest.raises(ValueError, match="several targets"):
        count_state_accuracy(truth, build.tracks([[]]))
