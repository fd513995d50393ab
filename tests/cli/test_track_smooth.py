"""`stdet track --smooth`: tracks that know what came after."""

import json

import av
import numpy as np
import pytest

import stdet
from stdet.formats.track_json import read_track_json


@pytest.fixture
def hidden(tmp_path):
    """Detections of a target that is hidden for a while, and of a short false track."""
    rows = [f"{t},{10 + 2 * t},20,3,3,0.95" for t in range(50) if not 20 <= t < 30]
    path = tmp_path / "det.csv"
    path.write_text("\n".join(["frame,x,y,w,h,score", *rows]))
    return path


def test_gap_is_filled_and_the_json_says_how(cli, hidden, tmp_path):
    found = {}
    for name, options in (("online", ()), ("smooth", ("--smooth",))):
        out = tmp_path / name
        assert cli("track", "--detections", hidden, "--out", out, *options).code == 0
        found[name] = read_track_json(out / "det.json").tracks
        content = json.loads((out / "det.json").read_text())
        assert content["is_smoothed"] == (name == "smooth")
        assert (content["num_frames"], content["is_complete"]) == (50, True)
    assert set(found["smooth"].track_ids.tolist()) == {1}
    assert len(found["online"]) < len(found["smooth"]) <= 50
    is_hidden = (found["smooth"].frame_indices >= 20) & (found["smooth"].frame_indices < 30)
    assert is_hidden.sum() == 10
    centres = found["smooth"].boxes_xyxy[:, [0, 2]].mean(axis=1)
    np.testing.assert_allclose(centres, 11.5 + 2 * found["smooth"].frame_indices, atol=0.3)


def test_video_shows_every_frame_and_python_finds_the_same_tracks(cli, clip, weights, tmp_path):
    out = tmp_path / "o"
    outcome = cli("track", clip, "--weights", weights, "--smooth", "--start", 2, "--out", out)
    assert outcome.code == 0
    with av.open(str(out / "clip.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 8
    written = read_track_json(out / "clip.json").tracks
    frames = list(stdet.track(clip, weights=str(weights), start=2))
    tracks = stdet.smooth_tracks(frames)
    assert len(written) > 0
    np.testing.assert_array_equal(written.frame_indices, tracks.frame_indices)
    np.testing.assert_array_equal(written.track_ids, tracks.track_ids)
    np.testing.assert_allclose(written.boxes_xyxy, tracks.boxes_xyxy, atol=1e-3)


def test_source_that_breaks_off_keeps_what_was_tracked(cli, clip, hidden, tmp_path):
    outcome = cli("track", clip, "--detections", hidden, "--smooth", "--out", tmp_path / "o")
    assert outcome.code == 3
    assert "30 of 40 detections are of frames up to 49" in outcome.err[-1]
    content = json.loads((tmp_path / "o" / "clip.json").read_text())
    assert (content["num_frames"], content["is_complete"]) == (10, False)
