"""The arrows between the rooms, read from the import statements."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import stdet

PACKAGE = Path(stdet.__file__).parent

BASE = {
    "types",
    "boxes",
    "errors",
    "regular_file",
    "text_file",
    "config",
    "settings_file",
    "yaml_file",
    "data.part_file",
    "interrupts",
    "locks",
    "workers",
}
"""Modules that every room may import; ``data.part_file`` is how any room writes a text file,
``regular_file`` what it asks before it opens one, and ``text_file`` how it reads one whole."""

ROOMS = {
    # What each room may import besides itself and BASE.
    "data": {"synthesis"},
    "classical": {"data"},
    "models": set(),
    "postprocess": {"data"},
    "tracking": set(),
    "evaluation": set(),
    "device": set(),
    "progress": set(),
    "synthesis": set(),
    "visualize": set(),
}
JOINERS = {
    "__init__",
    "__main__",
    "checkpoint",
    "cli",
    "dataset_synthesis",
    "dataset_check",  # Links truth as `evaluation` does, to follow targets of `data`.
    "file_scoring",
    "info",
    "mask_scoring",
    "pipeline",
    "scoring",
    "output_names",
    "track_files",
    "track_outputs",
    "training",
}
"""The places that join rooms. No room imports any of them."""

ONLY_IMPORTED_BY = {"cli": {"__main__"}, "training": {"cli"}, "__main__": set()}

BASE_ARROWS = {
    "types": set(),
    "errors": set(),
    "boxes": {"types"},
    "regular_file": {"errors"},
    "text_file": {"errors", "regular_file"},
    "config": {"errors", "settings_file", "yaml_file"},
    "settings_file": {"errors", "yaml_file"},
    "yaml_file": {"errors", "regular_file"},
    "data.part_file": {"errors", "interrupts"},
    "interrupts": {"errors"},
    "locks": {"errors", "data.part_file"},
    "workers": {"errors"},
}

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


def room_of(module: str) -> str:
    return module if module in BASE else module.split(".")[0]


def arrows(root: Path) -> list[tuple[str, str]]:
    """Return (importing module, imported room) for every import within the package."""
    known = {module_name(path, root) for path in root.rglob("*.py")}
    found = []
    for path in root.rglob("*.py"):
        for name in imported_names(path, root):
            if name.split(".")[0] != "stdet":
                continue
            target = name.removeprefix("stdet").removeprefix(".")
            while target and target not in known:  # The last part may be a class or function.
                target = target.rpartition(".")[0]
            found.append((module_name(path, root), room_of(target or "__init__")))
    return found


def wrong_arrows(root: Path) -> list[str]:
    """Return "module -> room" for every import that the house forbids."""
    wrong = []
    for module, target in arrows(root):
        room = room_of(module)
        if room in BASE:
            is_allowed = target == room or target in BASE_ARROWS[room]
        elif room in ROOMS:
            is_allowed = target == room or target in BASE | ROOMS[room]
        else:
            is_allowed = target == room or room in ONLY_IMPORTED_BY.get(target, {room})
        if not is_allowed:
            wrong.append(f"{module} -> {target}")
    return sorted(wrong)


def importers_of(library: str, root: Path, rooms: set[str]) -> list[str]:
    """Return the modules of some rooms that import a library anywhere."""
    return [
        module_name(path, root)
        for path in root.rglob("*.py")
        if room_of(module_name(path, root)) in rooms
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
            if name.split(".")[0] in FILE_MODULES or name.startswith("stdet.data")
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


def test_every_module_belongs_to_a_room():
    rooms = {room_of(module_name(path, PACKAGE)) for path in PACKAGE.rglob("*.py")}
    assert rooms - BASE - ROOMS.keys() - JOINERS == set()


def test_all_arrows_point_one_way():
    assert wrong_arrows(PACKAGE) == []


def test_tracking_evaluation_and_classical_detectors_never_name_torch():
    numpy_rooms = {"tracking", "evaluation", "classical", *BASE}
    assert importers_of("torch", PACKAGE, numpy_rooms - {"types"}) == []
    assert importers_of("torchvision", PACKAGE, numpy_rooms) == []


def test_models_know_no_files():
    assert file_users(PACKAGE) == []


def test_tracking_evaluation_and_classical_detectors_load_no_torch():
    loaded = modules_after(
        "import stdet.tracking.tracker, stdet.evaluation.report, stdet.evaluation.per_target\n"
        "import stdet.evaluation.html_report\n"
        "from stdet.classical.methods import METHODS, build_classical\n"
        "from stdet.config import PostprocessConfig\n"
        "for method in METHODS: build_classical(method, PostprocessConfig())"
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
    assert loaded.isdisjoint({"torch", "torchvision", "numpy", "pydantic", "av", "rich", "PIL"})


@pytest.fixture
def fake_tree(tmp_path):
    """A package with one file per room, to which tests add wrong imports."""
    root = tmp_path / "stdet"
    for name in [
        "__init__",
        "types",
        "pipeline",
        "data/formats/mot",
        "models/head",
        "tracking/tracker",
        "tracking/motion",
        "evaluation/mot",
    ]:
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("from stdet.types import Tracks\n" if "/" in name else "")
    (root / "pipeline.py").write_text("from stdet.tracking import tracker\nimport stdet.models\n")
    (root / "tracking" / "tracker.py").write_text("from .motion import Filter\n")
    assert wrong_arrows(root) == []
    assert importers_of("torch", root, {"tracking"}) == []
    assert file_users(root) == []
    return root


@pytest.mark.parametrize(
    ("file", "line", "arrow"),
    [
        ("tracking/tracker.py", "from stdet.evaluation.mot import x", "tracker -> evaluation"),
        ("tracking/tracker.py", "from stdet.evaluation import mot", "tracker -> evaluation"),
        ("tracking/tracker.py", "from ..evaluation import mot", "tracker -> evaluation"),
        ("models/head.py", "def f():\n    import stdet.pipeline", "head -> pipeline"),
        ("data/formats/mot.py", "from ...models import head", "mot -> models"),
        ("evaluation/mot.py", "from stdet import track", "mot -> __init__"),
        ("types.py", "from stdet.data.formats import mot", "types -> data"),
    ],
)
def test_checker_catches_a_wrong_arrow(fake_tree, file, line, arrow):
    (fake_tree / file).write_text(f"{line}\n")
    (found,) = wrong_arrows(fake_tree)
    assert found.endswith(arrow)


def test_checker_catches_torch_and_files(fake_tree):
    (fake_tree / "tracking" / "motion.py").write_text(
        "def f():\n    from torch.nn import Linear\n"
    )
    assert importers_of("torch", fake_tree, {"tracking"}) == ["tracking.motion"]
    (fake_tree / "models" / "head.py").write_text(
        "from pathlib import Path\nimport torch\nfrom stdet.data import x\ntorch.load('a')\n"
        "open('a')\n"
    )
    assert [found.split(": ")[1] for found in file_users(fake_tree)] == [
        "pathlib.Path",
        "stdet.data.x",
        "torch.load",
        "open",
    ]
