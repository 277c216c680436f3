#!/usr/bin/env bash
# Writes requirements*.lock anew from pyproject.toml: exact versions and hashes that hold for Python 3.10, 3.11 and 3.12.
# Needs `uv` and the network. Versions stay as they are unless pyproject.toml asks otherwise; `--upgrade` takes the newest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# openvino-telemetry reports every `import openvino` to Intel; without it openvino uses its own stub.
compile() {
    local output=$1
    shift
    uv pip compile --quiet --universal --python-version 3.10 --fork-strategy fewest --generate-hashes --no-annotate \
        --no-emit-package openvino-telemetry --custom-compile-command 'bash tools/lock.sh' \
        --extra slim --extra openvino --extra serve --extra dev "$@" --output-file "$output" pyproject.toml >/dev/null
}

compile requirements.lock --extra cpu --extra onnx "$@"
compile requirements-paddle26.lock --extra cpu26 "$@"
