import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stdet.config import DataConfig
from stdet.dataset_synthesis import writer
from stdet.dataset_synthesis.settings import SynthConfig, list_recipes
from stdet.dataset_synthesis.writer import write_dataset
from stdet.datasets.splits import load_sequences
from stdet.errors import DataError, StdetError
from stdet.files.locks import lock_folder
from stdet.files.settings_file import check_settings
from stdet.formats.mask_folder import open_mask_folder
from stdet.formats.mot_folder import read_mot_folder
from stdet.io.open_source import open_source
from stdet.processes.interrupts import Interrupted, orderly_end
from stdet.synthesis import generate

pytestmark = pytest.mark.usefixtures("heard_signals")


def config(**changes):
    values = {
        "seed": 7,
        "scene": {"num_frames": 4, "hw": [48, 64], "targets": {"num_range": [2, 2]}},
        "groups": [
            {"split": "train", "name": "a", "num_sequences": 2},
            {"split": "test", "name": "b"},
        ],
    }
    return check_settings(SynthConfig, values | changes, where="here")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synth") / "d"
    write_dataset(config(), folder)
    return folder


def test_every_reader_gives_back_what_was_generated(dataset):
    recipes = list_recipes(config())
    made = {r.name: generate(r.scene, seed=r.seed, name=r.name) for r in recipes}
    data = DataConfig(root=dataset)
    sequences = [*load_sequences(data, "train"), *load_sequences(data, "test")]
    assert [sequence.name for sequence in sequences] == ["a_0", "a_1", "b_0"]
    for sequence in sequences:
        truth = made[sequence.name].truth
        for index in range(4):
            expected = made[sequence.name].frames[index]
            np.testing.assert_array_equal(sequence.read_raw(index), expected)
        split = "test" if sequence.name == "b_0" else "train"
        mot = read_mot_folder(dataset / "mot" / split / sequence.name).annotation
        for found in (sequence.annotation, mot):
            np.testing.assert_array_equal(found.frame_indices, truth.frame_indices)
            np.testing.assert_array_equal(found.track_ids, truth.track_ids)
            np.testing.assert_array_equal(found.is_ignored, truth.is_ignored)
            np.testing.assert_allclose(found.boxes_xyxy, truth.boxes_xyxy, atol=1e-3)
        masks = open_mask_folder(dataset / "masks" / split)
        for index in range(4):
            mask = masks.read(f"{sequence.name}/{index}")
            np.testing.assert_array_equal(mask, made[sequence.name].masks[index])


def test_record_holds_every_row_of_the_truth(dataset):
    record = json.loads((dataset / "records" / "test" / "b_0.json").read_text())
    (sequence,) = load_sequences(DataConfig(root=dataset), "test")
    rows = sum(len(target["frames"]) for target in record["targets"])
    assert rows == len(sequence.annotation)
    assert len(record["camera"]["background_shift_xy"]) == 4
    assert record["scene"]["num_frames"] == 4


def test_two_processes_write_what_one_writes(dataset, tmp_path):
    write_dataset(config(), tmp_path / "d", num_processes=2)
    for path in sorted(dataset.rglob("*.*")):
        assert (tmp_path / "d" / path.relative_to(dataset)).read_bytes() == path.read_bytes()


def test_deep_video_is_lossless(tmp_path):
    deep = config(
        output="video", scene={"num_frames": 3, "hw": [48, 64], "sensor": {"bit_depth": 14}}
    )
    write_dataset(deep, tmp_path / "d")
    (recipe,) = (r for r in list_recipes(deep) if r.split == "test")
    frames = generate(recipe.scene, seed=recipe.seed).frames
    with open_source(tmp_path / "d" / "videos" / "test" / "b_0.mkv") as source:
        for index in range(3):
            np.testing.assert_array_equal(source.read(index), frames[index])


def test_nothing_is_overwritten_without_being_asked(dataset, tmp_path):
    with pytest.raises(DataError, match="pass --overwrite"):
        write_dataset(config(), dataset)
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="refusing to replace"):
        write_dataset(config(), tmp_path, overwrite=True)
    assert (tmp_path / "mine.txt").exists()


