import json
from pathlib import Path

import numpy as np
import pytest
from scenes import SyntheticConfig

from stdet.config import DataConfig, SourceConfig
from stdet.datasets.splits import load_sequences, load_training
from stdet.errors import ConfigError, DataError
from stdet.io.video.source import VideoWriter


@pytest.fixture
def data(tmp_path, write_coco_split):
    configs = [
        SyntheticConfig(name=name, seed=seed, num_frames=6, hw=(24, 32), num_targets=1)
        for seed, name in enumerate(("a", "b", "c"))
    ]
    return write_coco_split(tmp_path, configs)


@pytest.fixture
def split(data):
    """Build a data section whose training sources are all over the same files."""

    def build(*sources: dict, **changes) -> DataConfig:
        annotations = data.train[0].annotations
        train = tuple(SourceConfig(**{"annotations": annotations, **given}) for given in sources)
        return DataConfig(root=data.root, train=train, **changes)

    return build


def _names(sequences):
    return [sequence.name for sequence in sequences]


def test_long_sequences_are_cut_to_their_middle(split):
    (whole,) = load_sequences(split({"sequences": ("a",)}), "train")
    (cut,) = load_sequences(split({"sequences": ("a",), "max_frames": 2}), "train")
    assert len(cut) == 2
    assert cut.files == whole.files[2:4]
    truth = whole.annotation
    assert (cut.read(1) == whole.read(3)).all()
    wanted = truth.boxes_xyxy[truth.rows_at(3)]
    assert (cut.annotation.boxes_xyxy[cut.annotation.rows_at(1)] == wanted).all()


def test_stated_frames_are_a_sequence_of_their_own_and_the_others_are_whole(split):
    cuts = {"frames": {"a": [1, 4]}}
    cut, whole = load_sequences(split({"sequences": ("a", "b")} | cuts), "train")
    (uncut,) = load_sequences(split({"sequences": ("a",)}), "train")
    assert (len(cut), len(whole)) == (4, 6)
    assert cut.files == uncut.files[1:5]
    assert (cut.read(0) == uncut.read(1)).all()
    wanted = uncut.annotation.boxes_xyxy[uncut.annotation.rows_at(4)]
    assert (cut.annotation.boxes_xyxy[cut.annotation.rows_at(3)] == wanted).all()
    # Then the middle of the stretch.
    (middle,) = load_sequences(split({"sequences": ("a",), "max_frames": 2} | cuts), "train")
    assert middle.files == uncut.files[2:4]


def test_frames_that_are_not_there_are_refused(split):
    for frames, message in (
        ({"a": [1, 6]}, r"data\.train\[0\]\.frames of a end with 6, and it has 6 frames"),
        ({"d": [0, 1]}, r"data\.train\[0\]\.frames names 'd'"),
    ):
        with pytest.raises(DataError, match=message):
            load_sequences(split({"frames": frames}), "train")
    with pytest.raises(ValueError, match=r"frames of a end \(1\) before they begin \(2\)"):
        SourceConfig(annotations=Path("a.json"), frames={"a": (2, 1)})


def test_sources_keep_their_order_weights_and_kinds_of_boxes(split):
    training = load_training(
        split(
            {"sequences": ("c",), "weight": 2.0, "boxes": "point"},
            {"excluded_sequences": ("c",)},
            {"format": "generated", "annotations": None, "num_sequences": 2, "seed": 5},
        )
    )
    assert [source.weight for source in training.sources] == [2, 1, 1]
    assert _names(training.sequences) == ["c", "a", "b", "generated_5_0", "generated_5_1"]
    assert [sequence.boxes for sequence in training.sequences[:3]] == ["point", "box", "box"]
    assert training.validation == ()


def test_validation_names_are_taken_out_of_every_source(split):
    parts = {"sequences": ("a", "b")}, {"sequences": ("c",)}
    training = load_training(split(*parts, validation_sequences=("b", "c")))
    assert _names(training.sequences) == ["a"]
    assert len(training.sources) == 1  # The second holds nothing more.
    assert _names(training.validation) == ["b", "c"]


