"""The page of promises names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_exists():
    sources = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    assert sorted(name for name in named if f"def {name}(" not in sources) == []


def test_every_file_that_the_page_names_exists():
    named = re.findall(r"`((?:tests|benchmarks)/[\w/.]+)`|\]\(([\w/.]+\.md)\)", PAGE)
    paths = [ROOT / tests if tests else ROOT / "docs" / page for tests, page in named]
    assert len(paths) > 10
    assert [str(path) for path in paths if not path.exists()] == []
