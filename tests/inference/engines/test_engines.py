"""Every engine says what PyTorch says, and one that does not is found out."""

import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.errors import ConfigError
from stdet.inference.checkpoint import load_detector
from stdet.inference.detector import Detector
from stdet.inference.engines import bfloat16
from stdet.inference.engines.checked import (
    BFLOAT16,
    FLOAT32,
    CheckedEngine,
    largest_difference,
    largest_share,
)
from stdet.inference.engines.choose import choose_engine
from stdet.inference.engines.eager import bfloat16_engine, eager_engine
from stdet.inference.engines.names import BFLOAT16_FIRST, FASTEST_FIRST, is_installed
from stdet.inference.engines.onnx_export import export_parts
from stdet.inference.engines.onnxruntime import onnxruntime_engine, require_provider
from stdet.inference.engines.openvino import openvino_engine, require_precision
from stdet.inference.trained_network import network_of_weights
from stdet.models.build import build_detector
from stdet.synthesis import SceneConfig, generate

CPU = torch.device("cpu")
TOLERANCE = 1e-4


def needs(name):
    return pytest.mark.skipif(not is_installed(name), reason=f"{name} is not installed")


fast_engines = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(name)) for name in FASTEST_FIRST]
)
rounded_engines = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(name)) for name in BFLOAT16_FIRST]
)


@pytest.fixture
def with_cpu(monkeypatch):
    """Set what the CPU says it has."""

    def say(*features):
        monkeypatch.setattr(bfloat16, "cpu_features", lambda: frozenset(features))

    return say


class Changed:
    """PyTorch, with something done to the maps."""

    name = "changed"

    def __init__(self, detector, change):
        self._engine, self._change = eager_engine(detector), change

    def frame_maps(self, frame):
        return tuple(self._change(one) for one in self._engine.frame_maps(frame))

    def fuse(self, *args):
        return self._engine.fuse(*args)


def _clip(engine, frames):
    """Everything that an engine computes of a clip."""
    maps = [engine.frame_maps(frame[None]) for frame in frames]
    found = engine.fuse(maps[:-1], maps[-1], ())
    return [np.asarray(value) for value in (*maps[-1], *found.arrays)]


def _frames(num_frames, height, width, seed=0):
    return np.random.default_rng(seed).random((num_frames, 1, height, width), np.float32)


@fast_engines
@settings(max_examples=3, deadline=None)
@given(
    num_frames=st.integers(2, 4),
    pyramid=st.sampled_from(["fpn", "bp_fpn", "high_resolution", "hourglass"]),
    sizes=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=3),
    seed=st.integers(0, 100),
)
def test_an_engine_says_what_eager_says_at_every_size(
    name, tiny_model, lively, num_frames, pyramid, sizes, seed
):
    torch.manual_seed(seed)
    model = tiny_model(temporal={"num_frames": num_frames}, pyramid={"type": pyramid})
    detector = lively(build_detector(model), seed)
    engine, exact = choose_engine(name, detector, device=CPU), eager_engine(detector)
    for height, width in sizes:
        frames = _frames(num_frames, 8 * height, 8 * width, seed)
        for one, other in zip(_clip(engine, frames), _clip(exact, frames), strict=True):
            np.testing.assert_allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE)
    assert engine.name == name


@fast_engines
def test_shipped_weights_find_the_same_in_an_engine(name):
    frames = generate(SceneConfig(num_frames=30, hw=(64, 96)), seed=3).frames
    wanted = _predictions("eager", frames)
    found = _predictions(name, frames)
    assert sum(map(len, wanted)) > 10
    for one, other in zip(found, wanted, strict=True):
        assert len(one) == len(other)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-3)
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=0.02)


@needs("onnxruntime")
def test_exported_frame_part_folds_no_cells(tiny_model, lively):
    onnx = pytest.importorskip("onnx")
    parts = export_parts(lively(build_detector(tiny_model())))
    kinds = [node.op_type for node in onnx.load_from_string(parts.frame).graph.node]
    assert kinds.count("Conv") > 5
    assert not {"SpaceToDepth", "Transpose", "Reshape"} & set(kinds)


def _predictions(engine, frames):
    network = network_of_weights(*load_detector("stdet_n"), device="cpu", engine=engine)
    assert network.engine.name == engine
    return Detector.from_network(network).predict(frames)


@needs("openvino")
def test_auto_takes_the_fastest_and_says_so(tiny_model, lively, caplog):
    detector = lively(build_detector(tiny_model()))
    engine = choose_engine("auto", detector, device=CPU)
    with caplog.at_level(logging.INFO):
        _clip(engine, _frames(3, 16, 24))
    assert engine.name == FASTEST_FIRST[0]
    assert [one.getMessage() for one in caplog.records] == [
        f"The network runs in {FASTEST_FIRST[0]}, which agrees with PyTorch."
    ]


