"""Exported networks are read without PyTorch, and damaged ones are refused in one line."""

import json
import shutil

import numpy as np
import pytest

from stdet.config import StdetConfig
from stdet.errors import CheckpointError, ConfigError
from stdet.inference.checkpoint import load_weights
from stdet.inference.detector import Detector
from stdet.inference.engines.names import is_installed
from stdet.inference.exported.metadata import FORMATS, METADATA_NAME
from stdet.inference.exported.read import digest_of, find_exported, load_exported
from stdet.inference.exported.write import export_weights
from stdet.inference.load_network import load_network, uses_torch
from stdet.inference.weights_files import find_weights, weights_folder

SHIPPED = sorted(path.parent for path in weights_folder().glob(f"*/{METADATA_NAME}"))
MAX_SHIPPED_BYTES = 20_000_000

formats = pytest.mark.parametrize(
    "format",
    [
        pytest.param(name, marks=pytest.mark.skipif(not is_installed(library), reason=library))
        for name, library in zip(FORMATS, ("onnxruntime", "openvino"), strict=True)
    ],
)


@pytest.fixture
def exported(tmp_path):
    """A copy of the shipped network, to be spoilt."""
    folder = tmp_path / "exported"
    shutil.copytree(weights_folder() / "stdet_n", folder)
    return folder


def _edit(folder, change):
    path = folder / METADATA_NAME
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_default_weights_are_shipped_in_both_forms():
    assert [folder.name for folder in SHIPPED] == ["stdet_n"]
    files = [path for folder in SHIPPED for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) < MAX_SHIPPED_BYTES


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_network_is_that_of_the_shipped_weights(folder):
    metadata = json.loads((folder / METADATA_NAME).read_text())
    weights = find_weights(folder.name)
    command = f"stdet export {folder.name} --out stdet/weights/{folder.name} --overwrite"
    assert metadata["weights"] == {
        "name": weights.name,
        "sha256": digest_of(weights.read_bytes()),
    }, f"the weights have changed; run `{command}`"
    found, wanted = load_exported(folder / METADATA_NAME).config, load_weights(weights).config
    assert (found.model, found.postprocess) == (wanted.model, wanted.postprocess)
    assert found.tracker == wanted.tracker


def test_names_mean_trained_weights_unless_those_cannot_be_read():
    metadata = weights_folder() / "stdet_n" / METADATA_NAME
    assert find_exported("stdet_n", with_shipped=False) is None
    assert find_exported("stdet_n", with_shipped=True) == metadata
    assert find_exported("stdet_s", with_shipped=True) is None
    assert find_exported(str(metadata), with_shipped=False) == metadata
    assert find_exported(str(metadata.parent), with_shipped=False) == metadata
    assert uses_torch("stdet_n")
    assert not uses_torch(str(metadata))


def _spot_that_moves(*, num_frames, hw):
    """Return noise with a spot of 3 px, which moves by 2 px a frame, float32 (N, H, W)."""
    frames = np.random.default_rng(0).normal(0.4, 0.01, (num_frames, *hw)).astype(np.float32)
    rows, columns = np.indices(hw)
    for index, frame in enumerate(frames):
        squared = (columns - 20 - 2 * index) ** 2 + (rows - 30) ** 2
        frame += 0.4 * np.exp(-squared / 2).astype(np.float32)
    return frames


@formats
def test_files_of_both_formats_find_what_the_weights_find(format, tmp_path):
    export_weights("stdet_n", tmp_path, format=format)
    frames = _spot_that_moves(num_frames=10, hw=(64, 96))
    loaded = load_network(str(tmp_path), device="auto", engine="auto")
    found = Detector.from_network(loaded.network).predict(frames)
    wanted = Detector.from_weights("stdet_n", device="cpu", engine="eager").predict(frames)
    assert sum(map(len, wanted)) > 0
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-3)
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=0.02)
    assert loaded.config == StdetConfig(
        model=loaded.config.model,
        postprocess=loaded.config.postprocess,
        tracker=loaded.config.tracker,
    )


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda folder: (folder / "clip.onnx").write_bytes(b""), r"clip\.onnx: is not the file"),
        (lambda folder: (folder / "frame.onnx").unlink(), r"frame\.onnx: does not exist"),
        (lambda folder: (folder / METADATA_NAME).unlink(), r"stdet\.json: does not exist"),
        (lambda folder: (folder / METADATA_NAME).write_text("{"), "is not JSON"),
        (lambda folder: (folder / METADATA_NAME).write_text("[]"), "stdet_export is None"),
        (lambda folder: _edit(folder, lambda v: v.update(stdet_export=1)), "stdet_export is 1"),
        (lambda folder: _edit(folder, lambda v: v.pop("clip")), "clip: Field required"),
        (lambda folder: _edit(folder, lambda v: v.update(files={})), "no file of a frame part"),
        (
            lambda folder: _edit(folder, lambda v: v["clip"]["inputs"][0].update(frame=7)),
            "clip.inputs",
        ),
        (
            lambda folder: _edit(folder, lambda v: v["frame"]["input"].update(size_divisor=0)),
            "size_divisor: Input should be greater than or equal to 1",
        ),
        (
            lambda folder: _edit(folder, lambda v: v["model"].update(name=3)),
            "model.name: Input should be a valid string",
        ),
    ],
)
def test_a_damaged_export_is_refused(spoil, problem, exported):
    spoil(exported)
    with pytest.raises(CheckpointError, match=problem) as error:
        load_network(str(exported), device="cpu", engine="auto")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values["frame"].update(outputs=["a", "pair_context", "pair_key"]),
        lambda values: values["clip"]["inputs"][0].update(name="a"),
        lambda values: values["model"].update(in_channels=2, pixel_mean=[0, 0], pixel_std=[1, 1]),
        lambda values: values["frame"]["input"].update(size_divisor=1),
    ],
    ids=["map", "input", "channels", "divisor"],
)
def test_metadata_of_another_network_are_told_from_the_first_frame_on(change, exported):
    _edit(exported, change)
    frames = np.zeros((1, 34, 48), np.float32)
    with pytest.raises((CheckpointError, ConfigError), match=r"stdet\.json|engine onnxruntime"):
        Detector.from_weights(str(exported)).predict(frames)


@pytest.mark.parametrize(
    ("device", "engine", "problem"),
    [
        ("cpu", "eager", "engine eager: does not read the onnx files"),
        ("gpu", "auto", "device 'gpu': expected auto, cpu, cuda"),
    ],
)
def test_what_does_not_run_the_files_is_refused(device, engine, problem, exported):
    with pytest.raises(ConfigError, match=problem):
        load_network(str(exported), device=device, engine=engine)


def test_any_other_name_is_a_weights_file():
    with pytest.raises(CheckpointError, match="no such weights file"):
        load_network("no_such_weights", device="cpu", engine="auto")
    with pytest.raises(CheckpointError, match="cannot be looked at"):
        load_network("a" * 3000, device="cpu", engine="auto")
