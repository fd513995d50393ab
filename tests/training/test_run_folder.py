"""What a run may remove and when: the earlier one is whole until a new checkpoint stands."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sequence_results import annotation, detections, result

from stdet.config import save_config
from stdet.errors import ConfigError, DataError, StdetError, TrainingError
from stdet.evaluation.left_out_files import write_left_out
from stdet.files.locks import FOLDER_LOCK_NAME, lock_folder
from stdet.inference.checkpoint import load_weights
from stdet.training import run_folder
from stdet.training.run import train
from stdet.training.run_folder import (
    LEFT_OUT_NAME,
    NEW_NAME,
    check_same_run,
    hold_run_folder,
    own_files,
    settle,
)
from stdet.training.trainer import Trainer

OWN = {"config.yaml", "best.safetensors", "last.safetensors", "metrics.jsonl", "resume.pt"}
FOREIGN = (
    "thesis.tex",
    "notes.txt",
    "features/mine.png",
    "data/frame.png",
    "best.safetensors.bak",
)


class _KilledError(BaseException):
    """Stands for the end of the process: no handler of ours catches it."""


def _contents(folder):
    """Bytes of every file below a folder, without curves, whose names hold the time."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "tfevents" not in path.name
    }


def _add_foreign(folder):
    for name in FOREIGN:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")


@pytest.fixture
def earlier(tiny_run, tmp_path):
    """A finished run of one epoch, with other files beside its own."""
    run_dir = tmp_path / "run"
    train(tiny_run(epochs=1), run_dir=run_dir)
    (run_dir / "report_test.json").write_text("{}")
    _add_foreign(run_dir)
    return run_dir


def test_overwriting_removes_what_belongs_to_a_run_and_nothing_else(tiny_run, earlier):
    config = tiny_run(epochs=2, seed=3)
    config = replace(config, data=replace(config.data, validation_sequences=()))
    train(config, run_dir=earlier, overwrite=True)
    found = _contents(earlier)
    assert found.keys() == OWN - {"best.safetensors"} | set(FOREIGN)
    assert all(found[name] == b"mine" for name in FOREIGN)
    assert load_weights(earlier / "last.safetensors").info["seed"] == 3
    assert len(found["metrics.jsonl"].splitlines()) == 2
    assert len(list(earlier.glob("events.*"))) == 2  # Before and after the new run took its place.


def _bad_data(config):
    gone = replace(config.data.train[0], annotations=Path("gone.json"))
    return replace(config, data=replace(config.data, train=(gone,)))


def _bad_model(config):
    backbone = replace(config.model.backbone, width=8.0, depth=8.0, num_stages=5)
    return replace(config, model=replace(config.model, backbone=backbone))


def _bad_device(config):
    return replace(config, train=replace(config.train, device="banana"))


@pytest.mark.parametrize("spoil", [_bad_data, _bad_model, _bad_device])
def test_earlier_run_is_untouched_where_the_new_one_cannot_start(tiny_run, earlier, spoil):
    before = _contents(earlier)
    with pytest.raises(StdetError):
        train(spoil(tiny_run(epochs=1, seed=3)), run_dir=earlier, overwrite=True)
    assert _contents(earlier) == before


@pytest.mark.parametrize("error", [TrainingError("loss"), KeyboardInterrupt(), DataError("full")])
@pytest.mark.parametrize("method", ["_train_batch", "_save"])
def test_earlier_run_is_back_where_the_new_one_fails_in_its_first_epoch(
    tiny_run, earlier, monkeypatch, method, error
):
    before = _contents(earlier)

    def failing(*_):
        raise error

    monkeypatch.setattr(Trainer, method, failing)
    with pytest.raises(type(error)):
        train(tiny_run(epochs=1, seed=3), run_dir=earlier, overwrite=True)
    assert _contents(earlier) == before


def _runs_in(folder, old):
    """Say which runs are whole; every own file of the new run differs from the old one's."""
    found = _contents(folder)
    is_equal = [found.get(name) == content for name, content in old.items()]
    whole = {"old"} if all(is_equal) else set()
    if (folder / NEW_NAME / "resume.pt").exists() or not (
        any(is_equal) or old.keys() - found.keys()
    ):
        whole.add("new")
    return whole


