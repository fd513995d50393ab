from dataclasses import replace

import numpy as np
import pytest
import torch
from head_outputs import clip_outputs

from stdet.config import PostprocessConfig
from stdet.datasets.clip_sampler import ClipShape, window_at
from stdet.datasets.input_geometry import InputGeometry
from stdet.datasets.tensor_input import detector_input
from stdet.inference import network
from stdet.inference.detector import Detector
from stdet.inference.merge_scales import merge_scales
from stdet.inference.network import NetworkInput
from stdet.inference.postprocess import postprocess
from stdet.inference.stages.detect import DetectWithNetwork, Look
from stdet.inference.stages.frames import StreamFrame
from stdet.inference.trained_network import network_of_detector
from stdet.models.build import build_detector
from stdet.registration.background_features import (
    LAGS,
    background_features,
    frame_and_features,
)
from stdet.registration.camera_motion import CameraPose
from stdet.registration.frame_motion import RegistrationQuality
from stdet.registration.registered_stream import register_frames
from stdet.registration.transform import Transform

ALL_CELLS = PostprocessConfig(score_floor=0.0, nms_iou=1.0, max_detections=1000)
"""Every cell's box comes out, so that no difference can hide below a threshold."""

CPU = torch.device("cpu")


def _detector(detector, model, config=ALL_CELLS, device=CPU):
    return Detector.from_network(
        network_of_detector(detector, model=model, config=config, device=device)
    )


def _streaming(*args, **options):
    """Fresh stages of a detector."""
    return _detector(*args, **options).start()


def _frames(num_frames, hw=(20, 27)):
    return np.random.default_rng(0).random((num_frames, *hw), np.float32)


def _run(streaming, frames):
    given = (StreamFrame.of_scaled(index, frame) for index, frame in enumerate(frames))
    return [frame.detections for frame in streaming.run(given)]


def _push(streaming, index, frame):
    return list(streaming.push(StreamFrame.of_scaled(index, frame)))


def _alone(frame):
    return NetworkInput(channels=frame.scaled[None])


def _clip_by_clip(detector, model, frames, maps=None):
    """The detector on every clip that the training sampler would cut, nothing shared."""
    shape = ClipShape(
        num_frames=model.temporal.num_frames,
        frame_stride=model.temporal.frame_stride,
        num_future_frames=model.temporal.num_future_frames,
    )
    geometry = InputGeometry.fit(
        frames.shape[1:], input_hw=model.input_hw, size_divisor=detector.size_divisor
    )
    found = []
    for key in range(len(frames)):
        indices = window_at(shape, key, len(frames)).frame_indices
        clip = detector_input(
            torch.from_numpy(frames[indices])[:, None],
            None if maps is None else torch.from_numpy(maps[indices]),
            geometry=geometry,
            in_channels=1,
        )
        with torch.no_grad():
            outputs = detector(
                clip[None],
                torch.from_numpy(shape.context),
                torch.from_numpy(shape.keys),
            )
        found.append(
            postprocess(
                clip_outputs(outputs), config=ALL_CELLS, geometry=geometry, frame_index=key
            )
        )
    return found


def _assert_equal(found, wanted):
    assert [d.frame_index for d in found] == [d.frame_index for d in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert len(one) == len(other) > 0
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=1e-4)


@pytest.mark.parametrize("frame_stride", [1, 2])
@pytest.mark.parametrize("num_future_frames", [0, 2])
@pytest.mark.parametrize("num_frames", [1, 2, 9])
def test_streaming_equals_the_detector_on_every_clip(
    tiny_model, lively, frame_stride, num_future_frames, num_frames
):
    temporal = {
        "num_frames": 4,
        "frame_stride": frame_stride,
        "num_future_frames": num_future_frames,
    }
    model = tiny_model(temporal=temporal)
    # In float64 rounding cannot swap two cells of nearly equal score.
    detector = lively(build_detector(model)).double()
    frames = _frames(num_frames)
    streaming = _streaming(detector, model)
    _assert_equal(_run(streaming, frames), _clip_by_clip(detector, model, frames))


@pytest.mark.parametrize("num_frames", [1, 3, 30])
@pytest.mark.parametrize("num_future_frames", [0, 2])
def test_streaming_with_background_features_equals_the_detector_on_every_clip(
    tiny_model, lively, num_frames, num_future_frames
):
    temporal = {"num_frames": 4, "num_future_frames": num_future_frames}
    model = tiny_model(temporal=temporal, background=True)
    detector = lively(build_detector(model)).double()
    frames = _frames(num_frames, (24, 32))
    registered = list(register_frames(frames, LAGS))
    maps = np.stack([background_features(f) for f in registered])
    _assert_equal(
        _run(_streaming(detector, model), frames), _clip_by_clip(detector, model, frames, maps)
    )


