import json
import logging
import subprocess
import sys
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from scenes import SyntheticConfig, generate
from video_files import write_streams, write_video

import stdet
from stdet.classical.methods import METHODS, OPERATING_POINTS
from stdet.config import TrackerConfig
from stdet.errors import IncompleteInputError
from stdet.formats.mot import read_tracks
from stdet.formats.track_json import read_track_json
from stdet.io.open_source import open_source

NUM_FRAMES = 10
NAMES = ["clip.json", "clip.mot.txt", "clip.mp4"]


@pytest.fixture
def track(cli, weights, tmp_path):
    """Run ``stdet track`` with tiny weights into a folder of the test."""

    def run(source: Path, *options: object, out: Path | None = None):
        return cli("track", source, "--weights", weights, "--out", out or tmp_path / "o", *options)

    return run


@pytest.fixture
def track_by_difference(cli, tmp_path):
    """Run ``stdet track`` with a detector that registers frames."""

    def run(source: Path, *options: object):
        outcome = cli(
            "track", source, "--detector", "framediff", "--out", tmp_path / "o", *options
        )
        assert outcome.code == 0
        return outcome

    return run


@pytest.fixture
def track_refused(refused, weights, tmp_path):
    """Run ``stdet track`` where it must fail and leave nothing; return the line."""

    def run(source: object, *options: object) -> str:
        line = refused("track", source, "--weights", weights, "--out", tmp_path / "o", *options)
        assert not (tmp_path / "o").exists()
        return line

    return run


def _write_images(folder: Path, frames: np.ndarray) -> Path:
    folder.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"f{index:03}.png")
    return folder


def _frames(tmp_path: Path) -> list[dict]:
    return json.loads((tmp_path / "o" / "clip.json").read_text())["frames"]


