import json

import pytest

MODEL = """
model:
  name: small
  in_channels: 1
  pixel_mean: [0.4]
  pixel_std: [0.2]
  backbone: {width: 0.0625, num_stages: 3}
  pyramid: {output_stride: 4}
  temporal: {num_frames: 3, expansion: 1.0}
  head: {channels: 8, num_convs: 1}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(MODEL)
    return path


def test_text_says_what_the_model_costs(cli, config):
    outcome = cli("info", config, "--size", "64x96")
    assert (outcome.code, outcome.err) == (0, [])
    assert outcome.out.startswith("small: 3 frames of 64x96 (height x width)\n")
    for word in ("backbone", "pyramid", "temporal", "head", "GFLOP", "feature_stride 4 px"):
        assert word in outcome.out
    for word in ("plain FPN", "high resolution", "hourglass", "BP-FPN", "blur_pool + concat"):
        assert f"\n{word} " in outcome.out


def test_json_holds_the_numbers_of_the_model_and_of_every_pyramid(cli, config, tmp_path):
    path = tmp_path / "info.json"
    assert cli("info", config, "--json", path).out.endswith(f"{path}\n")
    content = json.loads(path.read_text())
    assert content.keys() == {"model", "fpn", "high_resolution", "hourglass", "bp_fpn", "gils"}
    assert len(content["gils"]) == 8
    assert content["gils"]["max_pool + add"].keys() == {"parameters", "gflop"}
    assert content["high_resolution"]["feature_stride"] == 2
    assert content["model"] == content["fpn"]
    model = content["model"]
    assert model["input_hw"] == [256, 256]
    assert model["inference_parameters"] == sum(model["parameters"].values())
    assert model["parameters"].keys() == {"backbone", "pyramid", "temporal", "head"}
    per_frame = model["gflop"]["backbone"] + model["gflop"]["pyramid"]
    once = model["gflop"]["temporal"] + model["gflop"]["head"]
    assert model["gflop_per_clip"] == pytest.approx(3 * per_frame + once)
    assert model["gflop_per_frame"] == pytest.approx(per_frame + once)
    assert content["bp_fpn"]["inference_parameters"] > model["inference_parameters"]


def test_override_changes_the_model(cli, config):
    outcome = cli(
        "info", config, "--set", "model.name=other", "--set", "model.pyramid.type=bp_fpn"
    )
    assert outcome.out.startswith("other: ")


def test_scales_are_counted_together(cli, config, tmp_path):
    path = tmp_path / "info.json"
    outcome = cli("info", config, "--set", "model.scales=[1, 2]", "--json", path)
    model = json.loads(path.read_text())["model"]
    assert model["gflop_of_all_scales"] == pytest.approx(1.25 * model["gflop_per_frame"])
    wanted = f"full size, 1/2: {model['gflop_of_all_scales']:.3f} GFLOP per frame in all"
    assert wanted in outcome.out


@pytest.mark.parametrize(("size", "padded"), [("63x65", "64x72"), ("4x4", "8x8")])
def test_native_size_is_padded_as_it_is_when_the_model_runs(cli, config, size, padded):
    outcome = cli("info", config, "--size", size)
    assert outcome.code == 0
    assert f"3 frames of {padded} " in outcome.out


def test_existing_json_is_replaced_only_when_asked_to(cli, refused, config, tmp_path):
    path = tmp_path / "info.json"
    path.write_text("mine")
    assert "already there; pass --overwrite" in refused("info", config, "--json", path)
    assert path.read_text() == "mine"
    assert cli("info", config, "--json", path, "--overwrite").code == 0
    assert json.loads(path.read_text())["model"]["name"] == "small"


def test_json_that_cannot_be_written_is_refused_at_once(refused, config, tmp_path):
    line = refused("info", config, "--json", tmp_path / "none" / "i.json")
    assert f"its folder does not exist; create {tmp_path / 'none'}" in line
    assert "is a folder" in refused("info", config, "--json", tmp_path, "--overwrite")