def test_roots_are_relative_to_that_of_the_section_and_may_be_absolute(data, tmp_path):
    annotations = data.train[0].annotations
    inside = SourceConfig(root=Path(data.root.name), annotations=annotations)
    given = DataConfig(root=data.root.parent, train=(inside,))
    assert _names(load_sequences(given, "train")) == ["a", "b", "c"]
    absolute = SourceConfig(root=data.root, annotations=annotations)
    given = DataConfig(root=tmp_path / "elsewhere", train=(absolute,))
    assert _names(load_sequences(given, "train")) == ["a", "b", "c"]


def test_source_may_not_hold_what_is_validated_on(split, data):
    validation = (SourceConfig(annotations=data.train[0].annotations, sequences=("b",)),)
    training = load_training(split({"excluded_sequences": ("b",)}, validation=validation))
    assert _names(training.validation) == ["b"]
    with pytest.raises(ConfigError, match=r"is in training .* and in validation .*data\.train"):
        load_training(split({}, validation=validation))


def test_message_names_the_settings_of_the_source(split):
    with pytest.raises(DataError, match=r"Set data\.root .* annotations of data\.train\[1\]"):
        load_training(split({}, {"annotations": Path("nowhere.json")}))
    with pytest.raises(DataError, match=r"data\.train\[0\]: excluded_sequences leaves no"):
        load_training(split({"excluded_sequences": ("a", "b", "c")}))


@pytest.mark.parametrize("is_json", [False, True])
def test_videos_that_are_not_taken_need_not_be_readable(tmp_path, is_json):
    boxes = {"good": [[1, 2, 3, 4], None], "bad": [[1, 2]], "worse": [None]}
    with VideoWriter(tmp_path / "good.mp4", hw=(32, 48), fps=10.0) as writer:
        for level in (20, 40):
            writer.write(np.full((32, 48, 3), level, np.uint8))
    (tmp_path / "bad.mp4").write_text("no video")
    if is_json:  # Of "worse", not even the video is there.
        entries = {stem: {"boxes_xywh": rows} for stem, rows in boxes.items()}
        (tmp_path / "boxes.json").write_text(json.dumps(entries))
    else:  # Of "worse", the boxes are missing.
        (tmp_path / "worse.mp4").write_text("no video")
        (tmp_path / "good.txt").write_text("1,2,3,4\n\n")
        (tmp_path / "bad.txt").write_text("0,0,0,1,0,0,0,0,1,0\n")
    annotations = Path("boxes.json" if is_json else ".")

    def load(*names: str, taken: tuple[str, ...] = ()):
        source = SourceConfig(
            format="videos", annotations=annotations, excluded_sequences=names, sequences=taken
        )
        return load_training(DataConfig(root=tmp_path, train=(source,))).sequences

    assert _names(load("bad", "worse")) == ["good"]
    with pytest.raises(DataError, match=r"worse"):
        load("bad")
    with pytest.raises(DataError, match=r"names 'baad', .* did you mean 'bad'"):
        load("bad", "worse", "baad")
    with pytest.raises(DataError, match="excluded_sequences leaves no sequence"):
        load("good", "bad", "worse")
    assert _names(load(taken=("good",))) == ["good"]
    with pytest.raises(DataError, match=r"sequences names 'goood', .* did you mean 'good'"):
        load(taken=("goood",))
    with pytest.raises(DataError, match="bad"):
        load(taken=("good", "bad"))


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_split_without_sources_is_refused(name):
    with pytest.raises(DataError, match=f"{name} split is empty"):
        load_sequences(DataConfig(train=(), test=()), name)


def test_training_without_sources_is_refused():
    with pytest.raises(DataError, match="training split is empty"):
        load_training(DataConfig(train=()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"format": "generated"}, "num_sequences is needed"),
        ({"annotations": "a", "num_sequences": 3}, "num_sequences is needed"),
        ({"format": "generated", "num_sequences": 3, "annotations": "a"}, "annotations is needed"),
        ({"format": "generated", "num_sequences": 3, "max_frames": 2}, "max_frames has no"),
        ({}, "annotations is needed"),
    ],
)
def test_source_has_what_its_format_needs(given, message):
    with pytest.raises(ValueError, match=message):
        SourceConfig(**given)
