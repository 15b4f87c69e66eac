"""Concordance: how often it claims what is not there, what it finds, and what simpler tests would have said.

Simulated tables of both sides (tests/causal/concordance/two_sides.py): LD blocks, gene programs, few donors that
all cell types share. `python bench/concordance.py --studies 60` prints a table, a scenario a row.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from causal.concordance.calibrating import studies, summary

SCENARIOS = {
    "12 donors": {},
    "6 donors": {"n_donors": 6},
    "8 donors": {"n_donors": 8},
    "20 donors": {"n_donors": 20},
    "40 donors": {"n_donors": 40},
    "scattered trait genes": {"signal": "scattered"},
    "nothing in cells": {"n_active": 0},
    "no trait signal": {"signal": "none", "n_active": 0},
    "partial agreement": {"n_donors": 20, "specific": 1.0, "effect": 1.5},
    "opposite": {"n_donors": 20, "sign": -1.0},
    "no programs": {"program_share": 0.01},
}  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--genes", type=int, default=300)
    parser.add_argument("--only", nargs="*", default=list(SCENARIOS), choices=list(SCENARIOS))
    asked = parser.parse_args()
    header: list[str] = []
    for name in asked.only:
        started = time.perf_counter()
        found = summary(studies(range(1, asked.studies + 1), n_genes=asked.genes, **SCENARIOS[name]))
        found["seconds"] = time.perf_counter() - started
        if not header:
            header = list(found)
            print(f"| scenario | {' | '.join(header)} |\n|---{'|---' * len(header)}|")
        cells = [f"{found[key]:.3g}" if key in found else "" for key in header]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
