"""The layers of the package, read from the import statements."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import stdet

PACKAGE = Path(stdet.__file__).parent

LAYERS = (
    # From the bottom: a package imports itself and packages of lower lines, nothing else.
    {"errors"},
    {"conversions"},
    {"types"},
    {"boxes", "processes"},
    {"files"},
    {"config"},
    {"registration"},
    {"io", "metrics", "synthesis"},
    {"changes", "formats"},
    {"datasets"},
    {"classical", "models", "tracking"},
    {"inference"},
    {"evaluation", "page"},
    {"report"},
    {"dataset_check"},
    {"dataset_synthesis"},
    {"training"},
    {"__init__"},
    {"cli"},
    {"__main__"},
)
LAYER_OF = {package: number for number, packages in enumerate(LAYERS) for package in packages}
NO_TORCH = {package for packages in LAYERS[:8] for package in packages}
NO_TORCH |= {"classical", "page", "report", "tracking"}
"""Packages that never import torch."""

FILE_MODULES = {"glob", "io", "json", "os", "pathlib", "safetensors", "shutil", "tempfile", "yaml"}


def imported_names(path: Path, root: Path) -> list[str]:
    """Return every dotted name a file imports, those inside functions included."""
    package = ["stdet", *path.relative_to(root).parent.parts]
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names += [f"{origin}.{alias.name}" for alias in node.names]
    return names


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def package_of(module: str) -> str:
    return module.split(".")[0]


def module_imports(root: Path) -> list[tuple[str, str]]:
    """Return (importing module, imported module) for every import within stdet."""
    known = {module_name(path, root) for path in root.rglob("*.py")}
    found = []
    for path in root.rglob("*.py"):
        for name in imported_names(path, root):
            if name.split(".")[0] != "stdet":
                continue
            target = name.removeprefix("stdet").removeprefix(".")
            while target and target not in known:  # The last part may be a class or function.
                target = target.rpartition(".")[0]
            found.append((module_name(path, root), target or "__init__"))
    return found


def imports(root: Path) -> list[tuple[str, str]]:
    """Return (importing module, imported package) for every import within stdet."""
    return [(module, package_of(target)) for module, target in module_imports(root)]


def circle_of_imports(root: Path) -> list[str]:
    """Return modules that import each other in a circle, nothing where there is none."""
    graph = graphlib.TopologicalSorter[str]()
    for module, target in module_imports(root):
        if module != target:
            graph.add(module, target)
    try:
        graph.prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def wrong_imports(root: Path) -> list[str]:
    """Return "module -> package" for every import that does not point downwards."""
    return sorted(
        f"{module} -> {target}"
        for module, target in imports(root)
        if package_of(module) != target and LAYER_OF[package_of(module)] <= LAYER_OF[target]
    )


def importers_of(library: str, root: Path, packages: set[str]) -> list[str]:
    """Return the modules of some packages that import a library anywhere."""
    return [
        module_name(path, root)
        for path in root.rglob("*.py")
        if package_of(module_name(path, root)) in packages
        and any(name.split(".")[0] == library for name in imported_names(path, root))
    ]


def file_users(root: Path) -> list[str]:
    """Return "module: what" for whatever in ``models`` knows files."""
    found = []
    for path in sorted((root / "models").rglob("*.py")):
        module = module_name(path, root)
        found += [
            f"{module}: {name}"
            for name in imported_names(path, root)
            if name.split(".")[0] in FILE_MODULES or name.startswith(("stdet.files", "stdet.io"))
        ]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                "open",
                "torch.load",
                "torch.save",
            }:
                found.append(f"{module}: {ast.unparse(node.func)}")
    return found


def modules_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the libraries it has loaded."""
    code += "\nimport sys; sys.stderr.write(' '.join(m for m in sys.modules if '.' not in m))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stderr.split())


def test_every_module_has_a_layer():
    packages = {package_of(module_name(path, PACKAGE)) for path in PACKAGE.rglob("*.py")}
    assert packages == LAYER_OF.keys()


def test_imports_point_downwards():
    assert wrong_imports(PACKAGE) == []


def test_no_modules_import_each_other_in_a_circle():
    assert circle_of_imports(PACKAGE) == []


def test_metrics_tracking_and_classical_detectors_never_name_torch():
    assert importers_of("torch", PACKAGE, NO_TORCH) == []
    assert importers_of("torchvision", PACKAGE, NO_TORCH) == []


def test_models_know_no_files():
    assert file_users(PACKAGE) == []


def test_pages_reports_tracking_and_classical_detectors_load_no_torch():
    loaded = modules_after(
        "import stdet.tracking.tracker, stdet.evaluation.report, stdet.report.html_report\n"
        "import stdet.page.live_page, stdet.page.finished_page, stdet.page.server\n"
        "from stdet.classical.methods import METHODS, build_method\n"
        "for method in METHODS: build_method(method)"
    )
    assert "numpy" in loaded
    assert loaded.isdisjoint({"torch", "torchvision"})


