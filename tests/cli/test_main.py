"""What all commands share: help, wrong arguments, configuration errors."""

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stdet
from stdet.config import StdetConfig, load_config
from stdet.errors import DataError
from stdet.files.atomic_file import write_problem

COMMANDS = ("track", "train", "evaluate", "robustness", "info")


def test_help_names_every_command(cli):
    outcome = cli("--help")
    assert (outcome.code, outcome.err) == (0, [])
    for command in (*COMMANDS, "data"):
        assert command in re.findall(r"^    (\w+)", outcome.out, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_its_options(cli, command):
    outcome = cli(command, "--help")
    assert (outcome.code, outcome.err) == (0, [])
    assert outcome.out.startswith(f"usage: stdet {command} ")
    assert "--overwrite" in outcome.out


def test_module_runs_as_a_program():
    run = subprocess.run(
        [sys.executable, "-m", "stdet", "--version"], capture_output=True, text=True, check=True
    )
    assert (run.stdout, run.stderr) == (f"stdet {stdet.__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["trak"], "invalid choice: 'trak' (choose from"),
        (["track"], "give SOURCE, or --detections FILE"),
        (["track", "a.mp4", "--wieghts", "x"], "unrecognized arguments: --wieghts x"),
        (["track", "a.mp4", "b.mp4"], "unrecognized arguments: b.mp4"),
        (["track", "a.mp4", "--confidence", "1.5"], "--confidence: 1.5 is not between 0 and 1"),
        (["track", "a.mp4", "--confidence", "nan"], "--confidence: nan is not between 0 and 1"),
        (["track", "a.mp4", "--confidence", "high"], "--confidence: 'high' is not a number"),
        (["track", "a.mp4", "--frames", "0"], "--frames: 0 is not at least 1"),
        (["track", "a.mp4", "--ignore", "1,2,3"], "--ignore: '1,2,3' is not X,Y,W,H"),
        (["track", "a.mp4", "--ignore", "1,2,3.5,4"], "--ignore: '3.5' is not a whole number"),
        (["track", "a.mp4", "--ignore", "1,2,0,4"], "--ignore: 0 is not at least 1"),
        (["track", "a.mp4", "--ignore", "1,2,4,-4"], "--ignore: -4 is not at least 1"),
        (["track", "a.mp4", "--ignore=-1,2,3,4"], "--ignore: -1 is negative"),
        (["track", "a.mp4", "--frames", "2.5"], "--frames: '2.5' is not a whole number"),
        (["track", "a.mp4", "--start", "-1"], "--start: -1 is negative"),
        (["evaluate", "c.yaml", "--split", "val"], "--split: invalid choice: 'val'"),
        (["data", "chekc", "a"], "invalid choice: 'chekc' (choose from"),
        (["data", "check"], "the following arguments are required: ROOT"),
        (["info", "c.yaml", "--size", "256"], "--size: '256' is not HEIGHTxWIDTH"),
        (["info", "c.yaml", "--size", "0x256"], "--size: '0x256' is not HEIGHTxWIDTH"),
        (["info", "c.yaml", "--size", "1000000000x1000000000"], "is not HEIGHTxWIDTH"),
        (["info", "c.yaml", "--size", "\u0663x\u00b2"], "is not HEIGHTxWIDTH"),
        (["track", "a.mp4", "--start", "9" * 30], "is larger than 2147483648"),
        (["track", "a.mp4", "--frames", "9" * 5000], "999...' is not a whole number"),
        (["info", "c.yaml", "--size", "9" * 9999 + "x1"], "999...' is not HEIGHTxWIDTH"),
        (["synth", "c.yaml", "--out", "o", "--jobs", "99999"], "--jobs: 99999 is above 1024"),
    ],
)
def test_wrong_argument_ends_with_code_2_and_says_which(cli, argv, message):
    outcome = cli(*argv)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err[-1]


@pytest.mark.parametrize("command", ["train", "evaluate", "info"])
def test_configuration_with_several_errors_lists_them_all(refused, tmp_path, command):
    path = tmp_path / "c.yaml"
    path.write_text("train: {epochs: 0, learing_rate: 1}\nmodel: {in_channels: 2}\nfoo: 1\n")
    line = refused(command, path, "--set", "tracker.max_coast=-1")
    assert line.startswith(f"stdet: {path}: ")
    for part in (
        "unknown key 'train.learing_rate' (did you mean 'train.learning_rate'?)",
        "unknown key 'foo'",
        "train.epochs: ",
        "model.in_channels: Input should be 1 or 3, got 2",
        "tracker.max_coast: ",
    ):
        assert part in line


@pytest.mark.parametrize("command", ["train", "evaluate", "info"])
def test_missing_configuration_is_named(refused, command):
    assert "none.yaml: does not exist; check the path" in refused(command, "none.yaml")


@pytest.mark.parametrize("command", ["train", "evaluate", "info"])
def test_override_that_is_none_is_refused(refused, tmp_path, command):
    (tmp_path / "c.yaml").write_text("")
    line = refused(command, tmp_path / "c.yaml", "--set", "train.epochs")
    assert "--set 'train.epochs': expected key=value" in line


def test_training_without_data_is_refused_before_a_run_folder_is_made(refused, tmp_path):
    (tmp_path / "c.yaml").write_text("")
    run_dir = tmp_path / "run"
    line = refused(
        "train", tmp_path / "c.yaml", "--run-dir", run_dir, "--set", f"data.root={tmp_path}"
    )
    assert "instances_train2017.json: does not exist. Set data.root (now " in line
    assert not run_dir.exists()


def test_error_of_a_loader_process_is_one_line_without_its_traceback(refused, monkeypatch):
    from torch._utils import ExceptionWrapper

    from stdet.inference import track_files

    def fail(*_: object) -> None:
        try:
            raise DataError("a.bmp: cannot be read (truncated); export it again.")
        except DataError:
            ExceptionWrapper(where="in DataLoader worker process 0").reraise()

    monkeypatch.setattr(track_files, "track_to_files", fail)
    line = refused("track", "images")
    assert line == "stdet: a.bmp: cannot be read (truncated); export it again."


def test_help_shows_the_keys_of_set_in_the_form_that_works():
    # The example of the help text must be a valid override.
    assert load_config(None, ["train.learning_rate=1e-4"]) != StdetConfig()


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 4 TiB"),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore lines."),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: not enough memory: you tried to"),
    ],
)
def test_memory_that_runs_out_is_one_line(cli, tmp_path, monkeypatch, error):
    def fail(*_, **__):
        raise error

    (tmp_path / "c.yaml").write_text("")
    monkeypatch.setattr("stdet.inference.model_info.describe_model", fail)
    outcome = cli("info", tmp_path / "c.yaml")
    assert outcome.code == 2
    (line,) = outcome.err
    assert line.startswith(f"stdet: out of memory ({str(error)[:20]}")
    assert "lower train.batch_size" in line


