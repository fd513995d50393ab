"""What a fold leaves out is never trained on, and everything is left out once."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from stdet.config import DataConfig, SourceConfig, StdetConfig
from stdet.datasets.splits import load_sequences

SEGMENTS = [f"data{number}" for number in (1, 2, 3, 4, 5, 6)]
CLIPS = [f"IR_{kind}_{number:03}" for kind in ("BIRD", "DRONE") for number in range(7)]


@pytest.fixture
def module(monkeypatch):
    """The module, with the folder of its neighbours on the path."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    import leave_one_out

    yield leave_one_out
    for name in ("leave_one_out", "drone_ir"):
        sys.modules.pop(name, None)


@pytest.fixture
def recipe(split_writer):
    """Six segments and a source of 14 clips, of which the recipe excludes one."""
    frames = [np.zeros(split_writer.hw, np.uint8)] * 3
    names = SEGMENTS + CLIPS
    corners = {name: split_writer.path(seed, 3) for seed, name in enumerate(names)}
    images = dict.fromkeys(names, frames)
    root = split_writer.write(
        {
            "segments": {name: corners[name] for name in SEGMENTS},
            "clips": {name: corners[name] for name in CLIPS},
        },
        images=images,
    )
    source = SourceConfig(
        annotations=Path("annotations/clips.json"),
        excluded_sequences=(CLIPS[3],),
    )
    data = DataConfig(
        root=root,
        train=(SourceConfig(annotations=Path("annotations/segments.json")), source),
    )
    return StdetConfig(data=data)


def test_folds_score_everything_once_and_train_on_the_rest(module, recipe, tmp_path, monkeypatch):
    trained, scored = [], []

    def train(config, run_dir):
        run_dir.mkdir(parents=True)
        trained.append({s.name for s in load_sequences(config.data, "train")})
        scored.append([])

    def detect(weights, sequences):
        scored[-1] += [s.name for s in sequences]
        return []

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "detect", detect)
    folds = module.make_folds(recipe)
    assert [fold.segment for fold in folds] == SEGMENTS
    for fold in folds:
        module.held_out(recipe, fold, 0, tmp_path / "runs")
    # What the recipe excludes is scored, too.
    assert Counter(name for names in scored for name in names) == Counter(SEGMENTS + CLIPS)
    for fold, names_trained, names_scored in zip(folds, trained, scored, strict=True):
        held = {fold.segment, *fold.parts[0]}
        assert names_trained == set(SEGMENTS + CLIPS) - held - {CLIPS[3]}
        assert set(names_scored) <= held
    # The sixth segment leaves out the first fold's clips again, and does not score them.
    assert folds[5].parts == folds[0].parts
    assert scored[5] == [SEGMENTS[5]]


def test_every_part_has_its_share_of_each_class(module):
    counts = {"BIRD": 11, "DRONE": 9}
    names = [f"IR_{kind}_{n:03}" for kind, count in counts.items() for n in range(count)]
    parts = [module.every_fifth(names, part) for part in range(5)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    for kind, count in counts.items():
        sizes = [sum(kind in name for name in part) for part in parts]
        assert sum(sizes) == count
        assert max(sizes) - min(sizes) <= 1


def test_finished_fold_is_read_and_not_trained_again(module, recipe, tmp_path, monkeypatch):
    def train(config, run_dir):
        run_dir.mkdir(parents=True)

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "detect", lambda weights, sequences: [])
    fold = module.make_folds(recipe)[0]
    first = module.held_out(recipe, fold, 0, tmp_path)

    def fail(config, run_dir):
        raise AssertionError("trained again")

    monkeypatch.setattr(module, "train", fail)
    assert module.held_out(recipe, fold, 0, tmp_path) == first
