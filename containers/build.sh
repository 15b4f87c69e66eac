#!/usr/bin/env bash
# Build the Apptainer images that the rules name (all, or those given): containers/build.sh [fetch|analysis|torch]...
set -euo pipefail
cd "$(dirname "$0")/.."
command -v apptainer >/dev/null || { echo "containers: apptainer is not installed (https://apptainer.org)" >&2; exit 1; }
for name in "${@:-fetch analysis torch}"; do
    for image in $name; do
        apptainer build --force "containers/$image.sif.part" "containers/$image.def"
        mv "containers/$image.sif.part" "containers/$image.sif"
    done
done
