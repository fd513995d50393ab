"""Tables of the README and of docs/results.md are those of their JSON files."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_SPEC = importlib.util.spec_from_file_location("make_tables", ROOT / "scripts" / "make_tables.py")
make_tables = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make_tables)


@pytest.mark.parametrize("page", make_tables.PAGES)
def test_tables_are_those_of_their_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "<!-- table: " in text
    assert make_tables.with_tables(text) == text, "run python scripts/make_tables.py"


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "results").glob("*.json")), ids=str)
def test_results_say_how_they_were_made(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    facts = content["provenance"]
    assert facts.keys() == {"command", "commit", "date", "data", "seeds", "machine"}
    assert all(facts[name] for name in ("command", "commit", "date", "data", "machine"))
    assert all(len(row) == len(content["columns"]) for row in content["rows"])


def test_unknown_row_is_refused():
    content = {"columns": [{"name": "a"}], "rows": [["x"]], "provenance": {}}
    with pytest.raises(ValueError, match="'y' is not one of"):
        make_tables.render(content, {"rows": "y"})


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
