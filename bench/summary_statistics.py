"""Summary statistics as served, against plain pandas: a large GWAS, a large eQTL table, LD from a PLINK panel.

*GWAS*: GWAS-SSF text, gzip. Ours is `read_gwas` and `write_associations`: read, every cell checked, unusable rows
counted, repeated names taken out, p compared with beta and its error, sorted, written as parquet. pandas is what
one writes by hand: `read_csv` with dtypes, the same rows dropped (`dropna`, single letters, ranges), z, -log10 p
and the standardised effect, `drop_duplicates`, `sort_values`, `to_parquet` (zstd). `shuffled` is the same file with
its rows in no order. *eQTL*: the same for eQTLGen's columns with p <= 0.001 kept. *LD*: a panel and loci of
variants; ours is `panel_ld` and `write_ld`; numpy decodes the whole .bed once, takes `np.corrcoef` of each locus
and writes one parquet of pairs. Sides are compared by what they wrote.

Every row is a process of its own: seconds without imports, CPU seconds of all threads, and the peak memory of the
process, imports included. Ratios are of CPU seconds, which say the same on a busy machine.

    python bench/summary_statistics.py [--rows 10000000] [--people 500] [--variants 200000] [--loci 1000] [--quick]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
BLOCK, N_GENES, EQTL_P = 500_000, 20_000, 1e-3
LETTERS = np.array(["A", "C", "G", "T"])


def make_gwas(path: Path, *, n_rows: int, shuffled: bool) -> None:
    """GWAS-SSF with one row in a thousand that cannot be used and some names twice."""
    rng = np.random.default_rng(1)
    rows = rng.permutation(n_rows) if shuffled else np.arange(n_rows)
    with gzip.open(path, "wb", compresslevel=1) as out:
        for start in range(0, n_rows, BLOCK):
            row = rows[start : start + BLOCK]
            out.write(_text(_gwas_block(row, n_rows=n_rows, rng=rng), header=start == 0))


def _gwas_block(row: np.ndarray, *, n_rows: int, rng: np.random.Generator) -> dict[str, Any]:
    n, chromosome = len(row), row * 22 // n_rows
    effect = rng.integers(4, size=n)
    se = rng.uniform(0.002, 0.03, n).round(6)
    z = rng.standard_normal(n)
    alleles = LETTERS[effect].astype(object)
    alleles[rng.random(n) < 0.001] = "AT"
    number = row * 37 % (3 * n_rows + 1) + 1000  # no order among names, few of them twice
    number = np.where(rng.random(n) < 1e-4, 1000 + row % 50, number)
    beta = (z * se).round(6)
    return {
        "chromosome": chromosome + 1, "base_pair_location": (row - -(-chromosome * n_rows // 22)) * 300 + 10_000,
        "effect_allele": alleles, "other_allele": LETTERS[(effect + rng.integers(1, 4, n)) % 4],
        "beta": beta, "standard_error": se,
        "effect_allele_frequency": rng.uniform(0.01, 0.99, n).round(4), "p_value": _p(beta / se),
        "rsid": np.char.add("rs", number.astype(str)), "n": rng.integers(200_000, 250_000, n),
    }  # fmt: skip


def _p(z: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr

    return np.char.mod("%.5g", 2 * ndtr(-np.abs(z)))


def make_eqtl(path: Path, *, n_rows: int) -> None:
    """The columns of eQTLGen; six rows of a hundred have a small p."""
    rng = np.random.default_rng(2)
    with gzip.open(path, "wb", compresslevel=1) as out:
        for start in range(0, n_rows, BLOCK):
            row = np.arange(start, min(start + BLOCK, n_rows))
            n = len(row)
            z = (rng.standard_normal(n) * np.where(rng.random(n) < 0.08, 8, 1)).round(4)
            gene, effect = row * N_GENES // n_rows, rng.integers(4, size=n)
            words = np.char.zfill(gene.astype(str), 11)
            out.write(_text({
                "Pvalue": _p(z), "SNP": np.char.add("rs", (row % 9_999_991 * 7 + 1000).astype(str)),
                "SNPChr": gene * 22 // N_GENES + 1, "SNPPos": 10_000 + row * 60 % 200_000_000,
                "AssessedAllele": LETTERS[effect], "OtherAllele": LETTERS[(effect + rng.integers(1, 4, n)) % 4],
                "Zscore": z, "Gene": np.char.add("ENSG", words), "GeneSymbol": np.char.add("GENE", gene.astype(str)),
                "GeneChr": gene * 22 // N_GENES + 1, "GenePos": 10_000 + gene * 5000, "NrCohorts": np.full(n, 37),
                "NrSamples": rng.integers(5000, 32_000, n), "FDR": np.ones(n), "BonferroniP": np.ones(n),
            }, header=start == 0))  # fmt: skip


def _text(columns: dict[str, Any], *, header: bool) -> bytes:
    import pyarrow as pa
    from pyarrow import csv

    sink = pa.BufferOutputStream()
    options = csv.WriteOptions(include_header=header, delimiter="\t", quoting_style="none")
    csv.write_csv(pa.table(columns), sink, options)
    content: bytes = sink.getvalue().to_pybytes()
    return content.replace(b'"', b"")


def make_panel(folder: Path, *, n_people: int, n_variants: int, n_loci: int) -> None:
    """A panel of blocks of correlated variants, and the loci: forty variants a locus, 2 Mb apart."""
    rng = np.random.default_rng(3)
    per_locus = min(40, n_variants // n_loci)
    locus, place = np.divmod(np.arange(n_variants), n_variants // n_loci)
    position = 1_000_000 + (locus % 50) * 3_000_000 + place * 1000
    chromosome, width = locus // 50 + 1, -(-n_people // 4)
    codes = np.array([3, 2, 0], dtype=np.uint8)  # copies of A1 as .bed writes them
    with (folder / "panel.bed").open("wb") as bed:
        bed.write(b"\x6c\x1b\x01")
        for one in range(n_loci):
            m = int((locus == one).sum())
            shared = rng.standard_normal((1, 2 * n_people))
            liability = 0.7 * shared + 0.7 * rng.standard_normal((m, 2 * n_people))
            copies = (liability > rng.normal(0, 0.5, (m, 1))).reshape(m, n_people, 2).sum(axis=2)
            bits = np.zeros((m, 4 * width), dtype=np.uint8)
            bits[:, :n_people] = codes[copies]
            bits[:, :n_people][rng.random((m, n_people)) < 0.002] = 1
            bed.write(
                (bits.reshape(m, width, 4) << np.array([0, 2, 4, 6], np.uint8)).sum(axis=2, dtype=np.uint8)
            )
        rest = n_variants - n_loci * (n_variants // n_loci)
        bed.write(bytes(rest * width))
    rows = zip(chromosome.clip(max=22), range(n_variants), position, strict=True)
    (folder / "panel.bim").write_text("".join(f"{c}\trs{k}\t0\t{p}\tA\tC\n" for c, k, p in rows))
    (folder / "panel.fam").write_text("".join(f"0 p{k} 0 0 0 -9\n" for k in range(n_people)))
    chosen = np.flatnonzero((place < per_locus) & (locus < n_loci) & (locus // 50 < 22))
    np.save(folder / "chosen.npy", chosen)


def our_gwas(path: Path, out: Path) -> None:
    """Read, check, sort, write."""
    from consilience.sources.summary_statistics.associations import Source
    from consilience.sources.summary_statistics.columns import write_associations
    from consilience.sources.summary_statistics.eqtl import read_eqtl
    from consilience.sources.summary_statistics.findings import Findings
    from consilience.sources.summary_statistics.gwas import read_gwas
    from consilience.sources.summary_statistics.layouts import layout_of
    from consilience.sources.summary_statistics.tables import read_header

    header = read_header(path)
    assert header is not None
    layout = layout_of(header.names)
    assert layout is not None
    source = Source(header, layout)
    if layout.what == "gwas":
        found = read_gwas(source, findings=Findings())
    else:
        found = read_eqtl(source, findings=Findings(), largest_p=EQTL_P)
    write_associations(out, found)


def pandas_gwas(path: Path, out: Path) -> None:
    """The same by hand."""
    import pandas as pd

    types = dict.fromkeys(("chromosome", "effect_allele", "other_allele"), "category")
    table = pd.read_csv(path, sep="\t", dtype=types | {"rsid": str, "base_pair_location": "int32"})
    table = table.dropna(subset=["beta", "standard_error", "n", "effect_allele", "other_allele", "rsid"])
    table = table[table["effect_allele"].isin(list("ACGT")) & table["other_allele"].isin(list("ACGT"))]
    table = table[(table["standard_error"] > 0) & table["p_value"].between(0, 1) & (table["n"] > 0)]
    table = table[table["effect_allele_frequency"].between(0, 1)]
    table = table[table["effect_allele"].astype(str) != table["other_allele"].astype(str)]
    table = table.drop_duplicates().drop_duplicates("rsid", keep=False)
    _with_z(table, table["beta"] / table["standard_error"], table["n"])
    table["order"] = table["chromosome"].astype(str).map({str(k): k for k in range(1, 23)}).astype("int8")
    table.sort_values(["order", "base_pair_location"]).to_parquet(out, compression="zstd", index=False)


def pandas_eqtl(path: Path, out: Path) -> None:
    """The same by hand, the usual columns only."""
    import pandas as pd

    words = ("SNPChr", "AssessedAllele", "OtherAllele", "Gene", "GeneSymbol", "GeneChr")
    usual = [*words, "SNP", "SNPPos", "Pvalue", "Zscore", "NrSamples", "GenePos"]
    table = pd.read_csv(path, sep="\t", usecols=usual, dtype=dict.fromkeys(words, "category") | {"SNP": str})
    table = table[table["Pvalue"].between(0, EQTL_P)].dropna()
    table = table[table["AssessedAllele"].isin(list("ACGT")) & table["OtherAllele"].isin(list("ACGT"))]
    table = table.drop_duplicates().drop_duplicates(["SNP", "Gene"], keep=False)
    _with_z(table, table["Zscore"], table["NrSamples"])
    table.sort_values(["Gene", "SNPPos"]).to_parquet(out, compression="zstd", index=False)


def _with_z(table: Any, z: Any, n: Any) -> None:
    from scipy.stats import norm

    table["z"], table["neg_log10_p"] = z, -(norm.logsf(z.abs()) + np.log(2)) / np.log(10)
    table["beta_standardised"] = z / np.sqrt(n)


def our_ld(path: Path, out: Path) -> None:
    """The panel's LD of the chosen variants."""
    from consilience.sources.summary_statistics.columns import Associations, table_of
    from consilience.sources.summary_statistics.findings import Findings
    from consilience.sources.summary_statistics.ld_table import write_ld
    from consilience.sources.summary_statistics.panel import panel_ld
    from consilience.sources.summary_statistics.plink import open_panel
    from consilience.sources.summary_statistics.variants import name_hashes
    from consilience.study.sections import SummaryStatisticsSection

    panel = open_panel(path)
    rows = np.load(path.with_name("chosen.npy"))
    ones, names = np.ones(len(rows)), panel.name.take(rows)
    table = table_of("gwas", {
        "rsid": names, "chromosome": panel.chromosome[rows], "position": panel.position[rows],
        "effect_allele": panel.a1[rows], "other_allele": panel.a2[rows], "p_value": 0 * ones,
        **dict.fromkeys(("beta", "standard_error", "z", "effect_allele_frequency", "n", "n_effective"), ones),
    })  # fmt: skip
    both = Associations("gwas", table, name_hashes(names), "given")
    found = panel_ld([panel], both, both, settings=SummaryStatisticsSection(), findings=Findings())
    write_ld(out, found, Findings())


