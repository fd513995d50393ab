import dataclasses
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.config import (
    AugmentConfig,
    ModelConfig,
    StdetConfig,
    config_from_dict,
    config_to_dict,
    load_config,
    save_config,
)
from stdet.datasets.clip_dataset import clip_shape
from stdet.errors import ConfigError
from stdet.models.build import build_detector

FOLDER = Path(__file__).parents[1] / "configs"
GRIDS = sorted((FOLDER / "ablation").glob("*.yaml"))  # Of `stdet ablate`; see test_grid.py.
CONFIGS = sorted(
    path
    for path in set(FOLDER.rglob("*.yaml")) - set(GRIDS)
    if "truth_sha256" not in path.read_text(encoding="utf-8")  # Those are of `stdet synth`.
)


@pytest.fixture
def load(tmp_path):
    """Load a YAML text."""

    def load_text(text: str, *overrides: str) -> StdetConfig:
        path = tmp_path / "c.yaml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, overrides)

    return load_text


@pytest.fixture
def refusal(load):
    """Return the one line with which a YAML text is refused."""

    def refuse(text: str, *overrides: str) -> str:
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return refuse


def test_empty_file_and_no_file_give_the_defaults(load):
    assert load("") == load("# nothing\n") == load_config(None) == StdetConfig()


def test_values_override_defaults_and_set_overrides_values(load):
    config = load("train: {epochs: 7, batch_size: 2}", "train.epochs=9", "model.name=x")
    assert (config.train.epochs, config.train.batch_size, config.model.name) == (9, 2, "x")
    assert config.train.seed == StdetConfig().train.seed


def test_later_override_wins(load):
    assert load("", "train.epochs=3", "train.epochs=4").train.epochs == 4


@pytest.mark.parametrize("text", ["1e-4", "1.0e-4", "0.0001"])
def test_every_spelling_of_a_small_number_is_read(load, text):
    assert load(f"train: {{learning_rate: {text}}}").train.learning_rate == 1e-4
    assert load("", f"train.learning_rate={text}").train.learning_rate == 1e-4


def test_override_takes_lists_and_null(load):
    config = load(
        "model: {input_hw: [64, 64]}", "model.input_hw=null", "data.leaked_sequences=[a, b]"
    )
    assert config.model.input_hw is None
    assert config.data.leaked_sequences == ("a", "b")


def test_all_unknown_keys_are_listed_with_the_nearest(refusal):
    message = refusal(
        "train: {learing_rate: 1, Epochs: 3}\nmodel: {head: {chanels: 3}}\ntrackers: {}"
    )
    for part in (
        "unknown key 'train.learing_rate' (did you mean 'train.learning_rate'?)",
        "unknown key 'train.Epochs' (did you mean 'train.epochs'?)",
        "unknown key 'model.head.chanels' (did you mean 'model.head.channels'?)",
        "unknown key 'trackers' (did you mean 'tracker'?)",
    ):
        assert part in message


def test_key_in_the_wrong_section_names_its_own(refusal):
    assert "'crop_hw' (did you mean 'train.augment.crop_hw'?)" in refusal("crop_hw: [8, 8]")
    assert "'model.gate_px' (did you mean 'tracker.gate_px'?)" in refusal("model: {gate_px: 8}")


def test_key_that_is_like_no_other_gets_the_list(refusal):
    assert "'model.zzz' (known here: backbone, background, head, " in refusal("model: {zzz: 1}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {epochs: 0}", "train.epochs: Input should be greater than or equal to 1, got 0"),
        ("train: {epochs: 2.5}", "train.epochs: Input should be a valid integer"),
        ("train: {epochs: many}", "train.epochs: Input should be a valid integer"),
        ("train: {learning_rate: .nan}", "train.learning_rate: Input should be a finite number"),
        (
            "evaluation: {pd_at_false_alarms: [0.1, 1, 0.1]}",
            "pd_at_false_alarms 0.1, 1, 0.1 repeats a rate",
        ),
        (
            "evaluation: {pd_at_false_alarms: [-1]}",
            "evaluation.pd_at_false_alarms[0]: Input should be greater than or equal to 0, got -1",
        ),
        ("tracker: {gate_px: .inf}", "tracker.gate_px: Input should be a finite number, got inf"),
        ("train: {optimizer: adam}", "'sgd' or 'adamw', got 'adam'"),
        ("data: {root: null}", "data.root: Input is not a valid path"),
        ("data: {validation_sequences: data19}", "should be a valid list, got 'data19'"),
        ("train: {augment: {crop_hw: [1, 2, 3]}}", "train.augment.crop_hw: List should have at"),
        ("model: {name: 5}", "model.name: Input should be a valid string, got 5"),
        ("train: 5", "train: expected a section of `key: value` lines, got 5"),
        ("train:\n# epochs: 3\n", "train: expected a section of `key: value` lines, got None"),
        ("train: {1: 2}", "unknown key 'train.1'"),
    ],
)
def test_wrong_value_names_its_key_and_what_it_got(refusal, text, message):
    assert message in refusal(text)