def test_auto_takes_pytorch_where_nothing_else_is_installed(tiny_model, lively, monkeypatch):
    for library in FASTEST_FIRST:
        monkeypatch.setitem(sys.modules, library, None)
    detector = lively(build_detector(tiny_model()))
    assert choose_engine("auto", detector, device=CPU).name == "eager"


@rounded_engines
@settings(max_examples=2, deadline=None)
@given(
    pyramid=st.sampled_from(["fpn", "bp_fpn", "high_resolution", "hourglass"]),
    # On frames of one cell by five OpenVINO 2026.4 returns garbage, which is refused.
    size=st.tuples(st.integers(2, 5), st.integers(2, 5)),
    seed=st.integers(0, 100),
)
@torch.inference_mode()
def test_an_engine_in_bfloat16_is_rounded_and_no_more(
    name, tiny_model, lively, pyramid, size, seed
):
    with pytest.MonkeyPatch.context() as patch:
        # Emulated where the CPU has not.
        patch.setattr(bfloat16, "cpu_features", lambda: frozenset({"avx512_bf16"}))
        torch.manual_seed(seed)
        detector = lively(build_detector(tiny_model(pyramid={"type": pyramid})), seed)
        engine, exact = choose_engine(name, detector, device=CPU), eager_engine(detector)
    frames = torch.rand(3, 1, 8 * size[0], 8 * size[1]).numpy()
    found, wanted = _clip(engine, frames), _clip(exact, frames)
    assert engine.name == name  # Not replaced: it has agreed.
    assert largest_share(found, wanted) <= BFLOAT16.share
    assert largest_difference(found, wanted) > FLOAT32.largest / 10


@rounded_engines
def test_a_cpu_without_bfloat16_is_refused(name, with_cpu, tiny_model, lively):
    with_cpu("avx512_vnni")
    detector = lively(build_detector(tiny_model()))
    exact = name.removesuffix("-bf16")
    with pytest.raises(
        ConfigError, match=rf"{name}: this CPU has no instructions for bfloat16 .* use {exact}"
    ):
        choose_engine(name, detector, device=CPU)
    with pytest.raises(ConfigError, match=rf"{name}: runs on the CPU, not on cuda:0"):
        bfloat16.require_bfloat16(name, "cuda:0")


def test_instructions_are_those_that_linux_lists(tmp_path, monkeypatch):
    listed = tmp_path / "cpuinfo"
    listed.write_text("processor\t: 0\nflags\t\t: fpu avx512_bf16 sse\nbugs\t\t: amx_bf16\n")
    monkeypatch.setattr(bfloat16, "_CPUINFO", listed)
    assert bfloat16.cpu_features() == {"fpu", "avx512_bf16", "sse"}
    assert bfloat16.can_run_bfloat16()
    listed.unlink()
    assert not bfloat16.can_run_bfloat16()


@torch.inference_mode()
def test_a_wrong_precision_is_refused(with_cpu, tiny_model, lively):
    with_cpu("avx512_bf16")
    detector = lively(build_detector(tiny_model()))
    frames = torch.rand(3, 1, 16, 24).numpy()
    rounded, exact = bfloat16_engine(detector), eager_engine(detector)
    with pytest.raises(ConfigError, match=r"differs from PyTorch .* at most 0\.001"):
        _clip(CheckedEngine(rounded, exact, closeness=FLOAT32, is_required=True), frames)

    def in_few_bits(one):
        step = one.abs().max() / 4
        return (one / step).round() * step

    few = Changed(detector, in_few_bits)
    with pytest.raises(ConfigError, match="at most 8% is allowed"):
        _clip(CheckedEngine(few, exact, closeness=BFLOAT16, is_required=True), frames)
    with pytest.raises(ConfigError, match=r"engine openvino-bf16: bf16 was asked for, and .* f32"):
        require_precision("openvino-bf16", given="f32", wanted="bf16")


@pytest.mark.parametrize(("name", "extra"), [("openvino", "openvino"), ("onnxruntime", "onnx")])
def test_an_engine_that_is_missing_says_what_to_install(
    name, extra, tiny_model, lively, monkeypatch
):
    pytest.importorskip("onnx")
    monkeypatch.setitem(sys.modules, name, None)
    detector = lively(build_detector(tiny_model()))
    with pytest.raises(ConfigError, match=rf"{name}: cannot import .*stdet\[{extra}\]"):
        choose_engine(name, detector, device=CPU)


