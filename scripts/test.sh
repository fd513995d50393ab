#!/usr/bin/env bash
# Set up the environment and pass all tests, the slow ones included. Extra arguments go to pytest.
#
#   bash scripts/test.sh
#   bash scripts/test.sh -m "not slow"
set -euo pipefail

cd "$(dirname "$0")/.."
bash scripts/setup_env.sh dev
exec bash scripts/check.sh --durations=5 "$@"
