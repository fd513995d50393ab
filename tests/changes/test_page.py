"""docs/robustness.md lists the changes."""

import re
from pathlib import Path

from stdet.changes.table import CHANGES

PAGE = Path(__file__).parents[2] / "docs" / "robustness.md"


def test_page_lists_every_change_in_order():
    rows = re.findall(r"^\| `(\w[\w-]*)` \| (.+) \|$", PAGE.read_text(), flags=re.MULTILINE)
    assert rows == [(name, change.what) for name, change in CHANGES.items()]
