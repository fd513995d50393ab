"""Exported files say what the weights say, and none are left that do not."""

import hashlib
import json
import math
import re
import sys

import numpy as np
import pytest
import torch
from scenes import SyntheticConfig, generate

from stdet.config import PostprocessConfig, StdetConfig
from stdet.errors import CheckpointError, ConfigError, DataError
from stdet.inference.checkpoint import load_detector, save_weights
from stdet.inference.engines.eager import eager_engine
from stdet.inference.engines.names import is_installed
from stdet.inference.engines.onnx_export import export_parts
from stdet.inference.exported import write
from stdet.inference.exported.metadata import FORMATS
from stdet.inference.exported.verify import Tolerance, verify_on_video
from stdet.inference.exported.write import export_weights
from stdet.inference.weights_files import find_weights
from stdet.io.video.writer import VideoWriter
from stdet.models.build import build_detector

LIBRARIES = {"onnx": "onnxruntime", "openvino": "openvino"}
CLIP = SyntheticConfig(name="clip", num_frames=28, hw=(48, 64), num_targets=2, seed=4)
NO_LIMIT = Tolerance(values=math.inf)

formats = pytest.mark.parametrize(
    "format",
    [
        pytest.param(
            format,
            marks=pytest.mark.skipif(
                not is_installed(library), reason=f"{library} is not installed"
            ),
        )
        for format, library in LIBRARIES.items()
    ],
)
needs_onnx = pytest.mark.skipif(
    not is_installed("onnxruntime"), reason="onnxruntime is not installed"
)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    frames, _ = generate(CLIP)
    with VideoWriter(path, hw=CLIP.hw, fps=25.0) as writer:
        for frame in frames:
            writer.write(np.repeat(frame[:, :, None], 3, axis=2))
    return path


@pytest.fixture
def weights(tmp_path, tiny_model, lively):
    torch.manual_seed(0)
    model = tiny_model()
    detector = lively(build_detector(model))
    # Scores near 0.5, so that the strongest of these random detections form tracks.
    for layer in (detector.head.cls_pred, detector.head.obj_pred):
        torch.nn.init.ones_(layer.bias)
    postprocess = PostprocessConfig(confidence=0.25, max_detections=5)
    path = tmp_path / "tiny.safetensors"
    config = StdetConfig(model=model, postprocess=postprocess)
    save_weights(path, detector.state_dict(), config, {})
    return str(path)


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_format_is_tested():
    assert tuple(LIBRARIES) == FORMATS


@formats
def test_exported_files_track_a_video_as_the_weights_do(format, video, tmp_path):
    out = tmp_path / "out"
    exported = export_weights("stdet_n", out, format=format, video=video)
    found = exported.agreement
    assert found.num_frames == CLIP.num_frames
    assert found.num_detections > CLIP.num_frames
    assert found.num_tracks >= 1
    assert 0 < found.difference < 1e-4
    assert sorted(path.name for path in out.iterdir()) == sorted(p.name for p in exported.paths)
    metadata = json.loads((out / "stdet.json").read_text())
    assert metadata["weights"]["sha256"] == _digest(find_weights("stdet_n"))
    assert metadata["registration"]["lags"] == [4, 8, 12, 16, 20]
    assert metadata["files"].keys() == {path.name for path in exported.paths[:-1]}
    for name, file in metadata["files"].items():
        assert file["sha256"] == _digest(out / name)


