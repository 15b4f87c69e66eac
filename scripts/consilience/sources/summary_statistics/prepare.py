"""Summary statistics of a GWAS, an eQTL study and LD: checked row by row, written as parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.files import write_json, write_parquet
from consilience.sources.raw_folder import RawFolder, open_raw_folder, unreadable
from consilience.sources.summary_statistics.associations import Findings, read_eqtl, read_gwas
from consilience.sources.summary_statistics.ld import NEGATIVE_EIGENVALUE, LdMatrix, read_ld
from consilience.sources.text import shown
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd


def prepare_summary_statistics(*, cohort: Cohort, raw_dir: Path, out_dir: Path, qc_path: Path) -> None:
    """Read and check the raw files of a cohort; write gwas, eqtl and ld as parquet and qc.json."""
    folder, findings = open_raw_folder(raw_dir), Findings()
    if not folder.of_kind("table", "ld_matrix"):
        raise unreadable(folder, wanted="GWAS-SSF, eQTL and LD files")
    gwas_path, meta = find_gwas(folder), read_meta(folder)
    gwas = read_gwas(gwas_path, findings=findings, n_people=meta.get("sample_size"))
    eqtl = read_eqtl(_one(folder, "eqtl.tsv.gz", "eqtl.tsv"), findings=findings)
    matrices = read_all_ld(folder, findings=findings)
    compare_sources(gwas, eqtl, matrices, findings=findings)
    if not (build := str(meta.get("genome_assembly", ""))):
        findings.note("the GWAS has no metadata file that states its genome assembly")
    write_parquet(out_dir / "gwas.parquet", gwas)
    write_parquet(out_dir / "eqtl.parquet", eqtl)
    write_parquet(out_dir / "ld.parquet", ld_table(matrices))
    write_json(
        qc_path,
        {
            "cohort": cohort.name,
            "kind": cohort.kind,
            "label": cohort.label,
            "source": cohort.source,
            "n_variants": len(gwas),
            "n_genes": int(eqtl["ensembl_id"].nunique()),
            "n_loci": len(matrices),
            "build": build,
            "n_eqtl_pairs": len(eqtl),
            "n_people_gwas": float(gwas["n"].median()),
            "n_people_eqtl": float(eqtl["n"].median()),
            "messages": findings.messages,
            "removed_by_reason": dict(findings.removed),
        },
    )


def _one(folder: RawFolder, *endings: str) -> Path:
    found = folder.named(*endings)
    if len(found) != 1:
        raise DataError(
            f"{len(found)} files named {' or '.join(endings)}, one is needed", where=shown(folder.path)
        )
    return found[0]


def find_gwas(folder: RawFolder) -> Path:
    """The GWAS file: harmonised (.h.tsv.gz) if there is one, else the one other table."""
    harmonised = folder.named(".h.tsv.gz", ".h.tsv")
    tables = harmonised or [
        path
        for path in folder.named(".tsv", ".tsv.gz")
        if not path.name.startswith("eqtl.") and ".snps." not in path.name
    ]
    if len(tables) != 1:
        raise DataError(f"{len(tables)} files could be the GWAS, one is needed", where=shown(folder.path),
                        allowed="one <name>.h.tsv.gz")  # fmt: skip
    return tables[0]


def read_meta(folder: RawFolder) -> dict[str, Any]:
    """Genome assembly and sample size from the metadata file beside a GWAS-SSF file."""
    import yaml

    paths = folder.named("-meta.yaml")
    if not paths:
        return {}
    try:
        meta = yaml.safe_load(paths[0].read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"not valid YAML ({error})", where=shown(paths[0])) from None
    if not isinstance(meta, dict):
        raise DataError("holds no keys", where=shown(paths[0]), allowed="the metadata of a GWAS-SSF file")
    sizes = [one.get("sample_size") for one in meta.get("samples") or [] if isinstance(one, dict)]
    known = [int(size) for size in sizes if isinstance(size, int | float)]
    return {"genome_assembly": meta.get("genome_assembly", ""), "sample_size": sum(known) or None}


def read_all_ld(folder: RawFolder, *, findings: Findings) -> list[LdMatrix]:
    """All LD matrices of the folder, in order of their names."""
    matrices, snps = folder.named(".ld.gz", ".ld"), {path.name: path for path in folder.named(".snps.tsv")}
    found = []
    for path in matrices:
        locus = path.name.removesuffix(".gz").removesuffix(".ld")
        if f"{locus}.snps.tsv" not in snps:
            raise DataError(f"no {locus}.snps.tsv beside this matrix", where=shown(path))
        found.append(read_ld(path, snps[f"{locus}.snps.tsv"], locus=locus))
    if not found:
        raise DataError(
            "no LD matrices", where=shown(folder.path), allowed="ld/<locus>.ld.gz and ld/<locus>.snps.tsv"
        )
    odd = [one.locus for one in found if one.smallest_eigenvalue < NEGATIVE_EIGENVALUE]
    if odd:
        findings.alarm(f"{len(odd)} LD matrices have negative eigenvalues: {', '.join(odd[:5])}")
    return found


def ld_table(matrices: list[LdMatrix]) -> pd.DataFrame:
    """Long table of the upper triangles with diagonals; r refers to the two effect alleles of the row."""
    import pandas as pd

    parts = []
    for one in matrices:
        first, second = np.triu_indices(len(one.rsid))
        name, effect, other = (np.array(values, dtype=object) for values in (one.rsid, one.effect, one.other))
        parts.append(pd.DataFrame({
            "locus": one.locus, "rsid_1": name[first], "rsid_2": name[second], "r": one.r[first, second],
            "effect_allele_1": effect[first], "other_allele_1": other[first],
            "effect_allele_2": effect[second], "other_allele_2": other[second],
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def compare_sources(
    gwas: pd.DataFrame, eqtl: pd.DataFrame, matrices: list[LdMatrix], *, findings: Findings
) -> None:
    """Say how far the three sources speak of the same variants."""
    sets = {
        "GWAS": set(gwas["rsid"]),
        "eQTL": set(eqtl["rsid"]),
        "LD": {name for one in matrices for name in one.rsid},
    }
    shared = set.intersection(*sets.values())
    findings.note("; ".join(f"{len(names):,} variants in the {kind}" for kind, names in sets.items())
                  + f"; {len(shared):,} in all three")  # fmt: skip
    if len(shared) < 0.5 * min(map(len, sets.values())):
        findings.alarm("fewer than half of the variants are in GWAS, eQTL and LD: do all use the same names?")
    places = gwas.set_index("rsid")["position"]
    both = eqtl.drop_duplicates("rsid").set_index("rsid")["position"].reindex(places.index).dropna()
    moved = int((both != places.reindex(both.index)).sum())
    if moved > 0.01 * max(len(both), 1):
        findings.alarm(
            f"{moved:,} of {len(both):,} shared variants stand elsewhere in the eQTL table: another build?"
        )
