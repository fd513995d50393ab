"""Markdown names files that there are, and decisions stay short and in the field's words."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_DECISION_LINES = 30
MAX_LINE_LENGTH = 100
NAMED_PATH = re.compile(
    r"(?<![\w./~{-])(?:docs|stdet|configs|scripts|benchmarks)/[\w/.*-]*[\w*](?![\w{<>-])"
)
LINK_TARGET = re.compile(r"\]\(\s*<?([^)\s>]+)")
COMMAND_OF_A_COMMIT = re.compile(r"^- Command: .*?(?=^- Commit )", re.DOTALL | re.MULTILINE)
PRIVATE_WORDS = re.compile(
    r"(?i)\b(?:rooms?|houses?|doors?|stands?\s+in(?:\s+for)?|lives"
    r"|what\s+is\s+left\s+of|scores?\s+of\s+(?:a\s+)?(?:paths?|frames)|before\s+decision\s+\d+)\b"
)
"""Words of one project that a reader of the field has to learn first."""
VAGUE_WORDS = re.compile(r"\b(?:[Mm]aps?|[Oo]thers)\b")
"""Background features and reference frames, in decisions; elsewhere these are plain words."""

FOLDERS = ("docs", "stdet", "configs", "scripts", "benchmarks")
PAGES = sorted(
    page
    for pages in (
        ROOT.glob("*.md"),
        ROOT.glob("data/*.md"),
        *((ROOT / folder).rglob("*.md") for folder in FOLDERS),
    )
    for page in pages
    if page.parent.name != "experiments"
)
DECISIONS = [page for page in PAGES if page.parent.name == "decisions"]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_path_that_a_page_names_exists(page):
    # The command of a measurement is of the commit that follows it, which may have other files.
    text = COMMAND_OF_A_COMMIT.sub("", page.read_text(encoding="utf-8"))
    named = set(NAMED_PATH.findall(text))
    named = {name for name in named if "NAME" not in name}  # a file that the reader is to write
    missing = [name for name in named if not any((*ROOT.glob(name), *ROOT.glob(f"{name}-*")))]
    assert sorted(missing) == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_relative_link_of_a_page_leads_to_a_file(page):
    targets = LINK_TARGET.findall(page.read_text(encoding="utf-8"))
    files = {target.split("#")[0] for target in targets if not re.match(r"\w+:|#", target)}
    assert sorted(file for file in files if not (page.parent / file).exists()) == []


@pytest.mark.parametrize("page", DECISIONS, ids=_name)
def test_decision_is_short_enough_to_be_read(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_DECISION_LINES
    assert [line for line in lines if len(line) > MAX_LINE_LENGTH and line[0] != "|"] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_page_uses_the_words_of_the_field(page):
    text = page.read_text(encoding="utf-8")
    assert PRIVATE_WORDS.findall(text) == []
    assert page not in DECISIONS or VAGUE_WORDS.findall(text) == []


def test_decisions_and_experiments_are_numbered_once():
    for folder in ("docs/decisions", "docs/experiments"):
        numbers = [page.name[:4] for page in (ROOT / folder).glob("*.md")]
        assert len(numbers) == len(set(numbers)), folder
