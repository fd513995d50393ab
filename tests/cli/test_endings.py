"""How `stdet track` can end, and what each ending leaves: never less than what was there."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from stdet.errors import DataError
from stdet.files import atomic_file
from stdet.files.atomic_file import find_leftovers
from stdet.files.locks import lock_output
from stdet.formats.track_json import read_extent
from stdet.inference import track_outputs
from stdet.io.video.writer import VideoWriter
from stdet.processes.progress import ProgressBar

pytestmark = pytest.mark.usefixtures("heard_signals")

NAMES = ["clip.json", "clip.mot.txt", "clip.mp4"]
PARTIAL_NAMES = ["clip.partial.json", "clip.partial.mot.txt", "clip.partial.mp4"]
ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "o"


@pytest.fixture
def track(cli, clip, weights, out):
    """Run ``stdet track`` with tiny weights on the clip of ten frames."""
    return lambda *options: cli("track", clip, "--weights", weights, "--out", out, *options)


@pytest.fixture
def at_frame(monkeypatch):
    """Do something after so many frames have been written."""

    def install(number: int, action) -> None:
        advance = ProgressBar.advance

        def act(bar: ProgressBar, note: str = "") -> None:
            advance(bar, note)
            if bar.done == number:
                action()

        monkeypatch.setattr(ProgressBar, "advance", act)

    return install


def _raise(error: BaseException):
    def fail(*_args: object, **_options: object):
        raise error

    return fail


def _num_frames(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def _check_first_frames(out: Path, whole: dict[str, bytes], num_frames: int, stem: str) -> None:
    """The outputs hold so many frames, which are those of an uninterrupted run."""
    content = json.loads((out / f"{stem}.json").read_text())
    assert (content["num_frames"], content["is_complete"]) == (num_frames, False)
    assert content["frames"] == json.loads(whole["clip.json"])["frames"][:num_frames]
    rows = whole["clip.mot.txt"].decode().splitlines()
    expected = [row for row in rows if int(row.split(",")[0]) <= num_frames]
    assert (out / f"{stem}.mot.txt").read_text().splitlines() == expected
    if (out / f"{stem}.mp4").exists():
        assert _num_frames(out / f"{stem}.mp4") == num_frames


def _texts(found: dict[str, bytes]) -> dict[str, bytes]:
    """Return the outputs that repeat to the byte; drawn lines may move by a pixel."""
    return {name: found[name] for name in NAMES[:2]}


def _without_video(content: bytes) -> bytes:
    """Return the JSON of a run as it is where the video has failed."""
    assert b'"has_video": true' in content
    return content.replace(b'"has_video": true', b'"has_video": false')


@pytest.fixture
def whole(track, out, contents) -> dict[str, bytes]:
    """Outputs of a run that nobody interrupted; the folder is empty again."""
    assert track().code == 0
    found = contents(out)
    for path in out.iterdir():
        path.unlink()
    return found


@pytest.mark.parametrize("number", ENDINGS)
def test_signal_keeps_the_frames_so_far_and_says_so(track, at_frame, out, whole, number):
    at_frame(6, lambda: os.kill(os.getpid(), number))
    outcome = track()
    assert (outcome.code, outcome.out) == (128 + number, "")
    (line,) = outcome.err
    assert line.startswith(f"stdet: interrupted ({number.name}). Kept 6 frames in {out}/clip.mot")
    assert sorted(path.name for path in out.iterdir()) == NAMES
    _check_first_frames(out, whole, 6, "clip")


@pytest.mark.parametrize("number", ENDINGS)
def test_signal_before_the_first_frame_changes_nothing(
    track, out, contents, monkeypatch, number, whole
):
    for name, content in whole.items():
        (out / name).write_bytes(content)
    monkeypatch.setattr(ProgressBar, "__enter__", lambda _: os.kill(os.getpid(), number))
    outcome = track("--overwrite")
    assert outcome.code == 128 + number
    assert "No frame was finished yet; outputs are as they were." in outcome.err[-1]
    assert contents(out) == whole


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), RuntimeError("a bug"), DataError("frame 6: broken.")]
)
def test_less_never_replaces_more(track, at_frame, out, contents, whole, error):
    for name, content in whole.items():
        (out / name).write_bytes(content)
    at_frame(6, _raise(error))
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError) as found:
            track("--overwrite")
        said = found.value.__notes__[0]
    else:
        outcome = track("--overwrite")
        assert outcome.code == (3 if isinstance(error, DataError) else 130)
        (said,) = outcome.err
    assert "Kept 6 frames in " in said
    assert f"{out}/clip.json of an earlier run stays" in said
    found = contents(out)
    assert {name: found.pop(name) for name in NAMES} == whole
    assert sorted(found) == PARTIAL_NAMES
    _check_first_frames(out, whole, 6, "clip.partial")

    # Nor does it replace more of the partial outputs.
    at_frame(3, _raise(KeyboardInterrupt()))
    outcome = track("--overwrite")
    assert outcome.code == 130
    assert "of an earlier run holds more than the 3 frames of this one" in outcome.err[-1]
    _check_first_frames(out, whole, 6, "clip.partial")


def test_more_replaces_less(track, at_frame, out, contents, whole):
    at_frame(6, _raise(KeyboardInterrupt()))
    assert track("--frames", 4).code == 0
    (out / "clip.json").write_text((out / "clip.json").read_text().replace("true}", "false}"))
    assert track("--overwrite").code == 130
    assert sorted(path.name for path in out.iterdir()) == NAMES
    _check_first_frames(out, whole, 6, "clip")


def test_complete_run_replaces_all_and_leaves_nothing_else(track, out, contents, whole):
    for name in NAMES:
        (out / name).write_text("mine")
    assert track("--overwrite").code == 0
    assert sorted(contents(out)) == NAMES
    assert (out / "clip.json").read_bytes() == whole["clip.json"]


@pytest.mark.parametrize("suffix", ["mot.txt", "json"])
def test_full_disk_keeps_the_frames_so_far(track, out, contents, monkeypatch, whole, suffix):
    calls = []
    put = atomic_file.AtomicFile._put

    def fill(file, *arguments):
        if file.path.name.endswith(suffix):
            calls.append(file)
            if len(calls) > 4:
                raise DataError(f"{file.path}: disk full; free some space and run again.")
        put(file, *arguments)

    monkeypatch.setattr(atomic_file.AtomicFile, "_put", fill)
    outcome = track("--no-video")
    assert (outcome.code, outcome.out) == (3, "")
    wanted = rf"clip\.{suffix}: disk full; free some space and run again\. Kept (\d) frames in "
    num_frames = int(re.search(wanted, outcome.err[-1])[1])
    assert sorted(contents(out)) == NAMES[:2]
    _check_first_frames(out, whole, num_frames, "clip")


@pytest.mark.parametrize("point", ["_open_video", "write", "finish"])
def test_video_that_fails_leaves_the_other_outputs_whole(
    track, out, contents, monkeypatch, whole, point
):
    problem = DataError(f"{out}/clip.mp4: disk full; free some space and run again.")
    place = track_outputs.TrackOutputs if point == "_open_video" else VideoWriter
    if point == "_open_video":
        from stdet.inference import track_files

        place = track_files
    monkeypatch.setattr(place, point, _raise(problem))
    (out / "clip.mp4").write_text("earlier")
    outcome = track("--overwrite")
    assert outcome.code == 3
    assert outcome.out.splitlines()[1:] == [f"{out}/clip.mot.txt", f"{out}/clip.json"]
    (line,) = outcome.err
    assert line == (
        f"stdet: {problem} There is no annotated video of this run; the one that is there is of "
        "an earlier run."
    )
    expected = {**_texts(whole), "clip.mp4": b"earlier"}
    if point != "finish":  # By then the JSON has its end.
        expected["clip.json"] = _without_video(expected["clip.json"])
    assert contents(out) == expected


@pytest.mark.parametrize("suffix", ["mot.txt", "json"])
def test_video_makes_room_for_the_other_outputs(track, out, contents, monkeypatch, whole, suffix):
    """On a full disk the small files come before the large one."""
    put = atomic_file.AtomicFile._put

    def fill(file, *arguments):
        if find_leftovers(out, "clip.mp4") and file.path.name.endswith(suffix):
            raise DataError(f"{file.path}: disk full; free some space and run again.")
        put(file, *arguments)

    monkeypatch.setattr(atomic_file.AtomicFile, "_put", fill)
    outcome = track()
    assert outcome.code == 3
    assert "There is no annotated video of this run." in outcome.err[-1]
    expected = _texts(whole)
    expected["clip.json"] = _without_video(expected["clip.json"])
    assert contents(out) == expected


@pytest.mark.parametrize("name", NAMES)
def test_folder_in_the_place_of_an_output_is_refused_at_the_start(track, out, contents, name):
    (out / name).mkdir(parents=True)
    for options in ((), ("--overwrite",)):
        outcome = track(*options)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err[-1].startswith(f"stdet: {out / name}: is a folder; choose another")
    assert contents(out) == {}


def test_dangling_link_in_the_place_of_an_output_counts_as_there(track, out):
    out.mkdir()
    (out / "clip.json").symlink_to("nowhere")
    assert "clip.json: already there; pass --overwrite" in track().err[-1]
    os.mkfifo(out / "clip.mp4")
    assert "clip.mp4: is no regular file" in track("--overwrite").err[-1]


def test_second_writer_is_refused_and_touches_nothing(track, out, contents):
    out.mkdir()
    with lock_output(out / "clip"):
        before = contents(out)
        outcome = track("--overwrite")
        assert (outcome.code, outcome.out) == (2, "")
        (line,) = outcome.err
        assert re.search(
            rf"o/clip: another run is writing there \(process {os.getpid()} of .+\); wait", line
        )
        assert contents(out) == before


TRACK = """
import os, sys, time
from stdet.cli import main
from stdet.processes.progress import ProgressBar
advance = ProgressBar.advance
def act(bar, note=""):
    advance(bar, note)
    if bar.done == {number}:
        {action}
