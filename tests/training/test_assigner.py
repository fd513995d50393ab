import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from stdet.training.assigner import MAX_CELLS_PER_TARGET, assign, paired_iou

STRIDE = 4


def _grid(height, width):
    """Cell centres of a grid, row by row, in pixels."""
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (torch.stack([xs, ys], dim=-1).reshape(-1, 2) + 0.5) * STRIDE


def _assign(centres, gt, *, pred=None, scores=None, class_ids=None):
    """Assign; predictions default to one cell about each centre with score 0.5."""
    gt = torch.tensor(gt, dtype=torch.float32).reshape(-1, 4)
    if pred is None:
        pred = torch.cat([centres - STRIDE / 2, centres + STRIDE / 2], dim=1)
    if scores is None:
        scores = torch.full((len(centres), 1), 0.5)
    if class_ids is None:
        class_ids = torch.zeros(len(gt), dtype=torch.int64)
    return assign(
        pred_xyxy=pred[None],
        pred_scores=scores[None],
        centres_xy=centres,
        feature_stride=STRIDE,
        gt_xyxy=gt,
        gt_class_ids=class_ids,
        gt_rows=torch.zeros(len(gt), dtype=torch.int64),
    )


def _pairs(found):
    return sorted(zip(found.cells.tolist(), found.targets.tolist(), strict=True))


def test_hand_counted_row_of_cells():
    # Four cells of 4 px in a row; the target covers the first two exactly: IoU 1/2, 1/2, 0, 0.
    # The IoUs sum to 1, so it gets one cell; both cost the same and the first one wins.
    found = _assign(_grid(1, 4), [[0, 0, 8, 4]])
    assert _pairs(found) == [(0, 0)]
    assert found.ious.tolist() == [0.5]


def test_number_of_cells_is_the_rounded_down_sum_of_overlaps():
    # Cells 0 and 1 predict the target exactly, cell 2 overlaps by a half: 2.5, so two cells.
    centres, gt = _grid(1, 4), [0.0, 0, 8, 4]
    pred = torch.tensor([gt, gt, [4, 0, 8, 4], [12, 0, 16, 4]], dtype=torch.float32)
    found = _assign(centres, [gt], pred=pred)
    assert _pairs(found) == [(0, 0), (1, 0)]
    assert found.ious.tolist() == [1, 1]


def test_higher_score_breaks_the_tie_of_equal_overlap():
    scores = torch.tensor([[0.5], [0.6], [0.5], [0.5]])
    assert _pairs(_assign(_grid(1, 4), [[0, 0, 8, 4]], scores=scores)) == [(1, 0)]


def test_score_of_the_targets_own_class_counts():
    scores = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1], [0.1, 0.1]])
    for class_id, cell in ((0, 0), (1, 1)):
        found = _assign(
            _grid(1, 4), [[0, 0, 8, 4]], scores=scores, class_ids=torch.tensor([class_id])
        )
        assert _pairs(found) == [(cell, 0)]


def test_cells_inside_the_box_go_before_better_ones_outside():
    # Cell 2, outside the box but near its centre, predicts the target exactly; the cell inside
    # the box overlaps it hardly.
    pred = torch.tensor([[0.0, 0, 4, 4], [4, 0, 5, 1], [4, 0, 8, 4], [12, 0, 16, 4]])
    assert _pairs(_assign(_grid(1, 4), [[4, 0, 8, 4]], pred=pred)) == [(1, 0)]


def test_one_cell_never_serves_two_targets_and_goes_to_the_cheaper_one():
    # Both targets want cell 0 only; it overlaps the first by 3/4, the second by 1/2.
    found = _assign(_grid(1, 1), [[0, 0, 4, 3], [0, 0, 4, 2]])
    assert _pairs(found) == [(0, 0)]


@pytest.mark.parametrize("side", [0.5, 1.0, 3.0, 30.0])
def test_every_near_target_gets_between_one_and_ten_cells(side):
    centres = _grid(12, 12)
    generator = torch.Generator().manual_seed(0)
    for x, y in (torch.rand(20, 2, generator=generator) * 48).tolist():
        found = _assign(centres, [[x - side / 2, y - side / 2, x + side / 2, y + side / 2]])
        assert 1 <= len(found.cells) <= MAX_CELLS_PER_TARGET


def test_perfect_predictions_give_ten_cells():
    gt = torch.tensor([[4.0, 4, 44, 44]])
    found = _assign(_grid(12, 12), gt.tolist(), pred=gt.expand(144, 4))
    assert len(found.cells) == MAX_CELLS_PER_TARGET