@pytest.mark.parametrize(
    "code",
    [
        "import stdet",
        "import sys, stdet.cli\n"
        "try: stdet.cli.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0",
        "import sys, stdet.cli\n"
        "try: stdet.cli.main(['track', '--help'])\n"
        "except SystemExit as end: assert end.code == 0",
        "import sys, stdet.cli\n"
        "try: stdet.cli.main(['data', 'check', '--help'])\n"
        "except SystemExit as end: assert end.code == 0",
    ],
    ids=["import", "help", "track-help", "data-check-help"],
)
def test_import_and_help_load_nothing_heavy(code):
    loaded = modules_after(code)
    assert "stdet" in loaded
    assert loaded.isdisjoint(
        {"torch", "torchvision", "numpy", "pydantic", "av", "rich", "PIL", "jinja2"}
    )


def test_tracking_and_evaluation_without_a_page_load_no_template_engine():
    loaded = modules_after(
        "import stdet, stdet.inference.pipeline, stdet.cli.track, stdet.cli.evaluate\n"
        "import stdet.evaluation.from_files, stdet.report.tables\n"
        "stdet.track, stdet.track_to_files, stdet.evaluate"
    )
    assert "torch" in loaded
    assert "jinja2" not in loaded


def test_tracking_loads_no_torch_before_it_is_needed():
    loaded = modules_after(
        "import stdet, stdet.inference.track_files, stdet.inference.exported.read\n"
        "stdet.track, stdet.track_to_files, stdet.Detector, stdet.LiveTracker, stdet.Tracker"
    )
    assert "numpy" in loaded
    assert loaded.isdisjoint({"torch", "torchvision", "safetensors", "einops", "onnxruntime"})


@pytest.fixture
def fake_tree(tmp_path):
    """A package with one file in some packages, to which tests add wrong imports."""
    root = tmp_path / "stdet"
    for name in [
        "__init__",
        "types",
        "inference/pipeline",
        "formats/mot",
        "models/head",
        "tracking/tracker",
        "tracking/motion",
        "metrics/mot",
    ]:
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("from stdet.types import Tracks\n" if "/" in name else "")
    (root / "inference" / "pipeline.py").write_text(
        "from stdet.tracking import tracker\nimport stdet.models.head\n"
    )
    (root / "tracking" / "tracker.py").write_text("from .motion import Filter\n")
    assert wrong_imports(root) == []
    assert importers_of("torch", root, {"tracking"}) == []
    assert file_users(root) == []
    return root


@pytest.mark.parametrize(
    ("file", "line", "wrong"),
    [
        ("tracking/tracker.py", "from stdet.inference.pipeline import x", "tracker -> inference"),
        ("tracking/tracker.py", "from stdet.models import head", "tracker -> models"),
        ("tracking/tracker.py", "from ..inference import pipeline", "tracker -> inference"),
        ("models/head.py", "def f():\n    import stdet.inference.pipeline", "head -> inference"),
        ("formats/mot.py", "from ..models import head", "mot -> models"),
        ("metrics/mot.py", "from stdet import track", "mot -> __init__"),
        ("types.py", "from stdet.formats import mot", "types -> formats"),
    ],
)
def test_checker_catches_an_import_that_points_upwards(fake_tree, file, line, wrong):
    (fake_tree / file).write_text(f"{line}\n")
    (found,) = wrong_imports(fake_tree)
    assert found.endswith(wrong)


def test_checker_catches_torch_and_files(fake_tree):
    (fake_tree / "tracking" / "motion.py").write_text(
        "def f():\n    from torch.nn import Linear\n"
    )
    assert importers_of("torch", fake_tree, {"tracking"}) == ["tracking.motion"]
    (fake_tree / "models" / "head.py").write_text(
        "from pathlib import Path\nimport torch\nfrom stdet.io import x\ntorch.load('a')\n"
        "open('a')\n"
    )
    assert [found.split(": ")[1] for found in file_users(fake_tree)] == [
        "pathlib.Path",
        "stdet.io.x",
        "torch.load",
        "open",
    ]


def test_circle_is_found_where_an_import_waits_in_a_function(fake_tree):
    assert circle_of_imports(fake_tree) == []
    (fake_tree / "tracking" / "motion.py").write_text("import stdet.tracking.tracker\n")
    (fake_tree / "tracking" / "tracker.py").write_text(
        "def track():\n    from stdet.tracking.motion import move\n"
    )
    assert set(circle_of_imports(fake_tree)) == {"tracking.motion", "tracking.tracker"}
