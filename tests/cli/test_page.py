"""`stdet live` and `stdet view` from their start to every ending."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from finished_run import write_run
from live_run import ask, unpack
from rtsp_server import RtspServer, encode

pytestmark = pytest.mark.usefixtures("heard_signals")

pytest.importorskip("uvicorn", reason="needs the extra page: pip install 'stdet[page]'")

HW = (64, 80)
FPS = 25.0
WAIT_S = 120.0


@pytest.fixture(scope="module")
def encoded():
    rng = np.random.default_rng(0)
    still = rng.normal(90, 3, HW)
    images = []
    for position in range(60):
        image = still + rng.normal(0, 1, HW)
        image[20:23, 5 + position : 8 + position] += 90
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    return encode(images)


class Command:
    """A command in a process of its own, with what it has said so far."""

    def __init__(self, *argv: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stdet", *map(str, argv)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=lambda: self.said.extend(self.process.stderr))
        self._reader.start()

    def url(self) -> str:
        """Wait for the address of the page."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until and self.process.poll() is None:
            for line in self.said:
                if found := re.search(r"page: (http\S+) \(Ctrl-C ends it\)", line):
                    return found[1]
            time.sleep(0.05)
        raise AssertionError(f"no page: {self.said}")

    def end(self, number: int) -> int:
        """Send a signal, and wait for the end."""
        self.process.send_signal(number)
        code = self.process.wait(WAIT_S)
        self._reader.join()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def command():
    """Start commands, of which none is left behind."""
    started = []

    def start(*argv: object) -> Command:
        started.append(Command(*argv))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def _next(url, number=0):
    return unpack(ask(f"{url}next?after={number}")[2])


def _wait_for_tracks(url):
    """Follow the page until a track is there; return the message."""
    until, number = time.monotonic() + WAIT_S, 0
    while time.monotonic() < until:
        values, picture = _next(url, number)
        number = values["number"]
        if values.get("tracks"):
            return values, picture
    raise AssertionError("no track came")


def _stays_connected(url):
    """Open a connection that asks and never reads."""
    port = int(re.search(r":(\d+)/", url)[1])
    connection = socket.create_connection(("127.0.0.1", port))
    request = f"GET /next?after=0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    connection.sendall(request * 100)
    return connection


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_page_and_the_run_with_viewers_there(command, encoded, number):
    with RtspServer(encoded, fps=FPS) as server:
        run = command("live", server.url, "--detector", "lcm", "--port", 0)
        url = run.url()
        values, picture = _wait_for_tracks(url)
        assert values["image_hw"] == list(HW)
        assert values["age_s"] > 0
        assert picture
        with _stays_connected(url), _stays_connected(url):
            assert run.end(number) == 128 + number
    assert any("interrupted" in line and "frames were tracked" in line for line in run.said)
    assert not any("Traceback" in line for line in run.said)
    with pytest.raises(OSError, match="refused"):
        ask(url)


def test_change_on_the_page_is_in_what_is_recorded(command, encoded, tmp_path):
    with RtspServer(encoded, fps=FPS) as server:
        run = command(
            *("live", server.url, "--detector", "lcm", "--port", 0),
            *("--out", tmp_path / "o", "--no-video", "--jsonl", tmp_path / "lines"),
            *("--latency", 0),
        )
        url = run.url()
        values, _ = _wait_for_tracks(url)
        before = values["confidence"]
        headers = {"Content-Type": "application/json"}
        assert ask(f"{url}confidence", data=b'{"confidence": 1}', headers=headers)[0] == 204
        until = time.monotonic() + WAIT_S
        while values.get("tracks") or "tracks" not in values:  # No score begins a track now.
            assert time.monotonic() < until
            values, _ = _next(url, values["number"])
        assert run.end(signal.SIGINT) == 130
    (path,) = (tmp_path / "o").glob("*.json")
    content = json.loads(path.read_text())
    assert content["is_complete"]
    assert content["confidence"] == before
    (event,) = (one for one in content["events"] if one["event"] == "confidence")
    assert event["text"] == f"operating point set from {before:.4g} to 1"
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert {"type": "event", **event} in lines
    assert sum(line["type"] == "frame" for line in lines) == content["num_frames"]


def test_finished_run_is_shown_until_a_signal(command, tmp_path):
    write_run(tmp_path)
    run = command("view", tmp_path / "clip.json", "--port", 0)
    url = run.url()
    assert json.loads(ask(f"{url}run")[2])["is_annotated"]
    assert ask(f"{url}frame/12")[0] == 200
    assert run.end(signal.SIGTERM) == 143
    assert run.process.stdout.read().startswith(f"pictures: {tmp_path / 'clip.mp4'}")
    with pytest.raises(OSError, match="refused"):
        ask(url)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("live", "clip.mp4"), "clip.mp4: is not live; track it with `stdet track`, and look at"),
        (("live", "0", "--token", "short"), "--token: expected at least 8 letters"),
        (("live", "0", "--no-video"), "nothing is written without --out; --no-video goes with"),
        (("live", "0", "--overwrite"), "nothing is written without --out; --overwrite goes with"),
        (("view", "none.json"), "none.json: "),
        (("view", "other.json"), "other.json: expected a JSON of `stdet track`"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(
    refused, monkeypatch, tmp_path, arguments, said
):
    monkeypatch.chdir(tmp_path)
    Path("other.json").write_text("{}")
    Path("clip.mp4").write_bytes(b"x")
    outcome = refused(*arguments)
    assert said in outcome


def test_source_that_cannot_be_opened_ends_the_page(cli):
    outcome = cli("live", "rtsp://127.0.0.1:1/a", "--port", 0)
    assert outcome.code == 2
    assert outcome.err[-1].startswith("stdet: rtsp://127.0.0.1:1/a: cannot be opened (Connection")


def test_port_in_use_is_refused_in_one_line(refused, tmp_path):
    write_run(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert "name another --port" in refused("view", tmp_path / "clip.json", "--port", port)


def test_missing_library_is_refused_in_one_line(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for arguments in (("live", "0"), ("view", "a.json")):
        assert "pip install 'stdet[page]'" in refused(*arguments)