def test_another_truth_than_the_expected_one_is_refused(tmp_path):
    with pytest.raises(DataError, match="truth_sha256"):
        write_dataset(config(truth_sha256="0" * 64), tmp_path / "d")
    assert not (tmp_path / "d").exists()


def _real(path):
    return {"num_frames": 3, "hw": [48, 64], "background": {"kinds": ["real"], "paths": [path]}}


def test_missing_background_is_named(tmp_path):
    real = config(scene=_real(f"{tmp_path}/none/*.png"))
    with pytest.raises(DataError, match="no background found"):
        write_dataset(real, tmp_path / "d")


def test_stills_and_clips_are_backgrounds(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "clip"
    folder.mkdir()
    for index in range(5):
        levels = rng.integers(90, 160, (60, 80)).astype(np.uint8)
        Image.fromarray(levels).save(folder / f"{index}.png")
    for number, path in enumerate((folder, folder / "2.png", f"{folder}/*.png")):
        out = tmp_path / f"d{number}"
        write_dataset(config(scene=_real(str(path))), out)
        (sequence,) = load_sequences(DataConfig(root=out), "test")
        assert 80 < sequence.read_raw(0).mean() < 170


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("no"), RuntimeError("a bug")])
@pytest.mark.parametrize("place", ["_write_sequence", "_write_coco_files"])
def test_run_that_ends_early_leaves_what_was_there(tmp_path, monkeypatch, error, place):
    def fail(*_: object) -> None:
        raise error

    write_dataset(config(), tmp_path / "d")
    before = _tree(tmp_path / "d")
    monkeypatch.setattr(writer, place, fail)
    for folder in (tmp_path / "d", tmp_path / "new"):
        with pytest.raises(type(error)) as found:
            write_dataset(config(seed=7), folder, overwrite=True)
        assert f"{folder} is as it was" in found.value.__notes__[-1]
    assert _tree(tmp_path / "d") == before
    assert not (tmp_path / "new").exists()


def test_overwriting_replaces_the_data_set_and_no_other_file(tmp_path):
    write_dataset(config(), tmp_path / "d")
    (tmp_path / "d" / "mine.txt").write_text("precious")
    write_dataset(config(output="video"), tmp_path / "d", overwrite=True)
    names = {path.name for path in (tmp_path / "d").iterdir()}
    assert names == {"mine.txt", "masks", "mot", "records", "synth.json", "videos"}


def test_what_a_killed_run_left_is_removed(tmp_path, caplog):
    left = tmp_path / "d" / "data.0123abcd.part"
    (left / "images").mkdir(parents=True)
    write_dataset(config(), tmp_path / "d")
    assert not left.exists()
    assert f"{left}: removed; a run that was killed left it." in caplog.text
    assert not list((tmp_path / "d").glob(".*"))


def test_second_writer_is_refused(tmp_path):
    with (
        lock_folder(tmp_path),
        pytest.raises(DataError, match=r"another run is writing there \(process"),
    ):
        write_dataset(config(), tmp_path)


@pytest.fixture
def workers_run(monkeypatch):
    """Let worker processes evaluate an expression instead of writing a sequence."""

    def install(expression: str) -> None:
        monkeypatch.setattr(writer, "_write_sequence", eval)
        monkeypatch.setattr(writer, "_Job", lambda **_: expression)

    return install


def test_killed_worker_is_one_line_and_leaves_nothing(tmp_path, workers_run):
    workers_run("__import__('os').kill(__import__('os').getpid(), 9)")
    with pytest.raises(StdetError, match="a worker process was killed"):
        write_dataset(config(), tmp_path / "d", num_processes=2)
    assert list(tmp_path.iterdir()) == []


def test_interruption_ends_the_workers_at_once(tmp_path, workers_run):
    workers_run(f"[open('{tmp_path}/started', 'w'), __import__('time').sleep(60)]")
    before = time.monotonic()

    def end() -> None:
        while not (tmp_path / "started").exists():
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted), orderly_end():  # noqa: PT012
        threading.Thread(target=end, daemon=True).start()
        write_dataset(config(), tmp_path / "d", num_processes=2)
    assert time.monotonic() - before < 50
    assert multiprocessing.active_children() == []
    assert [path.name for path in tmp_path.iterdir()] == ["started"]
