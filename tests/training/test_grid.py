from pathlib import Path

import pytest

from stdet.errors import ConfigError
from stdet.models.build import build_detector
from stdet.training.grid import read_grid

GRIDS = sorted((Path(__file__).parents[2] / "configs" / "ablation").glob("*.yaml"))


@pytest.fixture
def grid(tmp_path):
    """Read a grid over a small base."""
    (tmp_path / "base.yaml").write_text("train: {epochs: 7, batch_size: 2}")

    def read(text, *overrides):
        path = tmp_path / "grid.yaml"
        path.write_text(text)
        return read_grid(path, overrides)

    return read


def test_cells_are_variants_times_seeds_each_with_its_own_values(grid, tmp_path):
    found = grid(
        "base: base.yaml\nsplit: validation\nseeds: [3, 1]\nvariants:\n"
        "  a: {}\n  b: {train: {epochs: 5}, data: {validation_sequences: [x, '1']}}"
    )
    assert (found.split, found.seeds, list(found.variants)) == ("validation", (3, 1), ["a", "b"])
    cells = list(found.cells(tmp_path))
    assert [(c.variant, c.seed) for c in cells] == [("a", 3), ("b", 3), ("a", 1), ("b", 1)]
    assert cells[3].run_dir == tmp_path / "b" / "seed1"
    for cell in cells:
        assert cell.config.train.seed == cell.seed
        assert cell.config.train.epochs == (5 if cell.variant == "b" else 7)
        assert cell.config.train.batch_size == 2
    assert cells[1].config.data.validation_sequences == ("x", "1")


def test_folds_are_crossed_with_variants_and_seeds(grid, tmp_path):
    found = grid(
        "base: base.yaml\nseeds: [0, 1]\nvariants: {a: {}, b: {train: {epochs: 5}}}\n"
        "folds: {x: [x1, x2], y: [y]}"
    )
    cells = list(found.cells(tmp_path))
    assert [fold.name for fold in found.folds] == ["x", "y"]
    assert [(c.seed, c.variant, c.fold.name) for c in cells] == [
        (seed, variant, fold) for seed in (0, 1) for variant in "ab" for fold in "xy"
    ]
    for cell in cells:
        (train,), (test,) = cell.config.data.train, cell.config.data.test
        assert test.sequences == train.excluded_sequences
        assert test.sequences == {"x": ("x1", "x2"), "y": ("y",)}[cell.fold.name]
        assert cell.run_dir == tmp_path / cell.variant / f"seed{cell.seed}" / cell.fold.name
    assert found.variants["b"].data.train[0].excluded_sequences == ()


def test_rules_differ_for_a_source_that_the_grid_names(grid, tmp_path):
    text = (
        "base: base.yaml\nvariants: {a: {data: {train: [{root: sky, annotations: a.json},"
        " {root: saitd, annotations: a.json}]}}}\n"
        "folds: {x: {sky: [x], saitd: [x]}, y: {sky: [y]}}\n"
        "evaluation: {sky: {pd_radius_px: 6}}"
    )
    found = grid(text, "evaluation.track_gate_px=9")
    config = next(found.cells(tmp_path)).config
    sky, saitd = (found.rules_of(source, config) for source in config.data.test)
    assert (sky.pd_radius_px, sky.track_gate_px) == (6, 9)
    assert saitd == config.evaluation
    with pytest.raises(
        ConfigError, match=r"evaluation of sky: unknown key .evaluation\.pd_radius'"
    ):
        grid(text.replace("radius_px: 6", "radius: 6"))


