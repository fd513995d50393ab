"""What reaches a terminal or a pipe: escaped, in any encoding, quiet where nobody reads."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from scenes import SyntheticConfig, generate

from stdet.errors import DataError
from stdet.inference import track_files
from stdet.processes.progress import ProgressBar

ESCAPE = "a\x1b]0;owned\x07\x1b[2Jb"
SHOWN = r"a\x1b]0;owned\x07\x1b[2Jb"


def test_escapes_in_a_path_are_shown_in_an_error(refused):
    assert f"{SHOWN}.mp4: does not exist" in refused("track", f"{ESCAPE}.mp4")


@pytest.mark.parametrize(
    "argv", [["track", "x", f"--{ESCAPE}"], [ESCAPE], ["track", "x", "--frames", ESCAPE]]
)
def test_escapes_in_an_argument_are_shown(cli, argv):
    outcome = cli(*argv)
    assert outcome.code == 2
    assert "\x1b" not in "".join(outcome.err)
    assert SHOWN.replace("\\", "") in outcome.err[-1].replace("\\", "")


def test_escapes_in_a_log_line_are_shown(cli, monkeypatch, capfd):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])

    def warn(*_: object) -> None:
        logging.getLogger("stdet").warning("%s: odd\nsecond line", ESCAPE)
        raise DataError("end")

    monkeypatch.setattr(track_files, "track_to_files", warn)
    assert cli("track", "x").err == [f"{SHOWN}: odd", "second line", "stdet: end"]


def test_escapes_in_the_name_of_the_source_are_shown_in_the_summary(cli, clip, weights, tmp_path):
    source = tmp_path / f"{ESCAPE}.mp4"
    source.write_bytes(clip.read_bytes())
    out = tmp_path / "o"
    outcome = cli("track", source, "--weights", weights, "--out", out, "--no-video")
    assert outcome.code == 0
    assert outcome.out.splitlines()[1:] == [f"{out}/{SHOWN}.mot.txt", f"{out}/{SHOWN}.json"]


def _run(*argv: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "stdet", *argv],
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1:strict", "utf-8:strict"])
def test_name_that_the_encoding_lacks_ends_no_run(weights, tmp_path, encoding):
    stem = os.fsencode("\u043f") + b"caf\xe9"
    source, out = Path(os.fsdecode(os.fsencode(tmp_path / "_") + stem)), tmp_path / "o"
    source.mkdir()
    for index, frame in enumerate(generate(SyntheticConfig(num_frames=5, hw=(48, 64)))[0]):
        Image.fromarray(frame).save(source / f"{index}.png")
    argv = ("track", source, "--weights", weights, "--out", out, "--engine", "eager")
    run = _run(*argv, PYTHONIOENCODING=encoding)
    assert (run.returncode, run.stderr) == (0, b"")
    assert run.stdout.splitlines()[-1].endswith(rb"caf\xe9.mp4")
    names = sorted(os.fsencode(path.name) for path in out.iterdir())
    assert names == [b"_" + stem + suffix for suffix in (b".json", b".mot.txt", b".mp4")]
    assert json.loads((out / f"{source.name}.json").read_bytes())["source"] == source.name


def test_reader_that_goes_away_is_no_error():
    code = "import sys; from stdet.cli import main; sys.exit(main(['info', sys.argv[1]]))"
    config = Path(__file__).parents[2] / "configs" / "models" / "stdet_n.yaml"
    run = subprocess.Popen(
        [sys.executable, "-c", code, config], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    run.stdout.close()
    errors = run.stderr.read()
    run.stderr.close()
    assert (run.wait(), errors) == (141, b"")


def test_name_of_several_lines_is_shown_whole_in_an_error(refused):
    assert refused("track", "a\nb.mp4").startswith(r"stdet: a\nb.mp4: does not exist")


def test_path_that_is_printed_is_one_line(cli, clip, weights, tmp_path):
    out = tmp_path / "o\nut"
    outcome = cli("track", clip, "--weights", weights, "--out", out, "--no-video")
    assert outcome.out.splitlines()[1:] == [
        f"{tmp_path}/o\\nut/clip.mot.txt",
        f"{tmp_path}/o\\nut/clip.json",
    ]


def test_path_of_thousands_of_characters_is_cut_and_the_advice_is_not(refused):
    line = refused("track", "y/" * 5000 + "z.mp4")
    assert len(line) < 3100
    assert line.endswith("check the path and its rights.")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_end_no_run_and_get_no_file(clip, weights, tmp_path, redirection):
    options = '--weights "$2" --out "$3" --no-video --engine eager'
    command = f'"$0" -m stdet track "$1" {options} {redirection}'
    arguments = [sys.executable, clip, weights, tmp_path / "o"]
    run = subprocess.run(["sh", "-c", command, *arguments], capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (0, b"")
    assert json.loads((tmp_path / "o" / "clip.json").read_text())["is_complete"]


def test_title_of_a_bar_cannot_steer_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("stdet.processes.progress.LOG_INTERVAL_S", 0)
    with ProgressBar(f"{ESCAPE}[bold]", 2) as bar:
        bar.advance()
    assert capsys.readouterr().err.startswith(f"{SHOWN}[bold]: 1/2")
