"""Draw a wall of small pictures: what is found, missed and false on every kind of footage.

Usage: python scripts/make_wall.py OUT.png [CONFIG ...] [--weights W] [--set KEY=VALUE]

One picture per kind of footage, and one per change of `stdet robustness` of the first. Without
CONFIG the footage is generated: that figure may be shown anywhere. With CONFIGs, such as
configs/protocol/*.yaml, it is the first sequence of each; whether their frames may be passed on is
said by the licence of the set.

Each picture is the surroundings of a target, at the score with at most 0.05 false alarms per frame
of its sequence, in a frame in which about as much is found as in the whole sequence.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from make_failures import scene
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stdet.boxes import centres_xy
from stdet.changes.footage import Footage
from stdet.changes.table import CHANGES, UNCHANGED
from stdet.config import EvaluationConfig, PostprocessConfig, StdetConfig, load_config
from stdet.datasets.sequences import LabelledSequence
from stdet.evaluation.from_model import DetectorAtPoint, scored_sequences
from stdet.evaluation.robustness import detect_changed
from stdet.inference.detector import Detector
from stdet.inference.weights_files import DEFAULT_WEIGHTS
from stdet.io.ignored_pixels import NOTHING_IGNORED
from stdet.io.memory_source import MemorySource
from stdet.metrics.detection.hit_rule import HitRule, hit_rule
from stdet.metrics.detection.matching import match_points
from stdet.metrics.detection.pd_fa import score_curve
from stdet.metrics.detection.roc import pd_at, score_at
from stdet.metrics.sequence_result import SequenceResult
from stdet.report.frame_crops import GREY_PERCENTILES

FALSE_ALARMS_PER_FRAME = 0.05
COLUMNS = 3
TILE_WH = (300, 225)
CROP_WH = (100, 75)
"""Pixels of the frame that a tile shows, each drawn as a square of three."""
CAPTION_PX, GAP_PX, HEAD_PX = 26, 6, 40
RING_PX = 15
FOUND, MISSED, FALSE = (60, 220, 90), (255, 60, 60), (255, 215, 0)
MIN_HISTORY = 24
"""Frames before those that are shown: references and tracks have begun."""

SCENES = {
    "clouds, panning": {"kind": "clouds", "motion": "pan", "scr": 6.0, "distractors": {}},
    "sea, shaking": {"kind": "sea", "motion": "jitter", "scr": 6.0, "distractors": {}},
    "ground, panning": {"kind": "terrain", "motion": "pan", "scr": 6.0, "distractors": {}},
    "town, rotating": {"kind": "urban", "motion": "rotation", "scr": 6.0, "distractors": {}},
    "still hot spots": {
        "kind": "horizon",
        "motion": "pan",
        "scr": 6.0,
        "distractors": {"hot_spots_range": [4, 4]},
    },
    "dim targets": {"kind": "terrain", "motion": "pan", "scr": 2.0, "distractors": {}},
}
"""Kinds of generated footage."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Marks:
    """What one frame has at the operating point: centres (N, 2), pixels."""

    found: NDArray[np.float32]
    missed: NDArray[np.float32]
    false: NDArray[np.float32]

    @property
    def found_share(self) -> float:
        """Share of the targets that are found."""
        return len(self.found) / max(len(self.found) + len(self.missed), 1)


def generated() -> dict[str, tuple[LabelledSequence, EvaluationConfig]]:
    """Return generated footage by kind."""
    kinds = {}
    for seed, (name, options) in enumerate(SCENES.items()):
        made = scene(seed, **options)  # type: ignore[arg-type]
        source = MemorySource(name, made.frames.astype(np.uint8), fps=None)
        sequence = LabelledSequence(group=name, annotation=made.truth, source=source, files=())
        kinds[name] = (sequence, EvaluationConfig())
    return kinds


def configured(
    paths: Sequence[Path], overrides: Sequence[str]
) -> dict[str, tuple[LabelledSequence, EvaluationConfig]]:
    """Return the first sequence of each configuration, by the configuration's name."""
    kinds = {}
    for path in paths:
        config = load_config(path, overrides)
        sequence = scored_sequences(config, "test", NOTHING_IGNORED)[0]
        kinds[path.stem] = (sequence, config.evaluation)
    return kinds


def tile(
    detector: Detector,
    sequence: LabelledSequence,
    rules: EvaluationConfig,
    change: str,
    title: str,
) -> Image.Image:
    """Detect on changed footage and draw a typical frame, with Pd below."""
    config = StdetConfig(postprocess=PostprocessConfig(confidence=0.5), evaluation=rules)
    ready = DetectorAtPoint(detector=detector, config=config)
    footage, result = detect_changed(ready, sequence, change)
    rule = hit_rule(rules)
    curve = score_curve([result], rule=rule)
    budget = FALSE_ALARMS_PER_FRAME * curve.num_frames
    pd = pd_at(curve, false_alarms=budget)
    threshold = score_at(curve, false_alarms=budget)
    frame, marks = _typical(result, rule, threshold=threshold, pd=pd)
    picture = _crop(footage, frame, marks)
    whole = Image.new("RGB", (TILE_WH[0], TILE_WH[1] + CAPTION_PX), "white")
    whole.paste(picture, (0, 0))
    draw = ImageDraw.Draw(whole)
    draw.text((2, TILE_WH[1] + 3), title, fill="black", font=_font(17))
    draw.text(
        (TILE_WH[0] - 2, TILE_WH[1] + 3), f"{pd:.0%}", fill="black", font=_font(17), anchor="ra"
    )
    return whole