def test_run_killed_at_any_step_of_taking_the_place_leaves_one_of_them_whole(
    tiny_run, earlier, tmp_path, monkeypatch
):
    """Kill before each change of the folder that the new run makes with its checkpoint."""
    config = tiny_run(epochs=1, seed=3)
    train(config, run_dir=tmp_path / "new")
    old = {name: (earlier / name).read_bytes() for name in OWN}
    steps = {"count": 0, "kill_at": 0}

    def counted(original):
        def step(*args, **kwargs):
            if getattr(args[0], "name", "") == FOLDER_LOCK_NAME:
                return original(*args, **kwargs)  # The system releases the lock.
            steps["count"] += 1
            if steps["count"] == steps["kill_at"]:
                raise _KilledError
            return original(*args, **kwargs)

        return step

    number, seen = 0, set()
    while True:
        number += 1
        run_dir = tmp_path / f"killed{number}"
        shutil.copytree(earlier, run_dir)
        steps.update(count=0, kill_at=number)
        with monkeypatch.context() as patch:
            patch.setattr(run_folder, "write_whole", counted(run_folder.write_whole))
            patch.setattr(run_folder, "_remove_new", counted(run_folder._remove_new))
            patch.setattr(run_folder, "_drop_unfinished", lambda _: None)  # A killed one cannot.
            patch.setattr(shutil, "rmtree", counted(shutil.rmtree))
            patch.setattr(Path, "unlink", counted(Path.unlink))
            try:
                with hold_run_folder(config, run_dir, overwrite=True):
                    shutil.copytree(tmp_path / "new", run_dir / NEW_NAME, dirs_exist_ok=True)
                    settle(run_dir)
            except _KilledError:
                pass
            else:
                break
        whole = _runs_in(run_dir, old)
        assert whole, f"killed at step {number}"
        seen |= whole
        # The next command finishes what was begun, whichever it is.
        with hold_run_folder(config, run_dir, overwrite=True):
            pass
        assert not (run_dir / NEW_NAME).exists()
        after = {
            load_weights(run_dir / f"{name}.safetensors").info["seed"] for name in ("best", "last")
        }
        assert after in ({0}, {3})
        assert all((run_dir / name).read_text() == "mine" for name in FOREIGN)
    assert number > 8
    assert seen == {"old", "new"}


def test_new_run_that_was_broken_off_before_its_checkpoint_is_removed(tiny_run, earlier):
    before = _contents(earlier)
    (earlier / NEW_NAME).mkdir()
    (earlier / NEW_NAME / "config.yaml").write_text("half")
    train(tiny_run(epochs=1), run_dir=earlier)
    assert _contents(earlier) == before


def test_configuration_that_no_run_wrote_is_not_written_over(tiny_run, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "config.yaml").write_text("train: {epochs: 1}  # My own.")
    _add_foreign(project)
    before = _contents(project)
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match=r"config\.yaml: was not written by a run"):
            train(tiny_run(), run_dir=project, overwrite=overwrite)
    assert _contents(project) == before


def test_weights_without_a_run_are_not_written_over(tiny_run, earlier):
    (earlier / "resume.pt").unlink()
    (earlier / "metrics.jsonl").unlink()
    before = _contents(earlier)
    with pytest.raises(ConfigError, match=r"holds best\.safetensors and last\.safetensors but no"):
        train(tiny_run(epochs=1), run_dir=earlier)
    assert _contents(earlier) == before


def test_resume_file_of_an_unknown_run_is_refused(tiny_run, earlier):
    (earlier / "config.yaml").unlink()
    with pytest.raises(ConfigError, match=r"holds resume\.pt but no config\.yaml"):
        train(tiny_run(epochs=1), run_dir=earlier)


def test_links_in_a_run_are_not_followed_when_it_is_replaced(tiny_run, earlier, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "epoch0001.png").write_text("mine")
    (elsewhere / "weights").write_text("mine")
    shutil.rmtree(earlier / "features")
    (earlier / "features").symlink_to(elsewhere)
    (earlier / "best.safetensors").unlink()
    (earlier / "best.safetensors").symlink_to(elsewhere / "weights")
    assert Path("features/epoch0001.png") not in own_files(earlier)
    train(tiny_run(epochs=1, seed=3), run_dir=earlier, overwrite=True)
    assert (elsewhere / "epoch0001.png").read_text() == "mine"
    assert (elsewhere / "weights").read_text() == "mine"
    assert load_weights(earlier / "best.safetensors").info["seed"] == 3


def test_detections_on_what_a_fold_leaves_out_go_with_the_run_that_made_them(tiny_run, earlier):
    folder = earlier / LEFT_OUT_NAME
    truth = annotation([[(1, 1, 5, 5)]])
    found = result(truth, detections([[(1, 1, 5, 5, 0.9)]]))
    write_left_out(folder, "sky", [found], num_classes=1)
    written = sorted(path.name for path in folder.iterdir())
    (folder / "mine.json").write_text("[]")
    own = [path.name for path in own_files(earlier) if path.parent.name == LEFT_OUT_NAME]
    assert own == written
    train(tiny_run(epochs=1, seed=3), run_dir=earlier, overwrite=True)
    assert [path.name for path in folder.iterdir()] == ["mine.json"]


