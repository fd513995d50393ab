#!/usr/bin/env bash
# From a fresh checkout to tracks: make the environment, install, and track the sample video with
# the weights that ship with the package. Needs Python 3.11 or newer and nothing else.
#
#   bash scripts/quickstart.sh
set -euo pipefail

cd "$(dirname "$0")/.."
bash scripts/setup_env.sh

echo
echo "quickstart: tracking data/sample/sample.mp4 with the shipped weights"
.venv/bin/stdet track data/sample/sample.mp4 --out output/quickstart --overwrite

echo
echo "quickstart: what was found, against the truth of the sample"
.venv/bin/stdet evaluate --truth data/sample/sample.gt.txt \
  --predictions output/quickstart/sample.json
echo "annotated video  output/quickstart/sample.mp4"
echo "MOT file         output/quickstart/sample.mot.txt"
echo "JSON             output/quickstart/sample.json"
