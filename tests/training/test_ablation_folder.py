"""An ablation writes over no file that is not its own."""

import json
import os

import pytest

from stdet.errors import ConfigError, DataError
from stdet.training.ablation import PLOTS, run_ablation
from stdet.training.ablation_folder import (
    check_ablation_folder,
    hold_ablation_folder,
    write_ablation,
)
from stdet.training.grid import read_grid

TEXTS = {
    "table.md": "a",
    "table.json": json.dumps({"variants": {}, "notes": []}),
    "table.csv": "b",
    **{f"map50_{name}.svg": "c" for name in PLOTS},
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("content", ["mine", "", "[]", '{"rows": [1]}', '{"variants": '])
def test_files_of_no_ablation_that_have_its_names_are_not_written_over(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=rf"holds {name} but no table\.json of an ablation"):
        check_ablation_folder(tmp_path)


def test_refusal_comes_before_any_work_and_touches_nothing(tmp_path):
    (tmp_path / "base.yaml").write_text("data: {root: gone}")
    (tmp_path / "grid.yaml").write_text("base: base.yaml\nvariants: {a: {}}")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "table.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"choose another --run-dir"):
        run_ablation(read_grid(tmp_path / "grid.yaml"), run_dir=folder)
    assert [path.name for path in folder.iterdir()] == ["table.csv"]
    assert (folder / "table.csv").read_text() == "mine"


def test_new_and_own_folders_and_other_files_beside_are_fine(tmp_path):
    folder = tmp_path / "run"
    check_ablation_folder(folder)
    with hold_ablation_folder(folder):
        check_ablation_folder(folder)
    (folder / "notes.txt").write_text("mine")
    (folder / "table.tex").write_text("mine")
    check_ablation_folder(folder)
    paths = write_ablation(folder, TEXTS)
    assert [path.name for path in paths] == list(TEXTS)
    assert all(path.read_text() == TEXTS[path.name] for path in paths)
    check_ablation_folder(folder)
    assert (folder / "table.tex").read_text() == "mine"


def test_ablation_that_was_killed_while_it_wrote_its_results_goes_on(tmp_path, caplog):
    for name in TEXTS:
        (tmp_path / f"{name}.0123abcd.part").write_text("x")
    foreign = tmp_path / "mine.0123abcd.part"
    foreign.write_text("mine")
    check_ablation_folder(tmp_path)
    with hold_ablation_folder(tmp_path):
        assert not [path for path in tmp_path.glob("*.part") if path != foreign]
    assert foreign.exists()
    assert caplog.text.count("removed; a run that was killed left it.") == len(TEXTS)
    # Killed after its first file: that one says whose they are.
    (tmp_path / "table.md").mkdir()
    with pytest.raises(DataError, match=r"table\.md"):
        write_ablation(tmp_path, TEXTS)
    (tmp_path / "table.md").rmdir()
    check_ablation_folder(tmp_path)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("gone", path)])
def test_what_is_no_file_in_the_place_of_a_result_is_refused_before_the_work(tmp_path, make):
    write_ablation(tmp_path, TEXTS)
    (tmp_path / "table.md").unlink()
    make(tmp_path / "table.md")
    with pytest.raises(ConfigError, match=r"table\.md: .*; move it out of the folder"):
        check_ablation_folder(tmp_path)


def test_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(ConfigError, match="is no folder"):
        check_ablation_folder(tmp_path / "run")
