#!/usr/bin/env bash
# Make the virtual environment .venv and install stdet into it; sourced or called by the other
# scripts. Does nothing where that has been done for the present setup.cfg.
#
#   bash scripts/setup_env.sh [EXTRA]      EXTRA beside torch: dev, for the tests
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
extra=${1:-}
venv=$root/.venv
stamp=$venv/.stdet-installed${extra:+-$extra}
wanted=$(cat "$root/setup.cfg" "$root/pyproject.toml" | cksum)

base=""
for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3 python; do
  if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    base=$candidate
    break
  fi
done
if [ -z "$base" ] && [ ! -x "$venv/bin/python" ]; then
  echo "setup: Python 3.11 or newer is needed; install it, or name it with PYTHON=/path/to/python." >&2
  exit 2
fi

if [ ! -x "$venv/bin/python" ]; then
  echo "setup: making the virtual environment $venv with $("$base" --version)"
  "$base" -m venv "$venv"
fi
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
  echo "setup: $venv is ready"
  exit 0
fi

# One resolution installs torch and torchvision together, which must be builds of one kind.
echo "setup: installing stdet and what it needs; PyTorch is about 5 GB, so this takes minutes"
progress=()
if [ ! -t 1 ]; then progress=(--progress-bar off); fi
"$venv/bin/python" -m pip install "${progress[@]}" -e "$root[torch${extra:+,$extra}]" |
  sed -u -n 's/^ *\(Collecting\|Downloading\|Installing\|Successfully\) */setup: \1 /p' | cut -c1-100
if ! "$venv/bin/python" -c 'import torch, torchvision' >/dev/null 2>&1; then
  echo "setup: torch and torchvision do not fit together; remove $venv and run this again." >&2
  "$venv/bin/python" -c 'import torch, torchvision' >&2 || exit 2
fi
echo "$wanted" >"$stamp"
echo "setup: done"