def test_overrides_lie_over_the_base_and_under_the_variants(grid):
    text = "base: base.yaml\nvariants: {a: {}, b: {train: {epochs: 5}}}"
    variants = grid(text, "train.epochs=2").variants
    assert [config.train.epochs for config in variants.values()] == [2, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: base.yaml\nvariants:\n  a: {}\n  a: {}", "key 'a' occurs a second time in line 4"),
        ("base: base.yaml\nvariants: {a: {}}\nseed: [1]", "unknown key seed; expected base"),
        ("base: base.yaml\nvariants: {}", "has no variants"),
        ("variants: {a: {}}", "has no base"),
        ("base: base.yaml\nvariants: {a: {}}\nseeds: []", r"seeds is \[\]"),
        ("base: base.yaml\nvariants: {a: {}}\nseeds: [1, 1]", r"seeds is \[1, 1\]"),
        ("base: base.yaml\nvariants: {a: {}}\nsplit: train", "split is 'train'"),
        ("base: base.yaml\nvariants: {../a: {}}", "variant '../a' names a folder"),
        ("base: base.yaml\nvariants: {1: {}}", "variant 1 names a folder"),
        ("base: base.yaml\nvariants: {a: 3}", "variant a is 3; expected sections"),
        ("base: base.yaml\nvariants: {a: {model: {pyramd: 1}}}", "variant a: .*'model.pyramid'"),
        ("base: base.yaml\nvariants: {a: {}}\nfolds: {}", "has no folds"),
        ("base: base.yaml\nvariants: {a: {}}\nfolds: {a/b: {}}", "fold 'a/b' names a folder"),
        ("base: base.yaml\nvariants: {a: {}}\nfolds: {x: [a]}", "has one fold; .* two"),
        (
            "base: base.yaml\nvariants: {a: {}}\nsplit: test\nfolds: {x: [a], y: [b]}",
            "has split and folds",
        ),
        (
            "base: base.yaml\nvariants: {a: {}}\nfolds: {x: [a], y: {sky: [b]}}",
            "fold y names source 'sky'",
        ),
        (
            "base: base.yaml\nvariants: {a: {}}\nevaluation: {sky: {pd_radius_px: 6}}",
            "names source 'sky', .*none, without folds",
        ),
        ("base: base.yaml\nvariants: {a: {}}\nevaluation: {sky: 6}", "evaluation is {'sky': 6}"),
        (
            "base: base.yaml\nvariants: {a: {train: {epochs: yes}}}",
            r"grid\.yaml: variant a: train\.epochs: .*got 'yes'",
        ),
        ("base: base.yaml\nvariants: {a: {}}\nseeds: [true]", r"seeds is \[True\]"),
        ("base: base.yaml\nvariants: {a: {}}\nseeds: [-1]", r"grid\.yaml: seeds: train\.seed: "),
        ("base: gone.yaml\nvariants: {a: {}}", r"gone\.yaml: does not exist"),
        (f"base: base.yaml\nvariants: {{a: {{}}}}\nseeds: {list(range(1001))}", "1,001 trainings"),
        (f"base: base.yaml\nvariants: {{{'a' * 101}: {{}}}}", "up to 100 letters"),
        ("- a", "holds a list"),
        ("a: [", "not valid YAML"),
    ],
)
def test_grid_that_is_wrong_is_refused_in_one_line(grid, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        grid(text)
    assert "\n" not in str(caught.value)
    assert "grid.yaml: " in str(caught.value)


def test_wrong_override_of_a_grid_is_under_its_own_name(grid):
    with pytest.raises(ConfigError, match=r"grid\.yaml: --set: train\.epochs: .*got 'x'"):
        grid("base: base.yaml\nvariants: {a: {}}", "train.epochs=x")


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_shipped_grid_reads_and_its_variants_differ_in_the_model_alone(path):
    variants = read_grid(path).variants
    models = {config.model for config in variants.values()}
    assert len(models) == len(variants)
    first, *others = [config.data for config in variants.values()]
    assert all(other == first for other in others)
    assert len({config.train for config in variants.values()}) == 1
    for model in models:
        build_detector(model)


def test_there_are_grids_to_test():
    assert {"pyramids", "gils", "dgr", "daub"} <= {path.stem for path in GRIDS}
