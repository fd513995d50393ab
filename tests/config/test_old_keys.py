from pathlib import Path

import pytest

from stdet.config import DataConfig, config_from_dict, load_config
from stdet.config.old_keys import convert_old_data, explain_old_data
from stdet.errors import ConfigError
from stdet.files.settings_file import check_settings
from stdet.inference.checkpoint import load_weights
from stdet.inference.weights_files import shipped_weights

MIXED = Path(__file__).parents[2] / "configs" / "mixed.yaml"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"train_annotations": "a.json", "boxes": "point"},
            "train_annotations, boxes are no longer read; write "
            'train: [{"annotations": "a.json", "boxes": "point"}]',
        ),
        (
            {"validation_annotations": "v.json", "format": "text"},
            'write train: [{"annotations": "annotations/instances_train2017.json", "format": '
            '"text"}], validation: [{"annotations": "v.json", "format": "text"}], test: [{',
        ),
        (
            {"validation_annotations": "v.json"},
            'is no longer read; write validation: [{"annotations": "v.json"}].',
        ),
        (
            {"test_annotations": "t.json", "test_sequences": ["a"]},
            'test_sequences are no longer read; write test: [{"annotations": "t.json", '
            '"sequences": ["a"]}]',
        ),
        (
            {"root": "data/daub", "extra_sources": [{"root": "data/sky", "annotations": "c.csv"}]},
            '{"root": "../sky", "annotations": "c.csv"}]',
        ),
        (
            {"num_generated": 7, "generated_weight": 0.5},
            '{"format": "generated", "num_sequences": 7, "weight": 0.5}]',
        ),
    ],
)
def test_old_key_is_answered_with_what_to_write(given, message):
    assert message in f"{explain_old_data(given)}."
    with pytest.raises(ConfigError) as refused:
        config_from_dict({"data": given}, where="old.yaml")
    assert message in str(refused.value)
    assert str(refused.value).startswith("old.yaml: data: ")
    check_settings(DataConfig, convert_old_data(given), where="new")  # It is accepted.


def test_long_value_is_cut_in_the_message():
    names = [f"sequence{number}" for number in range(1000)]
    assert len(explain_old_data({"train_sequences": names})) < 600


def test_present_keys_come_back_as_they_are():
    given = {"root": "x", "validation_sequences": ["a"], "train": [{"annotations": "a"}]}
    assert explain_old_data(given) is None
    assert convert_old_data(given) is given


def test_old_choice_of_training_keeps_its_validation():
    old = {"train_sequences": ["a"], "validation_sequences": ["b"], "train_annotations": "l.json"}
    assert convert_old_data(old) == {
        "train": [{"annotations": "l.json", "sequences": ["a"]}],
        "validation": [{"annotations": "l.json", "sequences": ["b"]}],
        "test": [{"annotations": "annotations/instances_test2017.json"}],
    }


def _sources(data):
    return [(s.root.name, s.format, s.boxes, s.weight) for s in data.train[1:]]


def test_shipped_weights_of_the_old_form_say_what_they_were_trained_on():
    stored = load_weights(shipped_weights()["stdet_s"]).config.data
    assert isinstance(stored, DataConfig)
    assert _sources(stored) == [
        ("drone_ir", "videos", "core", 0.6),
        ("antiuav", "videos", "box", 0.1),
        ("saitd", "centroids", "point", 0.1),
        ("sky", "centroids", "point", 0.15),
    ]


def test_shipped_weights_were_trained_on_what_the_recipe_names():
    stored = load_weights(shipped_weights()["stdet_n"]).config.data
    assert _sources(stored) == _sources(load_config(MIXED).data)
