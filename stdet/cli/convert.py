"""`stdet convert`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from stdet.cli.terminal import say
from stdet.errors import DataError

_FORMATS = ("mot-zip", "coco-vid", "csv", "summary")
"""Those of ``track_exports.py``, which is imported when it is needed."""


def add_convert(commands: Any) -> None:
    """Add `stdet convert`."""
    parser = commands.add_parser(
        "convert",
        help="write a JSON of `stdet track` in the formats of other tools",
        description="Write tracks as a MOT 1.1 archive that CVAT imports (<stem>.mot.zip), "
        "COCO-VID (<stem>.coco_vid.json), CSV with time stamps (<stem>.csv), and a line per track "
        "(<stem>.summary.csv): first and last time, length, speed, SNR, probability, and whether "
        "it hovers, flies straight or turns.",
    )
    parser.add_argument("tracks", type=Path, metavar="JSON", help="of `stdet track`")
    parser.add_argument(
        "--to", nargs="+", choices=_FORMATS, default=_FORMATS, help="formats (all)"
    )
    parser.add_argument("--out", type=Path, help="folder (that of the JSON)")
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    parser.set_defaults(run=_run_convert)


def _run_convert(args: argparse.Namespace) -> int:
    from stdet.files.atomic_file import explain_os_errors
    from stdet.formats.track_exports import export_path, write_export
    from stdet.formats.track_json import read_track_json

    tracks = read_track_json(args.tracks)
    folder = args.tracks.parent if args.out is None else args.out
    paths = {form: export_path(folder, tracks.name, form) for form in dict.fromkeys(args.to)}
    there = [str(path) for path in paths.values() if path.exists()]
    if there and not args.overwrite:
        raise DataError(
            f"{', '.join(there)}: already there; pass --overwrite to replace, or another --out."
        )
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for form, path in paths.items():
        write_export(path, tracks, form)
        say(path)
    return 0
