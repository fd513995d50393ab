"""A command line in this process, tiny weights and a small clip to run it on."""

import contextlib
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scenes import SyntheticConfig, generate

from stdet.cli import main
from stdet.io.video.source import VideoWriter

CLIP = SyntheticConfig(name="clip", num_frames=10, hw=(48, 64), num_targets=2, seed=4)

STAGE_THREADS = {"read", "register", "look", "detect"}


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: list[str]


@pytest.fixture
def cli(capfd):
    """Run a command; what native libraries print counts as output too.

    However it ends, it leaves no thread of its own.
    """
    before = set(threading.enumerate())

    def run(*argv: object) -> Outcome:
        capfd.readouterr()
        try:
            code = main([str(arg) for arg in argv])
        except SystemExit as end:
            code = int(end.code or 0)
        left = set(threading.enumerate()) - before
        assert not any(thread.name in STAGE_THREADS for thread in left)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err.splitlines())

    return run


@pytest.fixture
def refused(cli):
    """Run a command that must fail with exit code 2, one line and no output; return the line."""

    def run(*argv: object) -> str:
        outcome = cli(*argv)
        assert (outcome.code, outcome.out) == (2, "")
        (line,) = outcome.err
        assert line.startswith("stdet: ")
        return line

    return run


@pytest.fixture(scope="session")
def weights(tmp_path_factory, tiny_model, lively) -> Path:
    """Tiny random weights whose operating point lets some detections through."""
    return _save(tmp_path_factory.mktemp("weights") / "tiny.safetensors", tiny_model(), lively)


@pytest.fixture(scope="session")
def other_weights(tmp_path_factory, tiny_model, lively) -> Path:
    """Weights of another architecture."""
    model = replace(tiny_model(width=1 / 8), name="wide")
    return _save(tmp_path_factory.mktemp("weights") / "wide.safetensors", model, lively)


def _save(path: Path, model, lively) -> Path:
    import torch

    from stdet.config import PostprocessConfig, StdetConfig
    from stdet.inference.checkpoint import save_weights
    from stdet.models.build import build_detector

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        detector = lively(build_detector(model))
    # Scores near 0.5, so that the strongest of these random detections form tracks.
    for layer in (detector.head.cls_pred, detector.head.obj_pred):
        torch.nn.init.ones_(layer.bias)
    postprocess = PostprocessConfig(confidence=0.25, max_detections=5)
    save_weights(
        path, detector.state_dict(), StdetConfig(model=model, postprocess=postprocess), {}
    )
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """A video of ten frames."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, generate(CLIP)[0])
    return path


def write_video(path: Path, frames: np.ndarray) -> None:
    with VideoWriter(path, hw=frames.shape[1:], fps=25) as writer:
        for frame in frames:
            writer.write(np.repeat(frame[:, :, None], 3, axis=2))


@pytest.fixture
def contents():
    """Return the bytes of every file below a folder."""

    def read(folder: Path) -> dict[str, bytes]:
        found = {}
        for path in sorted(folder.rglob("*")):
            with contextlib.suppress(IsADirectoryError):
                found[str(path.relative_to(folder))] = path.read_bytes()
        return found

    return read
