"""Generated data sets on disk.

    OUT/images/<split>/<sequence>/<k>.png           frames, 8 or 16 bits, k from 0
    OUT/annotations/instances_<split>2017.json      COCO with identities
    OUT/mot/<split>/<sequence>/{seqinfo.ini,gt/gt.txt}  MOTChallenge truth
    OUT/masks/<split>/<sequence>/<k>.png            pixels of the targets, 0 or 255
    OUT/records/<split>/<sequence>.json             settings and every target in every frame
    OUT/synth.json                                  settings of the data set, hash of its truth

With ``output: video`` the frames are OUT/videos/<split>/<sequence>.mkv, lossless, and there is no
COCO file, which names images.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stdet.dataset_synthesis.settings import (
    SequenceRecipe,
    SynthConfig,
    list_recipes,
    truth_hash,
)
from stdet.dataset_synthesis.staging import staged
from stdet.dataset_synthesis.workers import run_jobs
from stdet.datasets.real_backgrounds import background_for, find_backgrounds
from stdet.errors import DataError
from stdet.files.atomic_file import explain_os_errors, write_whole
from stdet.files.settings_file import settings_to_dict
from stdet.formats.coco_video import write_coco
from stdet.formats.generated_mark import SUMMARY_NAME
from stdet.formats.image_labels import ImageLabels, labels_of_sequences
from stdet.formats.mot import write_annotation
from stdet.io.video.writer import write_grey
from stdet.processes.progress import ProgressBar
from stdet.synthesis import Synthesised, generate
from stdet.types import SequenceAnnotation


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written.

    Attributes:
        folder: The data set.
        num_sequences: Over all splits.
        num_frames: Over all splits.
        num_targets: Rows of the truth.
        truth_sha256: Hash of the planned truth.
    """

    folder: Path
    num_sequences: int
    num_frames: int
    num_targets: int
    truth_sha256: str


