#!/usr/bin/env bash
# Makes the pinned Python environment of this project, or completes it. Safe to repeat, and quick when nothing changed.
# It writes into the environment's own folder and nowhere else.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"

usage() {
    cat <<'TEXT'
usage: bash tools/setup.sh [--lite] [--lite-only] [--paddle 3.3|2.6]
  --lite          also make .venv-lite: Paddle Lite in a CPython 3.7 of its own
  --lite-only     make .venv-lite and nothing else
  --paddle 2.6    make .venv-paddle26 (paddlepaddle 2.6.2) in place of .venv (paddlepaddle 3.3.1)
environment:
  PPRESNET_PYTHON         the Python 3.10, 3.11 or 3.12 to use
  PPRESNET_LITE_PYTHON    the CPython 3.7 to use for --lite
  PPRESNET_INSTALLER      uv or pip; by default uv where it is found, else pip
exit: 0 done, 1 an installation failed, 2 wrong options or no such Python
TEXT
}

say() { printf 'setup: %s\n' "$*" >&2; }
die() { local code=$1; shift; printf 'setup: error: %s\n' "$@" >&2; exit "$code"; }

version_of() { "$1" -c 'import sys; print(sys.version.replace("\n", ""))' 2>/dev/null; }

# Three tries with a pause: registries and networks fail for seconds at a time.
retry() {
    local pause
    for pause in 3 10 -; do
        "$@" && return 0
        [ "$pause" != - ] || return 1
        say "that failed; trying again in $pause s"
        sleep "$pause"
    done
}

# probe COMMAND LOW HIGH prints the base interpreter behind COMMAND when its version is in range.
# It runs the command, because a pyenv shim can be on PATH and start nothing.
probe() {
    "$1" - "$2" "$3" "$installer" 2>/dev/null <<'PYTHON'
import os, platform, sys
low, high = [tuple(int(part) for part in text.split(".")) for text in sys.argv[1:3]]
if not low <= sys.version_info[:2] <= high or platform.python_implementation() != "CPython":
    sys.exit(1)
if sys.argv[3] == "pip":
    import ensurepip  # Debian splits it off: without it `venv` makes an environment without pip
base = getattr(sys, "_base_executable", None) or sys.executable
print(base if os.access(base, os.X_OK) else sys.executable)
PYTHON
}

# find_python LOW HIGH CANDIDATE... prints the first that fits; the empty candidates are those that are not set.
find_python() {
    local low=$1 high=$2 candidate base
    shift 2
    for candidate in "$@"; do
        if [ -n "$candidate" ] && base=$(probe "$candidate" "$low" "$high") && [ -n "$base" ]; then echo "$base"; return 0; fi
    done
    return 1
}

