"""A minute of the fuzzer: changed inputs end in a result or in one line, at every command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"


def fuzz(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FUZZER), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(FUZZER.parents[1])}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_changed_inputs_end_in_a_result_or_in_one_line():
    run = fuzz("--cases", 200, "--seed", 20, "--jobs", 2)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    assert "200 cases in" in run.stdout


@pytest.mark.slow
def test_a_case_is_the_same_when_it_runs_again():
    first, again = (fuzz("--seed", 20, "--case", 3) for _ in range(2))
    assert first.returncode == again.returncode
    changes = [run.stdout.split("verdict")[0] for run in (first, again)]
    assert changes[0] == changes[1]
    assert "changed " in changes[0]