@fast_engines
def test_an_unknown_temporal_module_runs_in_pytorch_alone(name, with_cpu, tiny_model, lively):
    detector = lively(build_detector(tiny_model()))
    detector.temporal = torch.nn.Identity()
    assert choose_engine("auto", detector, device=CPU).name == "eager"
    with_cpu("amx_bf16")
    with pytest.raises(ConfigError, match="module Identity is not known; use eager"):
        choose_engine("eager-bf16", detector, device=CPU)
    with pytest.raises(ConfigError, match=r"module Identity is not known.*engine eager"):
        choose_engine(name, detector, device=CPU)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one + 0.01,
        torch.zeros_like,
        lambda one: one * torch.nan,
        lambda one: one[..., 1:],
    ],
    ids=["off", "constant", "not_finite", "another_size"],
)
def test_an_engine_that_disagrees_is_replaced_or_refused(change, tiny_model, lively, caplog):
    detector = lively(build_detector(tiny_model()))
    frames = _frames(3, 16, 24)
    exact = eager_engine(detector)
    engine = CheckedEngine(Changed(detector, change), exact, is_required=False)
    for one, other in zip(_clip(engine, frames), _clip(exact, frames), strict=True):
        np.testing.assert_array_equal(one, other)
    assert engine.name == "eager"
    (warning,) = caplog.records
    assert "changed: differs from PyTorch" in warning.getMessage()
    with pytest.raises(
        ConfigError, match=r"changed: differs from PyTorch .* use the engine eager"
    ):
        _clip(CheckedEngine(Changed(detector, change), exact, is_required=True), frames)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_refused_in_any_precision(value, tiny_model, lively):
    detector = lively(build_detector(tiny_model()))
    frames = _frames(3, 16, 24)
    broken, exact = Changed(detector, lambda one: one * value), eager_engine(detector)
    for closeness in (FLOAT32, BFLOAT16):
        with pytest.raises(ConfigError, match="changed: differs from PyTorch"):
            _clip(CheckedEngine(broken, exact, closeness=closeness, is_required=True), frames)


def test_every_new_size_is_checked(tiny_model, lively):
    detector = lively(build_detector(tiny_model()))

    def wrong_when_wide(one):
        return one + 1 if one.shape[-1] > 6 else one

    engine = CheckedEngine(
        Changed(detector, wrong_when_wide), eager_engine(detector), is_required=True
    )
    for _ in range(4):
        _clip(engine, _frames(3, 16, 24))
    with pytest.raises(ConfigError, match="differs"):
        _clip(engine, _frames(3, 16, 32))


def test_largest_difference_is_that_of_any_value():
    values = np.array([0.1, 100.0], np.float32)
    off = values + np.array([0.25, -0.5], np.float32)
    assert largest_difference([values, off], [values, values]) == 0.5


def test_values_that_are_not_finite_have_to_be_the_same():
    values = np.array([3.0, 4.0], np.float32)
    broken, off = np.array([[np.nan, np.inf, one] for one in (8.0, 8.5)], np.float32)
    for largest, difference in ((largest_difference, 0.5), (largest_share, 0.0625)):
        assert largest([broken], [broken]) == 0  # The network's fault, not the engine's.
        assert largest([off], [broken]) == difference
        for other in (broken[::-1], -broken, values, np.zeros_like(broken)):
            assert largest([broken], [other]) == float("inf")
            assert largest([other], [broken]) == float("inf")


def test_largest_share_is_that_of_root_mean_squares():
    values = np.array([3.0, 4.0, 0.0], np.float32)
    off = values + np.array([0.0, 0.0, 0.5], np.float32)
    assert largest_share([off], [values]) == pytest.approx(0.1)
    assert largest_share([values], [values]) == 0
    assert largest_share([values], [0 * values]) == float("inf")
    assert largest_share([values], [values[:1]]) == float("inf")


def test_a_session_that_runs_elsewhere_than_asked_is_refused():
    require_provider(["CUDAExecutionProvider", "CPUExecutionProvider"], "CUDAExecutionProvider")
    with pytest.raises(ConfigError, match="CUDAExecutionProvider was asked for"):
        require_provider(["CPUExecutionProvider"], "CUDAExecutionProvider")


@needs("onnxruntime")
def test_onnxruntime_without_a_gpu_says_so(tiny_model, lively):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has a GPU")
    parts = export_parts(lively(build_detector(tiny_model())))
    with pytest.raises(ConfigError, match="no CUDAExecutionProvider"):
        onnxruntime_engine(parts, device="cuda:0", num_threads=1)


@needs("openvino")
def test_openvino_refuses_a_gpu(tiny_model, lively):
    parts = export_parts(lively(build_detector(tiny_model())))
    with pytest.raises(ConfigError, match="use --device cpu"):
        openvino_engine(parts, device="cuda:0", num_threads=1)


@needs("openvino")
def test_signals_are_heard_after_engines_of_openvino_are_gone():
    script = """
import faulthandler, gc, os, signal
import numpy as np
from stdet.inference.load_network import load_network

faulthandler.enable()
for _ in range(3):
    engine = load_network("stdet_n", device="cpu", engine="openvino").network.engine
    maps = engine.frame_maps(np.zeros((1, 6, 32, 32), np.float32))
    engine.fuse([maps, maps], maps, ())
    del engine, maps
    gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGTERM)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "heard\n")