def _first_picture(tmp_path: Path) -> np.ndarray:
    with av.open(str(tmp_path / "o" / "clip.mp4")) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def _num_frames(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def _write_cut_video(path: Path) -> None:
    """Write a video whose index stands first, and cut off its last third."""
    frames, _ = generate(SyntheticConfig(num_frames=30, hw=(48, 64)))
    with av.open(str(path), "w", container_options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "5"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for frame in frames:
            rgb = np.repeat(frame[:, :, None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _write_sound(path: Path) -> None:
    """Write a file with an audio stream and no video."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100)
        for start in range(0, 4096, 1024):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 44100, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_video_leaves_a_mot_file_a_json_and_a_video(track, clip, weights, tmp_path):
    outcome = track(clip)
    assert (outcome.code, outcome.err) == (0, [])
    first, *paths = outcome.out.splitlines()
    assert first.startswith("10 frames, ")
    assert paths == [str(tmp_path / "o" / f"clip.{s}") for s in ("mot.txt", "json", "mp4")]
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == NAMES

    content = json.loads((tmp_path / "o" / "clip.json").read_text())
    assert (content["num_frames"], content["is_complete"]) == (NUM_FRAMES, True)
    assert (content["source"], content["weights"]) == ("clip.mp4", str(weights))
    assert content["has_video"]
    assert (content["fps"], content["image_hw"], content["confidence"]) == (25, [48, 64], 0.25)
    assert [frame["frame_index"] for frame in content["frames"]] == list(range(NUM_FRAMES))
    scores = [d["score"] for frame in content["frames"] for d in frame["detections"]]
    assert scores
    for frame in content["frames"]:
        # Weaker ones are there because a track goes on with them.
        weak = {d["score"] for d in frame["detections"] if d["score"] < 0.25}
        assert weak <= {t["score"] for t in frame["tracks"] if not t["is_coasted"]}

    found = read_track_json(tmp_path / "o" / "clip.json").tracks
    assert len(found) > 0
    rows = read_tracks(tmp_path / "o" / "clip.mot.txt")
    assert rows.frame_indices.tolist() == found.frame_indices.tolist()
    assert rows.track_ids.tolist() == found.track_ids.tolist()
    np.testing.assert_allclose(rows.boxes_xyxy, found.boxes_xyxy, atol=1e-3)
    assert f"{len(set(found.track_ids.tolist()))} tracks" in first

    video = tmp_path / "o" / "clip.mp4"
    assert _num_frames(video) == NUM_FRAMES
    with open_source(video) as source:  # Small frames are enlarged by a whole factor.
        assert source.hw[0] % 48 == 0
        assert source.fps == 25


def test_three_lines_of_python_find_the_same_tracks(track, clip, weights, tmp_path):
    track(clip, "--no-video")
    expected = read_track_json(tmp_path / "o" / "clip.json").tracks
    rows = []
    for frame in stdet.track(str(clip), weights=str(weights)):
        rows += [(frame.index, int(track_id)) for track_id in frame.tracks.track_ids]
    assert rows == list(
        zip(expected.frame_indices.tolist(), expected.track_ids.tolist(), strict=True)
    )


def test_python_writes_the_same_files(track, clip, weights, tmp_path):
    track(clip)
    options = stdet.TrackOptions(weights=str(weights), out_dir=tmp_path / "python")
    summary = stdet.track_to_files(str(clip), options)
    assert (summary.num_frames, summary.shortfall) == (NUM_FRAMES, None)
    for name in NAMES[:2]:
        again = (tmp_path / "python" / name).read_bytes()
        assert again == (tmp_path / "o" / name).read_bytes()
    # Float sums differ in their last digits between runs, so a line may move by a pixel.
    with (
        av.open(str(tmp_path / "python" / "clip.mp4")) as video,
        av.open(str(tmp_path / "o" / "clip.mp4")) as expected,
    ):
        for one, other in zip(video.decode(video=0), expected.decode(video=0), strict=True):
            difference = np.abs(
                one.to_ndarray(format="gray").astype(int) - other.to_ndarray(format="gray")
            )
            assert (difference > 16).mean() < 0.002


def test_no_video_leaves_the_two_text_files(track, clip, tmp_path):
    assert track(clip, "--no-video").code == 0
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == NAMES[:2]
    assert json.loads((tmp_path / "o" / "clip.json").read_text())["has_video"] is False


def test_start_and_frames_choose_a_stretch_and_keep_the_numbering(track, clip, tmp_path):
    outcome = track(clip, "--start", 2, "--frames", 5)
    assert outcome.out.startswith("5 frames, ")
    content = json.loads((tmp_path / "o" / "clip.json").read_text())
    assert [frame["frame_index"] for frame in content["frames"]] == [2, 3, 4, 5, 6]
    assert content["is_complete"]
    rows = read_tracks(tmp_path / "o" / "clip.mot.txt")
    assert set(rows.frame_indices.tolist()) <= set(range(2, 7))
    assert _num_frames(tmp_path / "o" / "clip.mp4") == 5


def test_more_frames_than_there_are_is_all_of_them(track, clip):
    outcome = track(clip, "--start", 8, "--frames", 100, "--no-video")
    assert (outcome.code, outcome.out.split()[:2]) == (0, ["2", "frames,"])


def test_confidence_decides_what_reaches_the_tracker(track, clip, tmp_path):
    track(clip, "--no-video", "--confidence", 1)
    content = json.loads((tmp_path / "o" / "clip.json").read_text())
    assert content["confidence"] == 1
    assert all(frame["detections"] == frame["tracks"] == [] for frame in content["frames"])
    assert (tmp_path / "o" / "clip.mot.txt").read_text() == ""


def test_expected_false_tracks_are_said_and_stand_in_the_json(track, clip, tmp_path):
    outcome = track(clip)
    line = outcome.out.splitlines()[0]
    content = json.loads((tmp_path / "o" / "clip.json").read_text())
    stated = content["false_tracks"]
    assert stated["hours"] == pytest.approx(NUM_FRAMES / 25 / 3600, abs=1e-6)
    rows = {row["track_id"]: row["probability"] for row in content["track_summaries"]}
    assert stated["num_tracks"] == len(rows)
    assert stated["expected"] == pytest.approx(sum(1 - p for p in rows.values()), abs=1e-3)
    assert f" frames/s; expected false tracks: {stated['expected']:.2g} in " in line
    assert "limit_per_hour" not in stated


def test_limit_of_false_alarms_is_kept_and_short_footage_said_to_show_nothing(
    track, clip, tmp_path
):
    outcome = track(clip, "--false-alarms-per-hour", "1e-6")
    assert "1e-06 false alarms an hour: no track is certain enough" in outcome.out
    assert not any(frame["tracks"] for frame in _frames(tmp_path))
    outcome = track(clip, "--false-alarms-per-hour", "1e9", "--overwrite")
    assert "cannot show" not in outcome.out  # Of so many a single frame is enough.
    stated = json.loads((tmp_path / "o" / "clip.json").read_text())["false_tracks"]
    assert stated["limit_per_hour"] == 1e9
    assert stated["is_shown"]


@pytest.mark.parametrize("limit", ["0", "-3", "nan", "many"])
def test_limit_of_false_alarms_that_is_no_rate_is_refused(track, clip, tmp_path, limit):
    outcome = track(clip, "--false-alarms-per-hour", limit)
    assert outcome.code == 2
    assert "argument --false-alarms-per-hour: " in outcome.err[-1]
    assert not (tmp_path / "o").exists()


def test_limit_of_false_alarms_is_for_the_network_alone(refused, clip, tmp_path):
    line = refused(
        "track", clip, "--detector", "tophat", "--false-alarms-per-hour", 5, "--out", tmp_path
    )
    assert "false alarms per hour are not calibrated for tophat" in line


def test_limit_of_false_alarms_is_checked_in_python(clip, weights):
    with pytest.raises(ValueError, match="false_alarms_per_hour is 0; expected a number above 0"):
        next(stdet.track(clip, weights=str(weights), false_alarms_per_hour=0))


def test_profile_names_every_stage_on_stderr_and_in_the_json(track, clip, tmp_path):
    outcome = track(clip, "--profile")
    title, *lines, camera = outcome.err
    assert camera.split(maxsplit=1) == ["camera", "frames are not registered"]
    assert title.split() == ["stage", "frames", "median", "ms", "95", "%", "ms", "frames", "late"]
    names = ["read", "blank", "scale", "detect", "track", "write"]
    assert [line.split()[0] for line in lines] == [*names, "all"]
    assert [int(line.split()[1]) for line in lines[:-1]] == [NUM_FRAMES] * len(names)
    assert lines[-1].split() == ["all", str(TrackerConfig().lookahead)]
    written = json.loads((tmp_path / "o" / "clip.json").read_text())
    assert [row["name"] for row in written["profile"]] == names
    assert all(row["median_ms"] <= row["percentile_95_ms"] for row in written["profile"])


def test_latency_is_what_the_outputs_are_late_by(track, clip):
    outcome = track(clip, "--no-video", "--profile", "--latency", 2)
    assert outcome.err[-2].split() == ["all", "2"]


def test_profile_says_how_well_frames_were_registered(track_by_difference, clip, tmp_path):
    lines = {line.split()[0]: line for line in track_by_difference(clip, "--profile").err}
    written = json.loads((tmp_path / "o" / "clip.json").read_text())["camera"]
    # The JSON says nothing of how the first frame is registered with itself.
    motions = [frame["camera_motion"] for frame in _frames(tmp_path)[1:]]
    assert written["num_frames"] == sum(written["states"].values()) == NUM_FRAMES
    assert written["models"] == Counter(["rest", *(motion["model"] for motion in motions)])
    errors_px = [0.0, *(motion["error_px"] for motion in motions)]
    errors_px = [error for error in errors_px if error is not None]
    assert written["median_error_px"] == pytest.approx(np.median(errors_px), abs=1e-4)
    for name, number in written["states"].items():
        assert f"{name} {number / NUM_FRAMES:.1%}" in lines["camera"]
    assert f"error {written['median_error_px']:.3f} px" in lines["median"]


def test_json_has_no_profile_where_none_was_asked_for(track, clip, tmp_path):
    assert track(clip).err == []
    assert not {"profile", "camera"} & set(json.loads((tmp_path / "o" / "clip.json").read_text()))


def test_camera_is_drawn_on_request(track_by_difference, clip, tmp_path):
    track_by_difference(clip)
    plain = _first_picture(tmp_path)
    track_by_difference(clip, "--draw-camera", "--overwrite")
    drawn = _first_picture(tmp_path)
    changed = np.abs(drawn.astype(int) - plain).max(axis=2) > 15
    height, width = changed.shape
    # The brighter lines in the middle, and the state in the lower left corner.
    assert changed[height // 2 - 1 : height // 2 + 1, : width // 3].mean() > 0.3
    assert changed[-12:, :40].mean() > 0.3


def test_camera_that_nothing_is_known_of_is_not_drawn_silently(track, clip, tmp_path, caplog):
    assert track(clip, "--draw-camera").code == 0
    assert "registers no frames; --draw-camera draws nothing." in caplog.text
    outcome = track(clip, "--draw-camera", "--no-video", out=tmp_path / "p")
    assert outcome.code == 2
    assert "not allowed with argument" in outcome.err[-1]


def test_start_beyond_the_end_leaves_no_file(refused, clip, weights, tmp_path):
    line = refused(
        "track", clip, "--weights", weights, "--out", tmp_path / "o", "--start", NUM_FRAMES
    )
    assert line.endswith("no frames from 10 on; check --start and --frames.")
    assert list((tmp_path / "o").iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_existing_output_is_replaced_only_when_asked_to(
    track, track_refused, clip, tmp_path, name, contents
):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / name).write_text("mine")
    outcome = track(clip)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.err
    assert f"{name}: already there; pass --overwrite" in line
    assert contents(tmp_path / "o") == {name: b"mine"}
    assert track(clip, "--overwrite").code == 0
    assert sorted(contents(tmp_path / "o")) == NAMES
    assert contents(tmp_path / "o")[name] != b"mine"


def test_output_never_replaces_its_input(track, clip, tmp_path):
    copy = tmp_path / "clip.mp4"
    copy.write_bytes(clip.read_bytes())
    (tmp_path / "link").symlink_to(tmp_path)
    for out in (tmp_path, tmp_path / "link"):
        outcome = track(copy, "--overwrite", out=out)
        assert outcome.code == 2
        assert "is the input itself; choose another folder with --out" in outcome.err[0]
    assert copy.read_bytes() == clip.read_bytes()
    assert track(copy, "--no-video", out=tmp_path).code == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist; pass a video file or a folder"),
        (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
        (lambda path: path.write_text("hello\n" * 99), "is no video that can be read"),
        (_write_sound, "holds no video (streams: audio)"),
        (lambda path: path.mkdir(), "holds no images; expected files ending in .bmp"),
        (lambda path: (path / "sub").mkdir(parents=True), "pass one of its subfolders"),
    ],
    ids=["missing", "zero", "text", "sound", "empty-folder", "folder-of-folders"],
)
def test_source_that_holds_no_video_is_one_line_and_no_output(
    track_refused, tmp_path, make, message
):
    path = tmp_path / "a.mp4"
    make(path)
    line = track_refused(path)
    assert line.startswith(f"stdet: {path}: ")
    assert message in line


def test_single_image_names_its_folder(track_refused, tmp_path):
    folder = _write_images(tmp_path / "images", np.zeros((1, 48, 64), np.uint8))
    assert f"pass its folder, {folder}" in track_refused(folder / "f000.png")


def test_folder_of_two_sizes_is_refused(refused, weights, tmp_path):
    folder = _write_images(tmp_path / "images", np.zeros((3, 48, 64), np.uint8))
    Image.fromarray(np.zeros((40, 64), np.uint8)).save(folder / "f003.png")
    line = refused("track", folder, "--weights", weights, "--out", tmp_path / "o")
    assert "f003.png: is 64x40 8-bit; expected 64x48 8-bit like" in line
    assert list((tmp_path / "o").iterdir()) == []


def test_cut_video_is_tracked_to_the_last_frame_read(track, tmp_path):
    path = tmp_path / "cut.mp4"
    _write_cut_video(path)
    with open_source(path) as source:
        read = 0
        with pytest.raises(IncompleteInputError):  # noqa: PT012
            for _ in source.frames():
                read += 1
    assert 0 < read < 30
    outcome = track(path)
    assert outcome.code == 3
    assert outcome.out.startswith(f"{read} frames, ")
    (line,) = outcome.err
    assert line.startswith(f"stdet: {path}: read {read} of 30 frames; ")
    content = json.loads((tmp_path / "o" / "cut.json").read_text())
    assert (content["num_frames"], content["is_complete"]) == (read, False)
    assert len(content["frames"]) == read
    assert _num_frames(tmp_path / "o" / "cut.mp4") == read
    assert len(read_tracks(tmp_path / "o" / "cut.mot.txt")) > 0


def test_folder_with_one_broken_image_names_it_and_keeps_the_others(track, tmp_path):
    frames, _ = generate(SyntheticConfig(num_frames=8, hw=(48, 64)))
    folder = _write_images(tmp_path / "images", frames)
    broken = folder / "f003.png"
    broken.write_bytes(broken.read_bytes()[:100])
    outcome = track(folder)
    assert outcome.code == 3
    (line,) = outcome.err
    assert f"read 7 of 8 frames; cannot read {broken}." in line
    content = json.loads((tmp_path / "o" / "images.json").read_text())
    assert [frame["frame_index"] for frame in content["frames"]] == [0, 1, 2, 4, 5, 6, 7]
    assert not content["is_complete"]
    assert _num_frames(tmp_path / "o" / "images.mp4") == 7


def test_folder_of_16_bit_images_is_tracked(track, tmp_path):
    frames, _ = generate(SyntheticConfig(num_frames=4, hw=(48, 64), bit_depth=14))
    outcome = track(_write_images(tmp_path / "deep", frames))
    assert (outcome.code, outcome.err) == (0, [])
    assert _num_frames(tmp_path / "o" / "deep.mp4") == 4
    assert json.loads((tmp_path / "o" / "deep.json").read_text())["fps"] is None


def test_missing_and_damaged_weights_are_refused(refused, clip, tmp_path):
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"no weights at all" * 9)
    for weights, message in [
        ("stdet_huge", "stdet_huge: no such weights file"),
        (tmp_path / "none.safetensors", "none.safetensors: no such weights file"),
        (garbage, "garbage.safetensors: not a readable safetensors file"),
        (clip, "clip.mp4: not a readable safetensors file"),
    ]:
        assert message in refused("track", clip, "--weights", weights, "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_device_that_is_none_is_refused(track_refused, clip):
    assert "device 'gpu': expected auto, cpu, cuda" in track_refused(clip, "--device", "gpu")


def test_file_in_place_of_the_output_folder_is_refused(refused, clip, weights, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    for out in (path, path / "below"):
        line = refused("track", clip, "--weights", weights, "--out", out)
        assert line.startswith(f"stdet: {path}/")
        assert "cannot be written (Not a directory); check the folder" in line
    assert path.read_text() == "mine"


def test_file_names_in_any_script_work(track, clip, tmp_path):
    source = tmp_path / "\u043f\u0442\u0438\u0446\u0430 50%: a.v2.mp4"
    source.write_bytes(clip.read_bytes())
    assert track(source, "--frames", 3).code == 0
    stem = source.stem
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        f"{stem}.json",
        f"{stem}.mot.txt",
        f"{stem}.mp4",
    ]
    assert json.loads((tmp_path / "o" / f"{stem}.json").read_text())["source"] == source.name


def test_program_ends_with_the_code_and_says_nothing_but_the_line(weights, tmp_path):
    """In a process of its own, where libraries could write to stderr as they please."""
    path = tmp_path / "text.mp4"
    path.write_text("hello\n")
    run = subprocess.run(
        [sys.executable, "-m", "stdet", "track", path, "--weights", weights, "--out", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (2, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"stdet: {path}: is no video that can be read")


SAMPLE = Path(stdet.__file__).parents[1] / "data" / "sample" / "sample.mp4"


@pytest.mark.parametrize("method", METHODS)
def test_classical_detector_tracks_the_sample_and_is_named(cli, tmp_path, method):
    options = ("--detector", method, "--no-video", "--out", tmp_path)
    assert cli("track", SAMPLE, *options).code == 0
    written = json.loads((tmp_path / "sample.json").read_text())
    assert (written["detector"], written["weights"]) == (method, None)
    assert written["confidence"] == OPERATING_POINTS[method]
    assert cli("track", SAMPLE, *options, "--confidence", 0.3, "--overwrite").code == 0
    written = json.loads((tmp_path / "sample.json").read_text())
    found = [d["score"] for frame in written["frames"] for d in frame["detections"]]
    assert any(score >= 0.3 for score in found)
    for frame in written["frames"]:
        weak = {d["score"] for d in frame["detections"] if d["score"] < 0.3}
        # Below the operating point are only those that continue a track.
        assert weak <= {track["score"] for track in frame["tracks"]}


def test_network_is_named(track, clip, tmp_path):
    assert track(clip, "--no-video").code == 0
    assert json.loads((tmp_path / "o" / "clip.json").read_text())["detector"] == "network"


def test_classical_detector_reads_sixteen_bits_as_it_does_eight(cli, tmp_path):
    frames, _ = generate(SyntheticConfig(num_frames=16, hw=(48, 64), seed=1))
    options = ("--detector", "tophat", "--confidence", 0.3, "--no-video", "--out", tmp_path)
    outputs = []
    for name, stored in (("eight", frames), ("sixteen", frames.astype(np.uint16) * 257)):
        folder = _write_images(tmp_path / name, stored)
        outcome = cli("track", folder, *options)
        assert outcome.code == 0
        outputs.append(json.loads((tmp_path / f"{name}.json").read_text())["frames"])
    eight, sixteen = ([len(frame["detections"]) for frame in frames] for frames in outputs)
    assert sum(eight) > 0
    # The sixteen-bit scale is stretched to percentiles, so that weak peaks differ.
    assert abs(sum(eight) - sum(sixteen)) <= 0.25 * sum(eight)


def test_detector_and_weights_exclude_each_other(cli, clip, weights):
    outcome = cli("track", clip, "--detector", "lcm", "--weights", weights)
    assert outcome.code == 2
    assert "not allowed with argument" in outcome.err[-1]


def test_python_call_takes_a_classical_detector(clip):
    frames = list(stdet.track(clip, detector="framediff", confidence=0.3))
    assert len(frames) == NUM_FRAMES
    assert any((frame.detections.scores >= 0.3).any() for frame in frames)
    for frame in frames:
        weak = np.flatnonzero(frame.detections.scores < 0.3)
        assert set(weak.tolist()) <= set(frame.tracks.detection_indices.tolist())


def test_frames_above_the_limit_are_refused_until_it_is_raised(track, track_refused, tmp_path):
    source = _write_images(tmp_path / "clip", np.zeros((3, 40, 50), np.uint8))
    line = track_refused(source, "--max-megapixels", "0.001")
    assert "declares frames of 50x40 (0.002 megapixels), the limit is 0.001" in line
    track(source, "--max-megapixels", "0.002", "--no-video")
    assert (tmp_path / "o" / "clip.json").exists()


def test_stream_is_chosen_and_stands_in_the_header(track, track_refused, tmp_path):
    path = write_streams(tmp_path / "two.mkv", default=1, sizes=[(32, 48), (48, 64)])
    assert track(path, "--no-video", "--frames", 2, out=tmp_path / "a").code == 0
    content = json.loads((tmp_path / "a" / "two.json").read_text())
    assert (content["stream"], content["num_streams"], content["image_hw"]) == (1, 2, [48, 64])
    assert track(path, "--no-video", "--frames", 2, "--stream", 0, out=tmp_path / "b").code == 0
    content = json.loads((tmp_path / "b" / "two.json").read_text())
    assert (content["stream"], content["num_streams"], content["image_hw"]) == (0, 2, [32, 48])
    assert "has no video stream 2; it has 2" in track_refused(path, "--stream", 2)


def test_holes_in_time_keep_their_time_in_every_output(track, tmp_path):
    indices = [*range(8), *range(12, 20)]
    path = write_video(tmp_path / "holes.mp4", indices)
    assert track(path).code == 0
    content = json.loads((tmp_path / "o" / "holes.json").read_text())
    assert [frame["frame_index"] for frame in content["frames"]] == indices
    assert (content["num_frames"], content["num_missing"], content["fps"]) == (16, 4, 25)
    assert content["is_complete"]
    with open_source(tmp_path / "o" / "holes.mp4") as drawn:
        assert [frame.index for frame in drawn.frames()] == indices
        assert drawn.fps == 25


@pytest.mark.parametrize("length", [234, 245])
def test_name_too_long_for_the_outputs_is_refused_before_the_work(refused, clip, tmp_path, length):
    source = tmp_path / f"{'x' * length}.mp4"
    source.write_bytes(clip.read_bytes())
    line = refused("track", source, "--weights", "none", "--out", tmp_path / "o")
    assert "the name is too long for a file system; shorten it" in line
    assert not (tmp_path / "o").exists()


def test_share_of_ignored_pixels_is_said_and_nothing_is_detected_there(
    track, clip, tmp_path, caplog
):
    caplog.set_level(logging.INFO)

    def centres(*options):
        assert track(clip, "--confidence", 0.1, *options, out=tmp_path / "o").code == 0
        content = json.loads((tmp_path / "o" / "clip.json").read_text())
        boxes = [d["box_xyxy"] for frame in content["frames"] for d in frame["detections"]]
        return content, [((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in boxes]

    content, without = centres()
    assert "ignored_share" not in content
    assert any(x >= 48 for x, _ in without)
    is_seen = np.ones((48, 64), bool)
    is_seen[:, 56:] = False
    Image.fromarray(is_seen).save(tmp_path / "mask.png")
    options = ("--ignore", "48,0,8,48", "--mask", tmp_path / "mask.png", "--overwrite")
    content, left = centres(*options)
    assert content["ignored_share"] == 0.25
    said = f"{clip}: 25.0% of each frame is ignored (black in mask.png)."
    assert said in caplog.messages
    assert left
    assert all(x < 48 for x, _ in left)


def test_ignored_pixels_that_do_not_fit_are_refused(track_refused, clip, tmp_path):
    line = track_refused(clip, "--ignore", "60,0,8,8")
    assert "60,0,8,8: reaches outside of the frames, which are 64 pixels wide and 48 high" in line
    assert "--ignore: ignores the whole frame" in track_refused(clip, "--ignore", "0,0,64,48")
    Image.new("L", (48, 64)).save(tmp_path / "mask.png")
    line = track_refused(clip, "--mask", tmp_path / "mask.png")
    assert "is 48 pixels wide and 64 high; the frames are 64 wide and 48 high" in line
    assert "none.png" in track_refused(clip, "--mask", tmp_path / "none.png")
