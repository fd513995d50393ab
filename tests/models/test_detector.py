import itertools

import pytest
import torch

from stdet.datasets.clip_sampler import ClipShape
from stdet.models.build import build_detector


def _detector(lively, config):
    torch.manual_seed(0)
    return lively(build_detector(config))


@pytest.mark.parametrize("num_future_frames", [0, 1])
def test_forward_over_windows_equals_running_clip_by_clip(tiny_model, lively, num_future_frames):
    detector = _detector(lively, tiny_model()).double()
    shape = ClipShape(num_frames=3, num_future_frames=num_future_frames, window_extra=2)
    frames = torch.rand(2, shape.window_length, 1, 16, 24, dtype=torch.float64)
    context, keys = torch.from_numpy(shape.context), torch.from_numpy(shape.keys)
    rows = []
    with torch.no_grad():
        joint = detector(frames, context, keys)
        for clip, first in itertools.product(range(2), range(3)):
            one, two, three = (
                detector.frame_features(frames[clip, first + step][None]) for step in range(3)
            )
            key, other = (two, three) if num_future_frames else (three, two)
            rows.append(detector.fuse(torch.stack([one, other], dim=1), key).outputs)
    for name in ("cls_logits", "obj_logits", "box_offsets"):
        apart = torch.cat([getattr(row, name) for row in rows])
        assert apart.shape[0] == 2 * 3  # Clip-major: clip 0 key 0, clip 0 key 1, ...
        torch.testing.assert_close(getattr(joint, name), apart, rtol=1e-10, atol=1e-10)


def test_frames_are_normalised_by_mean_and_deviation(tiny_model):
    detector = build_detector(tiny_model())
    frames = torch.tensor([0.4, 0.6]).reshape(2, 1, 1, 1)
    torch.testing.assert_close(detector.normalise(frames).flatten(), torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("kind", ["fpn", "bp_fpn"])
@pytest.mark.parametrize("output_stride", [4, 8])
def test_head_sees_the_output_stride(tiny_model, kind, output_stride):
    config = tiny_model(num_stages=4, pyramid={"type": kind, "output_stride": output_stride})
    detector = build_detector(config).eval()
    outputs = detector(torch.rand(1, 3, 1, 16, 32), torch.tensor([[0, 1]]), torch.tensor([2]))
    assert outputs.feature_stride == output_stride
    assert outputs.obj_logits.shape == (1, 1, 16 // output_stride, 32 // output_stride)


def test_train_and_eval_differ_in_batch_norm_only(tiny_model):
    detector = build_detector(tiny_model())
    switching = {
        type(part).__name__
        for part in detector.modules()
        if isinstance(part, torch.nn.Dropout | torch.nn.modules.batchnorm._BatchNorm)
    }
    assert switching == {"BatchNorm2d"}


def test_every_parameter_learns_from_a_loss_over_all_outputs(tiny_model, started):
    torch.manual_seed(0)
    detector = started(build_detector(tiny_model()))
    context, keys = torch.tensor([[0, 1], [1, 2]]), torch.tensor([2, 3])
    out = detector(torch.rand(2, 4, 1, 16, 16), context, keys)
    sum(t.pow(2).sum() for t in (out.cls_logits, out.obj_logits, out.box_offsets)).backward()
    without = [n for n, p in detector.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.gpu
def test_detector_on_a_gpu_equals_the_cpu(tiny_model, lively):
    detector = _detector(lively, tiny_model())
    frames = torch.rand(1, 3, 1, 32, 32)
    places = torch.tensor([[0, 1]]), torch.tensor([2])
    with torch.no_grad():
        cpu = detector(frames, *places).obj_logits
        gpu = detector.cuda()(frames.cuda(), *(p.cuda() for p in places)).obj_logits
    torch.testing.assert_close(gpu.cpu(), cpu, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_detector_runs_under_autocast_on_a_gpu(tiny_model, lively, dtype):
    detector = _detector(lively, tiny_model()).cuda()
    frames = torch.rand(1, 3, 1, 32, 32, device="cuda")
    places = torch.tensor([[0, 1]], device="cuda"), torch.tensor([2], device="cuda")
    with torch.no_grad(), torch.autocast("cuda", dtype):
        outputs = detector(frames, *places)
    assert outputs.obj_logits.dtype == dtype
    assert outputs.obj_logits.isfinite().all()
