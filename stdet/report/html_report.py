"""One self-contained HTML page: scores, curves, and where and how a detector went wrong.

The page asks no server for anything: style, script, charts and images are part of it. Whatever
belongs to one sequence carries its number in ``data-sequence``; ``report_page.js`` shows one
sequence alone by hiding what carries another number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stdet.config import EvaluationConfig
from stdet.evaluation.report import Report
from stdet.files.atomic_file import AtomicFile, explain_os_errors
from stdet.metrics.detection.hit_rule import HIT_SETTINGS, hit_rule
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.tracking.error_events import ErrorEvents, find_errors, match_frame, worst_frames
from stdet.report.frame_crops import CROP_PX, crop_figure
from stdet.report.html_charts import (
    FrameReader,
    curve_charts,
    measure_scr,
    scr_chart,
    size_chart,
)
from stdet.report.html_tables import (
    rules_list,
    sequence_table,
    subset_tables,
    summary_tables,
)
from stdet.report.svg_charts import MAX_STRIP_COLUMNS, event_strip, strip_step

MAX_CROPS = 24
"""Frames shown as images, over all sequences."""

_NO_IMAGES = "The frames were not at hand when this report was made, so {what}."


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
    report, names = material.report, [result.annotation.name for result in material.results]
    assets = resources.files("stdet.report")
    style = (assets / "report_page.css").read_text(encoding="ascii")
    script = (assets / "report_page.js").read_text(encoding="ascii")
    sections = [
        _section(
            "Scores of all sequences",
            f'<div class="tables">{summary_tables(report, report.bootstrap.intervals())}'
            f"{subset_tables(report)}</div>",
        ),
        _section("Rules", rules_list(report, len(names))),
        _section("Curves", _curves(material)),
        _section("Which targets are found", _pd_charts(material)),
        _section("Sequences", _sequences(material, names)),
        _section("Errors over time", _timelines(material)),
        _section("Worst frames", _crops(material)),
    ]
    # The policy forbids the page to load anything, whatever a name in it may say.
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<header><h1>{escape(title)}</h1></header>
<div id="choice"><span role="status">Showing <b id="chosen">all sequences</b></span>
<button type="button" id="reset" hidden>Show all sequences</button></div>
<main>
{"".join(sections)}</main>
<script>
{script}</script>
</body>
</html>
"""


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>\n{content}</section>\n"


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>"


def _curves(material: _Material) -> str:
    """Return precision against recall and the ROC."""
    rules = material.report.rules
    precision, roc = curve_charts(
        material.results, rule=hit_rule(rules), confidence=rules.confidence
    )
    hit = f"Hit: {escape(rules.hit)}."
    return '<div class="charts">{}{}</div>'.format(
        _figure(precision, f"Precision against recall. {hit} Dot: the operating point."),
        _figure(
            roc,
            f"ROC. {hit} Dot: the operating point. Thresholds without any false alarm are drawn "
            "at the left edge.",
        ),
    )


def _pd_charts(material: _Material) -> str:
    """Return Pd against contrast and size, at the operating point."""
    size = _figure(
        size_chart(material.results, material.events),
        "Pd at the operating point against target size. The lower edge belongs to a bin; n is the "
        "number of targets. Boxes of data sets that label points are all of one size.",
    )
    if material.read_frame is None:
        text = _NO_IMAGES.format(what="Pd against contrast is left out")
        return f'<div class="charts"><p class="absent">{text}</p>{size}</div>'
    scr = measure_scr(material.results, material.read_frame)
    contrast = _figure(
        scr_chart(material.results, material.events, scr), _scr_caption(material, scr)
    )
    return f'<div class="charts">{contrast}{size}</div>'


