"""A recurrent module that is no part of stdet: the ``Temporal`` interface is enough for it."""

import numpy as np
import pytest
import torch
from head_outputs import clip_outputs
from torch import nn

from stdet.config import PostprocessConfig
from stdet.datasets.input_geometry import InputGeometry
from stdet.datasets.tensor_input import detector_input
from stdet.inference.detector import Detector
from stdet.inference.postprocess import postprocess
from stdet.inference.stages.frames import StreamFrame
from stdet.inference.trained_network import network_of_detector
from stdet.models.build import build_detector
from stdet.models.interfaces import Fused

NUM_FRAMES = 6
REFERENCES = torch.tensor([[0, 0], [0, 0], [0, 1], [1, 2], [2, 3], [3, 4]])
"""Of keys 0 to 5 of a sequence, T = 3: positions before the start repeat the first frame."""


class Remembering(nn.Module):
    """Mix each frame into a memory; a first key begins with its context."""

    is_recurrent = True

    def __init__(self, channels):
        super().__init__()
        self.mix = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def step(self, memory, features):
        return torch.tanh(self.mix(torch.cat([memory, features], dim=1)))

    def forward(self, context, key, state=()):
        if state:
            (memory,) = state
        else:
            memory = torch.zeros_like(key)
            for frame in context.unbind(dim=1):
                memory = self.step(memory, frame)
        memory = self.step(memory, key)
        return Fused(features=memory, state=(memory,))


@pytest.fixture
def detector(tiny_model, lively):
    torch.manual_seed(0)
    detector = build_detector(tiny_model())
    detector.temporal = Remembering(detector.neck.out_channels)
    return lively(detector).double()


def _frames(num_windows=1):
    generator = torch.Generator().manual_seed(1)
    shape = (num_windows, NUM_FRAMES, 1, 16, 24)
    return torch.rand(shape, generator=generator).double()


@torch.no_grad()
def test_a_clip_is_read_from_its_first_frame_to_its_key(detector):
    features = detector.window_features(_frames(2))
    found = detector.fuse_windows(features, torch.tensor([[2, 3]]), torch.tensor([4]))
    memory = torch.zeros_like(features[:, 0])
    for frame in (2, 3, 4):
        memory = detector.temporal.step(memory, features[:, frame])
    assert torch.equal(found.obj_logits, detector.head(memory).obj_logits)


@torch.no_grad()
def test_keys_of_a_window_share_their_memory_and_windows_do_not(detector):
    frames, keys = _frames(2), torch.arange(NUM_FRAMES)
    joint = detector(frames, REFERENCES, keys)
    apart = [detector(window[None], REFERENCES, keys).obj_logits for window in frames]
    torch.testing.assert_close(joint.obj_logits, torch.cat(apart), rtol=1e-10, atol=1e-10)
    alone = detector(frames[:1], REFERENCES[5:], keys[5:]).obj_logits
    assert not torch.allclose(alone, apart[0][5:])


def test_the_last_key_learns_from_frames_outside_its_context(detector):
    frames = _frames().requires_grad_()
    detector(frames, REFERENCES, torch.arange(NUM_FRAMES)).obj_logits[-1].sum().backward()
    assert frames.grad[0, 0].any()


def test_a_stream_remembers_as_a_window_over_the_whole_sequence_and_a_new_one_forgets(
    tiny_model, detector
):
    config = PostprocessConfig(score_floor=0.0, nms_iou=1.0, max_detections=1000)
    network = network_of_detector(
        detector, model=tiny_model(), config=config, device=torch.device("cpu")
    )
    streaming = Detector.from_network(network)
    frames = _frames()[0, :, 0].float().numpy()
    geometry = InputGeometry.fit((16, 24), input_hw=None, size_divisor=detector.size_divisor)
    window = detector_input(
        torch.from_numpy(frames)[:, None], None, geometry=geometry, in_channels=1
    )
    with torch.no_grad():
        outputs = detector(window[None], REFERENCES, torch.arange(NUM_FRAMES))
    wanted = [
        postprocess(clip_outputs(outputs, row), config=config, geometry=geometry, frame_index=row)
        for row in range(NUM_FRAMES)
    ]
    for _ in range(2):
        given = (StreamFrame.of_scaled(index, frame) for index, frame in enumerate(frames))
        found = [frame.detections for frame in streaming.start().run(given)]
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
            np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=1e-4)
