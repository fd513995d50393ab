import pytest
import torch

from stdet.datasets.clips import Targets
from stdet.models.build import build_detector, build_motion_prior
from stdet.models.motion import MotionPrior
from stdet.training.step import TrainingStep


def _prior():
    torch.manual_seed(0)
    return MotionPrior(1, 4, 6)


@pytest.mark.parametrize("feature_hw", [(7, 11), (1, 1), (8, 12)])
@pytest.mark.parametrize("frame_hw", [(56, 88), (57, 89)])
def test_maps_have_the_features_size_at_any_size(feature_hw, frame_hw):
    assert _prior()(torch.rand(2, 3, 1, *frame_hw), feature_hw).shape == (2, 3, 6, *feature_hw)


def test_every_map_depends_on_earlier_and_later_frames():
    frames = torch.rand(1, 3, 1, 14, 22, requires_grad=True)
    _prior()(frames, (7, 11))[:, 1].pow(2).sum().backward()
    assert all(frames.grad[0, i].any() for i in range(3))


def test_sequence_of_one_frame_is_enough():
    assert torch.isfinite(_prior()(torch.rand(1, 1, 1, 8, 8), (4, 4))).all()


def test_prior_is_built_only_where_the_motion_loss_is_on(tiny_model):
    assert build_motion_prior(tiny_model()) is None
    prior = build_motion_prior(tiny_model(motion_loss=True, motion_channels=4))
    assert prior.project.out_channels == build_detector(tiny_model()).neck.out_channels


def test_motion_loss_pulls_the_features_and_the_prior_together(tiny_model):
    torch.manual_seed(0)
    config = tiny_model(motion_loss=True, motion_channels=4)
    losses = {}
    for weight in (0.0, 1.0, 2.0):
        torch.manual_seed(0)
        step = TrainingStep(
            build_detector(config), build_motion_prior(config), motion_weight=weight
        )
        frames = torch.rand(1, 3, 1, 24, 40, generator=torch.Generator().manual_seed(1))
        nothing = Targets(
            boxes_xyxy=torch.zeros(0, 4),
            class_ids=torch.zeros(0, dtype=torch.int64),
            track_ids=torch.zeros(0, dtype=torch.int64),
        )
        total, terms = step(frames, torch.tensor([[0, 1]]), torch.tensor([2]), [nothing])
        total.backward()
        losses[weight] = (terms[4].item(), step.detector.backbone.stem[1][0].weight.grad)
        assert all(p.grad.any() for p in step.prior.parameters()) == (weight > 0)
    assert losses[0.0][0] == 0
    assert losses[2.0][0] == pytest.approx(2 * losses[1.0][0], rel=1e-5)
    assert not torch.equal(losses[0.0][1], losses[1.0][1])