def _scr_caption(material: _Material, scr: Sequence[NDArray[np.float64]]) -> str:
    num_undefined = sum(
        int(np.isnan(values[~result.annotation.is_ignored]).sum())
        for values, result in zip(scr, material.results, strict=True)
    )
    caption = (
        "Pd at the operating point against the local signal-to-clutter ratio: |mean of the most "
        "contrasting 3x3 px in the true box - mean of the ring 2 to 8 px about it| / standard "
        "deviation of the ring. Below 1, one frame alone shows nothing. n: number of targets."
    )
    if num_undefined:
        caption += (
            f" Left out: {num_undefined} target(s) on ground of one grey level or outside the "
            "frame, for which the ratio is undefined."
        )
    return caption


def _sequences(material: _Material, names: Sequence[str]) -> str:
    table = sequence_table(material.report, names, material.events)
    return (
        "<p>Choose a row to show that sequence alone, once more to show all. Headings sort.</p>"
        f'<div class="scroll tall">{table}</div>'
    )


def _timelines(material: _Material) -> str:
    """Return the errors of each sequence over its frames."""
    gate = material.report.rules.track_gate_px
    longest = max(len(event.num_misses) for event in material.events)
    text = (
        "One mark per frame with errors, the taller the more there are. Misses and false alarms "
        f"are of detections at the score threshold; identity switches of tracks, gate {gate:g} px."
        " Frames are counted from 0."
    )
    if strip_step(longest) > 1:
        text += (
            f" Sequences of more than {MAX_STRIP_COLUMNS} frames have one mark for several "
            "neighbouring frames, as stated."
        )
    blocks = "".join(
        _timeline(number, result.annotation.name, event)
        for number, (result, event) in enumerate(
            zip(material.results, material.events, strict=True)
        )
    )
    return f"<p>{text}</p>{blocks}"


def _timeline(number: int, name: str, event: ErrorEvents) -> str:
    """Return the strips of one sequence; a sentence where it has no errors."""
    lanes = [
        ("misses", "miss", event.num_misses),
        ("false alarms", "false", event.num_false_alarms),
        ("id switches", "switch", event.num_switches),
    ]
    num_frames, head = len(event.num_misses), f"<h3>{escape(name)}</h3>"
    if not any(counts.any() for _, _, counts in lanes):
        note = f"<p>{num_frames} frames without errors.</p>"
        return f'<div class="timeline clean" data-sequence="{number}">{head}{note}</div>'
    step = strip_step(num_frames)
    scale = f"{num_frames} frames" + (f", {step} per mark" if step > 1 else "")
    strips = "".join(
        f'<div class="lane"><span>{label} <b>{int(counts.sum())}</b></span>'
        + event_strip(f"{name}: {label} over {num_frames} frames", kind, counts)
        + "</div>"
        for label, kind, counts in lanes
    )
    ticks = "".join(f"<span>{round(part * (num_frames - 1) / 4)}</span>" for part in range(5))
    return (
        f'<div class="timeline" data-sequence="{number}">{head}<p>{scale}</p>{strips}'
        f'<div class="lane"><span>frame</span><div class="ticks">{ticks}</div></div></div>'
    )


def _crops(material: _Material) -> str:
    """Return pieces of the frames with most misses and false alarms."""
    if material.read_frame is None:
        return f'<p class="absent">{_NO_IMAGES.format(what="none is shown")}</p>'
    chosen = worst_frames(material.events, limit=MAX_CROPS)
    if not chosen:
        return "<p>No frame has a miss or a false alarm.</p>"
    rules, figures = material.report.rules, []
    for number, frame_index in chosen:
        result = material.results[number]
        figures.append(
            crop_figure(
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
    return (
        f"<p>At most {MAX_CROPS} frames with most misses and false alarms, spread over the "
        f"sequences; {CROP_PX}x{CROP_PX} px of each, enlarged, grey levels stretched. Boxes are "
        "drawn 1 px larger on each side; numbers are scores.</p>"
        '<ul class="legend"><li class="truth">truth, dashed</li>'
        '<li class="hit">detection that hits, thin</li>'
        '<li class="false">false alarm, thick</li>'
        '<li class="weak">best detection below the threshold at a missed target, dotted</li></ul>'
        f'<div class="crops">{"".join(figures)}</div>'
        '<p id="no-crops" hidden>No frame of this sequence is among them.</p>'
    )
