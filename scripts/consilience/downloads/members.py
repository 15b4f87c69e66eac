"""Names of members of archives: which may become files here."""

from __future__ import annotations

import re
import unicodedata

from consilience.foundation.errors import DataError

MAX_DEPTH = 16
MAX_STEP = 200
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")
MEND = "unpack it yourself, mend the names and use source 'local'"


def safe_name(name: str) -> str:
    """The name as a relative path; refuses what would leave the folder or cannot be written everywhere."""
    if name.startswith(("/", "~")) or re.match(r"[A-Za-z]:", name) or "\\" in name:
        raise DataError("a member's name does not begin in the archive's folder", value=name, mend=MEND)
    steps = [step for step in name.split("/") if step not in {"", "."}]
    if ".." in steps or not steps:
        raise DataError("a member's name leads out of the archive's folder", value=name, mend=MEND)
    if len(steps) > MAX_DEPTH:
        raise DataError(f"a member lies in more than {MAX_DEPTH} folders", value=name, mend=MEND)
    # names that are no UTF-8 come as lone surrogates; they and control characters cannot be shown
    steps = ["".join(one if one.isprintable() else "_" for one in step) for step in steps]
    if any(len(step.encode()) > MAX_STEP for step in steps):
        raise DataError(f"a member's name is longer than {MAX_STEP} bytes", value=name, mend=MEND)
    return "/".join(steps)


def is_rubbish(name: str) -> bool:
    """What a Mac puts beside the files that people meant."""
    base = name.rstrip("/").rpartition("/")[2]
    return "__MACOSX" in name.split("/") or base.startswith("._") or base == ".DS_Store"


def is_archive_name(name: str) -> bool:
    """True for the names of tar and zip files."""
    return name.casefold().endswith(ARCHIVES)


def folder_name(name: str) -> str:
    """The folder for an archive's members: its name without what says that it is an archive."""
    ending = max((one for one in ARCHIVES if name.casefold().endswith(one)), key=len)
    return name[: -len(ending)] or "members"


class Names:
    """The names given out so far: no two may be one file on any file system."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def claim(self, name: str) -> None:
        """Give out a name, or refuse it."""
        steps = [_fold(step) for step in name.split("/")]
        file = "/".join(steps)
        folders = ["/".join(steps[:n]) for n in range(1, len(steps))]
        other = self._files.get(file) or self._folders.get(file)
        other = other or next((self._files[folder] for folder in folders if folder in self._files), None)
        if other is not None:
            raise DataError(
                "two members of the archive would be one file", value=f"{other}, {name}", mend=MEND
            )
        self._files[file] = name
        self._folders.update(dict.fromkeys(folders, name))


def _fold(step: str) -> str:
    return unicodedata.normalize("NFC", step).casefold()
