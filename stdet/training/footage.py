"""Footage without labels: a detector's own tracks become the labels (self-training).

Every video is tracked and its tracks are smoothed with all later frames. A track that is likely
real gives targets, also in gaps, where the detector has missed it: that is what there is to learn.
A track that may be real gives boxes in which training learns nothing. A track that is likely false
is taken for background, and so are detections that belong to no track, since what moves as nothing
does is seldom a target.

The labels are files that a user can look at, correct and give to `stdet train` again: a folder
with a link to each video and a MOT file of its name beside it, and for a folder of images a
MOTChallenge folder of links for each run of frames without a gap.

Source: pseudo-labels as in Lee (ICML Workshop 2013), of tracks instead of single predictions.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from stdet.classical.methods import METHODS
from stdet.config import BoxKind, LabelFormat, SourceConfig, StdetConfig
from stdet.datasets.transforms import MIN_VISIBLE_PX
from stdet.errors import ConfigError, DataError
from stdet.files.atomic_file import explain_os_errors, write_whole
from stdet.files.regular_file import file_mode
from stdet.files.text_file import read_json
from stdet.formats.video_boxes import VIDEO_SUFFIXES
from stdet.inference.checkpoint import load_state, load_weights
from stdet.inference.offline import WholeStream
from stdet.inference.pipeline import StreamingTracker
from stdet.inference.weights_files import find_weights
from stdet.io.frame_source import FrameSource
from stdet.io.images.frame_numbers import listing
from stdet.io.open_source import open_source
from stdet.models.build import build_detector
from stdet.processes.progress import ProgressBar
from stdet.tracking.offline import smooth_tracks
from stdet.training.footage_files import IMAGES_NAME, VIDEOS_NAME, name_of, write_labels
from stdet.types import BoolArray, SequenceAnnotation, Tracks

log = logging.getLogger(__name__)

SURE_PROBABILITY = 0.9
"""That a track is real, from which on it gives targets."""
FALSE_PROBABILITY = 0.5
"""That a track is real, below which it is background."""
SURE_DETECTIONS = 25
"""Of a track of a detector without probabilities, from which on it gives targets. A shorter one
may be real."""
LABELS_NAME = "labels.json"
_ADAPTATION = {"epochs": 8, "epoch_windows": 400, "epoch_fraction": 1.0, "learning_rate": 5e-4}
"""Of weights that have learnt already."""


@dataclass(frozen=True, kw_only=True)
class LabelledFootage:
    """What became of one video.

    Attributes:
        path: Where it lies.
        num_frames: Frames that were tracked.
        num_tracks: Tracks that gave targets.
        num_targets: Boxes of those.
        num_ignored: Boxes in which nothing is learnt.
        sequences: Names of its labels; none where no track is sure.
    """

    path: str
    num_frames: int
    num_tracks: int
    num_targets: int
    num_ignored: int
    sequences: tuple[str, ...]


def check_recipe(labels_by: str, recipe: StdetConfig | None) -> None:
    """Refuse labels that cannot be learnt from, before footage is tracked for hours.

    Args:
        labels_by: As of ``label_footage``.
        recipe: None takes that of the weights.

    Raises:
        CheckpointError: If weights are missing, or of another model than that of the recipe.
        ConfigError: If random weights are to learn without a recipe, or without a size for points.
    """
    if labels_by not in METHODS:
        path = find_weights(labels_by)
        if recipe is not None:
            load_state(build_detector(recipe.model), load_weights(path))
    elif recipe is None:
        raise ConfigError(
            f"train: what {labels_by} labels is learnt from random weights, which needs a recipe; "
            "give a CONFIG, or label by weights."
        )
    elif recipe.train.augment.min_box_px == 0:
        raise ConfigError(
            f"train: {labels_by} labels points, learnt as boxes of train.augment.min_box_px, and "
            "that is 0 in CONFIG; pass --set train.augment.min_box_px=8."
        )


def find_footage(folder: Path) -> list[Path]:
    """Return the videos in a folder and its folders of images, sorted; hidden ones not.

    Raises:
        DataError: If there is none, two have the same name, or one cannot be opened.
    """
    if file_mode(folder) is None or not folder.is_dir():
        raise DataError(f"{folder}: is no folder; expected a folder of videos.")
    entries = sorted(folder.glob("[!.]*"))
    found = [path for path in entries if path.is_dir() or _is_video(path)]
    names = [name_of(path) for path in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{folder}: two videos are named {twice[0]}; rename one.")
    if not found:
        raise DataError(
            f"{folder}: holds neither videos nor folders of images. Of a folder of images, name "
            "the folder that it lies in."
        )
    others = [path.name for path in entries if path not in found]
    if others:
        suffixes = ", ".join(sorted(VIDEO_SUFFIXES))
        log.info("%s: %s left out; videos end in %s.", folder, listing(others), suffixes)
    for path in found:  # Before the first one is tracked for hours.
        with open_source(path):
            pass
    return found


def label_footage(
    paths: Sequence[Path], out: Path, *, labels_by: str, device: str = "auto"
) -> list[LabelledFootage]:
    """Track footage and write its tracks as labels; what is labelled already is left alone.

    Args:
        paths: As of ``find_footage``.
        out: Folder for the labels.
        labels_by: Name of shipped weights, a weights file, or a classical detector.
        device: Of the network.

    Returns:
        One per path.

    Raises:
        CheckpointError: If the weights cannot be used.
        DataError: If footage cannot be read, the folder cannot be written, or nothing was found
            that is sure enough to learn from.
    """
    identity = _identity(labels_by)
    known = _known(out / LABELS_NAME, identity)
    for path in paths:
        if str(path.resolve()) in known:
            continue
        one = _label(path, out, _tracker(labels_by, device))
        log.info(
            "%s: %d frames, %d tracks to learn from (%d boxes), %d boxes left open.",
            path,
            one.num_frames,
            one.num_tracks,
            one.num_targets,
            one.num_ignored,
        )
        # Labels of footage of the same name, which lay elsewhere, have been replaced.
        others = (other for other in known.values() if not set(other.sequences) & {*one.sequences})
        known = {other.path: other for other in (*others, one)}
        content = {"labels_by": identity, "videos": [asdict(each) for each in known.values()]}
        write_whole(out / LABELS_NAME, json.dumps(content, indent=1).encode())
    found = [known[str(path.resolve())] for path in paths]
    if not any(one.num_targets for one in found):
        raise DataError(
            f"{out}: no track in {len(paths)} videos is sure enough to learn from. Look at one "
            "with `stdet track`, or label it by another detector (--labels-by)."
        )
    return found


def footage_sources(
    out: Path, labelled: Sequence[LabelledFootage], labels_by: str
) -> tuple[SourceConfig, ...]:
    """Return the sources that hold what ``label_footage`` has written.

    They name its sequences: labels of footage that is no longer given may lie there, too. Videos
    and images have weights by their numbers of frames, together 1.
    """
    boxes: BoxKind = "point" if labels_by in METHODS else "box"
    layouts: dict[str, LabelFormat] = {VIDEOS_NAME: "videos", IMAGES_NAME: "mot"}
    members: dict[str, list[LabelledFootage]] = {name: [] for name in layouts}
    for one in labelled:
        if one.sequences:
            members[IMAGES_NAME if Path(one.path).is_dir() else VIDEOS_NAME].append(one)
    num_frames = {name: sum(one.num_frames for one in found) for name, found in members.items()}
    return tuple(
        SourceConfig(
            root=(out / name).resolve(),
            format=layout,
            annotations=Path(),
            sequences=tuple(sequence for one in members[name] for sequence in one.sequences),
            boxes=boxes,
            weight=num_frames[name] / sum(num_frames.values()),
        )
        for name, layout in layouts.items()
        if members[name]
    )


def adapted(
    config: StdetConfig,
    out: Path,
    labelled: Sequence[LabelledFootage],
    *,
    labels_by: str,
    is_alone: bool,
) -> StdetConfig:
    """Return the configuration of a training on footage that has been labelled.

    Args:
        config: Of the training whose recipe is taken.
        out: Folder of the labels.
        labelled: What ``label_footage`` has returned.
        labels_by: As of ``label_footage``. Training starts from weights.
        is_alone: Train on the footage alone, for a short time; else beside the sources of
            ``config``, and for as long.
    """
    sources = footage_sources(out, labelled, labels_by)
    initial = None if labels_by in METHODS else labels_by
    train = replace(config.train, initial_weights=initial)
    if not is_alone:
        return replace(
            config, train=train, data=replace(config.data, train=(*config.data.train, *sources))
        )
    data = replace(config.data, train=sources, validation=(), validation_sequences=())
    return replace(config, train=replace(train, **_ADAPTATION), data=data)  # type: ignore[arg-type]


def _is_video(path: Path) -> bool:
    """Say whether a file is named as a video is."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def _tracker(labels_by: str, device: str) -> StreamingTracker:
    """Return a tracker of no frames yet."""
    if labels_by in METHODS:
        return StreamingTracker.from_classical(labels_by, confidence=None)
    return StreamingTracker.from_weights(labels_by, confidence=None, device=device)


