"""`stdet track` of live sources: an RTSP server with faults, a pipe, and every ending."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from rtsp_server import RtspServer, encode

from stdet.processes.progress import ProgressBar

pytestmark = pytest.mark.usefixtures("heard_signals")

HW = (64, 80)
LOOP = 60
FPS = 50.0


def _images(hw=HW):
    """A loop of a still scene, over which a bright target moves by a pixel a frame."""
    rng = np.random.default_rng(0)
    still = rng.normal(90, 3, hw)
    images = []
    for position in range(LOOP):
        image = still + rng.normal(0, 1, hw)
        image[20:23, 5 + position : 8 + position] += 90
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    return images


@pytest.fixture(scope="module")
def encoded():
    return encode(_images())


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.is_alive()]
    assert left == []


@pytest.fixture
def track(cli, tmp_path):
    """Run ``stdet track`` with a classical detector."""
    return lambda source, *options: cli(
        *("track", source, "--detector", "lcm", "--out", tmp_path / "o", *options)
    )


def _content(tmp_path):
    (path,) = (tmp_path / "o").glob("*.json")
    return json.loads(path.read_text())


def _rss_mb() -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def _disturb(server: RtspServer, num_frames: int, memory: list[float]) -> None:
    """Stall, lose frames, send garbage and restart, at even steps of a run."""

    def wait_for(share: float) -> None:
        until = time.monotonic() + 60
        while server.position_sum < share * num_frames and time.monotonic() < until:
            time.sleep(0.01)

    wait_for(0.3)
    memory.append(_rss_mb())
    server.stall_until = time.monotonic() + 0.5
    wait_for(0.45)
    server.skip = 20
    wait_for(0.6)
    server.garbage = True
    wait_for(0.75)
    server.stop()
    time.sleep(0.4)
    server.start()
    wait_for(0.95)
    memory.append(_rss_mb())


def _run_disturbed(track, tmp_path, encoded, num_frames, fps):
    memory: list[float] = []
    with RtspServer(encoded, fps=fps) as server:
        disturb = threading.Thread(target=_disturb, args=(server, num_frames, memory))
        disturb.start()
        url = server.url.replace("//", "//me:secret@")
        outcome = track(url, "--jsonl", tmp_path / "lines", "--frames", num_frames)
        disturb.join()
        num_skipped = server.num_skipped
    assert outcome.code == 0
    assert num_skipped == 20
    content = _content(tmp_path)
    _check_frames(content, num_frames)
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    _check_lines(lines, content)
    assert "secret" not in json.dumps([content, outcome.err, outcome.out, lines])
    return content, memory


def _check_frames(content, num_frames):
    frames = content["frames"]
    assert content["is_complete"]
    assert content["is_live"]
    assert content["num_frames"] == len(frames) > 20
    indices = [frame["frame_index"] for frame in frames]
    assert indices == sorted(set(indices))
    assert indices[-1] < num_frames
    assert all(0 <= frame["age_s"] < 20 for frame in frames)
    times = [frame["captured_at"] for frame in frames]
    assert times == sorted(times)
    # A hole is of frames that were left out, or that the server did not send.
    for before, after in pairwise(frames):
        assert after["num_dropped"] <= after["frame_index"] - before["frame_index"] - 1
    events = [event["event"] for event in content["events"]]
    assert events == ["lost", "reconnected"] * 2
    # The target is tracked, where it was: a pixel a frame, over holes as well.
    assert max(len(frame["tracks"]) for frame in frames) >= 1


def _check_lines(lines, content):
    assert (lines[0]["type"], lines[-1]["type"]) == ("start", "end")
    assert [line for line in lines if line["type"] == "event"] == [
        {"type": "event", **event} for event in content["events"]
    ]
    sent = [line for line in lines if line["type"] == "frame"]
    assert [(line["frame_index"], line["tracks"]) for line in sent] == [
        (frame["frame_index"], frame["tracks"]) for frame in content["frames"]
    ]


def test_stalls_losses_garbage_and_a_restart_are_survived(track, tmp_path, encoded):
    content, _ = _run_disturbed(track, tmp_path, encoded, 300, FPS)
    assert content["fps"] == pytest.approx(FPS, rel=0.05)
    (mot,) = (tmp_path / "o").glob("*.mot.txt")
    ids = {int(row.split(",")[1]) for row in mot.read_text().splitlines()}
    assert len(ids) == max(ids) >= 1
    (video,) = (tmp_path / "o").glob("*.mp4")
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == content["num_frames"]


@pytest.mark.slow
def test_two_thousand_frames_in_constant_memory(track, tmp_path, encoded):
    _, memory = _run_disturbed(track, tmp_path, encoded, 2000, FPS)
    assert memory[1] - memory[0] < 30


@pytest.fixture
def at_frame(monkeypatch):
    """Send a signal to this process after so many frames have been written."""

    def install(number: int, to_send: int) -> None:
        advance = ProgressBar.advance

        def act(bar: ProgressBar, note: str = "") -> None:
            advance(bar, note)
            if bar.done == number:
                os.kill(os.getpid(), to_send)

        monkeypatch.setattr(ProgressBar, "advance", act)

    return install


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_live_run_with_complete_outputs(track, tmp_path, encoded, at_frame, number):
    at_frame(20, number)
    with RtspServer(encoded, fps=FPS) as server:
        outcome = track(server.url, "--jsonl", "-")
    assert outcome.code == 128 + number
    assert outcome.err[-1].startswith(f"stdet: interrupted ({number.name}). Kept ")
    assert "Tracks came out" in outcome.err[-1]
    content = _content(tmp_path)
    assert content["is_complete"]
    assert content["num_frames"] > 20  # What waited for later frames came out as well.
    _check_lines([json.loads(line) for line in outcome.out.splitlines()], content)


def test_lines_on_stdout_are_alone_there(track, encoded):
    with RtspServer(encoded, fps=FPS) as server:
        outcome = track(server.url, "--jsonl", "-", "--frames", 40, "--no-video")
    assert outcome.code == 0
    assert {json.loads(line)["type"] for line in outcome.out.splitlines()} == {
        *("start", "frame", "end")
    }
    assert any("tracks, " in line for line in outcome.err)


def test_file_gives_the_same_outputs_with_lines_and_loses_none(cli, clip, tmp_path, contents):
    tracked = ("track", clip, "--detector", "lcm", "--no-video")
    assert cli(*tracked, "--out", tmp_path / "a").code == 0
    outcome = cli(*tracked, "--out", tmp_path / "b", "--jsonl", "-")
    assert outcome.code == 0
    first, second = (_content_of(tmp_path / name) for name in "ab")
    assert second.pop("lines") == [
        {"target": "-", "num_sent": 12, "num_dropped": 0, "problem": None}
    ]
    assert first == second
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [line.get("frame_index") for line in lines] == [None, *range(10), None]
    assert "age_s" not in lines[1]


def _content_of(folder):
    return json.loads((folder / "clip.json").read_text())


def _stdet(*argv, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "stdet", *map(str, argv)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


@pytest.mark.parametrize("rest", [b"", b"\1" * 100], ids=["whole", "torn"])
def test_raw_frames_on_stdin_and_an_end_within_a_frame(tmp_path, rest):
    height, width = HW
    images = np.stack(_images()).astype("<u2") * 40 + 3000
    command = ("track", "-", "--raw", f"{width}x{height}:gray16le@50", "--detector", "lcm")
    with _stdet(*command, "--out", tmp_path / "o", "--jsonl", "-", "--no-video") as run:
        out: list[bytes] = []
        reader = threading.Thread(target=lambda: out.extend(run.stdout))
        reader.start()
        position = 0
        until = time.monotonic() + 60
        # Until tracks come out; the process takes seconds to start.
        while not any(b'"frame_index": 30,' in line or b'"track_id"' in line for line in out):
            assert time.monotonic() < until
            run.stdin.write(images[position % LOOP].tobytes())
            run.stdin.flush()
            position += 1
            time.sleep(1 / FPS)
        run.stdin.write(rest)
        run.stdin.close()
        reader.join()
        code = run.wait()
        error = run.stderr.read().decode()
    assert code == (3 if rest else 0)
    assert ("ends within a frame, 100 of 10240 bytes" in error) == bool(rest)
    content = _content(tmp_path)
    assert content["source"] == "standard input"
    assert content["is_complete"] == (not rest)
    assert [event["event"] for event in content["events"]] == ["ended"]


def test_reader_of_lines_that_goes_away_ends_the_run(tmp_path, encoded):
    with RtspServer(encoded, fps=FPS) as server:
        command = ("track", server.url, "--detector", "lcm", "--out", tmp_path / "o")
        with _stdet(*command, "--jsonl", "-") as run:
            run.stdout.readline()
            run.stdout.close()
            assert run.wait(60) == 141
    assert _content(tmp_path)["num_frames"] > 0


def test_stream_that_changes_its_size_ends_in_one_line(track, tmp_path, encoded):
    with RtspServer(encoded, fps=FPS) as server:

        def change() -> None:
            while server.num_sent < 120:
                time.sleep(0.01)
            server.stop()
            server.frames = encode(_images((48, 64)))
            server.start()

        changing = threading.Thread(target=change)
        changing.start()
        outcome = track(server.url)
        changing.join()
    assert outcome.code == 3
    assert "have changed from 80x64 of 8 bits to 64x48 of 8 bits" in outcome.err[-1]
    assert not _content(tmp_path)["is_complete"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("97",), "/dev/video97: cannot be opened (No such file or directory); check"),
        (
            ("rtsp://me:pw@127.0.0.1:1/a",),
            "rtsp://127.0.0.1:1/a: cannot be opened (Connection ref",
        ),
        (("http://127.0.0.1:1/a",), "http://127.0.0.1:1/a: cannot be opened (Connection refused)"),
        (("rtsp://no.such.host.invalid/a",), "no such host, or it does not answer"),
        (("ftp://host/a",), "'ftp://': streams of this kind are not read; expected one of rtsp"),
        (("-",), "-: say how its raw frames lie, such as --raw 640x512:gray16le@25."),
        (("-", "--raw", "640x512:rgb"), "--raw '640x512:rgb': expected WIDTHxHEIGHT:PIXELS@FPS"),
        (("-", "--raw", "60000x60000:gray8"), "declares frames of 60000x60000"),
        (("clip.mp4", "--raw", "8x8:gray8"), "--raw goes with - (standard input) or a named pipe"),
    ],
)
def test_what_is_no_live_source_is_refused_in_one_line(refused, tmp_path, options, said):
    line = refused("track", *options, "--detector", "tophat", "--out", tmp_path / "o")
    assert said in line
    assert not (tmp_path / "o").exists()


def test_options_of_files_are_refused(refused, tmp_path, encoded):
    with RtspServer(encoded, fps=FPS) as server:
        for option in (("--smooth",), ("--start", "5")):
            line = refused("track", server.url, *option, "--out", tmp_path / "o")
            assert line.endswith(f": is live; {option[0]} goes with files.")


def test_wrong_target_of_lines_is_refused_before_the_work(refused, clip, tmp_path):
    line = refused("track", clip, "--jsonl", "udp://nowhere", "--out", tmp_path / "o")
    assert "expected - (standard output), a file, udp://HOST:PORT" in line


def test_python_example_of_the_page_runs(encoded, capsys):
    page = (Path(__file__).parents[2] / "docs/live.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(example.splitlines()) <= 10
    with RtspServer(encoded, fps=FPS) as server:
        source = f'"{server.url}", detector="lcm", num_frames=60'
        example = example.replace('"rtsp://10.0.0.2/stream1"', source)
        exec(compile(example, "docs/live.md", "exec"), {})
    out = capsys.readouterr().out
    assert re.search(r"frame \d+, \d+\.\d\d s old, \d+ dropped before it", out)
    assert "   track 1 at [" in out
