"""`stdet convert`: tracks for other tools, read back."""

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stdet.formats.coco_video import read_coco
from stdet.formats.detection_file import read_detections
from stdet.formats.track_json import read_track_json

NAMES = ["det.coco_vid.json", "det.csv", "det.mot.zip", "det.summary.csv"]


@pytest.fixture
def tracked(cli, tmp_path):
    """Track two targets, one of which is not found for two frames; return the JSON."""
    rows = [f"{t},{10 + 2.5 * t},20,3,4,0.95" for t in range(30) if t not in (15, 16)]
    rows += [f"{t},60,{40 + 0.01 * t},3,3,0.9" for t in range(5, 30)]
    given = tmp_path / "det.csv"
    given.write_text("\n".join(["frame,x,y,w,h,score", *rows]))
    out = tmp_path / "o"
    options = ("--out", out, "--size", "64x96", "--fps", "20")
    assert cli("track", "--detections", given, *options).code == 0
    return out / "det.json"


def test_all_formats_hold_the_rows_of_the_json(cli, tracked, tmp_path):
    out = tmp_path / "converted"
    outcome = cli("convert", tracked, "--out", out)
    assert (outcome.code, outcome.err) == (0, [])
    assert sorted(Path(line).name for line in outcome.out.splitlines()) == NAMES
    content = read_track_json(tracked)
    tracks, boxes = content.tracks, content.tracks.boxes_xyxy

    with zipfile.ZipFile(out / "det.mot.zip") as archive:
        assert archive.read("gt/labels.txt") == b"target\n"
        lines = archive.read("gt/gt.txt").decode().splitlines()
    mot = np.array([line.split(",") for line in lines], float)
    np.testing.assert_array_equal(mot[:, 0], tracks.frame_indices + 1)
    np.testing.assert_array_equal(mot[:, 1], tracks.track_ids)
    np.testing.assert_allclose(mot[:, 2:4], boxes[:, :2], atol=1e-3)
    np.testing.assert_allclose(mot[:, 4:6], boxes[:, 2:] - boxes[:, :2], atol=2e-3)
    assert (mot[:, 6:8] == 1).all()
    np.testing.assert_array_equal(mot[:, 8], ~content.is_coasted)
    assert content.is_coasted.sum() == 2

    coco = read_coco(out / "det.coco_vid.json", tmp_path, check_images=False)
    assert len(coco.paths) == 30
    np.testing.assert_array_equal(coco.image_rows, tracks.frame_indices)
    np.testing.assert_array_equal(coco.track_ids, tracks.track_ids)
    np.testing.assert_allclose(coco.boxes_xyxy, boxes, atol=2e-3)

    rows = read_detections(out / "det.csv")
    np.testing.assert_array_equal(rows.frame_indices, tracks.frame_indices)
    np.testing.assert_allclose(rows.boxes_xyxy, boxes, atol=2e-3)
    with (out / "det.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    times = np.array([float(row["time"]) for row in table])
    np.testing.assert_allclose(times, tracks.frame_indices / 20)


def test_summary_has_a_line_for_each_track_as_the_json(cli, tracked):
    assert cli("convert", tracked, "--to", "summary").code == 0
    with tracked.with_name("det.summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    entries = json.loads(tracked.read_text())["track_summaries"]
    assert [row["track_id"] for row in rows] == ["1", "2"]
    assert [row["motion"] for row in rows] == ["straight", "hovering"]
    for row, entry in zip(rows, entries, strict=True):
        assert row == {key: "" if value is None else str(value) for key, value in entry.items()}
    assert float(rows[0]["speed_px_per_s"]) == pytest.approx(2.5 * 20, rel=0.02)


def test_snr_is_measured_where_there_are_pictures(cli, clip, weights, tmp_path):
    for options in ((), ("--smooth", "--no-video")):
        out = tmp_path / f"o{len(options)}"
        assert cli("track", clip, "--weights", weights, "--out", out, *options).code == 0
        entries = json.loads((out / "clip.json").read_text())["track_summaries"]
        assert entries
        assert all(entry["mean_snr"] > 0 for entry in entries)


def test_equal_tracks_give_equal_files_and_nothing_is_replaced_unasked(cli, refused, tracked):
    assert cli("convert", tracked).code == 0
    before = {name: tracked.with_name(name).read_bytes() for name in NAMES}
    line = refused("convert", tracked, "--to", "csv")
    assert "det.csv: already there; pass --overwrite" in line
    assert cli("convert", tracked, "--overwrite").code == 0
    assert {name: tracked.with_name(name).read_bytes() for name in NAMES} == before


def test_other_files_are_refused(refused, tracked, tmp_path):
    assert "none.json" in refused("convert", tmp_path / "none.json")
    other = tmp_path / "other.json"
    other.write_text("[]")
    assert "expected a JSON of `stdet track`" in refused("convert", other)
    content = json.loads(tracked.read_text())
    del content["track_summaries"]
    tracked.write_text(json.dumps(content))
    line = refused("convert", tracked, "--to", "summary")
    assert "has no track_summaries; track the source again" in line
    content["track_summaries"] = [{"track_id": 1}]
    tracked.write_text(json.dumps(content))
    assert "malformed" in refused("convert", tracked)
