import ast
import configparser
import importlib
from pathlib import Path

import pytest

import stdet

PUBLIC = [
    "BPFPN",
    "Detections",
    "Detector",
    "IgnoredZones",
    "LiveTracker",
    "StdetConfig",
    "TrackOptions",
    "Tracker",
    "TrackerConfig",
    "Tracks",
    "Trails",
    "Transform",
    "draw_frame",
    "evaluate",
    "load_config",
    "load_detector",
    "smooth_tracks",
    "track",
    "track_to_files",
    "train",
]


def test_public_names_are_these():
    assert stdet.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_the_one_of_its_module_and_documented(name):
    value = getattr(stdet, name)
    assert value is getattr(importlib.import_module(stdet._HOMES[name]), name)
    assert value.__doc__


def test_type_checkers_see_the_same_names():
    """The imports under TYPE_CHECKING and the table of homes are two lists of one thing."""
    tree = ast.parse(Path(stdet.__file__).read_text(encoding="utf-8"))
    imports = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stdet")
        for alias in node.names
    }
    assert imports == stdet._HOMES


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'stdet' has no attribute 'trakc'"):
        _ = stdet.trakc


def test_version_is_that_of_setup_cfg():
    setup = configparser.ConfigParser(interpolation=None)
    assert setup.read(Path(__file__).parents[1] / "setup.cfg")
    assert stdet.__version__ == setup["metadata"]["version"]
