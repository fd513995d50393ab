"""What a fold leaves out is never trained on, and what two folds score is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stdet.config import DataConfig, SourceConfig, StdetConfig
from stdet.datasets.splits import load_sequences
from stdet.errors import ConfigError, DataError
from stdet.training.folds import check_folds, leave_out, parse_fold

SEGMENTS = ["data1", "data2", "data3"]
CLIPS = ["clip1", "clip2", "clip3", "clip4"]


@pytest.fixture
def config(split_writer):
    """A source of three segments and one of four clips, of which clip4 is excluded."""
    frames = [np.zeros(split_writer.hw, np.uint8)] * 3
    sources = []
    for name, sequences in (("segments", SEGMENTS), ("clips", CLIPS)):
        writer = type(split_writer)(split_writer.root / name)
        writer.root.mkdir()
        corners = {sequence: writer.path(seed, 3) for seed, sequence in enumerate(sequences)}
        writer.write({"all": corners}, images=dict.fromkeys(sequences, frames))
        sources.append(SourceConfig(root=Path(name), annotations=Path("annotations/all.json")))
    sources[1] = replace(sources[1], excluded_sequences=("clip4",))
    return StdetConfig(data=DataConfig(root=split_writer.root, train=tuple(sources)))


def fold(content, name="a"):
    return parse_fold(Path("grid.yaml"), name, content)


def names(config, split):
    return [sequence.name for sequence in load_sequences(config.data, split)]


def test_fold_is_scored_on_what_it_takes_out_of_training(config):
    cell = leave_out(config, fold({"segments": ["data2"], "clips": ["clip1", "clip4"]}))
    assert names(cell, "train") == ["data1", "data3", "clip2", "clip3"]
    # What the configuration excludes from training is scored, too.
    assert names(cell, "test") == ["data2", "clip1", "clip4"]


def test_unscored_sequences_are_left_out_of_training_alone(config):
    cell = leave_out(config, fold({"segments": ["data2"], "unscored": {"clips": ["clip1"]}}))
    assert names(cell, "train") == ["data1", "data3", "clip2", "clip3"]
    assert names(cell, "test") == ["data2"]


def test_whole_source_is_left_out(config):
    cell = leave_out(config, fold({"clips": ["*"]}))
    assert names(cell, "train") == SEGMENTS
    assert names(cell, "test") == CLIPS
    with pytest.raises(ConfigError, match=r"fold a leaves nothing of data\.train"):
        leave_out(config, fold({"clips": ["*"], "segments": ["*"]}))


def test_list_is_of_the_only_source(config):
    alone = replace(config, data=replace(config.data, train=config.data.train[:1]))
    cell = leave_out(alone, fold(["data1"]))
    assert names(cell, "train") == ["data2", "data3"]
    assert names(cell, "test") == ["data1"]
    with pytest.raises(ConfigError, match=r"fold a is a list, but .* lists by source: segments"):
        leave_out(config, fold(["data1"]))


def test_source_that_is_not_there_or_not_told_apart_is_refused(config):
    with pytest.raises(ConfigError, match=r"source 'sky', .* 0 sources .*\(segments, clips"):
        leave_out(config, fold({"sky": ["a"]}))
    twice = replace(config, data=replace(config.data, train=(config.data.train[0],) * 2))
    with pytest.raises(ConfigError, match=r"source 'segments', .* 2 sources"):
        leave_out(twice, fold({"segments": ["data1"]}))


def test_source_that_is_listed_for_test_alone_is_scored_and_in_no_training(config):
    segments, clips = config.data.train
    alone = replace(config, data=replace(config.data, train=(segments,), test=(segments, clips)))
    cell = leave_out(alone, fold({"segments": ["data2"], "clips": ["clip1", "clip4"]}))
    assert names(cell, "train") == ["data1", "data3"]
    assert names(cell, "test") == ["data2", "clip1", "clip4"]
    whole = leave_out(alone, fold({"clips": ["*"]}))
    assert names(whole, "train") == SEGMENTS
    folds = [fold({"segments": ["data2"]}, "a"), fold({"clips": ["clip2"]}, "b")]
    found = check_folds(alone.data, folds)
    assert [sequence.name for sequence in found["clips"]] == ["clip2"]
    # The standing test split need not be there where no fold names it.
    assert "clips" not in check_folds(alone.data, folds[:1])


def test_what_is_excluded_and_no_fold_names_is_not_read(config):
    segments, clips = config.data.train
    excluding = replace(
        config.data, train=(replace(segments, excluded_sequences=("data3",)), clips)
    )
    cell = leave_out(replace(config, data=excluding), fold({"segments": ["data2"]}))
    assert "data3" in cell.data.test[0].excluded_sequences
    assert names(cell, "test") == ["data2"]
    found = check_folds(excluding, [fold({"segments": ["data1", "data2"]})])
    assert [sequence.name for sequence in found["segments"]] == ["data1", "data2"]
    cell = leave_out(replace(config, data=excluding), fold({"segments": ["data3"]}))
    assert names(cell, "test") == ["data3"]


@pytest.mark.parametrize("key", ["scored", "unscored"])
def test_sequence_that_is_not_there_is_refused_with_the_nearest_name(config, key):
    content = {"segments": ["data1"]}
    content |= {"clips": ["clip9"]} if key == "scored" else {"unscored": {"clips": ["clip9"]}}
    with pytest.raises(DataError, match=r"fold a: clips names 'clip9', .*did you mean 'clip"):
        check_folds(config.data, [fold(content)])


def test_sequence_that_two_folds_score_is_refused(config):
    folds = [
        fold({"segments": ["data1"], "clips": ["clip2"]}, "a"),
        fold({"segments": ["data2"], "clips": ["clip1", "clip2"]}, "b"),
    ]
    with pytest.raises(ConfigError, match="folds a and b both score clip2 of clips"):
        check_folds(config.data, folds)
    unscored = fold(
        {"segments": ["data2"], "clips": ["clip1"], "unscored": {"clips": ["clip2"]}}, "b"
    )
    found = check_folds(config.data, [folds[0], unscored])
    assert {source: [s.name for s in found[source]] for source in found} == {
        "segments": ["data1", "data2"],
        "clips": ["clip2", "clip1"],
    }


def test_all_sequences_by_name_are_refused_in_favour_of_the_star(config):
    with pytest.raises(ConfigError, match=r"fold a names all sequences of clips; write \['\*'\]"):
        check_folds(config.data, [fold({"clips": CLIPS})])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (3, "is 3; expected sequences by source"),
        ({}, "leaves out nothing that is scored"),
        ({"unscored": {"a": ["b"]}}, "leaves out nothing that is scored"),
        ({"a": ["b"], "unscored": ["c"]}, "unscored is"),
        ({"a": "b"}, "'a' has 'b'; expected a list"),
        ({"a": []}, "expected a list"),
        ({"a": [20190925]}, "in quotes where they read as numbers"),
        ({"a": ["b", "b"]}, "list of different"),
        ({"a": ["*", "b"]}, "'\\*' is all of the source"),
        ({"data": {"validation_sequences": ["b"]}}, "'data' has .*expected a list"),
    ],
)
def test_fold_that_is_wrong_is_refused_in_one_line(content, message):
    with pytest.raises(ConfigError, match=rf"^grid\.yaml: fold a.*{message}") as caught:
        fold(content)
    assert "\n" not in str(caught.value)
