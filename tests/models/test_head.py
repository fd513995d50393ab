import pytest
import torch

from stdet.models.head import PRIOR_SCORE, DecoupledHead


def _head(num_classes=1):
    torch.manual_seed(0)
    return DecoupledHead(6, channels=8, num_convs=2, num_classes=num_classes, feature_stride=4)


@pytest.mark.parametrize("num_classes", [1, 3])
def test_outputs_have_one_row_per_cell_and_the_stride(num_classes):
    outputs = _head(num_classes)(torch.randn(2, 6, 5, 7))
    assert outputs.cls_logits.shape == (2, num_classes, 5, 7)
    assert outputs.obj_logits.shape == (2, 1, 5, 7)
    assert outputs.box_offsets.shape == (2, 4, 5, 7)
    assert outputs.feature_stride == 4


def test_untrained_scores_start_at_the_prior():
    head = _head().eval()
    with torch.no_grad():
        outputs = head(torch.randn(2, 6, 16, 16))
    for logits in (outputs.cls_logits, outputs.obj_logits):
        assert logits.sigmoid().mean().item() == pytest.approx(PRIOR_SCORE, rel=0.5)
    blank = head.obj_pred(torch.zeros(1, 8, 1, 1)).sigmoid()
    torch.testing.assert_close(blank, torch.full_like(blank, PRIOR_SCORE))


def test_class_and_box_branches_share_only_the_stem():
    head = _head()
    head(torch.randn(2, 6, 5, 7)).cls_logits.pow(2).sum().backward()
    with_gradient = {
        name.split(".")[0] for name, p in head.named_parameters() if p.grad is not None
    }
    assert with_gradient == {"stem", "cls_convs", "cls_pred"}
