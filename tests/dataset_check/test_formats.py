"""The data check and statistics over data sets that are no COCO files or text lists."""

import json

import numpy as np
import pytest
from PIL import Image

from stdet.dataset_check.check import check_dataset
from stdet.dataset_check.findings import format_check
from stdet.dataset_check.stats import dataset_statistics
from stdet.io.video.source import VideoWriter

HW = (48, 64)
NUM_FRAMES = 40


def _write_video(path, corners, *, seed=0, num_blank=0):
    """A video of noise, blank at first, with a text file of 4x4 boxes beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed)
    with VideoWriter(path, hw=HW, fps=10.0) as writer:
        for frame in range(len(corners)):
            grey = np.repeat(noise.integers(0, 256, (*HW, 1), np.uint8), 3, axis=2)
            writer.write(grey if frame >= num_blank else np.zeros_like(grey))
    lines = [f"{x},{y},4,4" for x, y in np.round(corners, 2).tolist()]
    path.with_suffix(".txt").write_text("\n".join(lines))


def _write_mot(folder, corners, *, has_images=True):
    (folder / "gt").mkdir(parents=True)
    rows = [
        f"{k + 1},1,{x + 1},{y + 1},4,4,1,1,1\n"
        for k, (x, y) in enumerate(np.round(corners, 2).tolist())
    ]
    (folder / "gt" / "gt.txt").write_text("".join(rows))
    info = f"[Sequence]\nseqLength={len(corners)}\nimWidth={HW[1]}\nimHeight={HW[0]}\n"
    (folder / "seqinfo.ini").write_text(info)
    if has_images:
        (folder / "img1").mkdir()
        for k in range(len(corners)):
            level = np.random.default_rng(k).integers(0, 256, HW, np.uint8)
            Image.fromarray(level).save(folder / "img1" / f"{k + 1:06d}.png")


def test_videos_are_counted_and_every_labelled_frame_is_read(tmp_path, split_writer):
    for seed, name in enumerate("ab"):
        _write_video(tmp_path / f"{name}.mp4", split_writer.path(seed), seed=seed)
    report = check_dataset([tmp_path])
    assert report.findings == report.notes == ()
    (summary,) = report.splits
    assert (summary.num_sequences, summary.num_frames, summary.num_targets) == (2, 80, 80)
    assert summary.num_images_read == 80
    (unread,) = check_dataset([tmp_path], with_images=False).splits
    assert unread.num_images_read == 0
    (split,) = dataset_statistics([tmp_path]).splits
    assert (split.num_targets, split.size_px.median) == (80, 4)
    assert split.step_px.num_values == 78


def test_bad_box_of_a_video_is_a_finding_that_names_its_frame(tmp_path, split_writer):
    corners = split_writer.path(0)
    _write_video(tmp_path / "a.mp4", corners)
    boxes = [[x, y, 4, 4] for x, y in corners.tolist()]
    boxes[7] = [1, 1, 0, 4]
    (tmp_path / "a.txt").unlink()
    (tmp_path / "boxes.json").write_text(json.dumps({"a": {"boxes_xywh": boxes}}))
    (finding,) = check_dataset([tmp_path]).findings
    assert (finding.kind, finding.place.sequence, finding.place.frame) == ("box_empty", "a", 7)
    assert finding.place.image == "a.mp4#7"


def test_path_of_a_video_in_another_split_is_a_leak(tmp_path, split_writer):
    for seed, split in enumerate(("train", "test")):
        _write_video(tmp_path / split / f"{split}.mp4", split_writer.path(0), seed=seed)
    (finding,) = check_dataset([tmp_path / "train", tmp_path / "test"]).findings
    assert finding.kind == "leak_paths"


def test_video_that_is_copied_to_another_split_is_a_leak(tmp_path, split_writer):
    for seed, split in enumerate(("train", "test")):
        _write_video(tmp_path / split / f"{split}.mp4", split_writer.path(seed))
    (finding,) = check_dataset([tmp_path / "train", tmp_path / "test"]).findings
    assert (finding.kind, finding.num_frames) == ("leak_images", NUM_FRAMES)


def test_blank_frames_of_videos_are_found_and_are_no_copies_of_each_other(tmp_path, split_writer):
    for seed, split in enumerate(("train", "test")):
        video = tmp_path / split / f"{split}.mp4"
        _write_video(video, split_writer.path(seed), seed=seed, num_blank=3)
    found = check_dataset([tmp_path / "train", tmp_path / "test"]).findings
    assert [(f.kind, f.place.sequence, f.place.frame, f.num_frames) for f in found] == [
        ("image_blank", "train", 0, 3),
        ("image_blank", "test", 0, 3),
    ]


def test_damaged_stretch_of_a_video_is_one_finding_that_names_its_frames(tmp_path, split_writer):
    video = tmp_path / "a.mp4"
    _write_video(video, split_writer.path(0))
    whole = video.read_bytes()
    middle = slice(len(whole) // 2, 3 * len(whole) // 4)
    video.write_bytes(
        whole[: middle.start] + bytes(middle.stop - middle.start) + whole[middle.stop :]
    )
    report = check_dataset([tmp_path])
    (finding,) = report.findings
    assert (finding.kind, finding.place.sequence) == ("image_unreadable", "a")
    stop = finding.place.frame + finding.num_frames
    assert 0 < finding.place.frame < stop < NUM_FRAMES
    assert f"read {NUM_FRAMES - finding.num_frames} of {NUM_FRAMES} frames" in finding.message
    assert f" a[{finding.place.frame}:{stop}]: read " in format_check(report)


@pytest.mark.parametrize("has_images", [True, False])
def test_folders_of_mot_sequences_are_splits(tmp_path, split_writer, has_images):
    for seed, name in enumerate(("train/s1", "train/s2", "test/s3")):
        _write_mot(tmp_path / name, split_writer.path(seed), has_images=has_images)
    report = check_dataset([tmp_path], with_images=False)
    assert report.findings == ()
    assert [(s.split, s.num_sequences, s.num_frames) for s in report.splits] == [
        ("test", 1, NUM_FRAMES),
        ("train", 2, 2 * NUM_FRAMES),
    ]
    (single,) = dataset_statistics([tmp_path / "train" / "s1"]).splits
    assert (single.split, single.num_targets) == ("s1", NUM_FRAMES)


def test_equal_frames_of_two_mot_sequences_are_found(tmp_path, split_writer):
    _write_mot(tmp_path / "train/s1", split_writer.path(0))
    _write_mot(tmp_path / "test/s2", split_writer.path(1))
    kinds = {finding.kind for finding in check_dataset([tmp_path]).findings}
    assert "leak_images" in kinds


def test_centroids_are_read_beside_their_folders(tmp_path):
    (tmp_path / "s").mkdir()
    for k in range(5):
        Image.fromarray(np.full(HW, 40 * k, np.uint8)).save(tmp_path / "s" / f"{k}.png")
    (tmp_path / "centroids.csv").write_text("sequence,frame,x,y\ns,0,3,4\ns,1,70,4\n")
    (tmp_path / "other.csv").write_text("name,size\na,3\n")
    report = check_dataset([tmp_path])
    assert [finding.kind for finding in report.findings] == ["box_outside"]
    assert report.notes == (f"{tmp_path / 'other.csv'} is no label file; left out.",)
    (split,) = dataset_statistics([tmp_path / "centroids.csv"]).splits
    assert (split.num_frames, split.num_targets, split.num_bad_boxes) == (5, 1, 1)