def test_every_error_of_a_file_is_listed_at_once(refusal):
    message = refusal(
        "train: {epochs: 0, learing_rate: 1, optimizer: adam}\n"
        "model: {temporal: {num_frames: 3, num_future_frames: 3}}\n"
        "tracker: {max_lost: -1}\n"
    )
    for part in ("learing_rate", "train.epochs", "train.optimizer", "num_future_frames 3 must"):
        assert part in message
    assert "tracker.max_lost" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {in_channels: 1}", "need 1 values (in_channels), got 3 and 3"),
        ("model: {pixel_std: [1, 0, 1]}", "pixel_std needs positive values"),
        ("model: {input_hw: [500, 512]}", "[500, 512] must be positive multiples of 32"),
        ("model: {input_hw: [0, 512]}", "must be positive multiples of 32"),
        ("model: {input_hw: [-32, 512]}", "must be positive multiples of 32"),
        (
            "model: {backbone: {num_stages: 3}, pyramid: {output_stride: 8}}",
            "output_stride 8 needs a deeper backbone than num_stages 3",
        ),
        ("train: {augment: {crop_hw: [0, 8]}}", "crop_hw needs positive sides"),
        ("train: {augment: {crop_hw: [200000, 200000]}}", "is more than 32,000,000 pixels"),
        ("model: {input_hw: [1000000000, 64]}", "is more than 32,000,000 pixels"),
        ("train: {augment: {scale_range: [0, 1]}}", "scale_range needs 0 < low <= high"),
        ("train: {augment: {gain_range: [2, 1]}}", "gain_range needs 0 < low <= high"),
        ("train: {augment: {gamma_range: [-1, 1]}}", "gamma_range needs 0 < low <= high"),
        ("train: {augment: {offset_range: [0.2, 0.1]}}", "offset_range needs low <= high"),
    ],
)
def test_values_that_do_not_go_together_are_refused(refusal, text, message):
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "holds a str"),
        ("- a\n- b", "holds a list"),
        ("train: {epochs: 3", "not valid YAML"),
        ("train:\n\tepochs: 3", r"'\t' that cannot start any token"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("train: {seed: !!timestamp 2024-13-45}", "not valid YAML (month must be in 1..12)"),
        ("train: {epochs: 3}\ntrain: {seed: 1}", "key 'train' occurs a second time in line 2"),
        ("train: {epochs: 3, epochs: 4}", "key 'epochs' occurs a second time in line 1"),
        ("\x00", "not valid YAML"),
        ("include: other.yaml", "include is 'other.yaml'; expected a list of file names"),
        ("model: &a {backbone: *a}", "the alias in line 1 refers to an anchor that holds it"),
    ],
)
def test_what_is_no_yaml_of_sections_is_refused_in_one_line(refusal, tmp_path, text, message):
    found = refusal(text)
    assert found.startswith(f"{tmp_path / 'c.yaml'}: ")
    assert message in found


def test_file_that_is_missing_a_folder_or_binary_is_named(tmp_path):
    binary = tmp_path / "weights.yaml"
    binary.write_bytes(b"\xd0\x00\xff")
    for path, message in [
        (tmp_path / "none.yaml", r"none\.yaml: does not exist; check the path"),
        (tmp_path, "is a folder; check the path"),
        (binary, r"weights\.yaml: not valid YAML"),
    ]:
        with pytest.raises(ConfigError, match=message):
            load_config(path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs", "expected key=value, such as train.epochs=10"),
        ("=3", "expected key=value"),
        ("train.epochs=[", "--set 'train.epochs=[': not valid YAML"),
        ("train.seed=!!int x", "not valid YAML ('x' is no int); write the value"),
        ("train.epochs=", "train.epochs: Input should be a valid integer, got None"),
        ("train.epoch=3", "did you mean 'train.epochs'?"),
        ("epochs=3", "did you mean 'train.epochs'?"),
        ("train=3", "train: expected a section"),
    ],
)
def test_wrong_override_is_refused(refusal, override, message):
    assert message in refusal("", override)