def test_target_smaller_than_a_cell_gets_cells_within_two_and_a_half():
    # No cell centre lies in the box; those nearer than 10 px in x and y are candidates.
    gt = [19.0, 19, 21, 21]
    found = _assign(_grid(12, 12), [gt])
    centres = _grid(12, 12)[found.cells]
    assert ((centres - 20).abs() < 2.5 * STRIDE).all()
    assert len(found.cells) >= 1


def test_no_targets_give_an_empty_assignment():
    found = _assign(_grid(3, 3), [])
    assert (len(found.cells), len(found.targets), len(found.ious)) == (0, 0, 0)
    assert found.cells.dtype == torch.int64


def test_target_far_outside_the_grid_gets_no_cell():
    assert len(_assign(_grid(3, 3), [[100, 100, 104, 104]]).cells) == 0


def test_predictions_that_are_not_finite_do_not_stop_the_assigner():
    # The loss that follows is not finite either, and the trainer says so with the clip's name.
    scores = torch.full((9, 1), math.nan)
    pred = torch.full((9, 4), math.nan)
    found = _assign(_grid(3, 3), [[2, 2, 8, 8]], pred=pred, scores=scores)
    assert len(found.cells) >= 1


targets = st.lists(
    st.tuples(st.floats(0, 40), st.floats(0, 40), st.floats(1, 12), st.floats(1, 12)),
    min_size=2,
    max_size=5,
    unique=True,
)


@settings(max_examples=40, deadline=None)
@given(targets=targets, data=st.data())
def test_order_of_targets_does_not_matter(targets, data):
    centres = _grid(10, 10)
    generator = torch.Generator().manual_seed(len(targets))
    pred = torch.cat([centres - 3, centres + 3], dim=1)
    pred = pred + torch.randn(pred.shape, generator=generator) * 0.5
    scores = torch.rand(len(centres), 1, generator=generator)
    gt = [[x, y, x + w, y + h] for x, y, w, h in targets]
    order = data.draw(st.permutations(range(len(gt))))
    plain = _assign(centres, gt, pred=pred, scores=scores)
    permuted = _assign(centres, [gt[i] for i in order], pred=pred, scores=scores)
    assert _pairs(plain) == sorted((cell, order[i]) for cell, i in _pairs(permuted))


@settings(max_examples=40, deadline=None)
@given(targets=targets)
def test_no_cell_is_given_twice(targets):
    gt = [[x, y, x + w, y + h] for x, y, w, h in targets]
    cells = _assign(_grid(10, 10), gt).cells.tolist()
    assert len(cells) == len(set(cells))


@settings(max_examples=40, deadline=None)
@given(frames=st.lists(st.one_of(st.just([]), targets), min_size=1, max_size=4))
def test_frames_of_a_batch_do_not_know_of_one_another(frames):
    centres = _grid(10, 10)
    generator = torch.Generator().manual_seed(len(frames))
    pred = torch.cat([centres - 3, centres + 3], dim=1).repeat(len(frames), 1, 1)
    pred = pred + torch.randn(pred.shape, generator=generator) * 0.5
    scores = torch.rand(len(frames), len(centres), 2, generator=generator)
    gt = [[[x, y, x + w, y + h] for x, y, w, h in frame] for frame in frames]
    flat = [box for frame in gt for box in frame]
    first = [sum(len(frame) for frame in gt[:row]) for row in range(len(gt))]
    together = assign(
        pred_xyxy=pred,
        pred_scores=scores,
        centres_xy=centres,
        feature_stride=STRIDE,
        gt_xyxy=torch.tensor(flat).reshape(-1, 4),
        gt_class_ids=torch.arange(len(flat)) % 2,
        gt_rows=torch.tensor([row for row, frame in enumerate(gt) for _ in frame]).long(),
    )
    alone = [
        _assign(
            centres,
            boxes,
            pred=pred[row],
            scores=scores[row],
            class_ids=torch.arange(first[row], first[row] + len(boxes)) % 2,
        )
        for row, boxes in enumerate(gt)
    ]
    expected = [
        (row, cell, target + first[row])
        for row, found in enumerate(alone)
        for cell, target in zip(found.cells.tolist(), found.targets.tolist(), strict=True)
    ]
    rows, cells, numbers = together.rows, together.cells, together.targets
    got = list(zip(rows.tolist(), cells.tolist(), numbers.tolist(), strict=True))
    assert sorted(got) == sorted(expected)
    torch.testing.assert_close(together.ious, torch.cat([found.ious for found in alone]))


def test_paired_iou_equals_torchvision_row_by_row():
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(2, 20, 2, generator=generator) * 10
    one, other = (torch.cat([c, c + 1 + c.flip(0)], dim=1) for c in corners)
    torch.testing.assert_close(paired_iou(one, other), box_iou(one, other).diagonal())
