"""The detector divided for inference says what the whole one says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from stdet.models.build import build_detector, num_input_channels
from stdet.models.folding import fold_for_inference, strided_conv
from stdet.models.inference_parts import inference_parts
from stdet.models.layers import SpaceToDepth

FEATURES_TOLERANCE = 1e-5


def _outputs(found):
    return found.cls_logits, found.obj_logits, found.box_offsets


@settings(max_examples=12, deadline=None)
@given(
    num_frames=st.integers(2, 5),
    expansion=st.sampled_from([0.5, 1.0, 2.0]),
    residual=st.booleans(),
    pyramid=st.sampled_from(["fpn", "bp_fpn", "high_resolution", "hourglass"]),
    hw=st.sampled_from([(16, 24), (24, 16), (8, 8)]),
    seed=st.integers(0, 100),
)
@torch.no_grad()
def test_parts_say_what_the_whole_says(
    tiny_model, lively, num_frames, expansion, residual, pyramid, hw, seed
):
    torch.manual_seed(seed)
    temporal = {"num_frames": num_frames, "expansion": expansion, "residual": residual}
    model = tiny_model(temporal=temporal, pyramid={"type": pyramid})
    detector = lively(build_detector(model), seed)
    with torch.no_grad():  # Equal weights would hide an exchange of context frames.
        detector.temporal.pair_weights.uniform_(0.1, 1.0)
    detector = detector.double()
    parts = inference_parts(fold_for_inference(detector))
    frames = torch.rand(num_frames, 1, *hw).double()
    maps = [parts.frame(frame[None]) for frame in frames]
    found = parts.clip(*(maps[i.position][i.map_index] for i in parts.clip_inputs))
    features = detector.frame_features(frames)
    wanted = detector.fuse(features[None, :-1], features[-1:]).outputs
    for one, other in zip(found, _outputs(wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_folding_leaves_one_convolution_and_the_detector_as_it_was(tiny_model, lively):
    detector = lively(build_detector(tiny_model()))
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    folded = fold_for_inference(detector)
    gone = (nn.BatchNorm2d, SpaceToDepth)
    assert not [part for part in folded.modules() if isinstance(part, gone)]
    after = detector.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@settings(max_examples=30, deadline=None)
@given(
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=st.sampled_from([1, 3, 5]),
    hw=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 100),
)
@torch.no_grad()
def test_strided_convolution_equals_one_of_blocks(channels, kernel, hw, seed):
    torch.manual_seed(seed)
    of_blocks = nn.Conv2d(4 * channels[0], channels[1], kernel, padding=kernel // 2).double()
    x = torch.rand(2, channels[0], 2 * hw[0], 2 * hw[1]).double()
    found = strided_conv(of_blocks).double()(x)
    torch.testing.assert_close(found, of_blocks(SpaceToDepth()(x)), rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_shipped_weights_differ_by_rounding_alone():
    from stdet.inference.checkpoint import load_detector

    detector, weights = load_detector("stdet_n")
    parts = inference_parts(fold_for_inference(detector))
    torch.manual_seed(0)
    model = weights.config.model
    frames = torch.rand(model.temporal.num_frames, num_input_channels(model), 64, 80)
    maps = [parts.frame(frame[None]) for frame in frames]
    features = detector.frame_features(frames)
    found = torch.cat([one[0] for one in maps])
    torch.testing.assert_close(found, features, rtol=FEATURES_TOLERANCE, atol=FEATURES_TOLERANCE)
    outputs = parts.clip(*(maps[i.position][i.map_index] for i in parts.clip_inputs))
    wanted = detector.fuse(features[None, :-1], features[-1:]).outputs
    for one, other in zip(outputs, _outputs(wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=5e-5)


def test_an_unknown_temporal_module_cannot_be_divided(tiny_model):
    detector = build_detector(tiny_model())
    detector.temporal = nn.Identity()
    with pytest.raises(ValueError, match="Identity cannot be divided"):
        inference_parts(detector)
