"""Command line: parse, build one config, call one library function, print.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done; 2 the user's mistake, one
line; 3 usable input was read and kept, but some was missing, or a data check found something
wrong; 130 interrupted; 1 a bug.
"""

from __future__ import annotations

import argparse
import errno
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stdet import __version__
from stdet.errors import ConfigError, DataError, StdetError

if TYPE_CHECKING:
    from stdet.config import StdetConfig
    from stdet.evaluation.report import Report
    from stdet.mask_scoring import MaskReport

_Number = TypeVar("_Number", int, float)

DEFAULT_WEIGHTS_HELP = "name of shipped weights, or a .safetensors file of `stdet train`"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        code: int = args.run(args)
    except StdetError as error:
        print(f"stdet: {_one_line(error)}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        # Writers explain a full disk themselves; this is for logs and other small files.
        if error.errno != errno.ENOSPC:
            raise
        print(
            f"stdet: {error.filename or 'output'}: disk full; free some space and run again.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("stdet: interrupted; finished outputs are kept.", file=sys.stderr)
        return 130
    return code


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; nothing heavy is imported, so that --help is instant."""
    parser = argparse.ArgumentParser(
        prog="stdet", description="Find and track moving infrared small targets in video."
    )
    parser.add_argument("--version", action="version", version=f"stdet {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (_add_track, _add_train, _add_evaluate, _add_compare, _add_info, _add_data):
        add(commands)
    return parser


def _one_line(error: StdetError) -> str:
    """Return the message, before which a loader process puts its traceback."""
    last = str(error).splitlines()[-1]
    return last.removeprefix(f"{type(error).__module__}.{type(error).__name__}: ")


def _add_track(commands: Any) -> None:
    parser = commands.add_parser(
        "track",
        help="track targets in a video or folder of frames",
        description="Write <stem>.mot.txt, <stem>.json and an annotated <stem>.mp4.",
    )
    parser.add_argument("source", type=Path, help="video, folder of images, or multi-page TIFF")
    parser.add_argument("--weights", default="stdet_n", help=f"{DEFAULT_WEIGHTS_HELP} (stdet_n)")
    parser.add_argument("--out", type=Path, default=Path("output"), help="folder (output)")
    parser.add_argument(
        "--confidence",
        type=_fraction,
        help="lowest score that reaches the tracker, 0 to 1 (chosen on validation, stored with "
        "the weights)",
    )
    parser.add_argument("--start", type=_count, default=0, help="first frame, from 0 (0)")
    parser.add_argument("--frames", type=_positive, help="number of frames to read (all)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--no-video", action="store_true", help="write no annotated video")
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    parser.set_defaults(run=_run_track)


def _run_track(args: argparse.Namespace) -> int:
    from stdet.track_files import TrackOptions, track_to_files

    options = TrackOptions(
        weights=args.weights,
        out_dir=args.out,
        confidence=args.confidence,
        start=args.start,
        num_frames=args.frames,
        device=args.device,
        with_video=not args.no_video,
        overwrite=args.overwrite,
    )
    summary = track_to_files(args.source, options)
    print(
        f"{summary.num_frames} frames, {summary.num_tracks} tracks, "
        f"{summary.frames_per_second:.1f} frames/s"
    )
    for path in summary.outputs:
        print(path)
    if summary.shortfall is not None:
        print(f"stdet: {summary.shortfall}", file=sys.stderr)
        return 3
    return 0


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train a detector on frame clips",
        description="Train; a killed run goes on from its last finished epoch when the same "
        "command is given again. torchrun runs it on several processes.",
    )
    _add_config(parser)
    parser.add_argument("--run-dir", type=Path, help="folder of the run (runs/<name of CONFIG>)")
    parser.add_argument("--overwrite", action="store_true", help="start anew in an existing run")
    parser.set_defaults(run=_run_train)


def _run_train(args: argparse.Namespace) -> int:
    from stdet.training.run import train

    run_dir = args.run_dir or Path("runs") / args.config.stem
    result = train(_config(args), run_dir=run_dir, overwrite=args.overwrite)
    if result is not None:
        print(f"best epoch {result.best.get('epoch')}: {result.best_weights}")
        print(f"last epoch: {result.last_weights}")
    return 0


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score a detector and tracker on a data set, or files of any tool against truth",
        description="Run the model over a split (CONFIG), or score files alone (--truth and "
        "--predictions): COCO results against a COCO file, MOT text or a JSON of `stdet track` "
        "against MOT truth, folders of these, or folders of PNG masks.",
    )
    _add_config(parser, nargs="?")
    parser.add_argument("--weights", default="stdet_n", help=f"{DEFAULT_WEIGHTS_HELP} (stdet_n)")
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test"),
        default="validation",
        help="split to score (validation)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--json", type=Path, help="file for all scores")
    _add_format(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --json file")
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="folder for a page (index.html) to look at"
    )
    parser.add_argument(
        "--truth", type=Path, help="COCO file, MOT file, folder of these or of PNG masks"
    )
    parser.add_argument(
        "--predictions", type=Path, help="COCO results, MOT file, JSON of `track`, or folder"
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="HxW",
        help="size of the frames, pixels, where MOT files are scored (from the other files)",
    )
    parser.set_defaults(run=_run_evaluate)


def _run_evaluate(args: argparse.Namespace) -> int:
    from stdet.evaluation.report import write_report

    _check_json(args)
    report: Report | MaskReport
    if args.truth is not None or args.predictions is not None:
        if args.config is not None or args.truth is None or args.predictions is None:
            raise ConfigError("evaluate: give either CONFIG, or both --truth and --predictions.")
        report = _score_files(args)
    elif args.config is None:
        raise ConfigError("evaluate: give CONFIG, or --truth and --predictions.")
    else:
        report = _score_split(args)
    if args.json is not None:
        write_report(args.json, report)
        print(args.json)
    return 0


def _score_split(args: argparse.Namespace) -> Report:
    from stdet.evaluation.tables import report_table
    from stdet.scoring import evaluate_split

    config = _config(args)
    scored = evaluate_split(config, weights=args.weights, split=args.split, device=args.device)
    print(report_table(scored.report).render(args.format))
    if args.report is not None:
        _write_html(
            args,
            title=f"{args.weights} on {args.config.stem}, {args.split}",
            report=scored.report,
            results=scored.results,
            config=config.evaluation,
            read_frame=scored.read_frame,
        )
    return scored.report


def _score_files(args: argparse.Namespace) -> Report | MaskReport:
    from stdet.evaluation.per_target import format_target_table
    from stdet.evaluation.tables import report_table
    from stdet.file_scoring import score_files
    from stdet.mask_scoring import format_mask_table, is_mask_folder, score_masks

    config = _config(args)
    if is_mask_folder(args.truth):
        if args.report is not None:
            raise ConfigError("evaluate: --report shows boxes; leave it out for masks.")
        masks = score_masks(args.truth, args.predictions, radius_px=config.evaluation.pd_radius_px)
        print(format_mask_table(masks))
        return masks
    scores = score_files(args.truth, args.predictions, config, image_hw=args.size)
    if scores.targets and args.format == "text":
        print(format_target_table(scores.targets))
    print(report_table(scores.report).render(args.format))
    if args.report is not None:
        _write_html(
            args,
            title=f"{args.predictions.name} against {args.truth.name}",
            report=scores.report,
            results=scores.results,
            config=config.evaluation,
            read_frame=None,
        )
    return scores.report


def _write_html(args: argparse.Namespace, **content: Any) -> None:
    from stdet.evaluation.html_report import write_html_report

    print(write_html_report(args.report, **content))


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser(
        "compare",
        help="compare evaluated runs",
        description="Print the headline numbers of runs that were evaluated on the same "
        "sequences, their paired differences to the first run with 95 % intervals (bootstrap over "
        "sequences), and the mean rank of each.",
    )
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="JSON of `stdet evaluate --json`"
    )
    _add_format(parser)
    parser.set_defaults(run=_run_compare)


def _run_compare(args: argparse.Namespace) -> int:
    from stdet.evaluation.compare import compare_runs, read_run

    if len(args.runs) < 2:
        raise ConfigError("compare: give at least two runs.")
    print(compare_runs([read_run(path) for path in args.runs]).render(args.format), end="")
    return 0


def _add_info(commands: Any) -> None:
    parser = commands.add_parser(
        "info",
        help="show what a model costs",
        description="Print parameters, GFLOP per part, strides and receptive field of a model; "
        "for BP-FPN also what it costs over the plain FPN.",
    )
    _add_config(parser)
    parser.add_argument(
        "--size",
        type=_size,
        default=(256, 256),
        metavar="HxW",
        help="size at which a native-resolution model is counted (256x256)",
    )
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --json file")
    parser.set_defaults(run=_run_info)


def _run_info(args: argparse.Namespace) -> int:
    from stdet.info import describe_model, format_info, write_info

    _check_json(args)
    info = describe_model(_config(args).model, native_hw=args.size)
    print(format_info(info))
    if args.json is not None:
        write_info(args.json, info)
        print(args.json)
    return 0


def _add_data(commands: Any) -> None:
    parser = commands.add_parser(
        "data",
        help="check a data set, or show its statistics",
        description="Look at the label files of data sets; every label file is a split.",
    )
    actions = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check = actions.add_parser(
        "check",
        help="find damage, bad boxes and leaks between splits",
        description="Find broken and missing images, bad boxes, gaps, frames that occur twice, "
        "and leaks between splits. Exit code 3 where something is wrong. Works without images.",
    )
    _add_places(check)
    check.add_argument("--no-images", action="store_true", help="check labels only")
    check.set_defaults(run=_run_data_check)
    stats = actions.add_parser(
        "stats",
        help="count targets and measure sizes and steps",
        description="Print frames, targets per frame, box sizes and steps of every split. "
        "Needs no images.",
    )
    _add_places(stats)
    stats.set_defaults(run=_run_data_stats)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "roots",
        type=Path,
        nargs="+",
        metavar="ROOT",
        help="data set folder, folder of label files, or one label file (COCO .json, text list "
        ".txt); several are compared with one another",
    )
    parser.add_argument("--json", type=Path, help="file for all results")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --json file")


def _run_data_check(args: argparse.Namespace) -> int:
    from stdet.dataset_check.check import check_dataset
    from stdet.dataset_check.findings import format_check, write_check

    _check_json(args)
    report = check_dataset(args.roots, with_images=not args.no_images)
    print(format_check(report))
    if args.json is not None:
        write_check(args.json, report)
        print(args.json)
    return 3 if report.findings else 0


def _run_data_stats(args: argparse.Namespace) -> int:
    from stdet.dataset_check.stats import (
        dataset_statistics,
        format_statistics,
        write_statistics,
    )

    _check_json(args)
    statistics = dataset_statistics(args.roots)
    print(format_statistics(statistics))
    if args.json is not None:
        write_statistics(args.json, statistics)
        print(args.json)
    return 0


def _add_config(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument(
        "config", type=Path, nargs=nargs, metavar="CONFIG", help="YAML, such as configs/daub.yaml"
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one value, such as train.learning_rate=1e-4; may be repeated",
    )


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=("text", "markdown", "latex", "csv"),
        default="text",
        help="how the table is printed (text)",
    )


def _config(args: argparse.Namespace) -> StdetConfig:
    from stdet.config import load_config

    return load_config(args.config, args.overrides)


def _check_json(args: argparse.Namespace) -> None:
    """Refuse a --json file or --report that cannot be written before the work, not after it."""
    report: Path | None = getattr(args, "report", None)
    if report is not None and (report / "index.html").exists() and not args.overwrite:
        raise DataError(f"{report / 'index.html'}: already there; pass --overwrite to replace it.")
    if report is not None and report.exists() and not report.is_dir():
        raise DataError(f"{report}: is a file; name a folder with --report.")
    path: Path | None = args.json
    if path is None:
        return
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name a file with --json.")
    if path.exists() and not args.overwrite:
        raise DataError(f"{path}: already there; pass --overwrite to replace it.")
    if not path.parent.is_dir():
        raise DataError(f"{path}: its folder does not exist; create {path.parent} first.")


def _fraction(text: str) -> float:
    value = _number(text, float, "number")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _count(text: str) -> int:
    value = _number(text, int, "whole number")
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _positive(text: str) -> int:
    value = _number(text, int, "whole number")
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _number(text: str, kind: type[_Number], expected: str) -> _Number:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a {expected}") from None


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, such as 512x640")
    return int(height), int(width)
