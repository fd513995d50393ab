"""One self-contained HTML page: scores, curves, and where and how a detector went wrong.

``report_page.html`` is its Jinja2 template, which escapes all values but the SVG charts.
The page asks no server for anything: style, script, charts and images are part of it. Whatever
belongs to one sequence carries its number in ``data-sequence``; ``report_page.js`` shows one
sequence alone by hiding what carries another number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np

from stdet.config import EvaluationConfig
from stdet.evaluation.report import Report
from stdet.files.atomic_file import AtomicFile, explain_os_errors
from stdet.metrics.detection.hit_rule import HIT_SETTINGS, hit_rule
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.tracking.error_events import ErrorEvents, find_errors, match_frame, worst_frames
from stdet.report.frame_crops import CROP_PX, Crop, draw_crop
from stdet.report.html_charts import (
    FrameReader,
    curve_charts,
    measure_scr,
    scr_chart,
    size_chart,
)
from stdet.report.html_tables import (
    rules_list,
    sequence_columns,
    subset_tables,
    summary_tables,
)
from stdet.report.svg_charts import MAX_STRIP_COLUMNS, event_strip, strip_step

MAX_CROPS = 24
"""Frames shown as images, over all sequences."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Material:
    """What the sections are made of; sequences are numbered in the order of ``results``."""

    report: Report
    results: Sequence[SequenceResult]
    events: Sequence[ErrorEvents]
    config: EvaluationConfig
    read_frame: FrameReader | None


def write_html_report(
    folder: Path,
    *,
    title: str,
    report: Report,
    results: Sequence[SequenceResult],
    config: EvaluationConfig,
    read_frame: FrameReader | None,
) -> Path:
    """Write ``index.html`` into a folder.

    Args:
        folder: Made where it is missing; an earlier report in it is replaced.
        title: Heading, such as the weights and the data set.
        report: Scores of ``results``.
        results: Truth, detections and tracks of each sequence.
        config: Rule of a hit and gates the scores were made with.
        read_frame: From sequence name and frame index to float32 (H, W) in [0, 1]; called once
            for each frame with targets, in order, and once for each frame shown. None leaves out
            what needs pixels, and says so.

    Returns:
        The file.

    Raises:
        DataError: If the file cannot be written.
        ValueError: If the report is not of these sequences and rules.
    """
    _check_same(report, results, config)
    events = [
        find_errors(result, config, confidence=report.rules.confidence) for result in results
    ]
    material = _Material(
        report=report, results=results, events=events, config=config, read_frame=read_frame
    )
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    page = _page(title, material)
    with AtomicFile(path) as file:
        file.write(page.encode("ascii", "xmlcharrefreplace").decode("ascii"))
    return path


def _check_same(
    report: Report, results: Sequence[SequenceResult], config: EvaluationConfig
) -> None:
    """Raise ``ValueError`` unless the report is of these sequences and rules."""
    names = sorted(result.annotation.name for result in results)
    if names != sorted(report.per_sequence):
        raise ValueError(
            f"report is of {sorted(report.per_sequence)}, results are of {names}; expected the "
            "same sequences."
        )
    for field in (*HIT_SETTINGS, "track_gate_px", "link_gate_px"):
        made, given = getattr(report.rules, field), getattr(config, field)
        if made != given:
            raise ValueError(
                f"report has {field} {made}, config has {given}; expected the config the report "
                "was made with."
            )


def _page(title: str, material: _Material) -> str:
    """Return the whole page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stdet", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    report, results, events = material.report, material.results, material.events
    names = [result.annotation.name for result in results]
    rules = report.rules
    longest = max(len(event.num_misses) for event in events)
    precision_svg, roc_svg = curve_charts(
        results, rule=hit_rule(rules), confidence=rules.confidence
    )
    return environment.get_template("report_page.html").render(
        title=title,
        score_tables=[
            *summary_tables(report, report.bootstrap.intervals()),
            *subset_tables(report),
        ],
        rules=rules_list(report, len(names)),
        hit=rules.hit,
        precision_svg=precision_svg,
        roc_svg=roc_svg,
        contrast=_contrast(material),
        size_svg=size_chart(results, events),
        names=names,
        columns=sequence_columns(report, names, events),
        track_gate=f"{rules.track_gate_px:g} px",
        has_joined_frames=strip_step(longest) > 1,
        max_columns=MAX_STRIP_COLUMNS,
        timelines=list(map(_timeline, names, events)),
        crops=_crops(material),
        max_crops=MAX_CROPS,
        crop_px=CROP_PX,
    )


@dataclass(frozen=True, kw_only=True)
class _Contrast:
    """Pd against the signal-to-clutter ratio.

    Attributes:
        svg: The chart.
        num_undefined: Targets left out of it, for which the ratio is undefined.
    """

    svg: str
    num_undefined: int


def _contrast(material: _Material) -> _Contrast | None:
    """Return Pd against contrast at the operating point, None without images."""
    if material.read_frame is None:
        return None
    scr = measure_scr(material.results, material.read_frame)
    num_undefined = sum(
        int(np.isnan(values[~result.annotation.is_ignored]).sum())
        for values, result in zip(scr, material.results, strict=True)
    )
    return _Contrast(
        svg=scr_chart(material.results, material.events, scr), num_undefined=num_undefined
    )


@dataclass(frozen=True, kw_only=True)
class _Lane:
    """One kind of error over the frames of a sequence.

    Attributes:
        label: The kind.
        total: Number of errors.
        svg: The marks.
    """

    label: str
    total: int
    svg: str


@dataclass(frozen=True, kw_only=True)
class _Timeline:
    """The errors of one sequence over its frames.

    Attributes:
        name: Of the sequence.
        note: Its length, and how many frames a mark stands for.
        lanes: One per kind of error; empty where the sequence has no errors.
        ticks: Indices of frames at equal distances, from the first to the last.
    """

    name: str
    note: str
    lanes: tuple[_Lane, ...]
    ticks: tuple[int, ...]


def _timeline(name: str, event: ErrorEvents) -> _Timeline:
    """Draw the strips of one sequence."""
    kinds = [
        ("misses", "miss", event.num_misses),
        ("false alarms", "false", event.num_false_alarms),
        ("id switches", "switch", event.num_switches),
    ]
    num_frames = len(event.num_misses)
    if not any(counts.any() for _, _, counts in kinds):
        return _Timeline(
            name=name, note=f"{num_frames} frames without errors.", lanes=(), ticks=()
        )
    step = strip_step(num_frames)
    lanes = [
        _Lane(
            label=label,
            total=int(counts.sum()),
            svg=event_strip(f"{name}: {label} over {num_frames} frames", kind, counts),
        )
        for label, kind, counts in kinds
    ]
    return _Timeline(
        name=name,
        note=f"{num_frames} frames" + (f", {step} per mark" if step > 1 else ""),
        lanes=tuple(lanes),
        ticks=tuple(round(part * (num_frames - 1) / 4) for part in range(5)),
    )


def _crops(material: _Material) -> list[Crop] | None:
    """Return pieces of the frames with most misses and false alarms, None without images."""
    if material.read_frame is None:
        return None
    rules, crops = material.report.rules, []
    for number, frame_index in worst_frames(material.events, limit=MAX_CROPS):
        result = material.results[number]
        crops.append(
            draw_crop(
                result,
                frame_index,
                material.read_frame(result.annotation.name, frame_index),
                match_frame(
                    result,
                    frame_index,
                    rule=hit_rule(rules),
                    confidence=rules.confidence,
                ),
                sequence=number,
                rule=hit_rule(rules),
            )
        )
    return crops
