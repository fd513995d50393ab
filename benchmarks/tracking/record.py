"""Detections and registration of left-out footage, kept so that all trackers are given the same.

A folder per set holds three files per sequence: `NAME.json`, the COCO results of all detections
(image 1 is frame 0); `NAME.gt.txt`, the truth in MOT form; `NAME.motion.json`, the size and number
of the frames and the motion of the background before each, as `stdet track` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stdet.boxes import xywh_to_xyxy
from stdet.config import DataConfig, EvaluationConfig, SourceConfig, load_config
from stdet.datasets.ignored_regions import ignore_regions
from stdet.datasets.sequences import middle_of
from stdet.datasets.splits import choose_sequences, load_sequences
from stdet.evaluation.from_model import detect_sequence, untracked
from stdet.files.atomic_file import write_whole
from stdet.formats.camera_motion import motion_entry, parse_motion
from stdet.formats.coco_results import CocoResults, write_coco_results
from stdet.formats.mot import read_annotation, write_annotation
from stdet.inference.detector import Detector
from stdet.metrics.sequence_result import SequenceResult, SparseDetections
from stdet.metrics.tracking.linking import identify_truth
from stdet.types import UNKNOWN_TRACK_ID, Tracks

_DAUB = ("data13", "data19")
_CLIPS = tuple(
    f"IR_{kind}_{number}"
    for kind, numbers in (
        ("AIRPLANE", ("002", "027", "053")),
        ("BIRD", ("002", "024", "057")),
        ("DRONE", ("002", "027", "083")),
        ("HELICOPTER", ("002", "023", "044")),
    )
    for number in numbers
)
_ANTIUAV = ("20190925_101846_1_4", "3700000000002_153514_1")
"""Parts of the fold data13 in configs/ablation/leave_one_out.yaml, and data19 of DAUB: the weights
must leave them out."""
_MOVERS = Path("configs/ignored/daub.yaml")
"""What moves in DAUB without a label: it counts neither as target nor as false."""
_NUM_FRAMES = 120
"""The middle of a clip or video that is used."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Sequences of one set.

    Attributes:
        name: As tables print it.
        source: Where frames and labels are.
        names: Those used; all where it is empty.
        num_frames: The middle of a sequence that is used.
    """

    name: str
    source: SourceConfig
    names: tuple[str, ...]
    num_frames: int


def parts() -> tuple[Part, ...]:
    """Return what is left out by the weights of the fold."""
    daub = SourceConfig(
        root=Path("daub"), annotations=Path("annotations/instances_train2017.json"), boxes="point"
    )
    drone_ir = SourceConfig(
        root=Path("drone_ir"), format="videos", annotations=Path("boxes.json"), boxes="core"
    )
    antiuav = SourceConfig(
        root=Path("antiuav"), format="videos", annotations=Path("."), boxes="box"
    )
    # Videos that come with attributes instead of boxes.
    unlabelled = ("20190925_200320_1_3", "20190925_213001_1_2")
    return (
        Part(name="DAUB", source=daub, names=_DAUB, num_frames=300),
        Part(name="drone_ir", source=drone_ir, names=_CLIPS, num_frames=_NUM_FRAMES),
        Part(
            name="antiuav",
            source=replace(antiuav, excluded_sequences=unlabelled),
            names=_ANTIUAV,
            num_frames=_NUM_FRAMES,
        ),
        Part(
            name="antiuav_ptz",
            source=replace(antiuav, root=Path("antiuav_ptz")),
            names=(),
            num_frames=_NUM_FRAMES,
        ),
    )


def record(data_root: Path, weights: str, folder: Path) -> None:
    """Detect on all parts and keep what was found; sequences that are there already stay.

    Args:
        data_root: Holds the folders of the sets.
        weights: Of a training that left the parts out.
        folder: For the files.
    """
    detector = Detector.from_weights(weights, device="cpu")
    gate = EvaluationConfig().link_gate_px
    regions = load_config(_MOVERS).evaluation.ignored_regions
    for part in parts():
        data = DataConfig(root=data_root, train=(part.source,))
        sequences = load_sequences(data, "train")
        if part.names:
            sequences = choose_sequences(sequences, part.names, field="names")
        for sequence in sequences:
            stem = folder / part.name / sequence.name
            if _beside(stem, ".motion.json").exists():
                continue
            cut = middle_of(sequence, part.num_frames)
            result = untracked(cut.annotation, detect_sequence(detector, cut))
            truth = identify_truth(result.annotation, link_gate_px=gate).annotation
            truth = ignore_regions(truth, sequence, regions)
            write_sequence(stem, replace(result, annotation=truth))
            print(f"{part.name}: {sequence.name}, {truth.num_frames} frames", flush=True)


def write_sequence(stem: Path, result: SequenceResult) -> None:
    """Write the three files of a sequence."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    counts = [len(frame) for frame in result.detections]
    rows = CocoResults(
        image_rows=np.repeat(np.arange(len(counts)), counts),
        boxes_xyxy=np.concatenate([frame.boxes_xyxy for frame in result.detections]),
        scores=np.concatenate([frame.scores for frame in result.detections]),
        class_ids=np.concatenate([frame.class_ids for frame in result.detections]),
        track_ids=np.full(sum(counts), UNKNOWN_TRACK_ID),
    )
    write_coco_results(_beside(stem, ".json"), rows)
    write_annotation(_beside(stem, ".gt.txt"), result.annotation)
    facts = {
        "image_hw": result.annotation.image_hw,
        "num_frames": result.annotation.num_frames,
        "fps": result.annotation.fps,
        "motions": [motion_entry(motion) for motion in result.motions],
    }
    write_whole(_beside(stem, ".motion.json"), json.dumps(facts).encode())


def recorded(folder: Path) -> Iterator[tuple[str, list[SequenceResult]]]:
    """Yield the sequences of each part that was recorded."""
    for part in parts():
        paths = sorted((folder / part.name).glob("*.motion.json"))
        if paths:
            stems = [path.with_name(path.name.removesuffix(".motion.json")) for path in paths]
            yield part.name, [read_sequence(stem) for stem in stems]


def read_sequence(stem: Path) -> SequenceResult:
    """Read the three files of a sequence."""
    facts = json.loads(_beside(stem, ".motion.json").read_text(encoding="utf-8"))
    image_hw = tuple(facts["image_hw"])
    entries = json.loads(_beside(stem, ".json").read_text(encoding="utf-8"))
    frames = np.array([entry["image_id"] - 1 for entry in entries], np.int64)
    boxes = xywh_to_xyxy(np.array([entry["bbox"] for entry in entries]).reshape(-1, 4))
    scores = np.array([entry["score"] for entry in entries], np.float32)
    return SequenceResult(
        annotation=read_annotation(
            _beside(stem, ".gt.txt"),
            name=stem.name,
            image_hw=image_hw,
            num_frames=facts["num_frames"],
            fps=facts["fps"],
        ),
        detections=SparseDetections.of_rows(
            frames,
            boxes,
            scores,
            np.zeros(len(frames), np.int64),
            num_frames=facts["num_frames"],
            image_hw=image_hw,
        ),
        motions=tuple(parse_motion(entry) for entry in facts["motions"]),
        tracks=Tracks.empty(),
    )


def _beside(stem: Path, ending: str) -> Path:
    """Return a file of a sequence, whose name may hold dots."""
    return stem.with_name(stem.name + ending)