@pytest.mark.parametrize("name", ["metrics.jsonl", "diagnostics.jsonl", "last.safetensors"])
def test_device_or_pipe_among_the_files_of_a_run_is_refused(tiny_run, tmp_path, name):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / name).symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match=f"{name}: is a device; move it out of the folder"):
        check_same_run(tiny_run, run_dir)


def test_second_training_in_a_folder_is_refused_with_owner_and_time(tiny_run, earlier):
    before = _contents(earlier)
    with lock_folder(earlier):
        for overwrite in (False, True):
            with pytest.raises(DataError) as caught:
                train(tiny_run(epochs=1), run_dir=earlier, overwrite=overwrite)
    message = str(caught.value)
    assert re.search(rf"process {os.getpid()} of .* since 20\d\d-\d\d-\d\d .* UTC", message)
    assert message.endswith("wait for it, or name another --run-dir.")
    assert _contents(earlier) == before


def _file(path):
    path.write_text("x")


def _dangling(path):
    path.symlink_to("gone")


@pytest.mark.parametrize("make", [_file, _dangling, os.mkfifo])
@pytest.mark.parametrize("overwrite", [False, True])
def test_run_folder_that_is_none_is_refused(tiny_run, tmp_path, make, overwrite):
    make(tmp_path / "odd")
    with pytest.raises(ConfigError, match=r"odd: is .*name a folder with --run-dir"):
        train(tiny_run(), run_dir=tmp_path / "odd", overwrite=overwrite)


@pytest.mark.parametrize("name", ["a\0b", "a" * 300, "caf\udce9", "\ud800"])
def test_run_folder_of_a_name_that_none_can_have_is_refused(tiny_run, tmp_path, name):
    with pytest.raises(StdetError, match=r"cannot be |is not UTF-8"):
        train(tiny_run(), run_dir=tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_link_to_a_folder_is_followed(tiny_run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to("elsewhere")
    train(tiny_run(epochs=1), run_dir=tmp_path / "run")
    assert _contents(tmp_path / "elsewhere").keys() >= OWN


def test_run_that_cannot_start_leaves_no_folder(tiny_run, tmp_path):
    with pytest.raises(StdetError):
        train(_bad_data(tiny_run()), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_killed_loader_process_is_one_line(tiny_run, tmp_path):
    """A loader process that kills itself stands for one that the system ends."""
    save_config(tiny_run(num_workers=1), tmp_path / "c.yaml")
    (tmp_path / "dying.py").write_text(
        "import os, signal, sys\n"
        "from stdet.datasets import clip_dataset\n"
        "from stdet.cli import main\n"
        "def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "clip_dataset.ClipDataset.__getitem__ = die\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "dying.py", "train", tmp_path / "c.yaml", "--run-dir",
         tmp_path / "run"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "a worker process was killed (out of memory?); lower train.num_workers" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["metrics.jsonl", "diagnostics.jsonl", "features/epoch1.png"])
def test_files_of_no_run_that_have_its_names_are_not_written_over(tiny_run, tmp_path, name):
    run_dir = tmp_path / "mine"
    (run_dir / name).parent.mkdir(parents=True)
    (run_dir / name).write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match=r"no config\.yaml"):
            train(tiny_run(epochs=1), run_dir=run_dir, overwrite=overwrite)
    assert _contents(run_dir) == {name: b"mine"}


def test_what_a_killed_run_left_half_written_is_removed_by_the_next(tiny_run, earlier):
    left = [earlier / f"{name}.0123abcd.part" for name in ("resume.pt", "config.yaml")]
    left.append(earlier / "report_test.json.89abcdef.part")
    others = [earlier / "movie.mkv.0123abcd.part", earlier / "resume.pt.part"]
    for path in left + others:
        path.write_text("half")
    train(tiny_run(epochs=1), run_dir=earlier)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in others)


def test_run_of_an_earlier_version_is_refused_with_its_old_keys_and_what_to_do(tiny_run, earlier):
    config = earlier / "config.yaml"
    config.write_text(config.read_text().replace("  train:\n", "  num_generated: 3\n  train:\n"))
    with pytest.raises(ConfigError, match=r"num_generated is no longer read; .*--overwrite"):
        train(tiny_run(epochs=1), run_dir=earlier)
