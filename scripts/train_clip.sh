#!/usr/bin/env bash
# Train a detector on frame clips.
#
#   bash scripts/train_clip.sh CONFIG [--set key=value ...] [--run-dir DIR] [--overwrite]
#   bash scripts/train_clip.sh configs/daub.yaml --set data.root=/path/to/DAUB
#
# The same command goes on with a run that was killed. Several processes, on one machine or many:
#   NUM_PROCESSES=2 bash scripts/train_clip.sh CONFIG ...
# starts them through torchrun; the joint batch stays train.batch_size.
set -euo pipefail

if [ $# -eq 0 ] || [ "$1" = "-h" ] || [ "$1" = "--help" ]; then
  sed -n '2,9s/^# \{0,1\}//p' "$0"
  exit 0
fi

here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$here/.venv/bin/python}
if [ ! -x "$python" ]; then
  python=$(command -v python3 || true)
fi
if ! "$python" -c 'import stdet' 2>/dev/null; then
  echo "train_clip.sh: stdet is not installed; run 'bash scripts/quickstart.sh' first." >&2
  exit 2
fi

if [ "${NUM_PROCESSES:-1}" -gt 1 ]; then
  exec "$python" -m torch.distributed.run --standalone --nproc-per-node "$NUM_PROCESSES" \
    -m stdet train "$@"
fi
exec "$python" -m stdet train "$@"
