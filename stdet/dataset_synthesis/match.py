"""Give generated targets the sizes, steps and contrasts of a label file, and show the match.

Quantile tables of sizes, speeds and SCR in the settings are corrected in a few rounds: sequences
are planned (drawn too, for contrast), the distribution that comes out is compared with the wanted
one, and each quantile is multiplied by wanted / found. Steps are those of ``stdet data stats``:
motion of targets and camera together, so that the camera is kept at rest or shaking only.

Contrast is measured by ``contrast.py`` in both, and only where the images of the label
file exist.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stdet.boxes import xyxy_to_xywh
from stdet.dataset_check.splits import Split, load_split
from stdet.dataset_check.stats import target_steps
from stdet.dataset_synthesis.settings import SynthConfig, list_recipes
from stdet.datasets.real_backgrounds import background_for
from stdet.errors import ConfigError, DataError, printable
from stdet.files.atomic_file import write_whole
from stdet.formats.label_files import find_label_files
from stdet.io.images.folder import read_image
from stdet.metrics.detection.contrast import local_scr
from stdet.report.svg_charts import Axis, Line, line_chart
from stdet.synthesis import SceneConfig, generate, plan_sequence
from stdet.synthesis.settings import RANGE_END
from stdet.types import SequenceAnnotation

_Values = NDArray[np.float64]

_NUM_QUANTILES = 41
_ROUNDS = 10
"""Corrections by planned truth, which is cheap."""
_DRAWN_ROUNDS = 3
"""Corrections by drawn frames, which are not."""
_NUM_PLANNED, _NUM_DRAWN = 100, 10
"""Sequences looked at in each round: the data set's own and others like them."""
_MAX_CONTRAST_FRAMES = 400
"""Frames of the label file in which contrast is measured, evenly spread."""
_FLOOR = 0.02
"""Smallest quantile: a target that stands still would be multiplied by nothing but 0."""
_LARGEST_CORRECTION = 2.0
_POINT_SHARE = 0.9
"""Where so many boxes have one side, boxes are drawn about points and say nothing of sizes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """One quantity in the label file and in the generated data.

    Attributes:
        title: With its unit.
        wanted: float64 (N,), values in the label file.
        found: float64 (M,), values in the generated data.
    """

    title: str
    wanted: _Values
    found: _Values

    @property
    def distance(self) -> float:
        """Largest difference of the two cumulative distributions, 0 to 1."""
        both = np.sort(np.concatenate([self.wanted, self.found]))
        wanted, found = (
            np.searchsorted(np.sort(values), both, side="right") / len(values)
            for values in (self.wanted, self.found)
        )
        return float(np.abs(wanted - found).max())


@dataclass(frozen=True, kw_only=True, eq=False)
class Match:
    """Settings that follow a label file.

    Attributes:
        config: With new tables.
        compared: What was matched.
        labels: The label file.
    """

    config: SynthConfig
    compared: tuple[Compared, ...]
    labels: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class _Wanted:
    """What the label file says; contrast is empty where there are no images.

    Where all its coordinates are whole pixels, generated boxes are rounded alike before they are
    compared: a step of 0.4 px is written as 0 or 1 there.
    """

    sizes: _Values
    steps: _Values
    scr: _Values
    is_rounded: bool


def match_labels(config: SynthConfig, labels: Path) -> Match:
    """Fit the tables of sizes, speeds and (where there are images) SCR to a label file.

    Args:
        config: With a seed. Groups must not set what is matched; their counts stay.
        labels: Label file or folder; see ``find_label_files``.

    Returns:
        New settings, the same for all groups, and the distributions.

    Raises:
        ConfigError: If a group sets sizes, speeds or SCR itself.
        DataError: If the file cannot be read, or holds no target that moves or one that is larger
            than a generated frame.
    """
    _require_free(config)
    found = find_label_files([labels])
    if len(found.files) != 1:
        raise DataError(f"{labels}: holds {len(found.files)} label files; name one of them.")
    split = load_split(found.files[0])
    wanted = _measure_labels(split)
    if not len(wanted.steps):
        raise DataError(f"{labels}: no target is seen in two frames in a row; nothing to match.")
    if wanted.sizes.max() >= min(config.scene.hw):
        raise DataError(
            f"{labels}: has targets of up to {wanted.sizes.max():g} px, which do not fit into "
            f"frames of {config.scene.hw[1]}x{config.scene.hw[0]}; raise scene.hw, or correct the "
            "file."
        )
    scene = _start(config.scene, wanted)
    for _ in range(_ROUNDS):
        sizes, steps = _planned(config, scene, wanted, _NUM_PLANNED)
        scene = _correct(scene, "size_range", wanted.sizes, sizes, is_fixed=_is_point(wanted))
        scene = _correct(scene, "speed_range", wanted.steps, steps)
    if len(wanted.scr):
        for _ in range(_DRAWN_ROUNDS):
            scene = _correct(scene, "scr_range", wanted.scr, _drawn(config, scene))
    sizes, steps = _planned(config, scene, wanted, 0)
    compared = [
        Compared(title="box size (root of area, px)", wanted=wanted.sizes, found=sizes),
        Compared(title="step per frame (px)", wanted=wanted.steps, found=steps),
    ]
    if len(wanted.scr):
        drawn = _drawn(config, scene)
        compared.append(Compared(title="local SCR (no unit)", wanted=wanted.scr, found=drawn))
    return Match(
        config=dataclasses.replace(config, scene=scene, truth_sha256=None),
        compared=tuple(compared),
        labels=labels,
    )


def write_match(folder: Path, match: Match) -> Path:
    """Draw the distributions of label file and generated data as ``match.svg``.

    Returns:
        The file.

    Raises:
        DataError: If it cannot be written.
    """
    path = folder / "match.svg"
    write_whole(path, match_chart(match).encode())
    return path


def match_chart(match: Match) -> str:
    """Return the charts of a match, one below the other, as a whole SVG file."""
    style = resources.files("stdet.report").joinpath("report_page.css").read_text("utf-8")
    height = 350
    parts = []
    for number, compared in enumerate(match.compared):
        top = float(np.percentile(np.concatenate([compared.wanted, compared.found]), 99))
        top = 5 * math.ceil(top / 5)  # The axis has five steps, of whole numbers.
        values = np.linspace(0, top, 200)
        lines = [
            Line(
                sequence=sequence,
                x=values,
                y=np.searchsorted(np.sort(data), values, side="right") / len(data),
                marked=None,
                note=note,
            )
            for sequence, data, note in (
                (None, compared.wanted, ""),
                (0, compared.found, f"largest difference {compared.distance:.3f}"),
            )
        ]
        chart = line_chart(
            compared.title,
            Axis(label=compared.title, high=top),
            Axis(label="share of targets at most this"),
            lines,
        )
        # Both lines are shown: there is no page on which to choose one of them.
        chart = chart.replace('class="one off"', 'class="one found"')
        parts.append(f'<svg y="{number * height}" height="{height}">{chart}</svg>')
    legend = (
        f'<text x="60" y="{len(parts) * height + 16}" class="wanted-key">'
        f"dashed: {escape(printable(match.labels.name))}</text>"
        f'<text x="300" y="{len(parts) * height + 16}" class="found-key">solid: generated</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="480" '
        f'height="{len(parts) * height + 30}"><style>{style}{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}{legend}</svg>\n'
    )


_STYLE = """
text { font: 13px sans-serif; fill: #222; text-anchor: middle; }
.y-tick, .note { text-anchor: end; }
.wanted-key, .found-key { text-anchor: start; }
.grid { stroke: #ddd; } .frame { stroke: #666; fill: none; }
.line { fill: none; stroke-width: 2.5; }
.overall .line { stroke: #d95f02; stroke-dasharray: 6 4; opacity: 1; }
.found .line { stroke: #1b6ca8; }
.wanted-key { fill: #d95f02; } .found-key { fill: #1b6ca8; }
"""


def _require_free(config: SynthConfig) -> None:
    """Check that no group overrides what is to be matched."""
    for number, group in enumerate(config.groups):
        changes = [group.scene, *(c for values in group.axes.values() for c in values.values())]
        for name in ("size_range", "speed_range", "scr_range"):
            if any(name in change.get("targets", {}) for change in changes):
                raise ConfigError(
                    f"groups[{number}] sets targets.{name}, which --match would set; take it out."
                )


def _measure_labels(split: Split) -> _Wanted:
    """Measure sizes, steps and contrast in a label file."""
    truths = [truth.annotation for truth in split.truths]
    return _Wanted(
        sizes=np.concatenate([_sizes(truth) for truth in truths]),
        steps=np.concatenate([target_steps(truth) for truth in truths]),
        scr=_label_contrast(split, truths),
        is_rounded=all((t.boxes_xyxy == np.rint(t.boxes_xyxy)).all() for t in truths),
    )


def _label_contrast(split: Split, truths: Sequence[SequenceAnnotation]) -> _Values:
    """Measure contrast in evenly spread frames whose images exist."""
    frames = [
        (run.rows[frame], truth, frame)
        for run, truth in zip(split.runs, truths, strict=True)
        for frame in np.unique(truth.frame_indices).tolist()
        if split.is_present[run.rows[frame]]
    ]
    step = max(1, len(frames) // _MAX_CONTRAST_FRAMES)
    measured = [np.zeros(0)]
    for row, truth, frame in frames[::step]:
        raw = read_image(split.labels.paths[row])
        boxes = truth.boxes_xyxy[truth.rows_at(frame)]
        measured.append(local_scr(raw.astype(np.float32), boxes))
    values = np.concatenate(measured)
    finite: _Values = values[np.isfinite(values)]
    return finite


def _is_point(wanted: _Wanted) -> bool:
    """Say whether boxes are of one size, drawn about labelled points."""
    median = float(np.median(wanted.sizes))
    return float(np.mean(np.abs(wanted.sizes - median) < 0.5)) >= _POINT_SHARE


def _start(scene: SceneConfig, wanted: _Wanted) -> SceneConfig:
    """Return the first guess: tables of the label file itself, and a camera that does not pan."""
    targets = dataclasses.replace(
        scene.targets,
        box_min_px=float(np.median(wanted.sizes) if _is_point(wanted) else 1.0),
        speed_range=_speed_table(scene, wanted.steps),
        exposure_range=(0.05, 0.2),  # Boxes of label files do not grow with the motion.
        motions=("straight", "turning"),
        crossing_probability=0.0,
    )
    if not _is_point(wanted):
        targets = dataclasses.replace(targets, size_range=_table(wanted.sizes))
    if len(wanted.scr):
        targets = dataclasses.replace(targets, scr_range=_table(wanted.scr))
    camera = dataclasses.replace(
        scene.camera, motions=("still", "jitter"), jitter_range=(0.0, 0.15)
    )
    return dataclasses.replace(scene, targets=targets, camera=camera)


def _table(values: _Values) -> tuple[float, ...]:
    quantiles = np.quantile(values, np.linspace(0, 1, _NUM_QUANTILES))
    return tuple(np.clip(quantiles, _FLOOR, RANGE_END).tolist())


def _speed_table(scene: SceneConfig, steps: _Values) -> tuple[float, ...]:
    """Return quantiles of speeds by target from steps by frame: fast targets are seen less often.

    A target that crosses half the frame is seen in side / (2 v) frames, or in all; each step is
    weighted by one over that number.
    """
    ordered = np.sort(np.clip(steps, _FLOOR, RANGE_END))
    seen = np.minimum(min(scene.hw) / (2 * ordered), scene.num_frames)
    share = np.cumsum(1 / seen)
    at = np.interp(np.linspace(0, 1, _NUM_QUANTILES) * share[-1], share, np.arange(len(ordered)))
    return tuple(ordered[np.rint(at).astype(int)].tolist())


def _correct(
    scene: SceneConfig, name: str, wanted: _Values, found: _Values, *, is_fixed: bool = False
) -> SceneConfig:
    """Multiply each quantile of a table by wanted / found."""
    if is_fixed or not len(found):
        return scene
    ratio = np.array(_table(wanted)) / np.array(_table(found))
    # The root: a full correction overshoots, since fast targets leave the frame sooner.
    ratio = np.sqrt(np.clip(ratio, 1 / _LARGEST_CORRECTION**2, _LARGEST_CORRECTION**2))
    table = np.maximum.accumulate(np.array(getattr(scene.targets, name)) * ratio)
    table = np.minimum(table, min(scene.hw) / 2 if name == "size_range" else RANGE_END)
    targets = dataclasses.replace(scene.targets, **{name: tuple(table.tolist())})  # type: ignore[arg-type]
    return dataclasses.replace(scene, targets=targets)


def _planned(
    config: SynthConfig, scene: SceneConfig, wanted: _Wanted, least: int
) -> tuple[_Values, _Values]:
    """Return sizes and steps of planned truth.

    Args:
        config: Data set.
        scene: Its ranges.
        wanted: Says how labels are rounded.
        least: Sequences to plan; others like those of the data set are added up to this number.
    """
    recipes = list_recipes(dataclasses.replace(config, scene=scene))
    sizes, steps = [], []
    for number in range(max(least, len(recipes))):
        recipe = recipes[number % len(recipes)]
        seed = recipe.seed + number // len(recipes)
        truth = plan_sequence(recipe.scene, seed=seed).truth()
        if wanted.is_rounded:
            truth = dataclasses.replace(truth, boxes_xyxy=np.rint(truth.boxes_xyxy))
        sizes.append(_sizes(truth))
        steps.append(target_steps(truth))
    return np.concatenate(sizes), np.concatenate(steps)


def _drawn(config: SynthConfig, scene: SceneConfig) -> _Values:
    """Return the contrast of targets in drawn frames."""
    measured = [np.zeros(0)]
    recipes = list_recipes(dataclasses.replace(config, scene=scene))
    for recipe in recipes[:: max(1, len(recipes) // _NUM_DRAWN)][:_NUM_DRAWN]:
        background = background_for(recipe.scene, seed=recipe.seed)
        made = generate(recipe.scene, seed=recipe.seed, background=background)
        for frame in range(0, made.truth.num_frames, 5):
            boxes = made.truth.boxes_xyxy[made.truth.rows_at(frame)]
            measured.append(local_scr(made.frames[frame].astype(np.float32), boxes))
    values = np.concatenate(measured)
    finite: _Values = values[np.isfinite(values)]
    return finite


def _sizes(truth: SequenceAnnotation) -> _Values:
    sizes = xyxy_to_xywh(truth.boxes_xyxy).astype(np.float64)[:, 2:]
    roots: _Values = np.sqrt(sizes[:, 0] * sizes[:, 1])
    return roots
