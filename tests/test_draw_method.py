"""The picture of the method is what its script draws, and well-formed."""

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]


def test_picture_is_the_one_that_the_script_draws():
    spec = importlib.util.spec_from_file_location("draw", ROOT / "scripts" / "draw_method.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = module.draw()
    assert (ROOT / "docs" / "method.svg").read_text(encoding="utf-8") == drawn
    root = ElementTree.fromstring(drawn)
    kinds = [e.get("class") for e in root.iter("{http://www.w3.org/2000/svg}path")]
    # The plain half has 10 pairs of arrows: 4 in the backbone, 3 to the pyramid, 2 down, 1 to the
    # head. BP-FPN has one more to the join and two of the shortcut; the legend has one.
    assert kinds.count("forward") == kinds.count("back") == 10 + 13 + 1
    assert kinds.count("stop") == 1 + 1
