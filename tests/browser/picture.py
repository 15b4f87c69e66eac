"""The picture of the report for the README: `python tests/browser/picture.py PAGE OUT.png`."""

from __future__ import annotations

import sys
from pathlib import Path

from devtools import Browser, find_chromium

LIMIT = 300_000


def main(page: Path, out: Path) -> int:
    """Photograph the first screen; refuse a picture too large for a README."""
    program = find_chromium()
    if program is None:
        print("no Chromium found; install it or set CONSILIENCE_CHROMIUM", file=sys.stderr)  # noqa: T201
        return 1
    with Browser(program) as browser:
        for scale in (1.5, 1.0):
            browser.open(page, width=1280, height=880, scale=scale)
            picture = browser.screenshot()
            if len(picture) <= LIMIT:
                break
    out.write_bytes(picture)
    print(f"{out}: {len(picture) / 1000:.0f} kB")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
