import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.datasets.clips import Targets
from stdet.models.head import HeadOutputs
from stdet.training import losses
from stdet.training.losses import LOSS_NAMES, detection_loss


def _targets(boxes=(), class_ids=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    if class_ids is None:
        class_ids = [0] * len(boxes)
    return Targets(
        boxes_xyxy=boxes,
        class_ids=torch.tensor(class_ids, dtype=torch.int64),
        track_ids=torch.ones(len(boxes), dtype=torch.int64),
    )


def _outputs(rows=1, grid_hw=(1, 1), *, num_classes=1, seed=None):
    """Outputs that are all 0, or drawn at random; leaves that take gradients."""
    shapes = ((num_classes, *grid_hw), (1, *grid_hw), (4, *grid_hw))
    if seed is None:
        values = [torch.zeros(rows, *shape) for shape in shapes]
    else:
        generator = torch.Generator().manual_seed(seed)
        values = [torch.randn(rows, *shape, generator=generator) for shape in shapes]
    cls, obj, box = (value.requires_grad_() for value in values)
    return HeadOutputs(cls_logits=cls, obj_logits=obj, box_offsets=box, feature_stride=4)


def _leaves(outputs):
    return outputs.cls_logits, outputs.obj_logits, outputs.box_offsets


def test_single_cell_by_hand():
    # One cell predicts (0, 0, 4, 4) with logits 0; the target (0, 0, 4, 2) has IoU 1/2.
    terms = detection_loss(_outputs(), [_targets([[0, 0, 4, 2]])])
    assert terms.num_foreground == 1
    assert terms.box.item() == pytest.approx(5 * (1 - 0.25))
    assert terms.objectness.item() == pytest.approx(math.log(2))
    # BCE of 0.5 against the IoU 0.5.
    assert terms.classification.item() == pytest.approx(math.log(2))
    assert terms.motion == 0
    assert terms.total.item() == pytest.approx(3.75 + 2 * math.log(2))


def test_objectness_counts_every_cell_and_divides_by_the_foreground():
    # Four cells a row at score 1/2; the two rows hold one foreground cell each.
    outputs = _outputs(2, (1, 4))
    terms = detection_loss(outputs, [_targets([[0, 0, 8, 4]])] * 2)
    assert terms.num_foreground == 2
    assert terms.objectness.item() == pytest.approx(8 * math.log(2) / 2)


def test_perfect_and_sure_prediction_costs_next_to_nothing():
    outputs = _outputs(1, (1, 4))
    with torch.no_grad():
        outputs.obj_logits.fill_(-30)
        outputs.obj_logits[0, 0, 0, 0] = 30
        outputs.cls_logits.fill_(30)
    terms = detection_loss(outputs, [_targets([[0, 0, 4, 4]])])
    assert terms.total.item() == pytest.approx(0, abs=1e-5)


def test_clip_without_targets_is_finite_and_teaches_objectness_alone():
    outputs = _outputs(2, (3, 3), seed=0)
    terms = detection_loss(outputs, [_targets()] * 2)
    assert terms.as_row().isfinite().all()
    assert (terms.box, terms.classification, terms.num_foreground) == (0, 0, 0)
    terms.total.backward()
    # Positive everywhere: each empty cell's score is pushed down. The others get exact zeros, so
    # that every process takes part in the sum of gradients.
    assert (outputs.obj_logits.grad > 0).all()
    assert torch.equal(outputs.cls_logits.grad, torch.zeros(2, 1, 3, 3))
    assert torch.equal(outputs.box_offsets.grad, torch.zeros(2, 4, 3, 3))


def test_gradient_moves_the_box_towards_the_target():
    outputs = _outputs()
    detection_loss(outputs, [_targets([[1, 0, 5, 4]])]).total.backward()
    dx, dy, width, _ = outputs.box_offsets.grad.flatten().tolist()
    assert dx < 0  # The target lies to the right: raise dx.
    assert dy == pytest.approx(0, abs=1e-6)
    assert outputs.obj_logits.grad.item() < 0
    assert math.isfinite(width)


def test_total_is_the_sum_of_the_terms_in_the_published_order():
    terms = detection_loss(
        _outputs(2, (4, 4), seed=1),
        [_targets([[2, 2, 9, 9]])] * 2,
        motion=torch.tensor(0.25),
        consistency=torch.tensor(0.5),
    )
    row = terms.as_row()
    assert LOSS_NAMES == (
        "total", "box", "objectness", "classification", "motion", "consistency", "num_foreground"
    )  # fmt: skip
    assert row[0].item() == pytest.approx(row[1:6].sum().item(), rel=1e-6)
    assert row[4:6].tolist() == [0.25, 0.5]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    boxes=st.lists(
        st.tuples(st.floats(0, 14), st.floats(0, 14), st.floats(0.5, 9), st.floats(0.5, 9)),
        max_size=4,
    ),
)
def test_no_term_is_negative_and_all_are_finite(seed, boxes):
    targets = _targets([[x, y, x + w, y + h] for x, y, w, h in boxes])
    outputs = _outputs(1, (4, 4), seed=seed)
    terms = detection_loss(outputs, [targets])
    assert (terms.as_row() >= 0).all()
    terms.total.backward()
    assert all(leaf.grad.isfinite().all() for leaf in _leaves(outputs))