@formats
def test_a_tolerance_a_hundred_times_tighter_refuses_all(format, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(CheckpointError, match=r"values differ by .* Nothing was written"):
        export_weights("stdet_n", out, format=format, tolerance=Tolerance(values=1e-6))
    assert not list(out.iterdir())


@formats
def test_a_network_of_constant_output_is_refused(format, weights, tmp_path, monkeypatch):
    def export_constant(_):
        constant, _ = load_detector(weights)
        for value in constant.state_dict().values():
            value.zero_()
        return export_parts(constant)

    monkeypatch.setattr(write, "export_parts", export_constant)
    out = tmp_path / "out"
    with pytest.raises(CheckpointError, match="values differ"):
        export_weights(weights, out, format=format)
    assert not list(out.iterdir())


class _Moved:
    """PyTorch, with something done to the outputs of every clip after the fifth."""

    name = "moved"

    def __init__(self, detector, change):
        self._engine, self._change = eager_engine(detector), change
        self._num = 0
        self.frame_maps = self._engine.frame_maps

    def fuse(self, *args):
        found = self._engine.fuse(*args)
        self._num += 1
        if self._num > 5:
            self._change(found)
        return found


def _add(value, to):
    np.add(to, value, out=to)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda found: _add(0.02, found.box_offsets[:, 0]), r"detections differ in frames 5, 6"),
        (lambda found: _add(0.05, found.obj_logits), r"detections differ in frames 5, 6"),
        (lambda found: _add(-20, found.obj_logits), r"tracks differ in frames"),
    ],
    ids=["boxes", "scores", "nothing"],
)
def test_detections_and_tracks_are_compared_too(change, problem, weights, video):
    detector, loaded = load_detector(weights)
    found = verify_on_video(
        _Moved(detector, change), detector, loaded, video, num_frames=12, tolerance=NO_LIMIT
    )
    assert re.search(problem, "; ".join(found.problems))
    same = verify_on_video(
        _Moved(detector, lambda outputs: None), detector, loaded, video, num_frames=12
    )
    assert same.problems == ()
    assert same.num_tracks > 0


@needs_onnx
@torch.inference_mode()
def test_metadata_is_enough_to_run_the_files(weights, tmp_path):
    import onnxruntime

    out = tmp_path / "out"
    export_weights(weights, out, format="onnx")
    metadata = json.loads((out / "stdet.json").read_text())
    frame_part, clip_part = (
        onnxruntime.InferenceSession(out / f"{name}.onnx") for name in ("frame", "clip")
    )
    detector, _ = load_detector(weights)
    steps = sorted({one["frame"] for one in metadata["clip"]["inputs"]})
    divisor = metadata["frame"]["input"]["size_divisor"]
    channels = len(metadata["frame"]["input"]["channels"])
    frames = torch.rand(len(steps), 1, channels, 3 * divisor, divisor)
    maps = {}
    for step, frame in zip(steps, frames, strict=True):
        values = frame_part.run(None, {metadata["frame"]["input"]["name"]: frame.numpy()})
        maps[step] = dict(zip(metadata["frame"]["outputs"], values, strict=True))
    inputs = {one["name"]: maps[one["frame"]][one["map"]] for one in metadata["clip"]["inputs"]}
    found = clip_part.run(metadata["clip"]["outputs"], inputs)
    features = detector.frame_features(frames[:, 0])
    wanted = detector.fuse(features[None, :-1], features[-1:]).outputs
    for name, value in zip(metadata["clip"]["outputs"], found, strict=True):
        torch.testing.assert_close(
            torch.from_numpy(value), getattr(wanted, name), rtol=1e-4, atol=1e-4
        )


def test_weights_that_were_never_validated_are_refused(tmp_path, tiny_model):
    model = tiny_model()
    path = tmp_path / "last.safetensors"
    save_weights(path, build_detector(model).state_dict(), StdetConfig(model=model), {})
    with pytest.raises(CheckpointError, match=r"never validated.*finished training"):
        export_weights(str(path), tmp_path / "out", format="onnx")
    assert not (tmp_path / "out").exists()


@needs_onnx
def test_files_of_an_earlier_export_stay_until_overwritten(weights, tmp_path):
    (tmp_path / "clip.onnx").write_text("mine")
    with pytest.raises(DataError, match=r"clip\.onnx: already there; pass --overwrite"):
        export_weights(weights, tmp_path, format="onnx")
    assert (tmp_path / "clip.onnx").read_text() == "mine"
    export_weights(weights, tmp_path, format="onnx", overwrite=True)
    assert (tmp_path / "clip.onnx").read_bytes()[:4] != b"mine"


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(missing, weights, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=rf"cannot import {missing} .*stdet\[onnx\]"):
        export_weights(weights, tmp_path / "out", format="onnx")
    assert not list(tmp_path.glob("out/*"))
