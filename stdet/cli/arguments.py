"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from stdet.classical.methods import METHODS
from stdet.errors import DataError
from stdet.files.atomic_file import explain_os_errors, require_writable
from stdet.files.locks import lock_folder, lock_output
from stdet.inference.engines.names import ENGINES
from stdet.io.frame_area import MAX_MEGAPIXELS

if TYPE_CHECKING:
    from stdet.config import StdetConfig
    from stdet.files.settings_file import Layer
    from stdet.io.ignored_pixels import IgnoredZones

_MAX_NUMBER = 2**31
"""No count of frames or pixels is larger; beyond it numbers overflow in libraries."""

_MAX_JOBS = 1024
_MAX_PORT = 65535
_MAX_SHOWN = 40
"""Characters of a wrong argument that a message repeats."""

_Number = TypeVar("_Number", int, float)

WEIGHTS_HELP = "name of shipped weights, or a .safetensors file of `stdet train`"
TRACKED_WEIGHTS_HELP = f"{WEIGHTS_HELP}, or a folder of `stdet export`, which needs no PyTorch"


def add_config(
    parser: argparse.ArgumentParser,
    nargs: str | None = None,
    *,
    metavar: str = "CONFIG",
    what: str = "YAML, such as configs/daub.yaml",
    setting: str = "train.learning_rate=1e-4",
) -> None:
    """Add CONFIG and --set."""
    parser.add_argument("config", type=Path, nargs=nargs, metavar=metavar, help=what)
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"override one value, such as {setting}; may be repeated",
    )


def add_max_megapixels(parser: argparse.ArgumentParser) -> None:
    """Add --max-megapixels, the limit of ``frame_area.py``."""
    parser.add_argument(
        "--max-megapixels",
        type=positive_number,
        default=MAX_MEGAPIXELS,
        metavar="N",
        help=f"largest area of a frame, 10^6 pixels ({MAX_MEGAPIXELS:g})",
    )


