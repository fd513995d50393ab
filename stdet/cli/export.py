"""`stdet export`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from stdet.cli.arguments import WEIGHTS_HELP, positive
from stdet.cli.terminal import say
from stdet.errors import ConfigError


def add_export(commands: Any) -> None:
    """Add `stdet export`."""
    parser = commands.add_parser(
        "export",
        help="write weights as ONNX or OpenVINO for other programs",
        description="Write the network of WEIGHTS in two parts, one per frame and one per clip, "
        "for frames of any size, and stdet.json with all that a program needs beside them "
        "(docs/engines.md). They are compared with the weights before, and where they differ "
        "nothing is written.",
    )
    parser.add_argument("weights", metavar="WEIGHTS", help=WEIGHTS_HELP)
    parser.add_argument(
        "--format",
        choices=("onnx", "openvino"),
        default="onnx",
        help="of the files; openvino needs `pip install 'stdet[openvino]'` (onnx)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder")
    parser.add_argument(
        "--verify",
        type=Path,
        metavar="VIDEO",
        help="track this video, folder or TIFF with both, and compare all values (1e-4), "
        "detections (the same, within 0.02 px and 0.001 of their score) and ids of tracks "
        "(random frames, values alone)",
    )
    parser.add_argument(
        "--frames", type=positive, metavar="N", help="first frames of --verify (all)"
    )
    parser.add_argument(
        "--calibrate",
        type=Path,
        nargs="+",
        default=[],
        metavar="VIDEO",
        help="write convolutions in integers of 8 bits (OpenVINO alone), with the ranges that "
        "they have on the first 100 frames of these videos, folders or TIFFs; needs --labelled",
    )
    parser.add_argument(
        "--labelled",
        type=Path,
        metavar="CONFIG",
        help="YAML of a data set whose validation split is left out of training and of "
        "--calibrate: where Pd at 0.05 false alarms per frame falls there by more than 0.002, "
        "nothing is written",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.set_defaults(run=_run_export)


def _run_export(args: argparse.Namespace) -> int:
    from stdet.inference.exported.write import export_weights

    if args.frames is not None and args.verify is None:
        raise ConfigError("export: --frames is for --verify; name a video, or leave it out.")
    if bool(args.calibrate) != (args.labelled is not None):
        raise ConfigError("export: 8 bits need both --calibrate and --labelled; give both.")
    if args.calibrate:
        return _run_int8(args)
    exported = export_weights(
        args.weights,
        args.out,
        format=args.format,
        video=args.verify,
        num_frames=args.frames,
        overwrite=args.overwrite,
    )
    found = exported.agreement
    compared = f"{found.num_frames} frames"
    if args.verify is not None:
        compared += f", {found.num_detections} detections and {found.num_tracks} tracks"
    say(f"the same as the weights on {compared}; values differ by at most {found.difference:.1g}")
    for path in exported.paths:
        say(path)
    return 0


def _run_int8(args: argparse.Namespace) -> int:
    from stdet.config import load_config
    from stdet.evaluation.int8_export import RATE, export_int8

    if args.format != "openvino":
        raise ConfigError(
            "export: 8 bits are slower than 32 in ONNX Runtime; pass --format openvino."
        )
    if args.verify is not None:
        raise ConfigError(
            "export: 8 bits round too much for --verify; --labelled checks them instead."
        )
    found = export_int8(
        args.weights,
        args.out,
        calibrate=args.calibrate,
        labelled=load_config(args.labelled),
        overwrite=args.overwrite,
    )
    say(
        f"Pd at {RATE:g} false alarms per frame on {found.num_frames} frames: {found.pd:.4f}, in "
        f"8 bits {found.int8_pd:.4f}"
    )
    for path in found.paths:
        say(path)
    return 0
