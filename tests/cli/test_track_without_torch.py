"""`stdet track` where PyTorch is not installed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stdet.cli import main
from stdet.inference.engines.names import is_installed
from stdet.inference.exported.write import export_weights

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
VIDEO = SAMPLE / "sample.mp4"
MAX_RESIDENT_MB = 300

pytestmark = [
    pytest.mark.skipif(not is_installed("onnxruntime"), reason="onnxruntime is not installed"),
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="not Linux"),
]


def _without_torch(*arguments):
    script = Path(__file__).parents[1] / "without_torch.py"
    command = [sys.executable, script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_tracks_are_byte_for_byte_those_of_pytorch_in_the_same_engine(tmp_path):
    exported, lite, full = (tmp_path / name for name in ("exported", "lite", "full"))
    export_weights("stdet_n", exported, format="onnx")
    arguments = ["track", str(VIDEO), "--frames", "40"]
    run = _without_torch(*arguments, "--weights", exported, "--out", lite)
    assert run.returncode == 0, run.stderr
    assert main([*arguments, "--engine", "onnxruntime", "--out", str(full)]) == 0
    assert len((lite / "sample.mot.txt").read_text().splitlines()) > 10
    for name in ("sample.mot.txt", "sample.mp4"):
        assert (lite / name).read_bytes() == (full / name).read_bytes()
    contents = [json.loads((folder / "sample.json").read_text()) for folder in (lite, full)]
    assert [one.pop("weights") for one in contents] == [str(exported), "stdet_n"]
    assert contents[0] == contents[1]
    assert float(run.stderr.splitlines()[-1]) < MAX_RESIDENT_MB


def test_shipped_weights_are_found_by_their_name(tmp_path):
    run = _without_torch("track", VIDEO, "--frames", 3, "--no-video", "--out", tmp_path / "out")
    assert run.returncode == 0, run.stderr
    assert json.loads((tmp_path / "out" / "sample.json").read_text())["weights"] == "stdet_n"
    assert "stdet_n/stdet.json runs in onnxruntime" in run.stderr.replace("\n", "")


def test_weights_that_only_pytorch_reads_say_what_to_install(tmp_path):
    run = _without_torch("track", VIDEO, "--weights", "stdet_s", "--out", tmp_path / "out")
    assert run.returncode == 2
    assert "stdet_s.safetensors: is read with PyTorch" in run.stderr
    assert "pip install 'stdet[torch]'" in run.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [["train", "configs/daub.yaml"], ["export", "stdet_n"]])
def test_commands_that_need_pytorch_say_so_in_one_line(command, tmp_path):
    options = {"train": "--run-dir", "export": "--out"}
    run = _without_torch(*command, options[command[0]], tmp_path / "out")
    assert run.returncode == 2
    assert "needs torch, which is not installed; run `pip install 'stdet[torch]'`" in run.stderr
    assert "Traceback" not in run.stderr


def test_tracks_are_scored_without_pytorch():
    truth = SAMPLE / "sample.gt.txt"
    run = _without_torch("evaluate", "--truth", truth, "--predictions", truth, "--size", "256x256")
    assert run.returncode == 0, run.stderr
    assert "1.000" in run.stdout