def numpy_ld(path: Path, out: Path) -> None:
    """The whole .bed decoded, missing genotypes as means, np.corrcoef per locus, one table of pairs."""
    import pandas as pd

    n_people = len(path.with_suffix(".fam").read_text().splitlines())
    bim = pd.read_csv(
        path.with_suffix(".bim"), sep="\t", header=None, names=["chr", "id", "cm", "pos", "a1", "a2"]
    )
    packed = np.fromfile(path, np.uint8)[3:].reshape(len(bim), -1)
    bits = np.stack([(packed >> shift) & 3 for shift in (0, 2, 4, 6)], axis=2).reshape(len(bim), -1)[
        :, :n_people
    ]
    copies = np.array([2, np.nan, 1, 0], dtype=np.float32)[bits]
    chosen = bim.iloc[np.load(path.with_name("chosen.npy"))]
    far = (chosen["pos"].diff() > 1e6) | (chosen["chr"].diff() != 0)
    tables = []
    for name, locus in chosen.groupby(far.cumsum()):
        one = copies[locus.index]
        one = np.where(np.isnan(one), np.nanmean(one, axis=1, keepdims=True), one)
        r, (i, j) = np.corrcoef(one), np.triu_indices(len(locus))
        sides = {f"{column}_{side}": locus[column].to_numpy()[k]
                 for side, k in ((1, i), (2, j)) for column in ("id", "a1", "a2")}  # fmt: skip
        tables.append(pd.DataFrame({"locus": name, "r": r[i, j], **sides}))
    pd.concat(tables).to_parquet(out, compression="zstd", index=False)


