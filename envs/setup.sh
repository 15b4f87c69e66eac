#!/usr/bin/env bash
# Set up .venv from envs/lock.txt: with uv where it is installed, else with pip. A second call starts at once.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "set-up: $*" >&2; exit 1; }

wanted=$(cat envs/lock.txt pyproject.toml | cksum)
if [ -f .venv/ready ] && [ "$(cat .venv/ready)" = "$wanted" ] && .venv/bin/python -c 'import consilience' 2>/dev/null; then
    exit 0
fi

python=${PYTHON:-}
for candidate in python3 python3.11 python3.12 python3.13 python; do
    [ -n "$python" ] && break
    if "$candidate" -c 'import sys; sys.exit(not sys.version_info >= (3, 11))' 2>/dev/null; then python=$candidate; fi
done
[ -n "$python" ] || fail "no Python 3.11 or newer found. Install one, or name it: make demo PYTHON=/path/to/python3.11"
"$python" -c 'import sys; sys.exit(not sys.version_info >= (3, 11))' 2>/dev/null \
    || fail "$python is not Python 3.11 or newer"

echo "set-up: $("$python" --version) -> .venv, $(grep -c == envs/lock.txt) packages at the versions of envs/lock.txt (about 2 GB)"
if command -v uv >/dev/null 2>&1; then
    [ -x .venv/bin/python ] || uv venv --quiet --python "$python" .venv
    export UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}"
    uv pip install --compile-bytecode --python .venv/bin/python -r envs/lock.txt || fail "the packages could not be installed (see above)"
    uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
else
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        "$python" -m venv .venv || fail "'$python -m venv' failed. On Debian or Ubuntu: apt install python3-venv"
    fi
    .venv/bin/python -m pip install --disable-pip-version-check -r envs/lock.txt || fail "the packages could not be installed (see above)"
    .venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
fi
.venv/bin/python -c 'import torch, scanpy, snakemake, consilience' || fail "the new environment does not import; delete .venv and try again"
echo "$wanted" > .venv/ready
echo "set-up: done"
