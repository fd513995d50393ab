#!/usr/bin/env bash
# Everything that must hold before a commit: format, lint, types, tests. Extra arguments go to
# pytest, for example `bash scripts/check.sh -m "not slow"`.
set -euo pipefail

cd "$(dirname "$0")/.."
python=.venv/bin/python
echo "check: ruff format"
"$python" -m ruff format --check .
echo "check: ruff"
"$python" -m ruff check .
echo "check: mypy"
"$python" -m mypy
echo "check: pytest"
exec "$python" -m pytest "$@"
