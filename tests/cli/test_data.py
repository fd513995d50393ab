import json

import pytest


@pytest.fixture
def clean(split_writer):
    w = split_writer
    return w.write({"train": {"a": w.path(0)}, "test": {"b": w.path(1)}})


@pytest.fixture
def leaking(split_writer):
    w = split_writer
    return w.write({"train": {"a": w.path(0, 90)}, "test": {"b": w.path(0, 90)[40:]}})


def test_check_of_a_clean_data_set_ends_with_0(cli, clean):
    outcome = cli("data", "check", clean)
    assert (outcome.code, outcome.err) == (0, [])
    assert outcome.out.endswith("\nnothing wrong found\n")


def test_check_ends_with_3_and_prints_where_the_leak_is(cli, leaking):
    outcome = cli("data", "check", leaking)
    assert (outcome.code, outcome.err) == (3, [])
    assert "LEAK: targets follow the same path in two splits (1)" in outcome.out
    assert "test b[0:50] = train a[40:90]: centres agree in 50 of 50 frames" in outcome.out
    assert outcome.out.endswith("\n1 finding\n")


def test_check_takes_several_label_files(cli, leaking):
    files = [leaking / "annotations" / name for name in ("test.json", "train.json")]
    assert cli("data", "check", files[0]).code == 0
    assert cli("data", "check", *files).code == 3


def test_json_of_check_holds_all_findings(cli, leaking, tmp_path):
    path = tmp_path / "check.json"
    assert cli("data", "check", leaking, "--json", path).out.endswith(f"{path}\n")
    content = json.loads(path.read_text())
    assert content.keys() == {"splits", "findings", "notes"}
    (finding,) = content["findings"]
    assert finding["kind"] == "leak_paths"
    assert finding["place"]["frame"] == 0
    assert finding["other"]["frame"] == 40


def test_stats_prints_and_writes_every_split(cli, clean, tmp_path):
    path = tmp_path / "stats.json"
    outcome = cli("data", "stats", clean, "--json", path)
    assert (outcome.code, outcome.err) == (0, [])
    assert "no image content was looked at" in outcome.out
    assert [split["split"] for split in json.loads(path.read_text())["splits"]] == [
        "test",
        "train",
    ]


def test_results_in_the_data_folder_are_no_label_files_later(cli, clean):
    for action in ("check", "stats"):
        path = clean / f"{action}.json"
        assert cli("data", action, clean, "--json", path).code == 0
        assert "check.json is no label file; left out." in cli("data", action, clean).out


@pytest.mark.parametrize("action", ["check", "stats"])
def test_existing_json_is_replaced_only_when_asked_to(cli, refused, clean, tmp_path, action):
    path = tmp_path / "out.json"
    path.write_text("mine")
    assert "already there; pass --overwrite" in refused("data", action, clean, "--json", path)
    assert cli("data", action, clean, "--json", path, "--overwrite").code == 0
    assert path.read_text() != "mine"


@pytest.mark.parametrize("action", ["check", "stats"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "not JSON"),
        ('{"images": []}', "lacks annotations, categories"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no image"),
    ],
)
def test_unusable_label_file_is_refused_in_one_line(refused, tmp_path, action, content, message):
    (tmp_path / "l.json").write_text(content)
    assert message in refused("data", action, tmp_path / "l.json")


@pytest.mark.parametrize("action", ["check", "stats"])
def test_missing_root_is_named(refused, action):
    assert "none: does not exist; expected a label file" in refused("data", action, "none")


def test_data_needs_an_action(cli):
    outcome = cli("data")
    assert (outcome.code, outcome.out) == (2, "")
    assert "the following arguments are required: COMMAND" in outcome.err[-1]


@pytest.mark.parametrize("action", ["check", "stats"])
def test_help_of_an_action_shows_its_options(cli, action):
    outcome = cli("data", action, "--help")
    assert (outcome.code, outcome.err) == (0, [])
    assert "--overwrite" in outcome.out
