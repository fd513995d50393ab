"""What the page gets of a finished run."""

import io
import json
import shutil
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
from finished_run import FRAMES, MISSING, frame_of_run, write_run
from live_run import HW, ask
from video_files import write_streams

from stdet.errors import DataError
from stdet.formats.track_json import read_track_json
from stdet.io.video.writer import VideoWriter, write_grey
from stdet.page.finished_page import FinishedPage
from stdet.page.run_pictures import RunPictures

pytest.importorskip("starlette", reason="needs the extra page: pip install 'stdet[page]'")


def test_run_says_its_frames_and_tracks(serve):
    url, _ = serve()
    run = json.loads(ask(f"{url}run")[2])
    assert run["name"] == "clip"
    assert run["frames"] == [[3, 6], [8, 19]]
    first, second = run["tracks"]
    assert (first["track_id"], first["first_frame"], first["last_frame"]) == (1, 3, 19)
    assert (second["track_id"], second["first_frame"], second["num_frames"]) == (4, 10, 10)
    assert second["probability"] == 0.75
    assert second["motion"] == "straight"
    assert run["formats"] == ["mot-zip", "coco-vid", "csv", "summary"]


def _image(picture):
    return cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE).astype(int)


@pytest.mark.parametrize("is_annotated", [True, False])
def test_frame_has_the_picture_of_its_index_and_trails(serve, folder, message, is_annotated):
    url, page = serve(None if is_annotated else folder / "clip.mkv")
    assert ("without drawings" in page.pictures_note) == is_annotated
    for index in (12, 3, 19, 8):
        values, picture = message(f"{url}frame/{index}")
        expected = frame_of_run(index)
        image = _image(picture)
        scale = image.shape[0] // HW[0]
        assert (scale > 1) == is_annotated
        assert np.abs(image[scale // 2 :: scale, scale // 2 :: scale] - expected.image).mean() < 4
        assert [track["track_id"] for track in values["tracks"]] == frame_of_run(
            index
        ).tracks.track_ids.tolist()
        trail = values["tracks"][0]["trail"]
        assert trail[-1] == [7.5 + index, 11.5]
        assert len(trail) == FRAMES.index(index) + 1
    assert ask(f"{url}frame/{MISSING}")[0] == 404
    assert ask(f"{url}frame/100000")[0] == 404


@pytest.mark.parametrize(
    "indices",
    [range(5, 58, 2), range(0, 56, 5), [0, 1, *range(3, 30, 3), *range(30, 58, 2)], [7, 11, 12]],
    ids=["every second", "every fifth", "mixed", "few"],
)
def test_annotated_video_of_dropped_frames_shows_the_frame_asked_for(
    serve, folder, message, indices
):
    write_run(folder, indices)
    url, _ = serve()
    shown = {}
    for index in indices:
        image = _image(message(f"{url}frame/{index}")[1])
        scale = image.shape[0] // HW[0]
        row = image[11 * scale + scale // 2, scale // 2 :: scale]
        shown[index] = (
            int(np.flatnonzero(row > 150).mean()) - 7
        )  # The target moves with the index.
    assert shown == {index: index for index in indices}


def test_piece_of_a_track_shows_it(serve, folder):
    url, _ = serve(folder / "clip.mkv")
    status, _, content = ask(f"{url}crop/4")
    assert status == 200
    crop = _image(content)
    assert crop.shape == (24, 24)
    assert (crop[11:13, 11:13] == 255).all()  # The target, 3 px wide, in the middle.
    assert ask(f"{url}crop/4")[2] == content
    assert ask(f"{url}crop/77")[0] == 404


def test_run_without_pictures_has_its_tracks(serve, folder, message):
    (folder / "clip.mp4").unlink()
    url, page = serve()
    assert "--source" in page.pictures_note
    values, picture = message(f"{url}frame/5")
    assert picture == b""
    assert len(values["tracks"]) == 1
    assert ask(f"{url}crop/1")[0] == 204


def test_video_beside_the_tracks_counts_only_where_the_run_wrote_it(serve, folder, message):
    content = json.loads((folder / "clip.json").read_text())
    assert content["has_video"]
    (folder / "clip.json").write_text(json.dumps({**content, "has_video": False}))
    url, page = serve()
    assert "no annotated video" in page.pictures_note
    assert not json.loads(ask(f"{url}run")[2])["is_annotated"]
    assert message(f"{url}frame/5")[1] == b""


def test_stream_that_was_tracked_is_shown(folder):
    path = write_streams(folder / "two.mkv", default=1, sizes=[HW, (32, 48)])
    tracks = replace(read_track_json(folder / "clip.json"), stream=0)
    pictures = RunPictures.of_source(path, tracks, max_megapixels=10)
    assert pictures.at(5).pixels.shape == HW
    pictures.close()
    with pytest.raises(DataError, match="has frames of 48x32"):
        RunPictures.of_source(path, replace(tracks, stream=None), max_megapixels=10)


def test_frame_that_cannot_be_read_is_named_and_the_tracks_come(serve, folder, message):
    frames = [frame_of_run(i).image for i in range(15)]
    write_grey(folder / "short.mkv", frames, 25)
    url, _ = serve(folder / "short.mkv")
    values, picture = message(f"{url}frame/19")
    assert "has no frame 19" in values["problem"]
    assert picture == b""
    assert len(values["tracks"]) == 2
    assert message(f"{url}frame/12")[0]["problem"] is None


@pytest.mark.parametrize("form", ["mot-zip", "coco-vid", "csv", "summary"])
def test_export_holds_the_chosen_tracks_alone(serve, folder, form):
    url, _ = serve()
    body = json.dumps({"format": form, "track_ids": [4]}).encode()
    headers = {"Content-Type": "application/json"}
    status, headers, content = ask(f"{url}export", data=body, headers=headers)
    assert status == 200
    assert headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''clip.")
    if form == "mot-zip":
        text = zipfile.ZipFile(io.BytesIO(content)).read("gt/gt.txt").decode()
        ids = {line.split(",")[1] for line in text.splitlines()}
    elif form == "coco-vid":
        ids = {str(row["track_id"]) for row in json.loads(content)["annotations"]}
    else:
        lines = [line.split(",") for line in content.decode().splitlines()]
        column = lines[0].index("track_id")
        ids = {line[column] for line in lines[1:]}
    assert ids == {"4"}


@pytest.mark.parametrize(
    "values",
    [{}, {"format": "exe", "track_ids": [1]}, {"format": "csv", "track_ids": [99]},
     {"format": "csv", "track_ids": "1"}, {"format": ["csv"], "track_ids": [1]},
     {"format": "csv", "track_ids": [[1]]}, {"format": "csv", "track_ids": [1.5]}],
)  # fmt: skip
def test_export_refuses_what_is_none(serve, post, values):
    status, text = post(f"{serve()[0]}export", values)
    assert status == 400
    assert "expected" in text


def test_chosen_tracks_keep_frames_and_detections(folder):
    whole = read_track_json(folder / "clip.json")
    chosen = whole.chosen({4})
    assert set(chosen.tracks.track_ids.tolist()) == {4}
    assert len(chosen.tracks) == len(chosen.is_coasted) == 10
    assert [row.track_id for row in chosen.summaries] == [4]
    assert chosen.motions.keys() == whole.motions.keys()
    assert len(whole.chosen({1, 4}).tracks) == len(whole.tracks)


def test_pictures_of_another_run_are_refused(folder, tmp_path):
    write_grey(tmp_path / "other.mkv", [np.zeros((32, 32), np.uint8)] * 3, 25)
    with pytest.raises(DataError, match="has frames of 32x32, the tracks are of 80x64"):
        FinishedPage.open(folder / "clip.json", source=tmp_path / "other.mkv", max_megapixels=10)
    with VideoWriter(folder / "clip.mp4", hw=(32, 32), fps=25) as video:
        video.write(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(DataError, match=r"no annotated video of these tracks \(1 pictures of 32"):
        FinishedPage.open(folder / "clip.json", source=None, max_megapixels=10)


def test_annotated_video_of_more_frames_is_refused(folder, tmp_path):
    (tmp_path / "other").mkdir()
    write_run(tmp_path / "other", range(20))
    shutil.copy(tmp_path / "other" / "clip.mp4", folder / "clip.mp4")
    with pytest.raises(DataError, match=r"20 pictures of .*, expected 16 of"):
        FinishedPage.open(folder / "clip.json", source=None, max_megapixels=10)


def test_pictures_that_are_kept_are_bounded(serve, folder, monkeypatch):
    from stdet.page import run_pictures

    monkeypatch.setattr(run_pictures, "_MAX_KEPT", 4)
    url, page = serve(folder / "clip.mkv")
    for index in FRAMES:
        ask(f"{url}frame/{index}")
    assert len(page._pictures._kept) == 4
