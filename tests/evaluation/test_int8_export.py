"""Weights in 8 bits are left only where they find as much on labelled footage."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import SyntheticConfig, generate

from stdet.config import EvaluationConfig, PostprocessConfig, StdetConfig
from stdet.errors import CheckpointError, ConfigError, DataError
from stdet.evaluation import int8_export
from stdet.evaluation.int8_export import export_int8
from stdet.inference.checkpoint import load_detector, save_weights
from stdet.inference.engines.checked import largest_share
from stdet.inference.engines.eager import eager_engine
from stdet.inference.engines.names import is_installed
from stdet.inference.engines.onnx_export import export_parts
from stdet.inference.engines.openvino import openvino_engine
from stdet.inference.engines.quantise import Recorder, quantise
from stdet.io.video.writer import VideoWriter
from stdet.models.build import build_detector

pytestmark = pytest.mark.skipif(
    not (is_installed("openvino") and is_installed("onnxruntime")),
    reason="openvino or onnxruntime is not installed",
)
CLIP = SyntheticConfig(name="clip", num_frames=12, hw=(32, 40), num_targets=1, seed=4)


@pytest.fixture
def weights(tmp_path, tiny_model, lively):
    torch.manual_seed(0)
    model = tiny_model()
    path = tmp_path / "tiny.safetensors"
    config = StdetConfig(
        model=model, postprocess=PostprocessConfig(confidence=0.25, max_detections=5)
    )
    save_weights(path, lively(build_detector(model)).state_dict(), config, {})
    return str(path)


@pytest.fixture
def footage(tmp_path, write_coco_split):
    """Arguments of an export: a video to calibrate on, and a labelled data set."""
    video = tmp_path / "calibration.mp4"
    with VideoWriter(video, hw=CLIP.hw, fps=25.0) as writer:
        for frame in generate(CLIP)[0]:
            writer.write(np.repeat(frame[:, :, None], 3, axis=2))
    scenes = [replace(CLIP, name=name, num_frames=6, seed=seed) for seed, name in enumerate("ab")]
    data = write_coco_split(tmp_path / "labelled", scenes, validation_sequences=("b",))
    config = StdetConfig(data=data, evaluation=EvaluationConfig(pd_radius_px=20.0))
    return {"calibrate": [video], "labelled": config}


def test_files_that_pass_are_left(weights, footage, tmp_path):
    found = export_int8(weights, tmp_path / "out", **footage, max_fall=1.0)
    assert [path.name for path in found.paths] == [
        "frame.xml",
        "frame.bin",
        "clip.xml",
        "clip.bin",
        "stdet.json",
    ]
    assert all(path.is_file() for path in found.paths)
    assert b"FakeQuantize" in found.paths[2].read_bytes()
    assert found.num_frames == 6
    assert 0 <= found.int8_pd <= 1


def test_files_that_find_less_are_not_left(weights, footage, tmp_path, monkeypatch):
    pds = {"32 bits": 0.9, "8 bits": 0.8975}
    monkeypatch.setattr(int8_export, "_pd", lambda *_, title: pds[title])
    with pytest.raises(CheckpointError, match=r"falls from 0\.9000 to 0\.8975.*Nothing was"):
        export_int8(weights, tmp_path / "out", **footage)
    assert [path.name for path in (tmp_path / "out").iterdir()] == []
    pds["8 bits"] = 0.8985
    assert export_int8(weights, tmp_path / "out", **footage).int8_pd == 0.8985


def test_what_is_missing_or_there_already_is_said_before_anything_is_read(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "clip.bin").touch()
    nothing = {"calibrate": [], "labelled": StdetConfig()}
    with pytest.raises(DataError, match=r"clip\.bin: already there; pass --overwrite"):
        export_int8("no_weights", out, **nothing)
    for library, extra in (("onnxruntime.quantization", "onnx"), ("openvino", "openvino")):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(ConfigError, match=rf"int8: cannot import {library} .*\[{extra}\]"):
            export_int8("no_weights", out, **nothing, overwrite=True)


def test_quantised_parts_round_and_no_more(weights):
    detector, _ = load_detector(weights)
    parts, exact = export_parts(detector), eager_engine(detector)
    recorder = Recorder(exact, parts, every=2)
    frames = np.random.default_rng(0).random((9, 1, 1, 32, 40), np.float32)
    maps = [recorder.frame_maps(frame) for frame in frames]
    for number in range(2, 9):
        recorder.fuse(maps[number - 2 : number], maps[number], ())
    assert (len(recorder.samples.frames), len(recorder.samples.clips)) == (4, 3)
    np.testing.assert_array_equal(recorder.samples.frames[0], frames[1])

    rounded = openvino_engine(quantise(parts, recorder.samples), device="cpu", num_threads=1)
    share = largest_share(rounded.frame_maps(frames[0]), maps[0])
    assert 1e-3 < share < 0.2
