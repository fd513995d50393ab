import configparser
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_wheel_holds_every_file_of_the_package_that_is_not_code():
    """An installed stdet reads its weights, and the template and style of its report."""
    setup = configparser.ConfigParser(interpolation=None)
    assert setup.read(ROOT / "setup.cfg")
    patterns = setup["options.package_data"]["stdet"].split(", ")
    listed = {path for pattern in patterns for path in (ROOT / "stdet").glob(pattern)}
    others = {
        path
        for path in (ROOT / "stdet").rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert ROOT / "stdet" / "report" / "report_page.html" in others
    assert sorted(others - listed) == []
