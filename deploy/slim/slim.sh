#!/usr/bin/env bash
# From a slim recipe to a smaller network: train, sensitivity, plan, cut, fine-tune, quantise, export, report.
# What is done already is not done again. Needs Python 3.10 to 3.12 and nothing else.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
bash "$root/tools/setup.sh"
exec "$root/.venv/bin/python" -m deploy.slim.pipeline "$@"
