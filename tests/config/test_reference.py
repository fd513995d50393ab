import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_config_reference.py"


def test_configuration_page_is_what_the_dataclasses_say():
    spec = importlib.util.spec_from_file_location("make_config_reference", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.render(), (
        "run python scripts/make_config_reference.py"
    )
    # No key without words.
    assert "|  |\n" not in module.render()
