"""Tests of further training sources."""

from pathlib import Path

import pytest
from scenes import SyntheticConfig

from stdet.config import SourceConfig
from stdet.datasets.sequences import load_sequences, load_source, require_disjoint
from stdet.errors import ConfigError, DataError


@pytest.fixture
def data(tmp_path, write_coco_split):
    configs = [
        SyntheticConfig(name=name, seed=seed, num_frames=6, hw=(24, 32), num_targets=1)
        for seed, name in enumerate(("a", "b"))
    ]
    return write_coco_split(tmp_path, configs, validation_sequences=("b",))


@pytest.fixture
def source(data):
    """Build a source over the same files as the main data set."""

    def build(**changes) -> SourceConfig:
        options = {"root": data.root, "format": "coco", "annotations": data.train_annotations}
        return SourceConfig(**{**options, **changes})

    return build


def test_long_sequences_are_cut_to_their_middle(source):
    whole, *_ = load_source(source(sequences=("a",)))
    (cut,) = load_source(source(sequences=("a",), max_frames=2))
    assert len(cut) == 2
    assert cut.files == whole.files[2:4]
    truth = whole.annotation
    assert (cut.read(1) == whole.read(3)).all()
    wanted = truth.boxes_xyxy[truth.rows_at(3)]
    assert (cut.annotation.boxes_xyxy[cut.annotation.rows_at(1)] == wanted).all()


def test_source_may_not_hold_what_is_validated_on(data, source):
    validation = load_sequences(data, "validation")
    require_disjoint(load_source(source(excluded_sequences=("b",))), validation)
    with pytest.raises(ConfigError, match=r"is in training .* and in validation .*extra_sources"):
        require_disjoint(load_source(source()), validation)


def test_message_names_the_settings_of_the_source(source):
    wrong = source(annotations=Path("nowhere.json"))
    with pytest.raises(DataError, match=r"Set data\.extra_sources\.root .*\.annotations"):
        load_source(wrong)
