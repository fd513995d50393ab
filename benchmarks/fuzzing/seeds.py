"""Small healthy files of every format that the command line reads, made by the project itself."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stdet.io.video.writer import VideoWriter, write_grey
from stdet.synthesis import SceneConfig, generate

Frames = NDArray[np.uint8] | NDArray[np.uint16]
Run = Callable[[Sequence[str], Path], None]
"""Runs a command of the project in a folder; it must end with exit code 0."""

HW = (48, 64)
NUM_FRAMES = 10

SYNTH_YAML = """\
seed: 1
scene:
  num_frames: 8
  hw: [48, 64]
  background: {kinds: [horizon, clouds], contrast_range: [0.05, 0.08]}
  camera: {motions: [pan], speed_range: [0.1, 0.2]}
  targets: {num_range: [1, 2], size_range: [1.5, 2.5], scr_range: [5.0, 9.0], box_min_px: 4}
  sensor: {noise_range: [0.008, 0.012], h264_probability: 0.0, bit_depth: 8}
groups:
  - {split: train, name: a, num_sequences: 1}
  - {split: val, name: b, scene: {targets: {num_range: [1, 1]}}}
  - {split: test, name: c, axes: {depth: {d8: {}, d14: {sensor: {bit_depth: 14}}}}}
"""

MODEL_YAML = """\
model:
  name: tiny
  in_channels: 1
  pixel_mean: [0.4]
  pixel_std: [0.2]
  backbone: {depth: 0.33, width: 0.0625, num_stages: 3}
  pyramid: {type: bp_fpn, output_stride: 4}
  temporal: {num_frames: 3, expansion: 1.0}
  head: {channels: 8, num_convs: 1}
postprocess: {max_detections: 5}
"""

TRAIN_YAML = """\
include: [model.yaml]
data:
  root: ds
  train:
    - annotations: annotations/instances_train2017.json
    - {format: coco, annotations: annotations/instances_test2017.json, max_frames: 4}
  validation: [{annotations: annotations/instances_val2017.json}]
  test: [{annotations: annotations/instances_test2017.json}]
  subsets: {"all": "*"}
train:
  epochs: 1
  batch_size: 4
  learning_rate: 0.01
  device: cpu
  augment: {crop_hw: [32, 32], horizontal_flip: 0.5, gain_range: [0.9, 1.1]}
"""

GRID_YAML = """\
base: seed.yaml
split: test
seeds: [0]
variants:
  fpn: {model: {pyramid: {type: fpn}}}
  bp_fpn: {model: {pyramid: {type: bp_fpn}}}
