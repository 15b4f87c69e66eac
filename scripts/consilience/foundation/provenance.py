"""What ran, with which versions, on what machine: enough to run it again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from consilience import __version__


def now() -> str:
    """UTC time to the second; SOURCE_DATE_EPOCH, where set, makes it reproducible."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), tz=UTC) if epoch else datetime.now(tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Installed version of each distribution, without importing it; 'absent' where there is none."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


def source_revision(root: Path) -> str:
    """Version of the workflow and, in a git checkout, its commit (marked when files are changed)."""

    def git(*arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - fixed program, fixed arguments
            ["git", "-C", str(root), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        changed = bool(commit and git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.TimeoutExpired):
        commit, changed = "", False
    return f"{__version__}" + (f" ({commit}{', with local changes' if changed else ''})" if commit else "")


def machine() -> dict[str, str | int]:
    """The machine in a few words; no host or user names."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count() or 1,
        "implementation": sys.implementation.name,
    }
