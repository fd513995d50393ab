"""`stdet evaluate` and `stdet compare`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stdet.cli.arguments import (
    add_config,
    add_detector_options,
    add_format_option,
    add_ignored_zones,
    add_split_options,
    hold_outputs,
    ignored_zones,
    load,
    positive_number,
    size_hw,
    use_threads,
)
from stdet.cli.terminal import say
from stdet.errors import ConfigError, printable
from stdet.evaluation.protocol_names import PROTOCOL_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stdet.config import StdetConfig
    from stdet.evaluation.crosswalk import ProtocolReport
    from stdet.evaluation.report import Report, Reportable
    from stdet.metrics.sequence_result import SequenceResult


def add_evaluate(commands: Any) -> None:
    """Add `stdet evaluate`."""
    parser = commands.add_parser(
        "evaluate",
        help="score a detector and tracker on a data set, or files of any tool against truth",
        description="Run the model over a split (CONFIG), or score files alone (--truth and "
        "--predictions): COCO results against a COCO file, MOT text or a JSON of `stdet track` "
        "against MOT truth, folders of these, or folders of PNG masks. A detection hits within "
        "3 px of the target's centre; --set evaluation.hit_rule=box_share asks for half the box "
        "(evaluation.hit_box_share), and =iou for an overlap (evaluation.hit_iou).",
    )
    add_config(parser, nargs="?")
    add_detector_options(parser)
    add_split_options(parser)
    add_ignored_zones(parser)
    parser.add_argument("--json", type=Path, help="file for all scores")
    add_format_option(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")
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
        "--fps",
        type=positive_number,
        metavar="N",
        help="frames per second of sequences whose files do not say, for rates per hour "
        "(evaluation.fps)",
    )
    parser.add_argument(
        "--size",
        type=size_hw,
        metavar="HxW",
        help="size of the frames, pixels, where MOT files are scored (from the other files)",
    )
    parser.add_argument(
        "--protocols",
        type=_protocol_names,
        default=(),
        metavar="NAME[,NAME...]",
        help="print the same output scored by other protocols of the field, instead of the usual "
        f"table: all, or {', '.join(PROTOCOL_NAMES)} (docs/protocols.md)",
    )
    parser.set_defaults(run=_run_evaluate)


def _protocol_names(text: str) -> tuple[str, ...]:
    """Read names of protocols, or `all`."""
    names = tuple(name.strip() for name in text.split(","))
    if "all" in names:
        return PROTOCOL_NAMES
    for name in names:
        if name not in PROTOCOL_NAMES:
            raise argparse.ArgumentTypeError(
                f"{printable(name[:40])!r} is no protocol; choose from all, "
                f"{', '.join(PROTOCOL_NAMES)}"
            )
    return names


def _run_evaluate(args: argparse.Namespace) -> int:
    from stdet.evaluation.report import write_report

    with hold_outputs(args):
        report, protocols = _score(args)
        if args.json is not None:
            write_report(args.json, report, protocols=protocols)
            say(args.json)
    return 0


def _score(args: argparse.Namespace) -> tuple[Reportable, ProtocolReport | None]:
    if args.truth is not None or args.predictions is not None:
        if args.config is not None or args.truth is None or args.predictions is None:
            raise ConfigError("evaluate: give either CONFIG, or both --truth and --predictions.")
        if args.detector is not None:
            raise ConfigError("evaluate: --detector runs on CONFIG; leave it out for files.")
        if args.ignore or args.mask is not None:
            raise ConfigError("evaluate: --ignore and --mask are for CONFIG, not for files.")
        return _score_files(args)
    if args.config is None:
        raise ConfigError("evaluate: give CONFIG, or --truth and --predictions.")
    return _score_split(args)


def _score_split(args: argparse.Namespace) -> tuple[Report, ProtocolReport | None]:
    from stdet.evaluation.from_model import evaluate, evaluate_classical

    config = _load(args)
    use_threads(config.train.num_threads)
    if args.detector is None:
        scored = evaluate(
            config,
            weights=args.weights,
            split=args.split,
            device=args.device,
            engine=args.engine,
            ignored=ignored_zones(args),
        )
    else:
        scored = evaluate_classical(
            config, method=args.detector, split=args.split, ignored=ignored_zones(args)
        )
    protocols = _say_boxes(args, scored.report, scored.results, config)
    if args.report is not None:
        _write_html(
            args,
            title=f"{args.detector or args.weights} on {args.config.stem}, {args.split}",
            report=scored.report,
            results=scored.results,
            config=config.evaluation,
            read_frame=scored.read_frame,
        )
    return scored.report, protocols


def _score_files(args: argparse.Namespace) -> tuple[Reportable, ProtocolReport | None]:
    from stdet.evaluation.from_files import score_files
    from stdet.evaluation.from_masks import is_mask_folder
    from stdet.metrics.tracking.per_target import format_target_table

    config = _load(args)
    if is_mask_folder(args.truth):
        if args.report is not None:
            raise ConfigError("evaluate: --report shows boxes; leave it out for masks.")
        if args.fps is not None:
            raise ConfigError("evaluate: --fps is for rates per hour; leave it out for masks.")
        if args.size is not None:
            raise ConfigError("evaluate: --size is for MOT files; leave it out for masks.")
        if config.evaluation.hit_rule != "centre_distance":
            raise ConfigError(
                f"evaluate: evaluation.hit_rule {config.evaluation.hit_rule} is for boxes; masks "
                "hit by centre_distance."
            )
        return _score_masks(args, config)
    scores = score_files(args.truth, args.predictions, config, image_hw=args.size)
    if scores.targets and args.format == "text" and not args.protocols:
        say(format_target_table(scores.targets))
    protocols = _say_boxes(args, scores.report, scores.results, config)
    if args.report is not None:
        _write_html(
            args,
            title=f"{args.predictions.name} against {args.truth.name}",
            report=scores.report,
            results=scores.results,
            config=config.evaluation,
            read_frame=None,
        )
    return scores.report, protocols


def _score_masks(
    args: argparse.Namespace, config: StdetConfig
) -> tuple[Reportable, ProtocolReport | None]:
    from stdet.evaluation.from_masks import format_mask_table, score_masks
    from stdet.evaluation.mask_crosswalk import score_mask_protocols
    from stdet.report.crosswalk_table import crosswalk_table

    masks = score_masks(args.truth, args.predictions, radius_px=config.evaluation.pd_radius_px)
    if not args.protocols:
        say(format_mask_table(masks))
        return masks, None
    protocols = score_mask_protocols(
        args.truth, args.predictions, config.evaluation, names=args.protocols
    )
    say(crosswalk_table(protocols).render(args.format))
    return masks, protocols


def _say_boxes(
    args: argparse.Namespace,
    report: Report,
    results: Sequence[SequenceResult],
    config: StdetConfig,
) -> ProtocolReport | None:
    """Print the usual table, or that of the protocols, and return their numbers."""
    from stdet.evaluation.crosswalk import score_protocols
    from stdet.report.crosswalk_table import crosswalk_table
    from stdet.report.tables import report_table

    if not args.protocols:
        say(report_table(report).render(args.format))
        return None
    protocols = score_protocols(results, report, config.evaluation, names=args.protocols)
    say(crosswalk_table(protocols).render(args.format))
    return protocols


def _load(args: argparse.Namespace) -> StdetConfig:
    """Read the configuration; --fps goes over what it says."""
    from stdet.files.settings_file import Layer

    if args.fps is None:
        return load(args)
    return load(args, Layer(where="--fps", values={"evaluation": {"fps": args.fps}}))


def _write_html(args: argparse.Namespace, **content: Any) -> None:
    from stdet.report.html_report import write_html_report

    say(write_html_report(args.report, **content))


def add_compare(commands: Any) -> None:
    """Add `stdet compare`."""
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
    add_format_option(parser)
    parser.set_defaults(run=_run_compare)


def _run_compare(args: argparse.Namespace) -> int:
    from stdet.report.comparison import compare_runs, read_run

    if len(args.runs) < 2:
        raise ConfigError("compare: give at least two runs.")
    say(compare_runs([read_run(path) for path in args.runs]).render(args.format))
    return 0
