"""Labels of footage that has none, in a video and in a folder of images."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import SyntheticConfig, generate

from stdet.boxes import centres_xy
from stdet.config import DataConfig, StdetConfig, config_from_dict
from stdet.datasets.splits import load_sequences
from stdet.errors import CheckpointError, ConfigError, DataError, IncompleteInputError
from stdet.formats.mot import read_annotation
from stdet.io.video.source import VideoWriter
from stdet.training import footage as footage_module
from stdet.training.footage import (
    SURE_DETECTIONS,
    adapted,
    check_recipe,
    find_footage,
    footage_sources,
    judge,
    label_footage,
)
from stdet.types import Tracks

SCENE = SyntheticConfig(num_frames=50, hw=(96, 128), num_targets=2, seed=1)


@pytest.fixture(scope="module")
def scene():
    """Frames and their truth: one target is found often enough, the other is not."""
    return generate(SCENE)


@pytest.fixture(scope="module")
def folder(scene, tmp_path_factory):
    """A video ``a.mp4`` and a folder ``b`` of PNG files of the same footage."""
    folder = tmp_path_factory.mktemp("footage")
    (folder / "b").mkdir()
    (folder / "notes.txt").write_text("no footage")
    with VideoWriter(folder / "a.mp4", hw=SCENE.hw, fps=25) as writer:
        for index, image in enumerate(scene[0]):
            writer.write(np.repeat(image[:, :, None], 3, axis=2))
            cv2.imwrite(str(folder / "b" / f"{index}.png"), image)
    return folder


@pytest.fixture(scope="module")
def labelled(folder, tmp_path_factory):
    """The folder of its labels, and what was said of them."""
    out = tmp_path_factory.mktemp("labels")
    return out, label_footage(find_footage(folder), out, labels_by="framediff")


def _tracks(ids, *, probabilities, detected):
    num = len(ids)
    return Tracks(
        frame_indices=np.arange(num),
        track_ids=np.array(ids),
        boxes_xyxy=np.tile(np.array([1, 1, 5, 5], np.float32), (num, 1)),
        scores=np.full(num, 0.5, np.float32),
        probabilities=np.array(probabilities, np.float32),
        class_ids=np.zeros(num, np.int64),
        detection_indices=np.where(detected, 0, -1),
    )


def test_tracks_of_video_and_images_become_labels_of_data_sets(scene, folder, labelled):
    out, said = labelled
    data = DataConfig(root=out, train=footage_sources(out, said, "framediff"))
    assert [source.format for source in data.train] == ["videos", "mot"]
    assert [source.weight for source in data.train] == [0.5, 0.5]
    longer = replace(said[0], num_frames=3 * SCENE.num_frames)
    weighed = footage_sources(out, [longer, said[1]], "framediff")
    assert [source.weight for source in weighed] == [0.75, 0.25]
    sequences = load_sequences(data, "train")
    assert [sequence.name for sequence in sequences] == ["a", "b"]
    for sequence, one in zip(sequences, said, strict=True):
        found = sequence.annotation
        assert len(sequence) == SCENE.num_frames == one.num_frames
        is_target = ~found.is_ignored
        assert is_target.sum() == one.num_targets >= SURE_DETECTIONS
        assert found.is_ignored.sum() == one.num_ignored
        assert _distances(found, scene[1])[is_target].max() < 3
    assert sum(one.num_ignored for one in said) > 0
    # What is learnt from is the footage itself, not a copy.
    assert (out / "videos" / "a.mp4").resolve() == (folder / "a.mp4").resolve()


def _distances(found, truth):
    """Pixels from each centre to the nearest true one of its frame."""
    centres, true = centres_xy(found.boxes_xyxy), centres_xy(truth.boxes_xyxy)
    return np.array(
        [
            np.hypot(*(true[truth.rows_at(int(frame))] - centre).T).min()
            for frame, centre in zip(found.frame_indices, centres, strict=True)
        ]
    )


def test_labels_are_files_to_correct(labelled):
    out, _ = labelled
    truth = read_annotation(out / "videos" / "a.txt", name="a", image_hw=SCENE.hw)
    assert len(truth) > SURE_DETECTIONS
    content = json.loads((out / "labels.json").read_text())
    assert content["labels_by"] == "framediff"
    assert [entry["num_frames"] for entry in content["videos"]] == [50, 50]


def test_what_is_labelled_already_is_left_alone(folder, labelled, monkeypatch):
    out, said = labelled
    text = (out / "videos" / "a.txt").read_text()
    monkeypatch.setattr(footage_module, "_label", lambda *_: pytest.fail("labelled again"))
    assert label_footage(find_footage(folder), out, labels_by="framediff") == said
    assert (out / "videos" / "a.txt").read_text() == text
    with pytest.raises(pytest.fail.Exception, match="labelled again"):
        label_footage(find_footage(folder), out, labels_by="tophat")


def test_labels_of_a_broken_off_run_are_kept(folder, tmp_path, monkeypatch):
    """The second video fails; the first is not tracked again."""
    real, tracked = footage_module._label, []

    def failing(path, *rest):
        tracked.append(path.name)
        if tracked == ["a.mp4", "b"]:
            raise DataError("cannot be read")
        return real(path, *rest)

    monkeypatch.setattr(footage_module, "_label", failing)
    with pytest.raises(DataError):
        label_footage(find_footage(folder), tmp_path, labels_by="framediff")
    assert len(label_footage(find_footage(folder), tmp_path, labels_by="framediff")) == 2
    assert tracked == ["a.mp4", "b", "b"]


def test_images_of_another_recording_begin_a_new_sequence(scene, folder, tmp_path):
    """Two recordings in one folder."""
    together = tmp_path / "given" / "c"
    together.mkdir(parents=True)
    for index in range(SCENE.num_frames):
        (together / f"b_{index}.png").symlink_to(folder / "b" / f"{index}.png")
        (together / f"a_{index + 7}.png").symlink_to(folder / "b" / f"{index}.png")
    out = tmp_path / "labels"
    out.mkdir()
    (said,) = label_footage(find_footage(tmp_path / "given"), out, labels_by="framediff")
    data = DataConfig(root=out, train=footage_sources(out, [said], "framediff"))
    first, second = load_sequences(data, "train")
    assert [first.name, second.name] == ["c_0-49", "c_50-99"] == list(said.sequences)
    assert len(first) == len(second) == SCENE.num_frames
    assert first.files[0].resolve() == second.files[0].resolve()
    for found in (first.annotation, second.annotation):
        is_target = ~found.is_ignored
        assert is_target.sum() >= SURE_DETECTIONS
        assert _distances(found, scene[1])[is_target].max() < 3


def test_only_labels_of_the_given_footage_are_learnt(folder, tmp_path, monkeypatch):
    """Labels of a video that was taken away stay, and nothing is learnt from them."""
    given, out = tmp_path / "given", tmp_path / "labels"
    given.mkdir()
    out.mkdir()
    for name in ("first.mp4", "second.mp4"):
        (given / name).write_bytes((folder / "a.mp4").read_bytes())
    label_footage(find_footage(given), out, labels_by="framediff")
    (given / "second.mp4").unlink()
    monkeypatch.setattr(footage_module, "_label", lambda *_: pytest.fail("labelled again"))
    said = label_footage(find_footage(given), out, labels_by="framediff")
    (source,) = footage_sources(out, said, "framediff")
    assert source.sequences == ("first",)
    assert (out / "videos" / "second.txt").exists()
    # Nor is it labelled again when it is back.
    (given / "second.mp4").write_bytes((folder / "a.mp4").read_bytes())
    assert len(label_footage(find_footage(given), out, labels_by="framediff")) == 2


def test_labels_of_another_video_of_the_same_name_are_replaced(folder, tmp_path):
    out = tmp_path / "labels"
    out.mkdir()
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mp4").write_bytes((folder / "a.mp4").read_bytes())
        label_footage(find_footage(tmp_path / name), out, labels_by="framediff")
        assert (out / "videos" / "a.mp4").resolve() == tmp_path / name / "a.mp4"
    content = json.loads((out / "labels.json").read_text())
    assert [entry["path"] for entry in content["videos"]] == [str(tmp_path / "other" / "a.mp4")]


def test_footage_in_which_nothing_is_sure_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(footage_module, "SURE_DETECTIONS", 1000)
    with pytest.raises(DataError, match="no track in 2 videos is sure enough to learn from"):
        label_footage(find_footage(folder), tmp_path, labels_by="framediff")


def test_probability_of_its_last_row_says_what_a_track_becomes():
    ids, probabilities = [1, 1, 2, 2, 3, 3], [0.2, 0.95, 0.95, 0.6, 0.95, 0.4]
    given = _tracks(ids, probabilities=probabilities, detected=[True] * 6)
    judged = judge(given, is_calibrated=True)
    assert judged.is_sure.tolist() == [True, True, False, False, False, False]
    assert judged.is_open.tolist() == [False, False, True, True, False, False]


@pytest.mark.parametrize("num_detections", [SURE_DETECTIONS, SURE_DETECTIONS - 1])
def test_number_of_detections_decides_where_probabilities_say_nothing(num_detections):
    detected = np.arange(40) < num_detections
    given = _tracks([1] * 40, probabilities=[1.0] * 40, detected=detected)
    judged = judge(given, is_calibrated=False)
    assert judged.is_sure.tolist() == [num_detections == SURE_DETECTIONS] * 40
    assert (judged.is_open == ~judged.is_sure).all()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds neither videos nor folders of images"),
        (("a.txt",), "holds neither videos nor folders of images"),
        (("a.mp4", "a.avi"), "two videos are named a"),
    ],
)
def test_folder_without_footage_is_refused(tmp_path, names, message):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=message):
        find_footage(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        find_footage(tmp_path / "nowhere")


def test_files_that_are_no_videos_are_named(folder, tmp_path, caplog):
    (tmp_path / "a.mp4").write_bytes((folder / "a.mp4").read_bytes())
    (tmp_path / "b.ts").touch()
    with caplog.at_level("INFO"):
        assert find_footage(tmp_path) == [tmp_path / "a.mp4"]
    assert f"{tmp_path}: 'b.ts' left out; videos end in .avi, .m4v" in caplog.text


def test_footage_that_cannot_be_read_is_refused_before_any_is_tracked(folder, tmp_path):
    (tmp_path / "a.mp4").write_bytes((folder / "a.mp4").read_bytes())
    (tmp_path / "z").mkdir()
    with pytest.raises(DataError, match="z: holds no images"):
        find_footage(tmp_path)


def test_footage_with_a_damaged_frame_is_refused(folder, tmp_path):
    """Training would read that frame, too."""
    given = tmp_path / "given" / "b"
    given.mkdir(parents=True)
    for index in range(5):
        content = (folder / "b" / f"{index}.png").read_bytes()
        (given / f"{index}.png").write_bytes(content[:-100] if index == 2 else content)
    with pytest.raises(DataError, match=r"read 4 of 5 frames.* leave it out of the footage") as e:
        label_footage(find_footage(given.parent), tmp_path, labels_by="framediff")
    assert not isinstance(e.value, IncompleteInputError)  # Nothing of it is kept.


def test_footage_alone_is_learnt_for_a_short_time_from_the_weights(labelled):
    out, said = labelled
    recipe = config_from_dict({"train": {"epochs": 80, "learning_rate": 0.002}}, where="test")
    alone = adapted(recipe, out, said, labels_by="stdet_n", is_alone=True)
    assert alone.train.initial_weights == "stdet_n"
    assert alone.train.epochs < 80
    assert alone.train.learning_rate < 0.002
    assert len(alone.data.train) == 2
    beside = adapted(recipe, out, said, labels_by="stdet_n", is_alone=False)
    assert (beside.train.epochs, len(beside.data.train)) == (80, 3)
    classical = adapted(_with_boxes(recipe), out, said, labels_by="framediff", is_alone=False)
    assert classical.train.initial_weights is None
    assert {source.boxes for source in classical.data.train[1:]} == {"point"}


def _with_boxes(config: StdetConfig) -> StdetConfig:
    augment = replace(config.train.augment, min_box_px=8.0)
    return replace(config, train=replace(config.train, augment=augment))


def test_labels_of_a_classical_detector_need_a_recipe():
    recipe = StdetConfig()
    with pytest.raises(ConfigError, match="random weights, which needs a recipe"):
        check_recipe("rpca", None)
    with pytest.raises(ConfigError, match=r"that is 0 in CONFIG; pass --set train\.augment\.min_"):
        check_recipe("rpca", recipe)
    check_recipe("rpca", _with_boxes(recipe))
    with pytest.raises(CheckpointError, match="no such weights file"):
        check_recipe("nowhere.safetensors", recipe)
    with pytest.raises(CheckpointError, match="is not the configured architecture"):
        check_recipe("stdet_n", recipe)
    check_recipe("stdet_n", None)
