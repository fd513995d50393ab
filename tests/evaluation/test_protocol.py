"""One number over several sources and changes, and what of it was trained on."""

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import pytest
from scenes import SyntheticConfig

from stdet.config import DataConfig, SourceConfig, StdetConfig
from stdet.datasets.splits import load_sequences
from stdet.evaluation.protocol import Protocol
from stdet.evaluation.robustness import robustness
from stdet.evaluation.trained_on import trained_sequences
from stdet.report.robustness_table import protocol_table

ROOT = Path(__file__).parents[2]
_SPEC = importlib.util.spec_from_file_location(
    "make_protocol_table", ROOT / "scripts" / "make_protocol_table.py"
)
script = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(script)


@pytest.fixture(scope="module")
def data(tmp_path_factory, write_coco_split) -> DataConfig:
    scenes = [
        SyntheticConfig(name=name, seed=seed, num_frames=8, hw=(64, 80), num_targets=1)
        for seed, name in enumerate(("a", "b"))
    ]
    return write_coco_split(tmp_path_factory.mktemp("camera"), scenes)


@pytest.fixture(scope="module")
def protocol(data) -> Protocol:
    def run(name):
        (source,) = data.train
        config = StdetConfig(data=replace(data, train=(replace(source, sequences=(name,)),)))
        return robustness(config, method="tophat", split="train", changes=["none", "polarity"])

    return Protocol(sources={"near": run("a"), "far": run("b")})


def test_headline_is_the_mean_of_all_sources_and_changes(protocol):
    pds = [
        result.overall.pd_at_0_05_per_frame
        for found in protocol.sources.values()
        for result in found.changes.values()
    ]
    assert len(pds) == 4
    assert protocol.headline == pytest.approx(sum(pds) / 4)
    means = [protocol.mean_of_source(name) for name in ("near", "far")]
    assert protocol.headline == pytest.approx(sum(means) / 2)
    assert protocol.to_dict()["headline"] == protocol.headline
    assert protocol.to_dict()["sources"]["far"]["changes"].keys() == {"none", "polarity"}


def test_what_is_undefined_is_left_out_of_the_means(protocol):
    near = protocol.sources["near"]
    none = near.changes["none"]
    undefined = replace(none, overall=replace(none.overall, pd_at_0_05_per_frame=math.nan))
    found = Protocol(sources={"near": replace(near, changes=near.changes | {"none": undefined})})
    assert found.headline == near.changes["polarity"].overall.pd_at_0_05_per_frame
    assert math.isnan(found.mean_of_change("none"))


def test_table_has_a_column_per_source_and_says_what_was_trained_on(protocol):
    lines = protocol_table(protocol).render("csv").splitlines()
    assert lines[0] == ",near,far,mean"
    assert [line.split(",")[0] for line in lines[1:]] == ["none", "polarity", "mean"]
    assert lines[3].split(",")[-1] == f"{protocol.headline:.3f}"
    near = replace(protocol.sources["near"], trained_on=("a",))
    known = Protocol(sources={**protocol.sources, "near": near})
    assert "trained on a: those are no scores" in protocol_table(known).render("text")


def test_published_table_is_that_of_the_run_and_refuses_what_was_trained_on(protocol):
    made = script.protocol_table(protocol.to_dict(), machine="any", date="2026-01-01")
    assert [column["name"] for column in made["columns"]] == ["change", "near", "far", "mean"]
    assert made["rows"][0] == [
        "none",
        *(protocol.pds_of(name)["none"] for name in ("near", "far")),
        pytest.approx(protocol.mean_of_change("none")),
    ]
    assert made["rows"][-1][1:] == pytest.approx(
        [protocol.mean_of_source("near"), protocol.mean_of_source("far"), protocol.headline]
    )
    content = protocol.to_dict()
    content["sources"]["far"]["trained_on"] = ["b"]
    with pytest.raises(ValueError, match="trained on b"):
        script.protocol_table(content, machine="any", date="2026-01-01")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, ("a", "b")),
        ({"sequences": ("b",)}, ("b",)),
        ({"excluded_sequences": ("a",)}, ("b",)),
        ({"root": Path("elsewhere")}, ()),
    ],
)
def test_sequences_are_trained_on_by_folder_and_name(data, source, expected):
    scored = load_sequences(data, "train")
    given = SourceConfig(**{"annotations": Path("labels.json"), **source})
    trained = DataConfig(root=data.root, train=(given,))
    assert trained_sequences([trained], scored, sources=[given]) == expected
    held_out = replace(trained, validation_sequences=("a", "b"))
    assert trained_sequences([held_out], scored, sources=[given]) == ()


@pytest.mark.parametrize("is_below", [True, False])
def test_folder_of_a_training_source_is_one_of_the_path(data, is_below):
    scored = load_sequences(data, "train")
    folder = Path(data.root).name
    roots = (Path("sets"), Path(folder)) if is_below else (Path("sets") / folder, Path())
    given = SourceConfig(root=roots[1], annotations=Path("labels.json"))
    trained = DataConfig(root=roots[0], train=(given,))
    assert trained_sequences([trained], scored, sources=[given]) == ("a", "b")
    elsewhere = DataConfig(root=Path("sets/other"), train=(replace(given, root=Path()),))
    assert trained_sequences([elsewhere], scored, sources=[given]) == ()


def test_another_label_file_of_the_same_folder_is_another_split(data):
    scored = load_sequences(data, "train")
    train = SourceConfig(annotations=Path("train.json"))
    trained = DataConfig(root=data.root, train=(train,))
    test = replace(train, annotations=Path("test.json"))
    assert trained_sequences([trained], scored, sources=[test]) == ()
    assert trained_sequences([trained], scored, sources=[test, train]) == ("a", "b")
