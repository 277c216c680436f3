#!/usr/bin/env bash
# The whole path on real digits: set-up, training, evaluation, inference. Needs Python 3.10 to 3.12 and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tools/setup.sh
exec .venv/bin/python tools/demo.py "$@"
