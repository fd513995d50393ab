import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.usefixtures("heard_signals")


def test_synth_writes_a_data_set_that_evaluate_can_read(cli, tmp_path):
    settings = tmp_path / "s.yaml"
    settings.write_text(
        "seed: 1\nscene: {num_frames: 3, hw: [48, 64]}\ngroups: [{split: train, name: one}]\n"
    )
    out = tmp_path / "d"
    outcome = cli("synth", settings, "--out", out, "--jobs", "1")
    assert outcome.code == 0
    assert "1 sequences, 3 frames" in outcome.out
    assert (out / "annotations" / "instances_train2017.json").exists()
    again = cli("synth", settings, "--out", out)
    assert again.code == 2
    assert "pass --overwrite" in again.err[-1]


def test_missing_seed_is_one_line(cli, tmp_path):
    settings = tmp_path / "s.yaml"
    settings.write_text("scene: {num_frames: 3}\n")
    outcome = cli("synth", settings, "--out", tmp_path / "d")
    assert outcome.code == 2
    (line,) = outcome.err
    assert "seed is missing" in line


@pytest.mark.parametrize("place", ["data.*.part", "data.*.part/images/*/*/3.png"])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_signal_to_the_whole_group_is_one_line(tmp_path, number, place):
    """Workers and multiprocessing's resource tracker get it as well, starting or at work."""
    settings = tmp_path / "s.yaml"
    settings.write_text(
        "seed: 1\nscene: {num_frames: 200, hw: [64, 64]}\n"
        "groups: [{split: train, num_sequences: 8}]\n"
    )
    out = tmp_path / "d"
    run = subprocess.Popen(
        [sys.executable, "-m", "stdet", "synth", settings, "--jobs=2", "--out", out],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests themselves run under nohup or in the background.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not any(out.glob(place)):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(run.pid, number)
    _, errors = run.communicate(timeout=60)
    assert errors == (
        f"stdet: interrupted ({number.name}). {out} is as it was; "
        "a data set is written whole or not at all.\n"
    )
    assert run.returncode == 128 + number
    assert not out.exists()


def test_labels_are_drawn_as_a_data_set(cli, tmp_path):
    labels = tmp_path / "list.txt"
    labels.write_text("images/1/0.bmp 5,5,12,12,0\nimages/1/1.bmp\n")
    outcome = cli("synth", "--labels", labels, "--size", "48x64", "--out", tmp_path / "d")
    assert outcome.code == 0
    assert "1 sequences, 2 drawn frames, 1 targets" in outcome.out
    checked = cli("data", "check", tmp_path / "d")
    assert checked.code == 0
    assert "note: list: its frames are drawn (stdet synth)." in checked.out
    assert "synth.json" not in checked.out


def test_config_and_labels_exclude_each_other_and_one_is_needed(cli, tmp_path):
    for given, message in (
        (("s.yaml", "--labels", "a.txt"), "--labels takes no CONFIG"),
        (("--labels", "a.txt", "--set", "seed=1"), "--labels takes no CONFIG"),
        ((), "name a CONFIG, or label files with --labels"),
        (("s.yaml", "--seed", "0"), "--size and --seed are for --labels"),
        (("s.yaml", "--size", "9x9"), "--size and --seed are for --labels"),
    ):
        outcome = cli("synth", *given, "--out", tmp_path / "d")
        assert outcome.code == 2
        (line,) = outcome.err
        assert message in line
