"""`stdet bench` times what the other commands run, and adds up."""

import json

import numpy as np
import pytest

from stdet.errors import DataError
from stdet.inference.bench.contenders import Recompute
from stdet.inference.bench.measure import NUM_WARM_UP, run_bench
from stdet.inference.bench.stopwatch import Stopwatch
from stdet.inference.engines.eager import eager_engine
from stdet.io.memory_source import MemorySource
from stdet.models.build import build_detector
from stdet.synthesis import SceneConfig, generate

ENGINES = ("recompute", "eager")


@pytest.fixture(scope="module")
def found(tmp_path_factory, weights):
    """A run of the command on generated frames: table and JSON."""
    from stdet.cli import main

    path = tmp_path_factory.mktemp("bench") / "bench.json"
    argv = ["bench", "--weights", weights, "--size", "48x64", "--frames", 3, "--json", path]
    assert main([*map(str, argv), "--engines", *ENGINES, "--threads", "1", "2"]) == 0
    return json.loads(path.read_text())


def test_every_engine_is_timed_with_every_number_of_threads(found):
    assert [(one["name"], one["num_threads"]) for one in found["contenders"]] == [
        (name, threads) for name in ENGINES for threads in (1, 2)
    ]
    assert found["num_frames"] == 3
    assert found["size_hw"] == [48, 64]
    assert set(found["shared"]) == {"read", "scale", "background", "track"}  # Not registered.


def test_parts_are_within_the_whole(found):
    for one in found["contenders"]:
        parts = [one["stages"][name]["median_ms"] for name in ("frame part", "clip part")]
        assert 0 < max(parts) < one["stages"]["network"]["percentile_99_ms"]
        assert one["stages"]["network"]["median_ms"] < one["end_to_end"]["percentile_99_ms"]
        assert 0 < one["share_of_ceiling"] < 1


def test_recomputing_takes_the_arithmetic_of_all_frames(found):
    recompute, eager = (found["contenders"][number]["gflop"] for number in (0, 2))
    assert recompute > eager


def test_recomputing_says_what_the_stream_says(tiny_model, lively):
    detector = lively(build_detector(tiny_model()))
    frames = np.random.default_rng(0).random((3, 1, 1, 16, 24), np.float32)
    outputs = []
    for engine in (Recompute(detector), eager_engine(detector)):
        maps = [engine.frame_maps(frame) for frame in frames]
        outputs.append(engine.fuse(maps[:-1], maps[-1], ()).arrays)
    for one, other in zip(*outputs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_stage_that_runs_twice_in_a_frame_has_the_sum(monkeypatch):
    walls = iter([0.0, 1.0, 5.0, 7.0, 0.0, 9.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(walls))
    monkeypatch.setattr("time.process_time", lambda: 0.0)
    watch = Stopwatch()
    for is_counted, times in ((True, 2), (False, 1)):
        for _ in range(times):
            with watch.watch("stage"):
                pass
        watch.end_frame(is_counted=is_counted)
    np.testing.assert_array_equal(watch.seconds(["stage"]), [[3.0, 0.0]])
    assert watch.cost("stage").median_ms == 3000


def test_frames_that_wait_after_a_cut_are_not_timed():
    scenes = [
        generate(SceneConfig(num_frames=30, hw=(96, 128)), seed=seed).frames for seed in (0, 1)
    ]
    source = MemorySource("two scenes", np.concatenate(scenes), fps=None)
    found = run_bench(source, "stdet_n", engines=("recompute", "eager"), num_frames=12)
    assert found.shared["read"].median_ms > 0
    for one in found.contenders:
        assert one.end_to_end.cpu_ms > one.stages["network"].cpu_ms > 0
    with pytest.raises(DataError, match="of its 60 frames can be timed"):
        run_bench(source, "stdet_n", engines=("eager",), num_frames=30)


def test_too_few_frames_and_unknown_engines_are_refused(refused, weights, clip):
    line = refused("bench", clip, "--weights", weights, "--frames", 5000, "--engines", "eager")
    assert f"since the first {NUM_WARM_UP}, and after a cut" in line
    line = refused("bench", clip, "--weights", weights, "--engines", "tensorrt")
    assert "'tensorrt' is no engine; expected recompute, eager," in line
