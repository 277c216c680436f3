#!/usr/bin/env bash
# Set-up, then the tests. Works in a fresh clone.
#   bash tools/test.sh [--slow] [--paddle 3.3|2.6] [pytest arguments...]
# Tests marked slow are left out; --slow runs them all, `--slow-sample N --slow-seed S` N of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

paddle=3.3
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --paddle)
        paddle=${2:-}
        shift
        ;;
    --paddle=*) paddle=${1#*=} ;;
    *) arguments+=("$1") ;;
    esac
    shift || true
done

bash tools/setup.sh --paddle "$paddle"
case $paddle in 2.6) venv=.venv-paddle26 ;; *) venv=.venv ;; esac
exec "$venv/bin/python" -m pytest ${arguments[@]+"${arguments[@]}"}
