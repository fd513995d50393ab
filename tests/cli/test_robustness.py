import json

import pytest
from scenes import SyntheticConfig

MODEL = """
model:
  name: tiny
  in_channels: 1
  pixel_mean: [0.4]
  pixel_std: [0.2]
  backbone: {width: 0.0625, num_stages: 3}
  pyramid: {type: bp_fpn, output_stride: 4}
  temporal: {num_frames: 3, expansion: 1.0}
  head: {channels: 8, num_convs: 1}
postprocess: {max_detections: 5}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory, write_coco_split):
    root = tmp_path_factory.mktemp("data")
    scene = SyntheticConfig(name="a", num_frames=6, hw=(24, 32), num_targets=1)
    write_coco_split(root, [scene])
    path = root / "c.yaml"
    sources = "[{annotations: annotations/train.json}]"
    path.write_text(f"data: {{root: {root}, train: {sources}, test: {sources}}}\n{MODEL}")
    return path


def test_chosen_changes_are_scored_with_weights(cli, config, weights, tmp_path):
    out = tmp_path / "r.json"
    options = ("--weights", weights, "--split", "test", "--max-frames", "5", "--json", out)
    outcome = cli("robustness", config, *options, "--changes", "none", "roll")
    assert (outcome.code, outcome.err) == (0, [])
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["none", "roll", "mean"]
    assert lines[-1] == str(out)
    content = json.loads(out.read_text())
    assert content["confidence"] == 0.25  # Of the weights.
    assert len(content["weights_sha256"]) == 64
    assert content["changes"].keys() == {"none", "roll"}
    assert content["changes"]["none"]["num_targets"] == 5
    assert cli("robustness", config, *options).err[-1].endswith("pass --overwrite to replace it.")


def test_model_settings_can_be_overridden(cli, config, weights):
    options = ("--weights", weights, "--split", "test", "--changes", "roll")
    scores = [
        cli("robustness", config, *options, "--set", f"postprocess.confidence={value}").out
        for value in (0.0, 1.0)
    ]
    assert scores[0] != scores[1]


def test_ignored_zone_takes_its_targets_out(cli, refused, config, tmp_path):
    out = tmp_path / "r.json"
    options = ("--detector", "lcm", "--split", "test", "--changes", "none")
    zone = ("--ignore", "0,0,31,24")  # All but the last column.
    assert cli("robustness", config, *options, *zone, "--json", out).code == 0
    assert json.loads(out.read_text())["changes"]["none"]["num_targets"] == 0
    line = refused("robustness", config, *options, "--ignore", "0,0,33,24")
    assert line.startswith("stdet: a: --ignore 0,0,33,24: reaches outside of the frames")


def test_unknown_change_is_one_line_with_the_names(refused, config, weights):
    line = refused("robustness", config, "--weights", weights, "--changes", "spin")
    assert line.startswith("stdet: no change is named 'spin'; choose from none, roll, zoom, ")


def test_classical_detector_needs_no_weights(cli, config):
    options = ("--detector", "lcm", "--split", "test", "--changes", "h264", "--format", "csv")
    outcome = cli("robustness", config, *options)
    assert outcome.code == 0
    assert outcome.out.splitlines()[1].startswith("h264,")


def test_several_configurations_are_one_protocol(cli, refused, config, tmp_path):
    other = config.with_name("far.yaml")
    other.write_text(config.read_text())
    out = tmp_path / "r.json"
    options = ("--detector", "lcm", "--split", "test", "--changes", "none", "half")
    outcome = cli("robustness", config, other, *options, "--json", out, "--format", "csv")
    assert (outcome.code, outcome.err) == (0, [])
    lines = outcome.out.splitlines()
    assert lines[0] == ",c,far,mean"
    assert [line.split(",")[0] for line in lines[1:4]] == ["none", "half", "mean"]
    content = json.loads(out.read_text())
    assert content["sources"].keys() == {"c", "far"}
    pds = [c["pd_at_0_05_per_frame"] for c in content["sources"]["c"]["changes"].values()]
    assert content["headline"] == pytest.approx(sum(pds) / 2)
    line = refused("robustness", config, other, *options, "--json", other, "--overwrite")
    assert "is an input itself" in line
    same = tmp_path / config.name
    same.write_text(config.read_text())
    line = refused("robustness", config, same, *options)
    assert line.startswith("stdet: robustness: two CONFIGs are named c; ")


def test_what_the_last_configuration_lacks_is_said_before_the_first_is_scored(
    refused, config, monkeypatch
):
    other = config.with_name("lost.yaml")
    other.write_text(config.read_text().replace("train.json", "nowhere.json"))
    monkeypatch.setattr(
        "stdet.evaluation.robustness.score_changes", lambda *_args, **_: pytest.fail("scored")
    )
    options = ("--detector", "lcm", "--split", "test", "--changes", "none")
    assert "nowhere.json" in refused("robustness", config, other, *options)
