"""Every command of the command line that reads something, with healthy inputs to change."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from fuzzing.seeds import CODECS


@dataclass(frozen=True, kw_only=True)
class EntryPoint:
    """One way in.

    Attributes:
        name: The command and what it reads, such as `track/png8`.
        argv: The healthy command line, relative to the folder.
        folder: What a case begins with.
        targets: Files and folders that are changed; those of the arguments themselves among them.
        weight: How often it is drawn, relative to others.
        limit_s: Seconds of processor time that a case may take.
    """

    name: str
    argv: tuple[str, ...]
    folder: Path
    targets: tuple[str, ...]
    weight: float = 1.0
    limit_s: float = 20.0


_NETWORK = ("--weights", "w.safetensors", "--out", "out")
_TOP_HAT = ("--detector", "tophat", "--out", "out", "--no-video")
_IMAGE_KINDS = ("png8", "png16", "rgb", "bmp", "jpeg", "tiff8", "tiff16", "float")
_TRAIN_LIMIT_S = 60.0


def make_entries(seeds: Path, folder: Path) -> list[EntryPoint]:
    """Lay out the folder of every entry point from the seeds."""
    builder = _Builder(seeds, folder)
    _track_entries(builder)
    _evaluate_entries(builder)
    _data_entries(builder)
    _training_entries(builder)
    return builder.entries


class _Builder:
    """Collects entry points and copies what each of them needs."""

    def __init__(self, seeds: Path, folder: Path) -> None:
        self.seeds = seeds
        self.folder = folder
        self.entries: list[EntryPoint] = []

    def add(
        self,
        name: str,
        argv: tuple[str, ...],
        files: dict[str, str],
        targets: tuple[str, ...],
        *,
        weight: float = 1.0,
        limit_s: float = 20.0,
    ) -> None:
        """Copy ``files`` (name in its folder: seed) and note the entry point."""
        own = self.folder / name
        own.mkdir(parents=True)
        for new, seed in files.items():
            source = self.seeds / seed
            (own / new).parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, own / new, dirs_exist_ok=True)
            else:
                shutil.copyfile(source, own / new)
        entry = EntryPoint(
            name=name, argv=argv, folder=own, targets=targets, weight=weight, limit_s=limit_s
        )
        self.entries.append(entry)


def _track_entries(builder: _Builder) -> None:
    weights = {"w.safetensors": "weights.safetensors"}
    for name in ("h264.mp4", "ffv1_8.mkv", "ffv1_16.mkv", *CODECS):
        argv = ("track", name, *_NETWORK, "--no-video")
        builder.add(f"track/{name}", argv, weights | {name: f"videos/{name}"}, (name,), weight=1.5)
    drawn = weights | {"v.mp4": "videos/h264.mp4"}
    builder.add("track/drawn", ("track", "v.mp4", *_NETWORK), drawn, ("v.mp4",), weight=0.5)
    for kind in _IMAGE_KINDS:
        argv = ("track", "f", *(_TOP_HAT if kind in ("bmp", "rgb") else (*_NETWORK, "--no-video")))
        files = {"f": f"images/{kind}"} | ({} if "tophat" in argv else weights)
        builder.add(f"track/{kind}", argv, files, ("f", "f/*", "f/*", "f/*"))
    for kind in ("tiff8", "tiff16"):
        files = {"s.tif": f"images/stack_{kind}/stack.tif"}
        builder.add(f"track/stack_{kind}", ("track", "s.tif", *_TOP_HAT), files, ("s.tif",))
    files = weights | {"f": "images/png8"}
    argv = ("track", "f", *_NETWORK, "--no-video")
    builder.add("track/weights", argv, files, ("w.safetensors",), weight=3)
    files = {"x": "exported", "f": "images/png8"}
    argv = ("track", "f", "--weights", "x", "--out", "out", "--no-video")
    builder.add("track/exported", argv, files, ("x/stdet.json", "x/stdet.json", "x/*"), weight=2)


def _evaluate_entries(builder: _Builder) -> None:
    score = ("evaluate", "--json", "scores.json", "--truth")
    files = {"t.json": "labels/coco_vid/truth.json", "p.json": "scored/results.json"}
    argv = (*score, "t.json", "--predictions", "p.json")
    builder.add("evaluate/coco", argv, files, ("t.json", "p.json"), weight=3)
    mot = "labels/mot/ds/c_0"
    files = {"t.txt": f"{mot}/gt/gt.txt", "p.txt": "scored/tracked/img1.mot.txt"}
    argv = (*score, "t.txt", "--predictions", "p.txt", "--size", "48x64")
    builder.add("evaluate/mot", argv, files, ("t.txt", "p.txt"), weight=2)
    files = {"t/gt/gt.txt": f"{mot}/gt/gt.txt", "t/seqinfo.ini": f"{mot}/seqinfo.ini"}
    files |= {"t/img1": f"{mot}/img1", "p.json": "scored/tracked/img1.json"}
    argv = (*score, "t", "--predictions", "p.json", "--report", "page")
    targets = ("t/gt/gt.txt", "t/seqinfo.ini", "p.json", "p.json")
    builder.add("evaluate/mot_folder", argv, files, (*targets, "t"), weight=2)
    files = {"t/a.txt": f"{mot}/gt/gt.txt", "p/a.mot.txt": "scored/tracked/img1.mot.txt"}
    argv = (*score, "t", "--predictions", "p", "--size", "48x64")
    builder.add("evaluate/folders", argv, files, ("t", "p", "t/*", "p/*"))
    masks = {"t/c": "dataset/ds/masks/val/b_0", "p/c": "dataset/ds/masks/val/b_0"}
    argv = (*score, "t", "--predictions", "p")
    builder.add("evaluate/masks", argv, masks, ("t", "p", "t/c/*", "p/c/*", "p/c"), weight=2)
    reports = {"a.json": "scored/one.json", "b.json": "scored/two.json"}
    argv = ("compare", "a.json", "b.json")
    builder.add("compare", argv, reports, ("a.json", "b.json"), weight=2)
    _split_entries(builder)


def _split_entries(builder: _Builder) -> None:
    """Add `evaluate CONFIG` over data sets in every layout."""
    layouts = {
        # format: (annotations, files to change)
        "coco": ("t.json", ("ds/t.json",)),
        "text": ("list.txt", ("ds/list.txt", "ds/images/c_0/*", "ds/images/c_0")),
        "centroids": ("centres.csv", ("ds/centres.csv", "ds/centres.csv", "ds/c_0")),
        "mot": (".", ("ds/c_0/gt/gt.txt", "ds/c_0/seqinfo.ini", "ds", "ds/c_0", "ds/c_0/img1")),
        "videos": ("boxes.json", ("ds/boxes.json", "ds/boxes.json", "ds/c_0.mp4")),
        "videos_beside": (".", ("ds/c_0.txt", "ds/c_0.txt", "ds/c_0.mp4", "ds")),
    }
    base = {"seed.yaml": "settings/seed.yaml", "model.yaml": "settings/model.yaml"}
    base |= {"w.safetensors": "weights.safetensors"}
    for name, (labels, targets) in layouts.items():
        layout = name.removesuffix("_beside")
        if name == "coco":
            files = base | {"ds/t.json": "labels/coco_vid/truth.json"}
            files |= {"ds/images/test": "dataset/ds/images/test"}
        else:
            inner = "beside" if name == "videos_beside" else "ds"
            files = base | {"ds": f"labels/{layout}/{inner}"}
        sets = ("--set", f"data.test=[{{format: {layout}, annotations: {labels}}}]")
        argv = ("evaluate", "seed.yaml", "--split", "test", "--weights", "w.safetensors", *sets)
        builder.add(f"evaluate/{name}_split", argv, files, targets)
    argv = ("evaluate", "seed.yaml", "--detector", "tophat", "--split", "test")
    files = {"seed.yaml": "settings/seed.yaml", "model.yaml": "settings/model.yaml"}
    files |= {"ds": "dataset/ds"}
    builder.add("evaluate/config", argv, files, ("seed.yaml", "seed.yaml", "model.yaml"))


def _data_entries(builder: _Builder) -> None:
    dataset = {"ds/annotations": "dataset/ds/annotations", "ds/images": "dataset/ds/images"}
    targets = ("ds/annotations/*", "ds/annotations/*", "ds/annotations", "ds/images/test/c_*/*")
    for action in ("stats", "check"):
        argv = ("data", action, "ds", "--json", "found.json")
        weight = 2 if action == "check" else 1
        builder.add(f"data/{action}_coco", argv, dataset, targets, weight=weight)
        argv = ("data", action, "ds/list.txt")
        targets_text = ("ds/list.txt", "ds/list.txt", "ds/images/c_0/*")
        builder.add(f"data/{action}_text", argv, {"ds": "labels/text/ds"}, targets_text)
    settings = {"seed.yaml": "settings/synth/seed.yaml"}
    argv = ("synth", "seed.yaml", "--out", "made", "--jobs", "1")
    builder.add("synth/settings", argv, settings, ("seed.yaml",), weight=4)
    real = ("--set", "scene.background.kinds=[real]", "--set", "scene.background.paths=[v.mkv, f]")
    files = settings | {"v.mkv": "videos/ffv1_8.mkv", "f": "images/png16"}
    builder.add("synth/real", (*argv, *real), files, ("v.mkv", "f", "f/*", "f/*"))
    matched = settings | {"ds/t.json": "labels/coco_vid/truth.json"}
    matched |= {"ds/images/test": "dataset/ds/images/test"}
    argv_match = (*argv, "--match", "ds/t.json")
    builder.add("synth/match_coco", argv_match, matched, ("ds/t.json", "ds/images/test/c_*/*"))
    files = settings | {"ds": "labels/text/ds"}
    targets = ("ds/list.txt", "ds/list.txt", "ds/images/c_0/*")
    builder.add("synth/match_text", (*argv, "--match", "ds/list.txt"), files, targets)


def _training_entries(builder: _Builder) -> None:
    names = ("seed.yaml", "model.yaml", "grid.yaml")
    settings = {name: f"settings/{name}" for name in names}
    everything = settings | {"ds": "dataset/ds"}
    argv = ("train", "seed.yaml", "--run-dir", "run")
    targets = ("seed.yaml", "seed.yaml", "model.yaml", "ds/annotations/*")
    builder.add("train/config", argv, everything, targets, weight=2.5, limit_s=_TRAIN_LIMIT_S)
    files = everything | {"run": "scored/run/trained"}
    targets = ("run/resume.pt", "run/resume.pt", "run/metrics.jsonl", "run/config.yaml", "run")
    builder.add("train/resume", argv, files, targets, weight=2.5, limit_s=_TRAIN_LIMIT_S)
    argv = ("ablate", "grid.yaml", "--run-dir", "ab")
    builder.add(
        "ablate/grid", argv, everything, ("grid.yaml",), weight=1.5, limit_s=_TRAIN_LIMIT_S
    )
    files = everything | {"ab": "scored/run/ablated"}
    targets = ("ab/*/seed0/*", "ab/*/seed0/*", "ab/*", "grid.yaml")
    builder.add("ablate/again", argv, files, targets, limit_s=_TRAIN_LIMIT_S)
    targets = ("seed.yaml", "model.yaml")
    argv = ("info", "seed.yaml", "--json", "info.json")
    builder.add("info", argv, settings, targets, weight=2)
