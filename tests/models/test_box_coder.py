import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.models.box_coder import cell_centres, decode_boxes, decode_scores
from tests.head_outputs import head_outputs


def test_cell_centres_lie_half_a_cell_in_and_run_row_by_row():
    centres = cell_centres(head_outputs(grid_hw=(2, 3), stride=4))
    assert centres.tolist() == [[2, 2], [6, 2], [10, 2], [2, 6], [6, 6], [10, 6]]


def test_zero_offsets_are_one_cell_about_its_centre():
    boxes = decode_boxes(head_outputs(grid_hw=(2, 2), stride=8))
    assert boxes.shape == (1, 4, 4)
    assert boxes[0, 3].tolist() == [8, 8, 16, 16]


@settings(max_examples=30, deadline=None)
@given(
    x=st.floats(0.5, 31.5),
    y=st.floats(0.5, 31.5),
    width=st.floats(0.5, 20),
    height=st.floats(0.5, 20),
    stride=st.sampled_from([4, 8]),
)
def test_decoding_undoes_encoding(x, y, width, height, stride):
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    outputs = head_outputs([(box, 0.9)], grid_hw=(32 // stride, 32 // stride), stride=stride)
    best = decode_scores(outputs)[0, :, 0].argmax()
    np.testing.assert_allclose(decode_boxes(outputs)[0, best].numpy(), box, atol=1e-4)


def test_score_is_class_times_objectness():
    outputs = head_outputs([((4, 4, 8, 8), 0.25)])
    outputs.obj_logits[0, 0, 1, 1] = 0.0
    scores = decode_scores(outputs)[0, :, 0].reshape(8, 8)
    assert scores[1, 1].item() == pytest.approx(0.25 * 0.5, rel=1e-5)
    assert scores.sum().item() == pytest.approx(scores[1, 1].item())
