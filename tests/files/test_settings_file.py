"""Settings that a slip of the pen or an attacker writes: one line, with the place."""

import os
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.config import StdetConfig, config_to_dict, load_config
from stdet.dataset_synthesis.settings import SynthConfig
from stdet.errors import ConfigError
from stdet.files.settings_file import check_settings, merge_settings, read_settings
from stdet.models.build import MAX_PARAMETERS, build_detector

SOURCE = "root: a, format: coco"


@pytest.fixture
def refusal(tmp_path):
    """Return the one line with which a YAML text is refused."""

    def refuse(text, *overrides):
        path = tmp_path / "c.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_config(path, overrides)
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 5000
        return message

    return refuse


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            f"data: {{train: [{{{SOURCE}, annotations: b}}, {{{SOURCE}, anotations: b}}]}}\n",
            [
                "unknown key 'data.train[1].anotations' "
                "(did you mean 'data.train[1].annotations'?)",
            ],
        ),
        (
            f"data: {{train: [{{{SOURCE}, annotations: b, wieght: 1}}]}}",
            ["unknown key 'data.train[0].wieght' (did you mean "],
        ),
        ("data: {train: [7]}", ["data.train[0]: expected a section"]),
        ("data: {train: {a: 1}}", ["data.train: Input should be a valid list"]),
        ("data: {max_frames: 3}", ["did you mean 'data.train[0].max_frames' or 'data.vali"]),
        ("data: {subsets: {a: 3, 1: b}}", ["data.subsets.a: Input should be a valid string"]),
    ],
)
def test_key_inside_a_list_is_named_with_its_place(refusal, text, messages):
    found = refusal(text)
    assert all(message in found for message in messages)


def test_group_of_a_generated_data_set_has_the_same_hints():
    with pytest.raises(ConfigError, match=r"'groups\[1\].nam' \(did you mean 'groups\[1\].name'"):
        check_settings(SynthConfig, {"groups": [{}, {"nam": "x"}]}, where="s.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {seed: 99999999999}", "train.seed: 99999999999 is too large"),
        ("train: {epochs: 1e400}", "train.epochs: Input should be a finite number"),
        ("train: {learning_rate: 1e400}", "train.learning_rate: Input should be a finite"),
        ("tracker: {gate_px: 1e300}", "tracker.gate_px: 1e+300 is too large"),
        ("train: {num_workers: 100000}", "train.num_workers: Input should be less than"),
        ("train: {batch_size: 2000000000}", "train.batch_size: Input should be less than"),
        ('data: {root: "a\\0b"}', r"data.root: 'a\x00b' holds characters that no name has"),
        ('data: {root: "\\ud800"}', r"data.root: '\ud800' holds characters"),
        ('data: {subsets: {"\\udce9": a}}', r"data.subsets: '\udce9' holds characters"),
        ('data: {validation_sequences: [a, "\\0"]}', "data.validation_sequences[1]: "),
        ("train: {seed: !!binary aGVsbG8=}", "train.seed: Input should be a valid integer"),
        ("train: {epochs: !!set {a, b}}", "train.epochs: Input should be a valid integer"),
        ("train: {epochs: 2001-01-01}", "got '2001-01-01'"),
        ("!!binary aGVsbG8=: 1", "unknown key"),
        ("? 2001-01-01\n: 3\n~: 4", "unknown key 'None'"),
        (f"data: {{validation_sequences: [{'1, ' * 5000}]}}", "and 4980 more problems"),
        (f"data: {{root: [{'x, ' * 5000}]}}", "data.root: Input is not a valid path"),
        (f"train: {{device: [{'[' * 25}{']' * 25}]}}", "train.device: Input should be a valid"),
        (f"? {'x' * 100_000}\n: 1", "unknown key 'xxx"),
    ],
)
def test_value_that_nothing_can_use_is_refused(refusal, text, message):
    assert message in refusal(text)


@pytest.mark.parametrize("field", ["epochs", "learning_rate"])
@pytest.mark.parametrize(
    "value",
    [
        *("true", "False", "yes", "no", "on", "Off", "1:30", "1:30.5", "1_000", "0b11"),
        *("'3'", "2024-01-01", "!!bool true"),
    ],
)
def test_what_is_no_number_is_refused_for_one_by_name(refusal, field, value):
    for text, override in (
        (f"train: {{{field}: {value}}}", ()),
        ("", (f"train.{field}={value}",)),
    ):
        found = refusal(text, *override)
        assert f"train.{field}: " in found
        assert "got " in found


def test_what_is_no_number_is_refused_in_lists_and_pairs(refusal):
    found = refusal(
        "train: {augment: {scale_range: [true, 2], frame_strides: [1, '2']}}\n"
        f"data: {{train: [{{{SOURCE}, annotations: b, weight: true}}]}}"
    )
    assert "train.augment.scale_range[0]: expected a number, got True" in found
    assert "train.augment.frame_strides[1]: expected a number, got '2'" in found
    assert "data.train[0].weight: expected a number, got True" in found


def test_numbers_and_names_are_read_as_they_look(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "train: {learning_rate: 1e-3, epochs: 1e1, seed: 010}\n"
        "data: {validation_sequences: [on, 1:30, 2024-01-01, 1_000, no]}"
    )
    config = load_config(path, ["train.weight_decay=5E-4"])
    assert (config.train.learning_rate, config.train.epochs) == (1e-3, 10)
    assert (config.train.seed, config.train.weight_decay) == (10, 5e-4)
    assert config.data.validation_sequences == ("on", "1:30", "2024-01-01", "1_000", "no")


