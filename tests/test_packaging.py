import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _names(requirements):
    return {re.split(r"[<>=]", line)[0] for line in requirements.split()}


def test_without_an_extra_everything_but_pytorch_is_installed():
    setup = configparser.ConfigParser(interpolation=None)
    assert setup.read(ROOT / "setup.cfg")
    base = _names(setup["options"]["install_requires"])
    extras = setup["options.extras_require"]
    assert {"numpy", "onnxruntime", "opencv-python-headless"} <= base
    assert _names(extras["lite"]) <= base
    assert {"torch", "torchvision", "safetensors"} <= _names(extras["torch"])
    assert base.isdisjoint(_names(extras["torch"]))


def test_beside_pytorch_the_runtime_of_the_base_runs_without_another_extra():
    """ONNX Runtime runs a trained network once `onnx` has exported it."""
    setup = configparser.ConfigParser(interpolation=None)
    assert setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    here = setup["options"]["install_requires"].split() + extras["torch"].split()
    assert set(extras["onnx"].split()) <= set(here)


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