def add_detector_options(
    parser: argparse.ArgumentParser, *, weights_help: str = WEIGHTS_HELP
) -> argparse._MutuallyExclusiveGroup:
    """Add --weights and --detector, of which one may be given; return their group."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--weights", default="stdet_n", help=f"{weights_help} (stdet_n)")
    group.add_argument(
        "--detector",
        choices=METHODS,
        help="a classical detector instead of the network, without training: tophat "
        "(morphological top-hat) and lcm (multiscale local contrast) look at single frames, "
        "framediff (differences to registered earlier frames) and rpca (temporal low rank plus "
        "sparse, slower) at motion",
    )
    return group


def add_tracker_options(parser: argparse.ArgumentParser, *, confidence: str, latency: str) -> None:
    """Add --confidence, --false-alarms-per-hour and --latency.

    Args:
        parser: Of a command that tracks.
        confidence: What holds without --confidence.
        latency: What holds without --latency.
    """
    parser.add_argument(
        "--confidence",
        type=fraction,
        help=f"lowest score that begins a track, 0 to 1 ({confidence})",
    )
    parser.add_argument(
        "--false-alarms-per-hour",
        type=positive_number,
        metavar="N",
        help="let tracks out from the probability on at which the footage's own tracks make N "
        "false ones an hour (all tracks come out); for the network alone",
    )
    parser.add_argument(
        "--latency",
        type=count,
        metavar="N",
        help="frames by which outputs may be late, from the first frame on: 0 for at once, more "
        f"for better tracks ({latency})",
    )


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    """Add --raw, --stream and --jsonl."""
    parser.add_argument(
        "--raw",
        metavar="WxH:PIXELS@FPS",
        help="how the raw frames of - or of a named pipe lie, such as 640x512:gray16le@25; PIXELS "
        "is gray8, gray16le or gray16be, @FPS may be left out",
    )
    parser.add_argument(
        "--stream",
        type=count,
        help="video stream of a file that has several, from 0, cover pictures left out (the first "
        "that the file marks as default)",
    )
    parser.add_argument(
        "--jsonl",
        action="append",
        default=[],
        metavar="TARGET",
        help="send a line of JSON for each frame while the run goes on: to - (standard output), a "
        "new file, udp://HOST:PORT or mqtt://HOST[:PORT]/TOPIC; may be repeated. A slow reader of "
        "a live run loses lines and never holds it up",
    )


def add_page_options(parser: argparse.ArgumentParser) -> None:
    """Add --port, --host and --token."""
    parser.add_argument(
        "--port", type=port, default=8080, help="of the page; 0 for a free one (8080)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address of this machine that the page is on; one that others reach, such as "
        "0.0.0.0, asks for a token (127.0.0.1)",
    )
    parser.add_argument(
        "--token",
        help="what the address of the page must end with, at least 8 letters and digits (none on "
        "this machine alone, else a random one, which is printed)",
    )


def add_ignored_zones(parser: argparse.ArgumentParser) -> None:
    """Add --ignore and --mask."""
    parser.add_argument(
        "--ignore",
        type=_ignored_box,
        action="append",
        default=[],
        metavar="X,Y,W,H",
        help="box of pixels that do not belong to the scene, such as burnt-in text, a reticle or "
        "dirt: left column, top row, width and height, from 0. It is left out of registration, "
        "and nothing is detected in it. May be repeated",
    )
    parser.add_argument(
        "--mask",
        type=Path,
        metavar="PNG",
        help="image of the frames' size whose black pixels (level 0) are ignored like those of "
        "--ignore, all others seen, as for Motion and OpenCV",
    )


def ignored_zones(args: argparse.Namespace) -> IgnoredZones:
    """Return what --ignore and --mask say."""
    from stdet.io.ignored_pixels import IgnoredZones

    return IgnoredZones(boxes=tuple(args.ignore), mask=args.mask)


def add_split_options(parser: argparse.ArgumentParser) -> None:
    """Add --split, --device and --engine, for commands that run a detector over a split."""
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test"),
        default="validation",
        help="split to score (validation)",
    )
    add_device_options(parser)


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add --device and --engine."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="what runs the network: eager is PyTorch; onnxruntime and openvino (`pip install "
        "'stdet[openvino]'`) take about half of its time; "
        "-bf16 computes in bfloat16, faster for frames below 480x480 on a CPU with AMX, and "
        "scores move a little; auto takes the fastest in 32 bits that is installed and agrees "
        "with PyTorch on the first frames (auto)",
    )


def use_threads(num_threads: int = 0) -> None:
    """Let PyTorch use so many CPU threads; 0 for one, or for what OMP_NUM_THREADS says.

    Threads of one small operator wait for each other, and a busy neighbour holds all of them up.
    """
    import torch

    if num_threads or "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(num_threads or 1)


def use_stage_threads(args: argparse.Namespace) -> None:
    """Prepare for stages in threads: each has one, and one heap serves all.

    OpenCV's own threads compute while they wait. PyTorch is told where it runs the network, and
    not loaded for it elsewhere.
    """
    import cv2

    from stdet.inference.load_network import uses_torch
    from stdet.processes.one_heap import use_one_heap

    use_one_heap()
    cv2.setNumThreads(1)
    is_other = args.detector is not None or getattr(args, "detections", None) is not None
    if not is_other and uses_torch(args.weights):
        use_threads()


def add_format_option(parser: argparse.ArgumentParser) -> None:
    """Add --format for tables."""
    parser.add_argument(
        "--format",
        choices=("text", "markdown", "latex", "csv"),
        default="text",
        help="how the table is printed (text)",
    )


def load(args: argparse.Namespace, *changes: Layer) -> StdetConfig:
    """Read the configuration that the arguments name; ``changes`` go over it."""
    from stdet.config import load_config

    return load_config(args.config, args.overrides, changes=changes)


@contextlib.contextmanager
def hold_outputs(args: argparse.Namespace) -> Iterator[None]:
    """Be the only run that writes --json and --report, from before the work to after it.

    Raises:
        DataError: If one of them cannot be written, is there already or is an input.
    """
    report: Path | None = getattr(args, "report", None)
    _check_outputs(args, report)
    with contextlib.ExitStack() as on_exit:
        if report is not None:
            on_exit.enter_context(_hold_folder(report))
        if args.json is not None:
            require_writable(args.json)
            on_exit.enter_context(lock_output(args.json, advice="wait for it, or name another"))
        _check_outputs(args, report)  # Another run may have ended since.
        yield


@contextlib.contextmanager
def _hold_folder(folder: Path) -> Iterator[None]:
    """Create and lock a folder, and remove it at the end if nothing was written."""
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with lock_folder(folder):
            yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _check_outputs(args: argparse.Namespace, report: Path | None) -> None:
    """Refuse what is there already, of another kind, or an input."""
    if report is not None and (report / "index.html").exists() and not args.overwrite:
        raise DataError(f"{report / 'index.html'}: already there; pass --overwrite to replace it.")
    if report is not None and report.exists() and not report.is_dir():
        raise DataError(f"{report}: is a file; name a folder with --report.")
    path: Path | None = args.json
    if path is None:
        return
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name a file with --json.")
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is a device; name a file with --json.")
    names = ("truth", "predictions", "config", "weights")
    given = [getattr(args, name, None) for name in names]
    inputs = [used for one in given for used in (one if isinstance(one, list) else [one])]
    inputs += getattr(args, "roots", [])
    if any(
        used is not None and os.path.realpath(used) == os.path.realpath(path) for used in inputs
    ):
        raise DataError(f"{path}: is an input itself; name another file with --json.")
    if path.exists() and not args.overwrite:
        raise DataError(f"{path}: already there; pass --overwrite to replace it.")
    if not path.parent.is_dir():
        raise DataError(f"{path}: its folder does not exist; create {path.parent} first.")


def fraction(text: str) -> float:
    """Read a number in [0, 1]."""
    value = _number(text, float, "number")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def count(text: str) -> int:
    """Read a whole number of at least 0."""
    value = _number(text, int, "whole number")
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    value = _number(text, int, "whole number")
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def port(text: str) -> int:
    """Read a port number; 0 stands for a free one."""
    value = count(text)
    if value > _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{value} is above {_MAX_PORT}")
    return value


def jobs(text: str) -> int:
    """Read a number of processes."""
    value = positive(text)
    if value > _MAX_JOBS:
        raise argparse.ArgumentTypeError(f"{value} is above {_MAX_JOBS}")
    return value


def positive_number(text: str) -> float:
    """Read a number above 0."""
    value = _number(text, float, "number")
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _number(text: str, kind: type[_Number], expected: str) -> _Number:
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{_shown(text)!r} is not a {expected}") from None
    if abs(value) > _MAX_NUMBER:
        raise argparse.ArgumentTypeError(f"{_shown(text)} is larger than {_MAX_NUMBER}")
    return value


def size_hw(text: str) -> tuple[int, int]:
    """Read HEIGHTxWIDTH."""
    sides = re.fullmatch(r"0*([1-9][0-9]{0,4})x0*([1-9][0-9]{0,4})", text)
    if sides is None:
        raise argparse.ArgumentTypeError(f"{_shown(text)!r} is not HEIGHTxWIDTH, such as 512x640")
    return int(sides[1]), int(sides[2])


def _ignored_box(text: str) -> tuple[int, int, int, int]:
    """Read X,Y,W,H of whole numbers: X and Y of at least 0, W and H of at least 1."""
    parts = text.split(",")
    if len(parts) != 4:
        raise argparse.ArgumentTypeError(f"{_shown(text)!r} is not X,Y,W,H, such as 0,0,120,20")
    x, y, width, height = (
        read(part) for read, part in zip((count, count, positive, positive), parts, strict=True)
    )
    return x, y, width, height


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
