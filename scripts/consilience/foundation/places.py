"""Where the versioned reference data and page templates of this checkout lie."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
RESOURCES = ROOT / "resources"
REPORT_TEMPLATES = ROOT / "report"