@pytest.mark.parametrize("background", [False, True])
def test_several_scales_are_the_network_on_smaller_frames_merged(tiny_model, lively, background):
    given = {"temporal": {"num_frames": 3}, "background": background}
    one, two = tiny_model(**given), tiny_model(**given, scales=[1, 2])
    detector = lively(build_detector(one)).double()
    frames = _frames(6, (24, 32))
    found = _run(_streaming(detector, two), frames)
    fine = _run(_streaming(detector, one), frames)
    small = [
        NetworkInput(channels=frame_and_features(registered)).shrunk(2)
        for registered in register_frames(frames, LAGS)
    ]
    means = frames.reshape(6, 12, 2, 16, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(np.stack([each.image for each in small]), means, rtol=1e-5)
    maps = np.stack([each.background for each in small]) if background else None
    coarse = _clip_by_clip(detector, one, means, maps)
    wanted = [merge_scales(pair, (24, 32)) for pair in zip(fine, coarse, strict=True)]
    for ours, theirs in zip(found, wanted, strict=True):
        assert len(ours) == len(theirs) < len(fine[0]) + len(coarse[0])
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)
        np.testing.assert_allclose(ours.boxes_xyxy, theirs.boxes_xyxy, atol=1e-3)


@pytest.mark.parametrize("num_future_frames", [0, 2])
@pytest.mark.parametrize("counts", [(8, 9), (2, 1, 6)])
def test_clips_hold_frames_of_one_scene_alone(tiny_model, lively, counts, num_future_frames):
    temporal = {"num_frames": 4, "num_future_frames": num_future_frames}
    model = tiny_model(temporal=temporal, scales=[1, 2])
    detector = lively(build_detector(model)).double()
    frames = _frames(sum(counts), (24, 32))
    rest = RegistrationQuality(model="rest", error_px=0.0, unexplained=0.0, inliers=1.0)
    poses = [
        CameraPose(run=run, from_start=Transform.identity(), state="measured", quality=rest)
        for run, count in enumerate(counts)
        for _ in range(count)
    ]
    network = network_of_detector(detector, model=model, config=ALL_CELLS, device=CPU)
    stage = Look(model.scales).then(DetectWithNetwork(network))
    given = (
        replace(StreamFrame.of_scaled(index, frame), pose=pose)
        for index, (frame, pose) in enumerate(zip(frames, poses, strict=True))
    )
    found = [frame.detections for frame in stage.run(given)]
    scenes = np.split(frames, np.cumsum(counts)[:-1])
    alone = [one for scene in scenes for one in _run(_streaming(detector, model), scene)]
    for ours, theirs in zip(found, alone, strict=True):
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)
        np.testing.assert_allclose(ours.boxes_xyxy, theirs.boxes_xyxy, atol=1e-3)


def test_background_features_wait_at_the_start_of_a_stream_alone(tiny_model, lively):
    model = tiny_model(temporal={"num_frames": 3, "num_future_frames": 1}, background=True)
    streaming = _streaming(lively(build_detector(model)), model)
    counts = [
        len(_push(streaming, 10 + i, frame)) for i, frame in enumerate(_frames(27, (24, 32)))
    ]
    # Twenty frames for the maps of the first, one for the future of its clip.
    assert counts == [0] * 21 + [1, 1] + [21] + [1] * 3
    assert [frame.index for frame in streaming.flush()] == [36]


def test_large_frames_say_before_the_first_what_they_take(tiny_model, lively, monkeypatch, caplog):
    monkeypatch.setattr(network, "LARGE_MEGAPIXELS", 0.01)
    model = tiny_model()
    detector = _detector(lively(build_detector(model)), model)
    _push(detector.start(), 0, _frames(1)[0])
    assert caplog.messages == []
    large, streaming = np.zeros((96, 128), np.float32), detector.start()
    _push(streaming, 0, large)
    _push(streaming, 1, large)
    (message,) = caplog.messages  # Once a stream.
    assert message.startswith("Frames of 128x96 (0.0123 megapixels): the network holds about 1 GB")