def test_other_runtime_errors_are_bugs_and_show_their_traceback(cli, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("shape mismatch")

    (tmp_path / "c.yaml").write_text("")
    monkeypatch.setattr("stdet.inference.model_info.describe_model", fail)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        cli("info", tmp_path / "c.yaml")


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("nowhere")])
def test_output_folder_that_is_none_is_one_line(refused, tmp_path, make):
    out = tmp_path / "o"
    make(out)
    (tmp_path / "s.yaml").write_text("seed: 1\n")
    line = refused("synth", tmp_path / "s.yaml", "--out", out)
    assert line == f"stdet: {out}: is no folder; name a folder with --out."


def test_path_that_the_system_refuses_is_one_line(refused, tmp_path):
    (tmp_path / "c.yaml").write_text("")
    long = tmp_path / ("n" * 300)
    assert "File name too long" in refused("info", tmp_path / "c.yaml", "--json", long)
    assert "name" in refused("evaluate", tmp_path / "c.yaml", "--report", long)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("path", ["log.txt", None])
def test_full_disk_is_the_same_line_wherever_it_is_met(refused, monkeypatch, number, path):
    from stdet.inference import track_files

    def fail(*_: object, **_options: object) -> None:
        raise OSError(number, "no room", path)

    monkeypatch.setattr(track_files, "track_to_files", fail)
    problem = write_problem(OSError(number, "no room"))
    assert refused("track", "x") == f"stdet: {path or 'output'}: {problem}."
    assert problem.startswith("disk full; ")


def test_error_of_the_system_without_a_path_is_a_bug(cli, monkeypatch, tmp_path):
    from stdet.inference import track_files

    def fail(*_: object) -> None:
        raise OSError("a bug")

    monkeypatch.setattr(track_files, "track_to_files", fail)
    with pytest.raises(OSError, match="a bug"):
        cli("track", "x")