def test_class_target_is_the_overlap_at_the_targets_class():
    outputs = _outputs(num_classes=3)
    detection_loss(outputs, [_targets([[0, 0, 4, 2]], [2])]).total.backward()
    # d BCE / d logit = sigmoid(0) - target.
    assert outputs.cls_logits.grad.flatten().tolist() == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)


def test_mean_over_two_processes_is_the_loss_of_the_joint_batch(monkeypatch):
    outputs = _outputs(2, (4, 4), seed=3)
    # Unequal numbers of foreground cells, so that a plain mean of the two losses would be wrong.
    targets = [_targets([[2, 2, 9, 9], [10, 10, 15, 15]]), _targets()]
    joint = detection_loss(outputs, targets)
    assert joint.num_foreground > 0
    monkeypatch.setattr(
        losses, "sum_over_processes", lambda value: (joint.num_foreground.clone(), 2)
    )
    shares = []
    for row in range(2):
        share = HeadOutputs(
            cls_logits=outputs.cls_logits[row : row + 1],
            obj_logits=outputs.obj_logits[row : row + 1],
            box_offsets=outputs.box_offsets[row : row + 1],
            feature_stride=4,
        )
        shares.append(detection_loss(share, targets[row : row + 1]).as_row())
    torch.testing.assert_close(torch.stack(shares).mean(dim=0), joint.as_row())


def test_cells_in_ignored_boxes_count_for_nothing():
    """Of 16 cells of 4 px, the four of the top left lie in the box; one of them is a target's."""
    everywhere = _outputs(2, (4, 4))
    plain = detection_loss(everywhere, [_targets([[0, 0, 4, 4]]), _targets()])
    ignored = dataclasses.replace(
        _targets([[0, 0, 4, 4]]), ignored_xyxy=torch.tensor([[0.0, 0, 8, 8]])
    )
    outputs = _outputs(2, (4, 4))
    terms = detection_loss(outputs, [ignored, _targets()])
    assert terms.num_foreground == plain.num_foreground == 1
    # Each cell costs log 2 at a logit of 0.
    assert plain.objectness.item() == pytest.approx(32 * math.log(2))
    assert terms.objectness.item() == pytest.approx(29 * math.log(2))
    assert terms.box.item() == plain.box.item()
    terms.total.backward()
    gradient = outputs.obj_logits.grad[:, 0]
    assert (gradient[0, :2, :2] == 0).sum() == 3
    assert (gradient[1] != 0).all()
