from pathlib import Path

import pytest
import torch

from stdet.config import load_config
from stdet.inference.model_info import describe_model, format_info
from stdet.models.build import build_detector, build_motion_prior
from stdet.models.profile import count_parameters, profile_detector, profile_shortcut

CONFIGS = Path(__file__).parents[2] / "configs" / "models"


def _model(name, *overrides):
    return load_config(CONFIGS / f"{name}.yaml", overrides).model


def test_published_model_has_the_published_size():
    profile = profile_detector(_model("yolo_bp_s"))
    assert (profile.num_frames, profile.input_hw) == (5, (512, 512))
    assert profile.inference_parameters == pytest.approx(11.95e6, rel=0.01)
    assert profile.gflop_per_clip == pytest.approx(122.9, rel=0.02)


def test_published_parts_have_the_published_cost():
    # SSTNet at 512 x 512: 8.57 GFLOP a frame for backbone with FPN, and once 60.4 for the
    # temporal neck and 19.6 for the head.
    gflop = profile_detector(_model("yolo_bp_s")).gflop
    assert gflop["backbone"] + gflop["pyramid"] == pytest.approx(8.57, rel=0.01)
    assert gflop["temporal"] == pytest.approx(60.4, rel=0.01)
    assert gflop["head"] == pytest.approx(19.6, rel=0.01)


def test_shipped_model_stays_under_two_gflop_a_frame():
    profile = profile_detector(_model("stdet_n"))
    assert profile.input_hw == (256, 256)
    assert profile.gflop_per_frame <= 2.0


def test_information_prints_what_each_pyramid_adds():
    info = describe_model(_model("yolo_bp_s"), native_hw=(256, 256))
    fpn, bp_fpn = info.pyramids["fpn"], info.pyramids["bp_fpn"]
    assert info.profile == fpn
    # Down is a 1x1 convolution from 4 x 64 to 128 channels, and a BatchNorm of 2 x 128.
    more = 4 * 64 * 128 + 2 * 128
    assert bp_fpn.inference_parameters - fpn.inference_parameters == more
    # 2 x MAC on 64 x 64 cells, five times a clip.
    gflop = 5 * 2 * 4 * 64 * 128 * 64 * 64 / 1e9
    assert bp_fpn.gflop_per_clip - fpn.gflop_per_clip == pytest.approx(gflop)
    strides = {name: profile.feature_stride for name, profile in info.pyramids.items()}
    assert strides == {"fpn": 8, "high_resolution": 4, "hourglass": 8, "bp_fpn": 8}
    text = format_info(info)
    assert "BP-FPN                 8   11,982,026   11,982,026    +0.28 %" in text
    assert f"space_to_depth + add           +{more:,}           +{gflop / 5:.3f}" in text


@pytest.mark.parametrize(
    ("name", "parameters", "mac_per_cell"),
    [
        # From 64 channels at 128 x 128 to 128 at 64 x 64; a BatchNorm has 2 x 128.
        ("strided_conv + add", 9 * 64 * 128 + 256, 9 * 64 * 128),
        ("max_pool + add", 64 * 128 + 256, 64 * 128),
        # The fixed filter has 4 x 4 taps a channel and no parameters.
        ("blur_pool + add", 64 * 128 + 256, 64 * 128 + 16 * 64),
        ("max_pool + concat", 64 * 128 + 256 * 128 + 512, 64 * 128 + 256 * 128),
    ],
)
def test_every_shortcut_costs_what_its_layers_do(name, parameters, mac_per_cell):
    down, join = name.split(" + ")
    cost = profile_shortcut(_model("yolo_bp_s"), down, join)
    assert cost.parameters == parameters
    assert cost.gflop == pytest.approx(2 * mac_per_cell * 64 * 64 / 1e9)


def test_shortcut_cost_is_the_difference_that_it_makes(tiny_model):
    without, with_it = (
        profile_detector(tiny_model(pyramid={"gils": {"enabled": enabled}}), native_hw=(32, 32))
        for enabled in (False, True)
    )
    cost = profile_shortcut(tiny_model(), "space_to_depth", "add", native_hw=(32, 32))
    assert with_it.inference_parameters - without.inference_parameters == cost.parameters
    assert with_it.gflop["pyramid"] - without.gflop["pyramid"] == pytest.approx(cost.gflop)


def test_consistency_projections_are_counted_in_training_alone(tiny_model):
    plain, trained = (
        profile_detector(tiny_model(pyramid={"dgr": {"type": kind}}), native_hw=(32, 32))
        for kind in ("none", "consistency")
    )
    assert trained.inference_parameters == plain.inference_parameters
    # One step, whose level has the 8 channels of C2.
    assert trained.training_parameters - plain.training_parameters == 8 * 8


def test_training_parameters_are_counted_apart(tiny_model):
    config = tiny_model(motion_loss=True, motion_channels=4)
    profile = profile_detector(config, native_hw=(32, 32))
    assert profile.inference_parameters == count_parameters(build_detector(config))
    extra = count_parameters(build_motion_prior(config))
    assert extra > 0
    assert profile.training_parameters == profile.inference_parameters + extra


def test_recomputing_costs_the_other_frames_features(tiny_model):
    profile = profile_detector(tiny_model(), native_hw=(32, 32))
    per_frame = profile.gflop["backbone"] + profile.gflop["pyramid"]
    assert profile.gflop_per_clip - profile.gflop_per_frame == pytest.approx(2 * per_frame)


def test_receptive_field_grows_with_depth_of_the_backbone(tiny_model):
    fields = [
        profile_detector(tiny_model(num_stages=n), native_hw=(64, 64)).receptive_field_px
        for n in (3, 4)
    ]
    assert 8 < fields[0] < fields[1]


def test_profiling_leaves_the_random_state_alone(tiny_model):
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    profile_detector(tiny_model(), native_hw=(32, 32))
    assert torch.equal(torch.rand(3), wanted)
