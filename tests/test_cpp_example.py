"""The program of docs/examples/cpp: built where a compiler and the libraries are, and run."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stdet.boxes import centre_distance
from stdet.config import TrackerConfig
from stdet.formats.mot import read_tracks
from stdet.inference.detector import Detector
from stdet.inference.load_network import load_network
from stdet.inference.stages.frames import StreamFrame
from stdet.inference.stages.track import OperatingPoint, Track
from stdet.io.array_source import open_frames
from stdet.io.frame_source import EIGHT_BIT_SCALE
from stdet.tracking.tracker import Tracker

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "docs/examples/cpp"
EXPORTED = ROOT / "stdet/weights/stdet_n"
CONFIDENCE = 0.5
NUM_FRAMES = 45
MAX_LINES = 500
MAX_EARLIER = 4
"""Frames that the program shows a track before Python does."""


def missing() -> str:
    """Return what building the program lacks here, nothing where all is there."""
    absent = [each for each in ("c++", "cmake", "pkg-config") if shutil.which(each) is None]
    if not absent and subprocess.run(["pkg-config", "--exists", "opencv4"]).returncode:
        absent = ["OpenCV for C++ (libopencv-dev)"]
    if importlib.util.find_spec("openvino") is None:
        absent.append("the package openvino")
    return ", ".join(absent)


needs_libraries = pytest.mark.skipif(
    bool(missing()), reason=f"the C++ example cannot be built without {missing()}"
)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Build it; warnings are errors."""
    folder = tmp_path_factory.mktemp("build")
    openvino = importlib.util.find_spec("openvino")
    config = Path(openvino.origin).parent / "cmake"
    flags = [f"-DOpenVINO_DIR={config}", "-DCMAKE_CXX_FLAGS=-Werror"]
    for command in (
        ["cmake", "-S", str(SOURCES), "-B", str(folder), *flags],
        ["cmake", "--build", str(folder)],
    ):
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
    return folder / "stdet_track"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Return grey frames of the sample, and where they lie as pictures, as OpenCV names them."""
    folder = tmp_path_factory.mktemp("frames")
    with open_frames(ROOT / "data/sample/sample.mp4") as source:
        frames = [frame.pixels for frame in source.frames(0, NUM_FRAMES)]
    for index, pixels in enumerate(frames):
        Image.fromarray(pixels).save(folder / f"{index:04d}.png")
    return frames, folder / "%04d.png"


@pytest.fixture(scope="module")
def detected(pictures):
    """Return what the detector of Python finds in each frame."""
    frames, _ = pictures
    stream = (
        StreamFrame.of_scaled(index, EIGHT_BIT_SCALE.apply(pixels))
        for index, pixels in enumerate(frames)
    )
    network = load_network(str(EXPORTED), device="cpu", engine="onnxruntime").network
    return list(Detector.from_network(network).start().run(stream))


def tracks_of(program, *arguments):
    run = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return read_tracks(Path(arguments[2]))


def test_program_has_at_most_500_lines():
    files = [path for path in SOURCES.iterdir() if path.suffix in (".cpp", ".hpp")]
    assert len(files) == 4
    assert sum(len(path.read_text().splitlines()) for path in files) <= MAX_LINES


@pytest.mark.slow
@needs_libraries
def test_program_finds_what_python_finds_with_the_same_camera_motion(
    program, pictures, detected, tmp_path
):
    motions = [frame.from_previous.transform for frame in detected]
    matrices = [np.eye(3) if each is None else each.matrix for each in motions]
    np.savetxt(tmp_path / "motion.txt", np.reshape(matrices, (-1, 9)), fmt="%.17g")
    tracks = tracks_of(
        program, EXPORTED, pictures[1], tmp_path / "tracks.txt", tmp_path / "motion.txt"
    )
    assert len(tracks) > NUM_FRAMES
    for index, box, score in zip(
        tracks.frame_indices, tracks.boxes_xyxy, tracks.scores, strict=True
    ):
        found = detected[index].detections
        errors = np.abs(found.boxes_xyxy - box).max(axis=1)
        assert errors.min() < 0.02
        assert abs(found.scores[errors.argmin()] - score) < 1e-3


@pytest.mark.slow
@needs_libraries
def test_program_tracks_what_python_tracks(program, pictures, detected, tmp_path):
    tracker = Tracker.for_stream(TrackerConfig())
    expected = [frame.tracks for frame in Track(tracker, OperatingPoint(CONFIDENCE)).run(detected)]
    tracks = tracks_of(program, EXPORTED, pictures[1], tmp_path / "tracks.txt")
    first: dict[int, int] = {}
    for index, wanted in enumerate(expected):
        rows = tracks.frame_indices == index
        ids, boxes = tracks.track_ids[rows], tracks.boxes_xyxy[rows]
        for each in wanted.track_ids.tolist():
            first.setdefault(each, index)
        shared = np.isin(ids, list(first))
        np.testing.assert_array_equal(ids[shared], wanted.track_ids)
        apart = centre_distance(boxes[shared], wanted.boxes_xyxy)
        assert np.diag(apart).max(initial=0) < 1.0
    # The program shows a track from its first detection on, Python perhaps later.
    assert set(first) == set(tracks.track_ids.tolist())
    for each, index in first.items():
        assert index - MAX_EARLIER <= tracks.frame_indices[tracks.track_ids == each].min() <= index


@pytest.mark.slow
@needs_libraries
@pytest.mark.parametrize("part", ["frame", "clip"])
def test_program_refuses_a_network_that_it_does_not_know(program, tmp_path, part):
    settings = json.loads((EXPORTED / "stdet.json").read_text())
    if part == "frame":
        settings["frame"]["input"]["channels"].pop()
    else:
        settings["clip"]["inputs"][0]["frame"] = 2
    (tmp_path / "stdet.json").write_text(json.dumps(settings))
    arguments = [program, tmp_path, ROOT / "data/sample/sample.mp4", tmp_path / "tracks.txt"]
    run = subprocess.run([*map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == "stdet_track: expected 4 or 6 channels, and clips of 9 frames\n"


@pytest.mark.slow
@needs_libraries
@pytest.mark.parametrize(
    ("folder", "video", "message"),
    [
        (ROOT / "docs", ROOT / "data/sample/sample.mp4", "no stdet.json in"),
        (EXPORTED, ROOT / "nothing.mp4", "nothing.mp4 cannot be read"),
    ],
)
def test_program_says_in_one_line_what_it_cannot_read(program, tmp_path, folder, video, message):
    arguments = [program, folder, video, tmp_path / "tracks.txt"]
    run = subprocess.run([*map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 2
    assert message in run.stderr.splitlines()[-1]
    assert not (tmp_path / "tracks.txt").exists()