def _identity(labels_by: str) -> str:
    """Return what tells labels of different detectors apart."""
    if labels_by in METHODS:
        return labels_by
    path = find_weights(labels_by)
    with explain_os_errors(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _known(path: Path, identity: str) -> dict[str, LabelledFootage]:
    """Return what the same detector has labelled before, by path."""
    if file_mode(path) is None:
        return {}
    content = read_json(path, advice="remove it, and the footage is labelled anew")
    try:
        if content["labels_by"] != identity:
            return {}
        return {
            entry["path"]: LabelledFootage(**{**entry, "sequences": tuple(entry["sequences"])})
            for entry in content["videos"]
        }
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path}: is no list of labelled footage ({error}); remove it, and the footage is "
            "labelled anew."
        ) from error


def _label(path: Path, out: Path, tracker: StreamingTracker) -> LabelledFootage:
    """Track one video and write its labels."""
    with open_source(path) as source, ProgressBar(path.name, source.num_declared) as bar:
        whole = WholeStream.of(bar.count(tracker.run(source)))
        if whole.incomplete is not None:
            message = f"{whole.incomplete} Or leave it out of the footage."
            raise DataError(message) from whole.incomplete
        num_frames = 1 + max((frame.index for frame in whole.frames), default=-1)
        tracks = smooth_tracks(whole.frames)
        is_calibrated = tracker.false_tracks is not None
        truth = _truth(source, num_frames, tracks, judge(tracks, is_calibrated=is_calibrated))
    with explain_os_errors(out):
        sequences = write_labels(path, out, source, truth)
    return LabelledFootage(
        path=str(path.resolve()),
        num_frames=num_frames,
        num_tracks=len(np.unique(truth.track_ids[~truth.is_ignored])),
        num_targets=int((~truth.is_ignored).sum()),
        num_ignored=int(truth.is_ignored.sum()),
        sequences=sequences,
    )