ProgressBar.advance = act
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def program(clip, weights, out):
    """Start `stdet track` in a process of its own, which does something at a frame."""
    with contextlib.ExitStack() as on_exit:

        def start(number: int, action: str, *options: str) -> subprocess.Popen[str]:
            code = TRACK.format(number=number, action=action)
            command = [sys.executable, "-c", code, "track", clip, "--weights", weights]
            run = subprocess.Popen(
                [*command, "--out", out, *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            on_exit.enter_context(run)
            on_exit.callback(run.kill)  # Where a test has failed; no other should hear of it.
            return run

        yield start


def test_what_kill_9_left_is_kept_by_the_next_run(program, track, out, contents, whole, caplog):
    run = program(6, "os.kill(os.getpid(), 9)")
    run.communicate()
    assert run.returncode == -9
    assert sorted(path.suffix for path in out.iterdir()) == [".lock", ".part", ".part", ".part"]
    (part,) = find_leftovers(out, "clip.json")
    assert read_extent(part).num_frames == 6

    assert track().code == 0
    assert "clip.partial.json: kept 6 frames of a run that was killed" in caplog.text
    found = contents(out)
    assert {name: found.pop(name) for name in NAMES[:2]} == _texts(whole)
    assert sorted(found) == [*NAMES[2:], *PARTIAL_NAMES[:2]]
    _check_first_frames(out, whole, 6, "clip.partial")

    program(4, "os.kill(os.getpid(), 9)", "--overwrite").communicate()
    assert track("--overwrite").code == 0
    assert sorted(contents(out)) == sorted([*NAMES, *PARTIAL_NAMES[:2]])
    _check_first_frames(out, whole, 6, "clip.partial")


def test_second_signal_ends_at_once(program, out):
    stuck = (
        "try:\n"
        "            print(flush=True)\n"
        "            time.sleep(60)\n"
        "        except KeyboardInterrupt:\n"
        "            print(flush=True)\n"
        "            time.sleep(60)"
    )
    run = program(3, stuck)
    run.stdout.readline()
    run.send_signal(signal.SIGTERM)
    run.stdout.readline()  # It has come: on a busy machine that takes a while.
    time.sleep(0.8)
    assert run.poll() is None
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=10)
    assert run.returncode == -signal.SIGTERM


def test_two_signals_at_once_are_one(program, out):
    """As `timeout` and systemd send them."""
    both = "os.kill(os.getpid(), 15); os.kill(os.getpid(), 1)"
    run = program(3, both)
    _, errors = run.communicate()
    assert run.returncode == 128 + 15
    assert "interrupted (SIGTERM). Kept 3 frames" in errors


def test_ignored_signal_stays_ignored(track, at_frame):
    """Under `nohup` a closed terminal ends nothing."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        at_frame(3, lambda: os.kill(os.getpid(), signal.SIGHUP))
        assert track("--no-video").code == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