found_pythons() {
    local candidate version list=()
    for candidate in "$@"; do
        if [ -n "$candidate" ] && version=$(version_of "$candidate"); then list+=("$candidate (${version%% *})"); fi
    done
    if [ ${#list[@]} -eq 0 ]; then echo none; else local IFS=,; echo "${list[*]}" | sed 's/,/, /g'; fi
}

uv_python() { if command -v uv >/dev/null; then uv python find --system --no-python-downloads "$1" 2>/dev/null || true; fi; }

choose_main() {
    local pyenv=${PYENV_ROOT:-$HOME/.pyenv}/versions candidates
    if [ -n "${PPRESNET_PYTHON:-}" ]; then
        candidates=("$PPRESNET_PYTHON")
    else
        candidates=(python3 python3.11 python3.12 python3.10 "$pyenv"/3.1[012].*/bin/python3 "$(uv_python '>=3.10,<3.13')")
    fi
    find_python 3.10 3.12 "${candidates[@]}" || die 2 \
        "expected CPython 3.10, 3.11 or 3.12$([ "$installer" = uv ] || echo ' with ensurepip'); found: $(found_pythons "${candidates[@]}")" \
        "install one (\`apt-get install python3 python3-venv\`, \`pyenv install 3.11\` or \`uv python install 3.11\`)" \
        "or point PPRESNET_PYTHON at it"
}

choose_lite() {
    local pyenv=${PYENV_ROOT:-$HOME/.pyenv}/versions candidates
    if [ -n "${PPRESNET_LITE_PYTHON:-}" ]; then
        candidates=("$PPRESNET_LITE_PYTHON")
    else
        candidates=("$pyenv"/3.7*/bin/python3 python3.7 "$(uv_python 3.7)")
    fi
    [ "$(uname -sm)" = "Linux x86_64" ] || die 2 "Paddle Lite's Python package needs Linux on x86-64; found $(uname -sm)"
    installer=pip find_python 3.7 3.7 "${candidates[@]}" || die 2 \
        "expected CPython 3.7, the newest that paddlelite 2.12 has wheels for; found: $(found_pythons "${candidates[@]}")" \
        "get one with \`pyenv install 3.7.16\` or \`uv python install 3.7\`, or point PPRESNET_LITE_PYTHON at it"
}

# stamp_of VENV LOCK: what the environment was made from. It changes with the place too, as scripts hold absolute paths.
stamp_of() {
    local version
    version=$(version_of "$1/bin/python") || return 1
    { cat "$2" pyproject.toml tools/setup.sh; echo "$root $version"; } | sha256sum
}

is_current() {
    [ -f "$1/.setup.stamp" ] && [ "$(stamp_of "$1" "$2")" = "$(cat "$1/.setup.stamp")" ] || return 1
    [ -z "${3:-}" ] || [ "$(version_of "$3")" = "$(version_of "$1/bin/python")" ]
}

# Empties the folder but for the lock, which others may be waiting for.
clear_venv() { find "$1" -mindepth 1 -maxdepth 1 ! -name .setup.lock -exec rm -rf {} +; }

claim() {
    local venv=$1
    [ ! -L "$venv" ] || die 2 "$venv is a link, and nothing outside this folder is touched; remove the link"
    if [ -d "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ] && [ ! -e "$venv/.setup.lock" ] && [ -n "$(ls -A "$venv")" ]; then
        die 2 "$venv is no Python environment; expected one, or nothing; move it away"
    fi
    # An environment that somebody else made would be emptied.
    if [ -e "$venv/pyvenv.cfg" ] && [ ! -e "$venv/.setup.lock" ]; then
        die 2 "$venv is a Python environment that this script did not make; move it away, or remove it"
    fi
    mkdir -p "$venv"
    exec {lock_fd}>>"$venv/.setup.lock"
    if command -v flock >/dev/null && ! flock -n "$lock_fd"; then
        say "another setup is at work in $venv; waiting for it"
        flock "$lock_fd"
    fi
}

install_lock() {
    if [ "$1" = uv ]; then
        retry uv pip install --quiet --python "$2/bin/python" --no-deps --no-build --require-hashes -r "$3"
    else
        "$2/bin/python" -m pip --version >/dev/null 2>&1 || "$2/bin/python" -m ensurepip >/dev/null
        retry "$2/bin/python" -m pip install --quiet --disable-pip-version-check --retries 5 --timeout 60 \
            --no-deps --only-binary :all: --require-hashes -r "$3"
    fi
}

install_project() {
    if [ "$1" = uv ]; then
        uv pip install --quiet --python "$2/bin/python" --no-deps --no-build-isolation --editable .
    else
        "$2/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
    fi
}

# make_venv VENV LOCK PYTHON INSTALLER CHECK: every step can be killed and run again; the stamp comes last.
make_venv() {
    local venv=$1 lock=$2 python=$3 installer=$4 check=$5 began=$SECONDS
    rm -f "$venv/.setup.stamp"
    if [ "$(version_of "$venv/bin/python")" != "$(version_of "$python")" ] || [ "$(cat "$venv/.setup.lock")" != "$root" ]; then
        clear_venv "$venv"
        echo "$root" >"$venv/.setup.lock"
    fi
    say "$venv: Python $(version_of "$python" | cut -d' ' -f1) ($python), packages of $lock by $installer"
    if [ "$installer" = uv ]; then
        uv venv --quiet --allow-existing --prompt ppresnet --python "$python" "$venv"
    else
        "$python" -m venv --prompt ppresnet "$venv"
    fi || die 1 "could not make $venv with $python; is the disk full?"
    install_lock "$installer" "$venv" "$lock" ||
        die 1 "could not install $lock; expected a reachable package index (or pip's and uv's usual settings for a mirror)" \
            "run this again: it goes on where it stopped"
    if [ "$venv" != .venv-lite ]; then
        install_project "$installer" "$venv" || die 1 "could not install the project itself into $venv"
    fi
    "$venv/bin/python" -c "$check" >/dev/null 2>"$venv/.setup.log" ||
        die 1 "the packages are there and do not import:" "$(tail -n 3 "$venv/.setup.log")"
    stamp_of "$venv" "$lock" >"$venv/.setup.stamp"
    say "$venv is ready after $((SECONDS - began)) s"
}

# ensure VENV LOCK WANTED CHOOSE INSTALLER CHECK
ensure() {
    local venv=$1 lock=$2 wanted=$3 choose=$4 installer=$5 check=$6 python
    if is_current "$venv" "$lock" "$wanted"; then say "$venv is up to date"; return; fi
    python=$("$choose")
    claim "$venv"
    is_current "$venv" "$lock" "$wanted" || make_venv "$venv" "$lock" "$python" "$installer" "$check"
    exec {lock_fd}>&-
}

lite=no main=yes paddle=3.3
while [ $# -gt 0 ]; do
    case $1 in
    --lite) lite=yes ;;
    --lite-only) lite=yes main=no ;;
    --paddle) paddle=${2:-}; shift ;;
    --paddle=*) paddle=${1#*=} ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die 2 "unknown option '$1'" ;;
    esac
    shift || true
done
case $paddle in
3.3) venv=.venv lock=requirements.lock ;;
2.6) venv=.venv-paddle26 lock=requirements-paddle26.lock ;;
*) die 2 "--paddle is 3.3 or 2.6; found '$paddle'" ;;
esac

installer=${PPRESNET_INSTALLER:-}
case $installer in
uv | pip) ;;
"") if uv --version >/dev/null 2>&1; then installer=uv; else installer=pip; fi ;;
*) die 2 "PPRESNET_INSTALLER is uv or pip; found '$installer'" ;;
esac
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-120} UV_PYTHON_DOWNLOADS=never

if [ "$lite" = yes ] && ! is_current .venv-lite requirements-lite.lock "${PPRESNET_LITE_PYTHON:-}"; then
    choose_lite >/dev/null    # a missing CPython 3.7 is said before anything is downloaded
fi
if [ "$main" = yes ]; then
    ensure "$venv" "$lock" "${PPRESNET_PYTHON:-}" choose_main "$installer" 'import ppresnet, deploy, paddle'
fi
if [ "$lite" = yes ]; then
    ensure .venv-lite requirements-lite.lock "${PPRESNET_LITE_PYTHON:-}" choose_lite pip 'import numpy, paddlelite.lite'
fi