def _truth(
    source: FrameSource, num_frames: int, tracks: Tracks, judged: Judgement
) -> SequenceAnnotation:
    """Return what of the tracks lies in the frame, as truth; what may be real is to be ignored."""
    height, width = source.hw
    boxes = tracks.boxes_xyxy.clip(0, [width, height, width, height]).astype(np.float32)
    is_visible = (boxes[:, 2:] - boxes[:, :2] >= MIN_VISIBLE_PX).all(axis=1)
    rows = np.flatnonzero(is_visible & (judged.is_sure | judged.is_open))
    boxes, tracks = boxes[rows], tracks[rows]
    return SequenceAnnotation(
        name=source.name,
        num_frames=num_frames,
        image_hw=source.hw,
        fps=source.fps,
        frame_indices=tracks.frame_indices,
        track_ids=tracks.track_ids,
        boxes_xyxy=boxes,
        class_ids=np.zeros(len(tracks), np.int64),
        is_ignored=judged.is_open[rows],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """What is made of each row of tracks; what is neither is background.

    Attributes:
        is_sure: Its track gives targets, bool (M,).
        is_open: Its track may be real, bool (M,).
    """

    is_sure: BoolArray
    is_open: BoolArray


def judge(tracks: Tracks, *, is_calibrated: bool) -> Judgement:
    """Say which tracks are sure enough to be labels, and which are open.

    Args:
        tracks: Of a whole stream.
        is_calibrated: Whether probabilities say how likely tracks are real: the last row of a
            track decides. Else the number of its detections does.
    """
    is_sure, is_open = np.zeros((2, len(tracks)), np.bool_)
    for track_id in np.unique(tracks.track_ids):
        rows = np.flatnonzero(tracks.track_ids == track_id)
        if is_calibrated:
            probability = tracks.probabilities[rows[-1]]
            is_sure[rows] = probability >= SURE_PROBABILITY
            is_open[rows] = FALSE_PROBABILITY <= probability < SURE_PROBABILITY
        else:
            num_detections = int((tracks.detection_indices[rows] >= 0).sum())
            is_sure[rows] = num_detections >= SURE_DETECTIONS
            is_open[rows] = num_detections < SURE_DETECTIONS
    return Judgement(is_sure=is_sure, is_open=is_open)
