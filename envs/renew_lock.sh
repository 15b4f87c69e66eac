#!/usr/bin/env bash
# Solve envs/requirements.in in a scratch environment and write every version to envs/lock.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
.venv/bin/python -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet -r envs/requirements.in
{
    sed -n '/^#/p' envs/lock.txt
    # the local suffix of a CPU build (+cpu) would tie the lock to one index
    "$scratch/venv/bin/pip" freeze | sed 's/+cpu$//'
} > "$scratch/lock.txt"
mv "$scratch/lock.txt" envs/lock.txt
git diff --stat envs/lock.txt