def test_included_files_are_laid_under_the_file_in_order(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text("train: {epochs: 1, seed: 1}\nmodel: {name: a}")
    (tmp_path / "sub" / "b.yaml").write_text("include: [a.yaml]\ntrain: {epochs: 2, seed: 2}")
    path = tmp_path / "c.yaml"
    path.write_text("include: [sub/b.yaml]\ntrain: {epochs: 3}")
    config = load_config(path)
    assert (config.train.epochs, config.train.seed, config.model.name) == (3, 2, "a")


def test_file_included_twice_side_by_side_is_no_loop(tmp_path):
    (tmp_path / "a.yaml").write_text("train: {epochs: 1}")
    (tmp_path / "b.yaml").write_text("include: [a.yaml]")
    (tmp_path / "c.yaml").write_text("include: [a.yaml, b.yaml]")
    assert load_config(tmp_path / "c.yaml").train.epochs == 1


def test_include_loop_and_missing_include_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("include: [b.yaml]")
    (tmp_path / "b.yaml").write_text("include: [../" + tmp_path.name + "/a.yaml]")
    with pytest.raises(ConfigError, match="includes itself"):
        load_config(tmp_path / "a.yaml")
    (tmp_path / "c.yaml").write_text("include: [gone.yaml]")
    with pytest.raises(ConfigError, match=r"gone\.yaml: does not exist"):
        load_config(tmp_path / "c.yaml")


def test_saving_and_loading_give_the_same_configuration(tmp_path):
    config = config_from_dict(
        {
            "data": {"root": "some/where", "validation_sequences": ["a", "1"]},
            "model": {"name": "null", "input_hw": [64, 96], "pyramid": {"type": "bp_fpn"}},
            "train": {"learning_rate": 1e-7, "augment": {"crop_hw": [8, 9]}},
            "postprocess": {"confidence": 0.1234567890123},
        },
        where="test",
    )
    path = tmp_path / "saved.yaml"
    save_config(config, path)
    assert load_config(path) == config


_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
"""What a name may hold."""


@settings(max_examples=30, deadline=None)
@given(
    rate=st.floats(1e-12, 1e6),
    name=st.text(_CHARACTERS, max_size=8),
    sequences=st.lists(st.text(_CHARACTERS, max_size=5), max_size=3),
)
def test_any_values_survive_the_round_trip(tmp_path_factory, rate, name, sequences):
    values = {
        "train": {"learning_rate": rate},
        "model": {"name": name},
        "data": {"leaked_sequences": sequences},
    }
    config = config_from_dict(values, where="test")
    assert config_from_dict(config_to_dict(config), where="test") == config
    path = tmp_path_factory.mktemp("round") / "c.yaml"
    save_config(config, path)
    assert load_config(path) == config


def test_configuration_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        StdetConfig().train.epochs = 3  # type: ignore[misc]


def test_checks_hold_for_configurations_made_in_python():
    with pytest.raises(ValueError, match="scale_range needs"):
        AugmentConfig(scale_range=(2.0, 1.0))
    with pytest.raises(ValueError, match="multiples of 32"):
        ModelConfig(input_hw=(100, 100))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configuration_loads_builds_and_runs(path):
    config = load_config(path)
    detector = build_detector(config.model).eval()
    shape = clip_shape(config.data, config.model)
    side = 2 * detector.size_divisor
    frames = torch.rand(1, shape.window_length, config.model.in_channels, side, side)
    with torch.inference_mode():
        outputs = detector(frames, torch.from_numpy(shape.context), torch.from_numpy(shape.keys))
    cells = side // config.model.pyramid.feature_stride
    assert outputs.obj_logits.shape == (len(shape.keys), 1, cells, cells)
    assert torch.isfinite(outputs.box_offsets).all()
    assert torch.isfinite(outputs.obj_logits).all()


def test_there_are_configurations_to_test():
    assert {"daub", "stdet_n", "yolo_bp_s"} <= {path.stem for path in CONFIGS}