@pytest.mark.parametrize(
    ("text", "overrides", "messages"),
    [
        ("train: {seed: 1}", ["train.epochs=x"], ["--set: train.epochs: "]),
        ("train: {seed: 1}", ["train.epoch=1"], ["--set: unknown key 'train.epoch'"]),
        ("train: {epochs: y}", ["train.epochs=x"], ["--set: train.epochs: "]),
        ("train: {epochs: y}", ["train.seed=3"], ["c.yaml: train.epochs: "]),
        (
            "train: {epochs: y}",
            ["train.seed=x", "model.x=1"],
            ["c.yaml: train.epochs: ", ". --set: ", "train.seed: ", "; unknown key 'model.x'"],
        ),
        (
            "train: {seed: 1}",
            ["data.train=[{annotations: a, boxes: point}]"],
            ["--set: configuration: boxes: point"],
        ),
        ("train: {seed: 1}", ["train=3"], ["--set: train: is 3 in one place"]),
    ],
)
def test_wrong_value_is_under_the_name_of_its_origin(refusal, text, overrides, messages):
    found = refusal(text, *overrides)
    assert all(message in found for message in messages)
    assert ("c.yaml" in found) == ("c.yaml" in messages[0])
    assert ("--set: " in found) == any("--set: " in message for message in messages)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.train[0].weight=2", "(did you mean 'data.train'?)"),
        ("data.train.weight=2", "data.train: Input should be a valid list"),
        (f"{'a.' * 5000}b=1", "the key has 5001 parts"),
        ("a..b=1", "unknown key 'a'"),
        ("train.seed=" + "9" * 5000, "a number of 5000 digits"),
        ("train.seed=" + "[" * 5000, "levels deep"),
        ("data.root=caf\udce9", "not valid YAML"),
        ("train.seed=&a [*a]", "an anchor that holds it"),
        ("\x1b[31m=1", "unknown key"),
    ],
)
def test_odd_override_is_refused(refusal, override, message):
    assert message in refusal("", override)


def test_file_included_by_doubling_is_read_once(tmp_path):
    for number in range(30):
        (tmp_path / f"{number}.yaml").write_text(
            f"include: [{number + 1}.yaml, {number + 1}.yaml]"
        )
    (tmp_path / "30.yaml").write_text("train: {seed: 7}")
    assert load_config(tmp_path / "0.yaml").train.seed == 7


def test_long_chain_of_includes_is_refused(tmp_path):
    for number in range(2000):
        (tmp_path / f"{number}.yaml").write_text(f"include: [{number + 1}.yaml]")
    with pytest.raises(ConfigError, match="is included over more than 32 files"):
        load_config(tmp_path / "0.yaml")


@pytest.mark.parametrize("name", ['"a\\0b"', "a" * 3000, '"\\ud800"'])
def test_include_that_no_file_can_have_is_refused(refusal, name):
    assert "cannot be " in refusal(f"include: [{name}]")


@pytest.mark.parametrize(
    "text",
    [
        "{backbone: {width: 8, depth: 8}}",
        "{pyramid: {channels: 8192}, head: {channels: 8192}}",
        "{temporal: {num_frames: 64, expansion: 16}, pyramid: {channels: 1024}}",
        "{head: {num_convs: 64, channels: 2048}}",
    ],
)
def test_model_that_no_memory_holds_is_refused_before_it_is_built(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(f"model: {text}")
    config = load_config(path).model
    with pytest.raises(ConfigError, match=f"parameters; expected at most {MAX_PARAMETERS:,}"):
        build_detector(config)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.dates()
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(values, path=()):
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from _places(value, (*path, key))


PLACES = sorted(_places(config_to_dict(StdetConfig())))


@settings(max_examples=300, deadline=2000)
@given(place=st.sampled_from(PLACES), value=VALUES, extra=st.text(max_size=6))
def test_any_value_anywhere_is_taken_or_refused(place, value, extra):
    changes = value
    for key in reversed(place):
        changes = {key: changes, **({extra: 1} if len(extra) > 4 else {})}
    try:
        values = merge_settings(config_to_dict(StdetConfig()), changes)
        config = check_settings(StdetConfig, values, where="t")
    except ConfigError as error:
        assert len(str(error)) < 5000  # noqa: PT017
        return
    assert check_settings(StdetConfig, config_to_dict(config), where="t") == config


@pytest.mark.parametrize(
    ("text", "override", "named"),
    [
        ("train: {seed: 1}", "train=2", "train"),
        ("train: 2", "train.seed=1", "train"),
        ("train: {augment: {crop_hw: [64, 64]}}", "train.augment=none", "train.augment"),
        ("train: {seed: 1}", "train=null", "train"),
    ],
)
def test_value_does_not_take_the_place_of_a_section(tmp_path, text, override, named):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"^--set: {re.escape(named)}: is .* in one place"):
        read_settings(StdetConfig, tmp_path / "a.yaml", [override])


def test_file_whose_name_is_not_utf8_is_read_and_named(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.yaml"
    with open(path, "w") as file:
        file.write("trian: {seed: 1}")
    done = subprocess.run(
        [sys.executable, "-m", "stdet", "info", path], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"e9.yaml: unknown key 'trian' (did you mean 'train'?)" in done.stderr
    assert done.stderr.count(b"\n") == 1
