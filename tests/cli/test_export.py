import pytest

from stdet.inference.engines.names import is_installed

needs_onnx = pytest.mark.skipif(
    not is_installed("onnxruntime"), reason="onnxruntime is not installed"
)


@needs_onnx
def test_export_compares_a_video_and_lists_its_files(cli, weights, clip, tmp_path):
    outcome = cli("export", weights, "--out", tmp_path, "--verify", clip, "--frames", 6)
    assert outcome.code == 0
    first, *paths = outcome.out.splitlines()
    assert first.startswith("the same as the weights on 6 frames, ")
    assert paths == [str(tmp_path / name) for name in ("frame.onnx", "clip.onnx", "stdet.json")]


def test_frames_belong_to_a_video(refused, weights, tmp_path):
    line = refused("export", weights, "--out", tmp_path / "out", "--frames", 6)
    assert "--frames is for --verify" in line
    assert not (tmp_path / "out").exists()


@needs_onnx
def test_a_video_that_cannot_be_read_leaves_nothing(cli, weights, tmp_path):
    outcome = cli("export", weights, "--out", tmp_path / "out", "--verify", tmp_path / "no.mp4")
    assert outcome.code == 2
    assert "no.mp4" in outcome.err[-1]
    assert not list((tmp_path / "out").iterdir())


CALIBRATE = ["--calibrate", "a.mp4"]
LABELLED = ["--labelled", "a.yaml"]
OPENVINO = ["--format", "openvino"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (CALIBRATE, "need both --calibrate and --labelled"),
        (LABELLED, "need both --calibrate and --labelled"),
        ([*CALIBRATE, *LABELLED], "pass --format openvino"),
        (
            [*CALIBRATE, *LABELLED, *OPENVINO, "--verify", "a.mp4"],
            "--labelled checks them instead",
        ),
    ],
)
def test_arguments_of_8_bits_belong_together(refused, weights, tmp_path, more, reason):
    assert reason in refused("export", weights, "--out", tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()
