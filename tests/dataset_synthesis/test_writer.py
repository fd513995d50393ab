import json

import numpy as np
import pytest
from PIL import Image

from stdet.config import DataConfig
from stdet.data.formats.mask_folder import open_mask_folder
from stdet.data.formats.mot_folder import read_mot_folder
from stdet.data.frame_source import open_source
from stdet.data.sequences import load_sequences
from stdet.dataset_synthesis.settings import SynthConfig, list_recipes
from stdet.dataset_synthesis.writer import write_dataset
from stdet.errors import DataError
from stdet.settings_file import check_settings
from stdet.synthesis import generate


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
    with pytest.raises(DataError, match="refusing to delete"):
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
