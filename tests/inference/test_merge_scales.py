import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.inference.merge_scales import merge_scales
from stdet.types import Detections

HW = (80, 120)


def _found(times: int, rows: list[tuple[float, float, float, float]]) -> Detections:
    """Detections (x, y, side, score) at one scale, in its own pixels."""
    boxes = [[x - side / 2, y - side / 2, x + side / 2, y + side / 2] for x, y, side, _ in rows]
    return Detections.from_unsorted(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array([score for *_, score in rows], np.float32),
        frame_index=5,
        image_hw=(HW[0] // times, HW[1] // times),
    )


def test_one_scale_is_left_as_it_is():
    found = _found(1, [(20, 20, 8, 0.4), (22, 20, 8, 0.3)])
    assert merge_scales([found], HW) is found


def test_what_two_scales_see_is_one_target_surer_than_either():
    merged = merge_scales([_found(1, [(40, 30, 8, 0.5)]), _found(2, [(20.5, 15, 8, 0.9)])], HW)
    assert len(merged) == 1
    assert merged.scores == pytest.approx([0.95])
    np.testing.assert_allclose(merged.boxes_xyxy, [[33, 22, 49, 38]])
    assert merged.frame_index == 5
    assert merged.image_hw == HW


def test_the_finer_box_is_taken_where_it_is_nearly_as_sure():
    merged = merge_scales([_found(1, [(40, 30, 8, 0.85)]), _found(2, [(20, 15, 8, 0.9)])], HW)
    assert merged.scores == pytest.approx([0.985])
    np.testing.assert_allclose(merged.boxes_xyxy, [[36, 26, 44, 34]])


def test_parts_of_a_large_target_are_not_targets_beside_it():
    parts = [(30, 30, 4, 0.4), (40, 34, 4, 0.35)]
    merged = merge_scales([_found(1, parts), _found(4, [(9, 8, 7, 0.8)])], HW)
    assert merged.scores == pytest.approx([0.88])


def test_small_targets_within_a_coarse_box_are_as_many():
    pair = [(30, 30, 4, 0.8), (40, 34, 4, 0.75), (35, 30, 4, 0.3)]
    merged = merge_scales([_found(1, pair), _found(4, [(9, 8, 7, 0.9)])], HW)
    assert merged.scores == pytest.approx([0.98, 0.975])
    np.testing.assert_allclose(merged.boxes_xyxy[:, :2], [[28, 28], [38, 32]])


def test_a_second_one_of_the_same_scale_is_no_second_witness():
    merged = merge_scales([_found(1, [(30, 30, 8, 0.8), (33, 30, 8, 0.7)]), _found(2, [])], HW)
    assert merged.scores == pytest.approx([0.8])


def test_neighbours_stay_apart():
    found = [_found(1, [(20, 20, 8, 0.9), (40, 20, 8, 0.8)]), _found(2, [(40, 30, 8, 0.7)])]
    merged = merge_scales(found, HW)
    assert merged.scores == pytest.approx([0.9, 0.8, 0.7])


def test_a_frame_that_the_scale_does_not_divide_keeps_its_places():
    found = Detections.from_unsorted(
        np.array([[10, 10, 12, 12]], np.float32),
        np.array([0.5], np.float32),
        frame_index=0,
        image_hw=(20, 30),
    )
    empty = Detections.empty(frame_index=0, image_hw=(43, 61))
    merged = merge_scales([empty, found], (43, 61))
    factors = np.array([61 / 30, 43 / 20] * 2)
    np.testing.assert_allclose(merged.boxes_xyxy, found.boxes_xyxy * factors, rtol=1e-6)


row = st.tuples(
    st.floats(0, 50),
    st.floats(0, 35),
    st.floats(2, 12),
    st.sampled_from([0.1, 0.3, 0.45, 0.5, 0.9]),
)


@given(st.lists(row, max_size=6), st.lists(row, max_size=6))
def test_scores_do_not_fall_below_the_best_and_no_box_is_new(fine, coarse):
    found = [_found(1, fine), _found(2, coarse)]
    merged = merge_scales(found, HW)
    scores = np.concatenate([one.scores for one in found])
    assert len(merged) <= len(scores)
    if len(scores):
        assert merged.scores[0] >= scores.max() - 1e-6
        assert (np.diff(merged.scores) <= 0).all()
    known = np.concatenate([found[0].boxes_xyxy, found[1].boxes_xyxy * 2])
    for box in merged.boxes_xyxy:
        assert np.isclose(known, box).all(axis=1).any()
