"""Genes as the authors' files."""

from __future__ import annotations

from pathlib import Path

from consilience.causal.inputs_file import Bucket


def write_folder(folder: Path, bucket: Bucket, *, trailing_na: bool = False, tabs: bool = False) -> Path:
    """`<gene>.matrix` and `<gene>.ld` of each gene: in the authors' layout or, with `tabs`, pyTWMR's."""
    folder.mkdir(parents=True, exist_ok=True)
    n, k = bucket.eqtl.shape[1:]
    first, last, gap = ("SNPS", "GWAS", "\t") if tabs else ("GENES", "BETA_GWAS", " ")
    for place in range(len(bucket.index)):
        genes = [f"ENSG{100 * place + j:011d}" for j in range(k)]
        lines = [gap.join([first, *genes, last])]
        lines += [
            gap.join([f"rs{v}", *(repr(float(x)) for x in [*bucket.eqtl[place, v], bucket.gwas[place, v]])])
            for v in range(n)
        ]
        (folder / f"{genes[0]}.matrix").write_text("\n".join(lines) + "\n")
        tail = f"{gap}NA" if trailing_na else ""
        rows = [gap.join(repr(float(x)) for x in row) + tail for row in bucket.ld[place]]
        (folder / f"{genes[0]}.ld").write_text("\n".join(rows) + "\n")
    return folder