def _typical(
    result: SequenceResult, rule: HitRule, *, threshold: float, pd: float
) -> tuple[int, Marks]:
    """Return the frame, late enough, whose share of found targets is nearest to Pd."""
    marked = list(_marks(result, rule, threshold))
    late = [number for number, marks in marked if number >= min(MIN_HISTORY, len(marked) // 2)]
    with_targets = [n for n in late if len(marked[n][1].found) + len(marked[n][1].missed)]
    middle = len(marked) // 2
    best = min(
        with_targets or late,
        key=lambda n: (abs(marked[n][1].found_share - pd), abs(n - middle)),
    )
    return marked[best]


def _marks(result: SequenceResult, rule: HitRule, threshold: float) -> Iterator[tuple[int, Marks]]:
    """Yield every frame with what is found, missed and false in it."""
    truth = result.annotation
    for number, found in enumerate(result.detections):
        rows = truth.rows_at(number)
        kept = found[found.scores >= threshold]
        boxes, is_ignored = truth.boxes_xyxy[rows], truth.is_ignored[rows]
        near = rule.measure(kept.boxes_xyxy, boxes)
        matches = match_points(near.costs, limit=near.limit, is_ignored=is_ignored)
        is_found = np.zeros(len(boxes), np.bool_)
        is_found[matches.gt_indices] = True
        is_false = np.ones(len(kept), np.bool_)
        is_false[matches.pred_indices] = False
        centres = centres_xy(boxes)
        yield (
            number,
            Marks(
                found=centres[is_found & ~is_ignored],
                missed=centres[~is_found & ~is_ignored],
                false=centres_xy(kept.boxes_xyxy)[is_false],
            ),
        )


def _crop(footage: Footage, number: int, marks: Marks) -> Image.Image:
    """Draw the part of a frame about its first missed target, or its first one."""
    frame = footage.read(number)
    height, width = frame.shape
    centre = np.concatenate([marks.missed, marks.found, [[width / 2, height / 2]]])[0]
    if len(marks.missed) and len(marks.found) > len(marks.missed):
        centre = marks.found[0]
    wide, high = CROP_WH
    left = int(np.clip(centre[0] - wide / 2, 0, max(width - wide, 0)))
    top = int(np.clip(centre[1] - high / 2, 0, max(height - high, 0)))
    part = frame[top : top + high, left : left + wide]
    low, bright = np.percentile(part, GREY_PERCENTILES)
    grey = np.clip((part - low) / max(bright - low, 1e-6), 0, 1) * 255
    scale = TILE_WH[0] // wide
    picture = Image.new("RGB", TILE_WH)
    image = Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    picture.paste(
        image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    )
    draw = ImageDraw.Draw(picture)
    for centres, colour in (
        (marks.found, FOUND),
        (marks.missed, MISSED),
        (marks.false, FALSE),
    ):
        for x, y in (centres - [left, top]) * scale:
            box = (x - RING_PX, y - RING_PX, x + RING_PX, y + RING_PX)
            if colour == FALSE:
                draw.rectangle(box, outline=colour, width=3)
            else:
                draw.ellipse(box, outline=colour, width=3)
    return picture


def wall(sections: Sequence[tuple[str, Sequence[Image.Image]]]) -> Image.Image:
    """Put tiles side by side below their headings."""
    step = (TILE_WH[0] + GAP_PX, TILE_WH[1] + CAPTION_PX + GAP_PX)
    rows = [-(-len(tiles) // COLUMNS) for _, tiles in sections]
    size = (COLUMNS * step[0] + GAP_PX, HEAD_PX * (len(rows) + 1) + sum(rows) * step[1])
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    _legend(draw)
    top = HEAD_PX
    for (title, tiles), num_rows in zip(sections, rows, strict=True):
        draw.text((GAP_PX, top + 8), title, fill="black", font=_font(21))
        top += HEAD_PX
        for number, one in enumerate(tiles):
            row, column = divmod(number, COLUMNS)
            picture.paste(one, (GAP_PX + column * step[0], top + row * step[1]))
        top += num_rows * step[1]
    return picture


def _legend(draw: ImageDraw.ImageDraw) -> None:
    """Say what the marks and numbers mean."""
    x = GAP_PX
    for text, colour in (("found", FOUND), ("missed", MISSED), ("false alarm", FALSE)):
        box = (x, 9, x + 22, 31)
        if colour == FALSE:
            draw.rectangle(box, outline=colour, width=4)
        else:
            draw.ellipse(box, outline=colour, width=4)
        draw.text((x + 30, 8), text, fill="black", font=_font(21))
        x += 46 + int(draw.textlength(text, font=_font(21)))
    text = f"% of targets found at {FALSE_ALARMS_PER_FRAME:g} false alarms per frame"
    draw.text((x + 20, 10), text, fill="black", font=_font(18))


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("configs", type=Path, nargs="*", metavar="CONFIG")
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    args = parser.parse_args()
    detector = Detector.from_weights(args.weights, device="cpu")
    kinds = configured(args.configs, args.overrides) if args.configs else generated()
    tiles = [tile(detector, *kind, UNCHANGED, name) for name, kind in kinds.items()]
    name, (sequence, rules) = next(iter(kinds.items()))
    changed = [
        tile(detector, sequence, rules, change, change)
        for change in CHANGES
        if change != UNCHANGED
    ]
    what = "Kinds of footage" if args.configs else "Kinds of footage (generated)"
    picture = wall([(what, tiles), (f"The first of them, changed ({name})", changed)])
    # Other methods take the few yellow pixels for red ones.
    picture.quantize(256, Image.Quantize.MAXCOVERAGE).save(args.out, optimize=True)
    print(args.out)


if __name__ == "__main__":
    main()