def test_change_of_the_frame_size_is_refused_while_frames_wait(tiny_model, lively):
    model = tiny_model(background=True)
    streaming = _streaming(lively(build_detector(model)), model)
    assert _push(streaming, 0, _frames(1, (16, 16))[0]) == []
    with pytest.raises(
        ValueError, match=r"frame 1 is \(16, 24\); the stream began with \(16, 16\)"
    ):
        _push(streaming, 1, _frames(1, (16, 24))[0])


def test_streaming_equals_the_detector_on_letterboxed_frames(tiny_model, lively):
    model = tiny_model(input_hw=(32, 48))
    detector = lively(build_detector(model)).double()
    frames = _frames(4)
    _assert_equal(
        _run(_streaming(detector, model), frames), _clip_by_clip(detector, model, frames)
    )


def test_frames_come_out_after_as_many_as_the_future_holds(tiny_model, lively):
    temporal = {"num_frames": 4, "frame_stride": 2, "num_future_frames": 1}
    model = tiny_model(temporal=temporal)
    streaming = _streaming(lively(build_detector(model)), model)
    counts = [len(_push(streaming, 10 + i, frame)) for i, frame in enumerate(_frames(5))]
    assert streaming.delay == 2
    assert counts == [0, 0, 1, 1, 1]
    assert [frame.index for frame in streaming.flush()] == [13, 14]
    assert list(streaming.flush()) == []


def test_memory_holds_one_clip_however_long_the_stream(tiny_model, lively):
    temporal = {"num_frames": 3, "frame_stride": 2, "num_future_frames": 1}
    model = tiny_model(temporal=temporal)
    net = network_of_detector(
        lively(build_detector(model)), model=model, config=ALL_CELLS, device=CPU
    )
    stage = DetectWithNetwork(net)
    stages = Look(model.scales).then(stage)
    for index, frame in enumerate(_frames(20, (8, 8))):
        _push(stages, index, frame)
        assert len(stage._ring) == min(index + 1, 5)  # (T - 1) stride + 1 frames.


def test_every_start_of_a_detector_knows_nothing_of_another(tiny_model, lively):
    model = tiny_model()
    detector = _detector(lively(build_detector(model)), model)
    frames = _frames(6)
    fresh = _run(detector.start(), frames[3:])
    for index, frame in enumerate(frames[:3]):
        _push(detector.start(), index, frame)
    _assert_equal(_run(detector.start(), frames[3:]), fresh)


def test_change_of_the_frame_size_is_refused_within_a_stream(tiny_model, lively):
    model = tiny_model()
    detector = _detector(lively(build_detector(model)), model)
    streaming = detector.start()
    _push(streaming, 0, _frames(1, (16, 16))[0])
    with pytest.raises(ValueError, match=r"frame 1 is \(16, 24\).*Begin another"):
        _push(streaming, 1, _frames(1, (16, 24))[0])
    (found,) = _push(detector.start(), 0, _frames(1, (16, 24))[0])
    assert found.detections.image_hw == (16, 24)


@pytest.mark.gpu
def test_stream_on_a_gpu_finds_what_the_cpu_finds(tiny_model, lively):
    model = tiny_model()
    frames = _frames(4)
    config = PostprocessConfig(score_floor=0.3)
    torch.manual_seed(0)
    detector = lively(build_detector(model)).double()
    cpu = _run(_streaming(detector, model, config), frames)
    gpu = _run(_streaming(detector, model, config, torch.device("cuda")), frames)
    _assert_equal(gpu, cpu)


@pytest.mark.parametrize("background", [True, False])
def test_peaks_lie_where_something_moves_over_the_background(tiny_model, lively, background):
    model = tiny_model(temporal={"num_frames": 3, "num_future_frames": 1}, background=background)
    scene = _frames(1, (64, 80))[0] * np.float32(0.1)
    frames = np.tile(scene, (40, 1, 1))
    places = [(8 + 3 * index // 2, 30) for index in range(len(frames))]
    for frame, (column, row) in zip(frames, places, strict=True):
        frame[row, column] += np.float32(0.4)
    given = (StreamFrame.of_scaled(index, frame) for index, frame in enumerate(frames))
    found = list(_streaming(lively(build_detector(model)), model).run(given))
    if not background:
        assert {frame.peaks for frame in found} == {None}
        return
    for frame in found:
        assert frame.peaks is not None
        strongest = frame.peaks.xy[np.argmax(frame.peaks.strengths)]
        column, row = places[frame.index]
        np.testing.assert_allclose(strongest, (column + 0.5, row + 0.5), atol=0.5)