def write_dataset(
    config: SynthConfig, folder: Path, *, overwrite: bool = False, num_processes: int = 1
) -> Written:
    """Generate all sequences and write them.

    Args:
        config: With a seed.
        folder: New folder, or an earlier data set with ``overwrite``.
        overwrite: Replace the earlier data set, once the new one is whole.
        num_processes: That generate at the same time; the result is the same.

    Raises:
        ConfigError: If the settings of a group are wrong.
        DataError: If the folder is in the way or cannot be written, a background is missing, or
            the truth is not the expected one.
    """
    recipes = list_recipes(config)
    for recipe in recipes:
        if "real" in recipe.scene.background.kinds:
            find_backgrounds(recipe.scene.background.paths)
    found = truth_hash(recipes)
    if config.truth_sha256 not in (None, found):
        raise DataError(
            f"{folder}: the truth has hash {found[:12]}..., expected "
            f"{str(config.truth_sha256)[:12]}... (truth_sha256). The generator or its settings "
            "have changed; take the version that the settings were made for."
        )
    total = sum(recipe.scene.num_frames for recipe in recipes)
    with staged(folder, overwrite=overwrite) as stage:
        truths = _generate(recipes, stage, output=config.output, num_processes=num_processes)
        if config.output == "png":
            _write_coco_files(stage, recipes, truths)
        summary = {"truth_sha256": found, "settings": settings_to_dict(config)}
        write_whole(stage / SUMMARY_NAME, (json.dumps(summary, indent=2) + "\n").encode())
    return Written(
        folder=folder,
        num_sequences=len(recipes),
        num_frames=total,
        num_targets=sum(map(len, truths)),
        truth_sha256=found,
    )


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One sequence and where it goes."""

    recipe: SequenceRecipe
    folder: Path
    output: str


def _generate(
    recipes: Sequence[SequenceRecipe], folder: Path, *, output: str, num_processes: int
) -> list[SequenceAnnotation]:
    """Write all sequences and return their truths in the order of the recipes."""
    jobs = [_Job(recipe=recipe, folder=folder, output=output) for recipe in recipes]
    truths = []
    with (
        ProgressBar("generating", sum(recipe.scene.num_frames for recipe in recipes)) as bar,
        run_jobs(_write_sequence, jobs, num_processes) as written,
    ):
        for truth in written:
            truths.append(truth)
            for _ in range(truth.num_frames):
                bar.advance()
    return truths


def _write_sequence(job: _Job) -> SequenceAnnotation:
    """Generate one sequence and write all but the files of its split."""
    recipe, split = job.recipe, job.recipe.split
    made = generate(
        recipe.scene,
        seed=recipe.seed,
        name=recipe.name,
        background=background_for(recipe.scene, seed=recipe.seed),
    )
    _save_images(job.folder / "masks" / split / recipe.name, made.masks, compress_level=6)
    if job.output == "png":
        _save_images(_image_folder(job.folder, recipe), made.frames, compress_level=1)
    else:
        videos = _make_folder(job.folder / "videos" / split)
        write_grey(videos / f"{recipe.name}.mkv", made.frames, recipe.scene.fps)
    _write_mot(job, made.truth)
    records = _make_folder(job.folder / "records" / split)
    text = json.dumps(record_of(made), indent=1) + "\n"
    write_whole(records / f"{recipe.name}.json", text.encode())
    return made.truth


def _save_images(folder: Path, images: Iterable[NDArray[Any]], *, compress_level: int) -> None:
    """Write numbered PNG files."""
    _make_folder(folder)
    for index, image in enumerate(images):
        picture = Image.fromarray(image)
        with explain_os_errors(folder):
            picture.save(folder / f"{index}.png", compress_level=compress_level)


def _make_folder(folder: Path) -> Path:
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def record_of(made: Synthesised) -> dict[str, Any]:
    """Return settings, camera and every target in every frame, as plain values.

    ``frames`` of a target holds one row for each frame of the truth: frame (from 0), x, y (px),
    wanted SCR, SCR achieved in the finished frame (both negative where colder; null where
    undefined), and the share of the light that is visible.
    """
    plan = made.plan
    targets = []
    for target in plan.targets:
        rows = [row for row in made.rows if row.track_id == target.track_id]
        targets.append(
            {
                "track_id": target.track_id,
                "motion": target.motion,
                "size_px": round(target.size_px, 3),
                "is_dark": target.sign < 0,
                "exposure": round(target.exposure, 3),
                "frames": [
                    [
                        row.frame_index,
                        round(row.centre_xy[0], 3),
                        round(row.centre_xy[1], 3),
                        round(row.scr_wanted, 3),
                        round(row.scr_achieved, 3) if math.isfinite(row.scr_achieved) else None,
                        round(row.visible, 3),
                    ]
                    for row in rows
                ],
            }
        )
    return {
        "name": plan.name,
        "seed": plan.seed,
        "camera": {
            "motion": plan.camera.motion,
            "background_shift_xy": np.round(plan.camera.shifts_xy(), 3).tolist(),
            "angle_degrees": np.round(np.rad2deg(plan.camera.angles), 3).tolist(),
        },
        "columns": ["frame", "x", "y", "scr_wanted", "scr_achieved", "visible"],
        "targets": targets,
        "scene": settings_to_dict(plan.scene),
    }


def _image_folder(folder: Path, recipe: SequenceRecipe) -> Path:
    return folder / "images" / recipe.split / recipe.name


def _write_mot(job: _Job, truth: SequenceAnnotation) -> None:
    """Write a MOTChallenge folder; its images are those of the COCO layout."""
    recipe = job.recipe
    folder = job.folder / "mot" / recipe.split / recipe.name
    _make_folder(folder / "gt")
    write_annotation(folder / "gt" / "gt.txt", truth)
    lines = [
        "[Sequence]",
        f"name={recipe.name}",
        f"frameRate={truth.fps:g}",
        f"seqLength={truth.num_frames}",
        f"imWidth={truth.image_hw[1]}",
        f"imHeight={truth.image_hw[0]}",
    ]
    if job.output == "png":
        lines += [f"imDir=../../../images/{recipe.split}/{recipe.name}", "imExt=.png"]
    write_whole(folder / "seqinfo.ini", ("\n".join(lines) + "\n").encode())


def _write_coco_files(
    folder: Path, recipes: Sequence[SequenceRecipe], truths: Sequence[SequenceAnnotation]
) -> None:
    """Write one COCO file for each split."""
    _make_folder(folder / "annotations")
    for split in dict.fromkeys(recipe.split for recipe in recipes):
        path = folder / "annotations" / f"instances_{split}2017.json"
        members = [
            (recipe, truth)
            for recipe, truth in zip(recipes, truths, strict=True)
            if recipe.split == split
        ]
        labels = _labels(path, folder, members)
        with explain_os_errors(path):
            write_coco(path, labels, folder)


def _labels(
    path: Path, folder: Path, members: Sequence[tuple[SequenceRecipe, SequenceAnnotation]]
) -> ImageLabels:
    """Join the truths of a split into the rows of one label file."""
    paths = [
        _image_folder(folder, recipe) / f"{index}.png"
        for recipe, truth in members
        for index in range(truth.num_frames)
    ]
    return labels_of_sequences([truth for _, truth in members], paths, where=str(path))
