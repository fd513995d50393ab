"""Markdown names files that there are."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED_PATH = re.compile(
    r"(?<![\w./~{-])(?:docs|stdet|configs|scripts|benchmarks)/[\w/.*-]*[\w*](?![\w{<>-])"
)
LINK_TARGET = re.compile(r"\]\(\s*<?([^)\s>]+)")


def _markdown_pages() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    pages = [ROOT / name for name in names]
    return [page for page in pages if page.exists() and "experiments" not in page.parts]


PAGES = _markdown_pages()


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_path_that_a_page_names_exists(page):
    named = set(NAMED_PATH.findall(page.read_text(encoding="utf-8")))
    named = {name for name in named if "NAME" not in name}  # a file that the reader is to write
    assert sorted(name for name in named if not any(ROOT.glob(name))) == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_relative_link_of_a_page_leads_to_a_file(page):
    targets = LINK_TARGET.findall(page.read_text(encoding="utf-8"))
    files = {target.split("#")[0] for target in targets if not re.match(r"\w+:|#", target)}
    assert sorted(file for file in files if not (page.parent / file).exists()) == []


def test_decisions_and_experiments_are_numbered_once():
    for folder in ("docs/decisions", "docs/experiments"):
        numbers = [page.name[:4] for page in (ROOT / folder).glob("*.md")]
        assert len(numbers) == len(set(numbers)), folder