SIDES = {
    "gwas": {"ours": our_gwas, "pandas": pandas_gwas}, "eqtl": {"ours": our_gwas, "pandas": pandas_eqtl},
    "ld": {"ours": our_ld, "numpy": numpy_ld},
}  # fmt: skip


def child(task: str, side: str, path: Path) -> None:
    """One measurement, printed as JSON: seconds, CPU, peak memory and what was written."""
    import pandas  # noqa: F401 - imports are not counted on either side
    import pyarrow.compute as pc
    import scipy.stats  # noqa: F401
    from pyarrow import parquet

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        out = Path(folder) / "out.parquet"
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        SIDES[task][side](path, out)
        seconds, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
        cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        column = "r" if task == "ld" else "z"
        written = parquet.read_table(out, columns=[column])
        total = pc.sum(pc.abs(written.column(column))).as_py()
    found = {
        "seconds": seconds,
        "cpu": cpu,
        "peak_gb": int(peak.split()[1]) / 1e6,
        "rows": len(written),
        "sum": total,
    }
    print(json.dumps(found))


def measure(task: str, side: str, path: Path) -> dict[str, float]:
    """One side in a process of its own."""
    command = [sys.executable, __file__, "--child", task, side, str(path)]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # as Snakemake sets it for this rule, on both sides
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=one_thread)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def compare(what: str, task: str, path: Path, *, repeats: int) -> None:
    """Both sides in alternation; one line of the table (the run with the least CPU of each side)."""
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES[task]}
    for _ in range(repeats):
        for side, found in runs.items():
            found.append(measure(task, side, path))
    own, peer = (min(found, key=lambda one: one["cpu"]) for found in runs.values())
    same = own["rows"] == peer["rows"] and abs(own["sum"] - peer["sum"]) < 1e-4 * abs(peer["sum"])
    cells = [what, f"{path.stat().st_size / 1e6:,.0f}", f"{own['rows']:,.0f}"]
    cells += [f"{one['seconds']:.1f} / {one['cpu']:.1f} / {one['peak_gb']:.2f}" for one in (own, peer)]
    cells += [
        f"{peer['cpu'] / own['cpu']:.1f}x",
        f"{peer['peak_gb'] / own['peak_gb']:.1f}x",
        "yes" if same else "no",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of each table")
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--variants", type=int, default=200_000)
    parser.add_argument("--loci", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=("gwas", "shuffled", "eqtl", "ld"))
    parser.add_argument("--folder", type=Path, help="keep the files here (made where they are not there)")
    parser.add_argument(
        "--quick", action="store_true", help="300,000 rows; 200 people, 20,000 variants, 100 loci"
    )
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], given.child[1], Path(given.child[2]))
        return
    if given.quick:
        given.rows, given.people, given.variants, given.loci = 300_000, 200, 20_000, 100
    header = ("what", "file MB", "rows written", "ours s / CPU s / peak GB", "peer s / CPU s / peak GB", "CPU", "memory",
              "same")  # fmt: skip
    print(f"{os.cpu_count()} cores\n\n| {' | '.join(header)} |\n{'|---' * len(header)}|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        run(given, given.folder or Path(temporary))


def run(given: argparse.Namespace, folder: Path) -> None:
    """Make what is not there, and measure."""
    wanted = given.only or ("gwas", "shuffled", "eqtl", "ld")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("gwas", "shuffled", "eqtl"):
        path = folder / f"{name}.tsv.gz"
        if name in wanted and not path.is_file():
            if name == "eqtl":
                make_eqtl(path, n_rows=given.rows)
            else:
                make_gwas(path, n_rows=given.rows, shuffled=name == "shuffled")
        if name in wanted:
            task = "eqtl" if name == "eqtl" else "gwas"
            compare(f"{name}, {given.rows:,} rows", task, path, repeats=given.repeats)
    if "ld" in wanted:
        if not (folder / "chosen.npy").is_file():
            make_panel(folder, n_people=given.people, n_variants=given.variants, n_loci=given.loci)
        what = f"LD, {given.people:,} people x {given.variants:,} variants, {given.loci:,} loci"
        compare(what, "ld", folder / "panel.bed", repeats=given.repeats)


if __name__ == "__main__":
    main()
