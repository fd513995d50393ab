import pytest

from stdet.dataset_synthesis.settings import (
    SynthConfig,
    list_recipes,
    load_synth_config,
    truth_hash,
)
from stdet.errors import ConfigError
from stdet.files.settings_file import check_settings

BENCHMARK = "configs/benchmarks/synth1.yaml"
GRID = {
    "seed": 1,
    "groups": [
        {
            "split": "val",
            "name": "g",
            "num_sequences": 2,
            "scene": {"num_frames": 3},
            "axes": {
                "scr": {
                    "low": {"targets": {"scr_range": [0.5, 0.9]}},
                    "high": {"targets": {"scr_range": [5, 6]}},
                },
                "camera": {"still": {"camera": {"motions": ["still"]}}, "any": {}},
            },
        }
    ],
}


def test_grid_gives_every_combination_with_its_settings():
    recipes = list_recipes(check_settings(SynthConfig, GRID, where="here"))
    assert [recipe.name for recipe in recipes] == [
        "g_low_still_0",
        "g_low_still_1",
        "g_low_any_0",
        "g_low_any_1",
        "g_high_still_0",
        "g_high_still_1",
        "g_high_any_0",
        "g_high_any_1",
    ]
    assert recipes[4].scene.targets.scr_range == (5, 6)
    assert recipes[4].scene.camera.motions == ("still",)
    assert recipes[6].scene.num_frames == 3
    assert len({recipe.seed for recipe in recipes}) == 8


def test_another_group_changes_no_sequence_that_was_there():
    more = {**GRID, "groups": [{"name": "new", "split": "val"}, *GRID["groups"]]}
    before = {r.name: r.seed for r in list_recipes(check_settings(SynthConfig, GRID, where="x"))}
    after = {r.name: r.seed for r in list_recipes(check_settings(SynthConfig, more, where="x"))}
    assert before.items() <= after.items()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scene: {num_frames: 3}", "seed is missing; add a line `seed: 0`"),
        ("seed: 0\nscene: {targets: {scr_range: [-1, 2]}}", "begins below 0"),
        ("seed: 0\nscene: {targets: {size_range: [1, 900]}}", "do not fit into frames"),
        ("seed: 0\nscene: {sensor: {drift_frames_range: [0, 9]}}", "a drift takes time"),
        ("seed: 0\nscene: {sensor: {crf_range: [16, 60]}}", "ends above 51"),
        ("seed: 0\nscene: {backgrund: {}}", "did you mean 'scene.background'"),
        ("seed: 0\ngroups: [{scene: {targets: {scr: 3}}}]", "groups[0].scene"),
        ("seed: 0\ngroups: [{name: a}, {name: a}]", "two sequences of 'train' are named 'a_0'"),
        ("seed: 0\ngroups: [{name: ../../a}]", "names sequences '../../a', which name folders"),
        ("seed: 0\ngroups: [{axes: {a: {b/c: {}}}}]", "names sequences 'synthetic_b/c'"),
        ("seed: 0\ngroups: [{num_sequences: 1000000000}]", "1,000,000,000 sequences; expected 1"),
        ("seed: 0\ngroups: []", "the groups have 0 sequences"),
        ("seed: 0\nscene: {num_frames: 1000000, hw: [512, 640]}", "do not fit into memory"),
        ("seed: 0\nscene: {hw: [1000000000, 1000000000]}", "do not fit into memory"),
        ("seed: 0\nscene: {distractors: {birds_range: [0, 99999]}}", "ends above 1000"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_synth_config(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_benchmark_is_the_full_grid_and_its_truth_is_the_pinned_one():
    config = load_synth_config(BENCHMARK)
    recipes = list_recipes(config)
    by_split = {
        split: [recipe.name for recipe in recipes if recipe.split == split]
        for split in ("train", "val", "test")
    }
    assert len(by_split["train"]) == 60
    cells = {
        f"{tier}_{many}_{camera}_{copy}"
        for tier in ("scr0to1", "scr1to3", "scr3to6", "scr6up")
        for many in ("one", "many")
        for camera in ("still", "moving")
        for copy in (0, 1)
    }
    assert set(by_split["val"]) == set(by_split["test"]) == cells
    assert len({recipe.seed for recipe in recipes}) == len(recipes)
    assert truth_hash(recipes) == config.truth_sha256
