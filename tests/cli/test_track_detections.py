"""`stdet track --detections`: the tracker alone, on what another detector has found."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from stdet.formats.mot import read_tracks
from stdet.formats.track_json import read_track_json

NUM_FRAMES = 24


@pytest.fixture
def write_csv(tmp_path):
    """Write detections: rows of frame, x, y, score, 3 x 3 px."""

    def write(rows, name="det.csv"):
        lines = [f"{frame},{x},{y},3,3,{score}" for frame, x, y, score in rows]
        path = tmp_path / name
        path.write_text("\n".join(["frame,x,y,w,h,score", *lines]) + "\n")
        return path

    return write


@pytest.fixture
def flight(write_csv):
    """One target that flies to the right at 2 px a frame."""
    return write_csv([(frame, 10 + 2 * frame, 20, 0.95) for frame in range(NUM_FRAMES)])


def test_detections_alone_are_tracked(cli, flight, tmp_path):
    out = tmp_path / "o"
    outcome = cli("track", "--detections", flight, "--out", out, "--size", "64x80", "--fps", "25")
    assert (outcome.code, outcome.err) == (0, [])
    assert outcome.out.startswith(f"{NUM_FRAMES} frames, 1 tracks, ")
    assert sorted(path.name for path in out.iterdir()) == ["det.json", "det.mot.txt"]
    content = json.loads((out / "det.json").read_text())
    assert (content["image_hw"], content["fps"], content["confidence"]) == ([64, 80], 25, 0.5)
    assert (content["detector"], content["detections_file"]) == ("file", "det.csv")
    tracks = read_tracks(out / "det.mot.txt")
    assert set(tracks.track_ids.tolist()) == {1}
    centres = (tracks.boxes_xyxy[:, 0] + tracks.boxes_xyxy[:, 2]) / 2
    np.testing.assert_allclose(centres[5:], 11.5 + 2 * tracks.frame_indices[5:], atol=0.5)


def test_order_of_the_rows_and_the_format_do_not_matter(cli, flight, tmp_path):
    header, *lines = flight.read_text().splitlines()
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("\n".join([header, *lines[::2], *lines[1::2][::-1]]))
    mot = tmp_path / "mot.txt"
    fields = [line.split(",") for line in lines]
    mot.write_text(
        "\n".join(
            f"{int(f) + 1},-1,{float(x) + 1},{float(y) + 1},{w},{h},{s}"
            for f, x, y, w, h, s in fields
        )
    )
    found = []
    for path in (flight, shuffled, mot):
        assert cli("track", "--detections", path, "--out", tmp_path / "o").code == 0
        found.append((tmp_path / "o" / f"{path.stem}.mot.txt").read_text())
    assert found[0] == found[1] == found[2] != ""


def test_with_the_video_tracks_follow_the_scene(cli, write_csv, tmp_path):
    # The camera jerks by 30 px half way; the target rests in the scene.
    smooth = gaussian_filter(np.random.default_rng(3).normal(size=(96, 160)), 2)
    scene = np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    shifts = [0 if frame < NUM_FRAMES // 2 else 30 for frame in range(NUM_FRAMES)]
    video = tmp_path / "clip"
    video.mkdir()
    for frame, shift in enumerate(shifts):
        Image.fromarray(scene[:, shift : shift + 112]).save(video / f"{frame:03}.png")
    rows = [(frame, 70 - shift, 40, 0.95) for frame, shift in enumerate(shifts)]
    given = write_csv(rows)
    outcome = cli("track", video, "--detections", given, "--out", tmp_path / "o")
    assert outcome.code == 0
    content = json.loads((tmp_path / "o" / "clip.json").read_text())
    motion = content["frames"][NUM_FRAMES // 2]["camera_motion"]
    np.testing.assert_allclose(motion["matrix"], [[1, 0, -30], [0, 1, 0], [0, 0, 1]], atol=0.1)
    tracks = read_track_json(tmp_path / "o" / "clip.json").tracks
    assert set(tracks.track_ids.tolist()) == {1}
    centres = tracks.boxes_xyxy[:, [0, 2]].mean(axis=1)
    np.testing.assert_allclose(centres, 71.5 - np.array(shifts)[tracks.frame_indices], atol=0.5)
    (summary,) = content["track_summaries"]
    assert summary["motion"] == "hovering"  # In the scene.
    assert (tmp_path / "o" / "clip.mp4").exists()


def test_detections_behind_the_end_of_the_video_are_named(cli, clip, write_csv, tmp_path):
    given = write_csv([(frame, 10, 20, 0.9) for frame in range(15)])
    outcome = cli("track", clip, "--detections", given, "--out", tmp_path / "o")
    assert outcome.code == 3
    assert outcome.err[-1].endswith(
        f"{given}: 5 of 15 detections are of frames up to 14, but {clip} ends with frame 9 "
        "(counted from 0); they are left out. Check that the two belong together."
    )
    content = json.loads((tmp_path / "o" / "clip.json").read_text())
    assert (content["num_frames"], content["is_complete"]) == (10, False)
    # Where a part of the video was asked for, the others are not missed.
    outcome = cli(
        "track", clip, "--detections", given, "--frames", 5, "--overwrite", "--out", tmp_path / "o"
    )
    assert outcome.code == 0


def test_ignored_boxes_hold_no_detections(cli, flight, tmp_path):
    outcome = cli(
        "track",
        "--detections",
        flight,
        "--size",
        "64x80",
        "--ignore",
        "0,0,80,30",
        "--out",
        tmp_path / "o",
    )
    assert outcome.out.startswith(f"{NUM_FRAMES} frames, 0 tracks")


def test_options_that_do_not_fit_are_refused(refused, cli, flight, clip, write_csv, tmp_path):
    assert refused("track").endswith("track: give SOURCE, or --detections FILE.")
    line = refused("track", clip, "--detections", flight, "--fps", 25)
    assert line.endswith("SOURCE says its own --size and --fps; leave them out.")
    assert refused("track", clip, "--size", "64x80").endswith("leave them out.")
    line = refused("track", "--detections", write_csv([], "none.csv"), "--out", tmp_path / "o")
    assert "holds no detections; give the video" in line
    line = refused("track", "--detections", tmp_path / "no.csv", "--out", tmp_path / "o")
    assert "no.csv" in line
    assert not (tmp_path / "o").exists()
    both = cli("track", "--detections", flight, "--detector", "rpca")
    assert both.code == 2
    assert "not allowed with argument" in both.err[-1]


def test_given_detections_are_not_overwritten(refused, flight):
    given = flight.rename(flight.with_name("a.mot.txt"))
    text = given.read_text()
    line = refused(
        "track", "--detections", given.rename(given.with_name("b.json")), "--out", given.parent
    )
    assert "expected a list of COCO results" in line or "is not JSON" in line
    assert (given.parent / "b.json").read_text() == text