"""

CODECS = {
    # File: (codec, container, pixel format).
    "mjpeg.avi": ("mjpeg", "avi", "yuvj420p"),
    "h264.mkv": ("libx264", "matroska", "yuv420p"),
    "h264.ts": ("libx264", "mpegts", "yuv420p"),
    "mpeg2.ts": ("mpeg2video", "mpegts", "yuv420p"),
    "vp8.webm": ("libvpx", "webm", "yuv420p"),
    "vp9.webm": ("libvpx-vp9", "webm", "yuv420p"),
    "h264.mov": ("libx264", "mov", "yuv420p"),
}


def make_seeds(folder: Path, run: Run) -> None:
    """Write all seeds below a folder, each kind in a folder of its own."""
    frames, deep = scene_frames(bit_depth=8), scene_frames(bit_depth=14)
    _videos(folder / "videos", frames, deep)
    _images(folder / "images", frames, deep)
    _settings(folder / "settings")
    _dataset(folder / "dataset", folder / "settings", run)
    _weights(folder / "weights.safetensors", folder / "settings" / "model.yaml")
    run(["export", "weights.safetensors", "--out", "exported"], folder)
    _other_labels(folder / "labels", folder / "dataset" / "ds")
    _predictions(folder / "scored", folder, run)


def scene_frames(*, bit_depth: int) -> Frames:
    """Return the frames of a clip with two clear targets."""
    scene = SceneConfig(
        num_frames=NUM_FRAMES,
        hw=HW,
        targets={"num_range": [2, 2], "size_range": [1.5, 2.5], "scr_range": [5, 9]},
        sensor={"bit_depth": bit_depth, "h264_probability": 0.0},
    )
    return generate(scene, seed=4, name="clip").frames


def _videos(folder: Path, frames: Frames, deep: Frames) -> None:
    folder.mkdir(parents=True)
    with VideoWriter(folder / "h264.mp4", hw=HW, fps=25) as writer:
        for frame in frames:
            writer.write(np.repeat(frame[:, :, None], 3, axis=2).astype(np.uint8))
    write_grey(folder / "ffv1_8.mkv", frames, 25)
    write_grey(folder / "ffv1_16.mkv", deep, 25)
    for name, (codec, container_format, pixels) in CODECS.items():
        _encode(folder / name, frames, codec, container_format, pixels)


def _encode(
    path: Path, frames: Frames, codec: str, container_format: str, pixel_format: str
) -> None:
    with av.open(str(path), "w", format=container_format) as container:
        container.metadata["title"] = "a scene"
        stream: Any = container.add_stream(codec, rate=25)
        stream.height, stream.width = HW
        stream.pix_fmt = pixel_format
        for frame in frames:
            grey = av.VideoFrame.from_ndarray(frame.astype(np.uint8), format="gray")
            container.mux(stream.encode(grey.reformat(format=pixel_format)))
        container.mux(stream.encode(None))


def _images(folder: Path, frames: Frames, deep: Frames) -> None:
    kinds = {
        "png8": (".png", [Image.fromarray(frame) for frame in frames]),
        "png16": (".png", [Image.fromarray(frame) for frame in deep]),
        "rgb": (".png", [Image.fromarray(frame).convert("RGB") for frame in frames]),
        "bmp": (".bmp", [Image.fromarray(frame) for frame in frames]),
        "jpeg": (".jpg", [Image.fromarray(frame) for frame in frames]),
        "tiff8": (".tif", [Image.fromarray(frame) for frame in frames]),
        "tiff16": (".tif", [Image.fromarray(frame) for frame in deep]),
        "float": (".tif", [Image.fromarray(frame.astype(np.float32) / 50) for frame in deep]),
    }
    for name, (suffix, images) in kinds.items():
        (folder / name).mkdir(parents=True)
        for index, image in enumerate(images):
            image.save(folder / name / f"{index}{suffix}")
    for name in ("tiff8", "tiff16"):
        first, *others = kinds[name][1]
        stack = folder / f"stack_{name}"
        stack.mkdir()
        first.save(stack / "stack.tif", save_all=True, append_images=others)


def _settings(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "synth").mkdir()
    (folder / "synth" / "seed.yaml").write_text(SYNTH_YAML)
    (folder / "model.yaml").write_text(MODEL_YAML)
    (folder / "seed.yaml").write_text(TRAIN_YAML)
    (folder / "grid.yaml").write_text(GRID_YAML)


def _dataset(folder: Path, settings: Path, run: Run) -> None:
    folder.mkdir(parents=True)
    run(["synth", str(settings / "synth" / "seed.yaml"), "--out", "ds", "--jobs", "1"], folder)


def _weights(path: Path, config_path: Path) -> None:
    """Save a tiny random network whose scores are near 0.5: some detections form tracks."""
    import torch

    from stdet.config import load_config
    from stdet.inference.checkpoint import save_weights
    from stdet.models.build import build_detector

    config = load_config(config_path, ["postprocess.confidence=0.25"])
    torch.manual_seed(0)
    detector = build_detector(config.model).eval()
    for layer in (detector.head.cls_pred, detector.head.obj_pred):
        torch.nn.init.ones_(layer.bias)
    save_weights(path, detector.state_dict(), config, {"epoch": 1, "seed": 0})


def _other_labels(folder: Path, dataset: Path) -> None:
    """Write the labels of a split in every other layout, beside the same frames."""
    content = json.loads((dataset / "annotations" / "instances_test2017.json").read_text())
    first = Path(content["images"][0]["file_name"]).parent
    images = {i["id"]: i for i in content["images"] if Path(i["file_name"]).parent == first}
    boxes: dict[int, list[dict[str, Any]]] = {key: [] for key in images}
    for annotation in content["annotations"]:
        if annotation["image_id"] in boxes:
            boxes[annotation["image_id"]].append(annotation)
    frames = [dataset / image["file_name"] for image in images.values()]
    _text_list(folder / "text", frames, boxes)
    _centroids(folder / "centroids", frames, boxes)
    _mot_folder(folder / "mot", frames, boxes)
    _video_boxes(folder / "videos", frames, boxes)
    _coco_video(folder / "coco_vid", content)


def _copy(frames: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for index, path in enumerate(frames):
        (folder / f"{index:06d}.png").write_bytes(path.read_bytes())


def _corners(annotation: dict[str, Any]) -> tuple[float, float, float, float]:
    x, y, width, height = annotation["bbox"]
    return x, y, x + width, y + height


def _text_list(folder: Path, frames: Sequence[Path], boxes: dict[int, Any]) -> None:
    _copy(frames, folder / "ds" / "images" / "c_0")
    lines = []
    for index, found in enumerate(boxes.values()):
        shown = [",".join(f"{side:g}" for side in (*_corners(row), 0)) for row in found]
        lines.append(" ".join([f"images/c_0/{index:06d}.png", *shown]))
    (folder / "ds" / "list.txt").write_text("\n".join(lines) + "\n")


def _centroids(folder: Path, frames: Sequence[Path], boxes: dict[int, Any]) -> None:
    _copy(frames, folder / "ds" / "c_0")
    with (folder / "ds" / "centres.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sequence", "frame", "x", "y"])
        for index, found in enumerate(boxes.values()):
            for x1, y1, x2, y2 in map(_corners, found):
                rows.writerow(["c_0", index, (x1 + x2) / 2 - 0.5, (y1 + y2) / 2 - 0.5])


def _mot_folder(folder: Path, frames: Sequence[Path], boxes: dict[int, Any]) -> None:
    sequence = folder / "ds" / "c_0"
    _copy(frames, sequence / "img1")
    (sequence / "gt").mkdir()
    lines = [
        f"{index},{row['track_id']},{row['bbox'][0] + 1:g},{row['bbox'][1] + 1:g},"
        f"{row['bbox'][2]:g},{row['bbox'][3]:g},1,1,1\n"
        for index, found in enumerate(boxes.values(), start=1)
        for row in found
    ]
    (sequence / "gt" / "gt.txt").write_text("".join(lines))
    (sequence / "seqinfo.ini").write_text(
        f"[Sequence]\nname=c_0\nimDir=img1\nframeRate=25\nseqLength={len(frames)}\n"
        f"imWidth={HW[1]}\nimHeight={HW[0]}\nimExt=.png\n"
    )


def _video_boxes(folder: Path, frames: Sequence[Path], boxes: dict[int, Any]) -> None:
    pixels = np.stack([np.asarray(Image.open(path)) for path in frames])
    first = [found[0]["bbox"] if found else None for found in boxes.values()]
    for place in (folder / "ds", folder / "beside"):
        place.mkdir(parents=True)
        _encode(place / "c_0.mp4", pixels, "libx264", "mp4", "yuv420p")
    lines = ["" if box is None else ",".join(f"{side:g}" for side in box) for box in first]
    (folder / "beside" / "c_0.txt").write_text("\n".join(lines) + "\n")
    (folder / "ds" / "boxes.json").write_text(json.dumps({"c_0": {"boxes_xywh": first}}))


def _coco_video(folder: Path, content: dict[str, Any]) -> None:
    """Write the same labels with what COCO-VID says of videos, and crowds and ignored rows."""
    folder.mkdir(parents=True)
    folders = sorted({str(Path(image["file_name"]).parent) for image in content["images"]})
    for image in content["images"]:
        path = Path(image["file_name"])
        image |= {"video_id": folders.index(str(path.parent)) + 1, "frame_id": int(path.stem)}
    for row in content["annotations"]:
        row |= {"iscrowd": 0, "ignore": 0, "area": row["bbox"][2] * row["bbox"][3]}
    size = {"height": HW[0], "width": HW[1]}
    names = [{"id": row, "name": Path(name).name} | size for row, name in enumerate(folders, 1)]
    videos = {"videos": names}
    (folder / "truth.json").write_text(json.dumps(content | videos))


def _predictions(folder: Path, seeds: Path, run: Run) -> None:
    """Write predictions on the test split in every format, two reports and a finished run."""
    folder.mkdir(parents=True)
    truth = json.loads((seeds / "labels" / "coco_vid" / "truth.json").read_text())
    results = [
        {key: row[key] for key in ("image_id", "category_id", "bbox", "track_id")} | {"score": 0.9}
        for row in truth["annotations"]
    ]
    (folder / "results.json").write_text(json.dumps(results))
    images = seeds / "labels" / "mot" / "ds" / "c_0" / "img1"
    weights = ["--weights", str(seeds / "weights.safetensors")]
    run(["track", str(images), *weights, "--out", "tracked", "--no-video"], folder)
    truth_path = str(seeds / "labels" / "coco_vid" / "truth.json")
    for name, changes in (("one", 0), ("two", 1)):
        (folder / "some.json").write_text(json.dumps(results[changes:]))
        files = ["--truth", truth_path, "--predictions", "some.json", "--json", f"{name}.json"]
        run(["evaluate", *files], folder)
    work = folder / "run"
    work.mkdir()
    for name in ("model.yaml", "seed.yaml", "grid.yaml"):
        (work / name).write_bytes((seeds / "settings" / name).read_bytes())
    (work / "ds").symlink_to(seeds / "dataset" / "ds")
    run(["train", "seed.yaml", "--run-dir", "trained"], work)
    run(["ablate", "grid.yaml", "--run-dir", "ablated"], work)
