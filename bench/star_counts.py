"""GDC STAR counts: many files of 60,660 genes into one matrix, against pandas reading file by file.

Counted on both sides: from the files on disk to one table of whole counts (samples, genes) with the gene ids
compared. Ours also takes the md5 of every file and compares it with the GDC's, and parses the list of files
(files.json) with its phenotypes; pandas does neither. pandas is what tutorials do: `pd.read_csv` of each file
(two columns wanted, comments skipped), then one `pd.concat`; `usecols` is the kinder form, `whole` reads all nine
columns first. pandas is run on some of the files and its seconds per file and memory per file are stated; the
rest is arithmetic and marked so. CPU seconds stand beside the seconds of the clock, because they say the same on a
busy machine; ratios are of CPU seconds. `prepare` is the whole step of the workflow (verification of our own digests,
genes, quality control, normalisation, writing). Every row is a process of its own; the files were just written,
so they are in the disk cache as far as it reaches.

    python bench/star_counts.py [--files 5000] [--different 1000] [--peer 500] [--folder DIR] [--quick]

`--different` files have counts of their own; the others are hard links to them under other ids, and are parsed
like all others.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
N_GENES, N_PAR_Y = 60_660, 44
HEADER = (
    "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\t"
    "tpm_unstranded\tfpkm_unstranded\tfpkm_uq_unstranded"
)
KINDS = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")


def gene_columns() -> list[str]:
    """The first three columns of each row: real Ensembl ids and symbols first, made-up ids behind."""
    from consilience.expression.gene_table import load_gene_table

    table = load_gene_table()
    known = [(one, symbol) for one, symbol in zip(table.ensembl_ids, table.symbols, strict=True) if one]
    known = sorted(known)[: N_GENES - N_PAR_Y]
    taken = {one for one, _ in known}
    number = 990_000
    while len(known) < N_GENES - N_PAR_Y:
        if (made := f"ENSG{number:011d}") not in taken:
            known.append((made, f"AC{number}.1"))
        number += 1
    rows = [f"{one}.{k % 18 + 1}\t{symbol}\tprotein_coding" for k, (one, symbol) in enumerate(known)]
    copies = [f"{row.split(chr(9))[0]}_PAR_Y\t" + row.split("\t", 1)[1] for row in rows[:N_PAR_Y]]
    return rows + copies


def make(folder: Path, *, n_files: int, n_different: int) -> None:
    """Write the files, files.json and provenance.json (rows are put together from ready pieces)."""
    starts = [f"{one}\t" for one in gene_columns()]
    ends = [
        f"\t{k % 50}\t{k % 50}\t{k % 977}.{k % 10000:04d}\t{k % 379}.2561\t{k % 541}.0936\n"
        for k in range(5000)
    ]
    profile = np.random.default_rng(1).lognormal(2.0, 2.6, N_GENES)
    hits, entries = [], []
    known: dict[int, tuple[Path, tuple[int, str, str]]] = {}
    for k in range(n_files):
        file_id = hashlib.md5(b"%d" % k).hexdigest()
        name = f"{file_id[:8]}.rna_seq.augmented_star_gene_counts.tsv"
        path = folder / file_id / name
        path.parent.mkdir(parents=True)
        if k < n_different:
            content = _table(k, starts=starts, ends=ends, profile=profile)
            path.write_bytes(content)
            facts = len(content), hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest()
            known[k] = (path, facts)
        else:
            source, facts = known[k % n_different]
            os.link(source, path)
        hits.append(_hit(k, file_id=file_id, name=name, size=facts[0], md5=facts[1]))
        entries.append({"name": f"{file_id}/{name}", "bytes": facts[0], "sha256": facts[2], "url": ""})
    answer = json.dumps({"data": {"hits": hits, "pagination": {"total": n_files}}, "warnings": {}}).encode()
    (folder / "files.json").write_bytes(answer)
    entries.append({"name": "files.json", "bytes": len(answer), "sha256": hashlib.sha256(answer).hexdigest()})
    (folder / "provenance.json").write_text(json.dumps({"cohort": "bench", "files": entries}))


def _table(k: int, *, starts: list[str], ends: list[str], profile: np.ndarray) -> bytes:
    rng = np.random.default_rng(k)
    mean = profile * rng.lognormal(0, 0.3) * (1.0 + 0.3 * (k % 2) * (np.arange(N_GENES) % 7 == 0))
    counts = map(str, rng.poisson(mean * rng.lognormal(0, 0.4, N_GENES)).tolist())
    n_ends = len(ends)
    rows = [
        start + count + ends[(row + k) % n_ends]
        for row, (start, count) in enumerate(zip(starts, counts, strict=True))
    ]
    top = "".join(f"{kind}\t\t\t{1000 + k}\t500\t500\t\t\t\n" for kind in KINDS)
    return f"# gene-model: GENCODE v36\n{HEADER}\n{top}{''.join(rows)}".encode()


def _hit(k: int, *, file_id: str, name: str, size: int, md5: str) -> dict[str, object]:
    kind, code = ("Primary Tumor", "01A") if k % 2 == 0 else ("Solid Tissue Normal", "11A")
    case = f"TCGA-ZZ-{k // 2:04d}"
    return {
        "file_id": file_id, "file_name": name, "file_size": size, "md5sum": md5,
        "cases": [{"submitter_id": case, "samples": [{"submitter_id": f"{case}-{code}", "sample_type": kind}]}],
        "associated_entities": [{"entity_submitter_id": f"{case}-{code}-11R-A{k % 3}00-07"}],
    }  # fmt: skip


def ours(folder: Path) -> dict[str, float]:
    """files.json and every file into a `BulkMatrix`."""
    from consilience.sources.gdc.read import read_gdc
    from consilience.sources.raw_folder import raw_folder_of

    entries = json.loads((folder / "provenance.json").read_text())["files"]
    listed = tuple((entry["name"], folder / entry["name"]) for entry in entries)
    before, started = cpu_now(), time.perf_counter()
    matrix = read_gdc(raw_folder_of(folder, listed))
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "n": len(matrix.samples), "cpu_before": before}


def peer(folder: Path, n_files: int, *, whole: bool) -> dict[str, float]:
    """pandas: read_csv of each file, one concat."""
    import pandas as pd

    hits = json.loads((folder / "files.json").read_text())["data"]["hits"][:n_files]
    before, started = cpu_now(), time.perf_counter()
    columns = []
    for hit in hits:
        path = folder / hit["file_id"] / hit["file_name"]
        wanted = None if whole else ["gene_id", "unstranded"]
        frame = pd.read_csv(path, sep="\t", comment="#", usecols=wanted, index_col="gene_id")
        columns.append(frame["unstranded"].rename(hit["file_id"]))
    table = pd.concat(columns, axis=1).iloc[4:]
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "n": table.shape[1], "cpu_before": before}


def prepare(folder: Path) -> dict[str, float]:
    """The workflow's step on the folder."""
    from consilience.expression.prepare import prepare_cohort
    from consilience.study.cohorts import Cohort
    from consilience.study.sections import NormalisationSection, QualitySection

    cohort = Cohort("bench", "bulk", "local", condition="sample_type", case=("Primary Tumor",),
                    control=("Solid Tissue Normal",))  # fmt: skip
    before, started = cpu_now(), time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        paths = {f"{name}_path": Path(out) / file for name, file in
                 (("expression", "e.h5ad"), ("removed", "r.parquet"), ("qc", "qc.json"))}  # fmt: skip
        prepare_cohort(cohort=cohort, raw_dir=folder, quality=QualitySection(), normalisation=NormalisationSection(),
                       min_samples_per_arm=3, seed=1, **paths)  # fmt: skip
        record = json.loads(paths["qc_path"].read_text())
    return {"seconds": time.perf_counter() - started, "n": record["n_in"], "cpu_before": before}


def cpu_now() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def child(task: str, folder: Path, n_files: int) -> None:
    """One measurement, printed as JSON."""
    tasks = {
        "ours": lambda: ours(folder), "prepare": lambda: prepare(folder),
        "usecols": lambda: peer(folder, n_files, whole=False), "whole": lambda: peer(folder, n_files, whole=True),
    }  # fmt: skip
    found = tasks[task]()
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = used.ru_utime + used.ru_stime - found.pop("cpu_before", 0.0)
    print(json.dumps(found | {"cpu": spent, "peak_gb": used.ru_maxrss / 1e6}))


def measure(task: str, folder: Path, n_files: int) -> dict[str, float]:
    """One task in a process of its own."""
    command = [sys.executable, __file__, "--child", task, str(folder), str(n_files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(folder: Path, *, n_files: int, n_peer: int, with_prepare: bool) -> None:
    """Measure everything and print it as markdown."""
    print("| what | files | seconds | CPU seconds | CPU ms per file | peak GB |\n|---|---|---|---|---|---|")

    def row(what: str, n: int, found: dict[str, float]) -> None:
        cells = f"{found['seconds']:.1f} | {found['cpu']:.1f} | {1000 * found['cpu'] / n:.1f} | {found['peak_gb']:.2f}"
        print(f"| {what} | {n:,} | {cells} |", flush=True)

    row("ours, md5 and phenotypes included", n_files, found := measure("ours", folder, n_files))
    peers = {}
    for task in ("usecols", "whole"):
        half = measure(task, folder, n_peer // 2)
        full = measure(task, folder, n_peer)
        row(f"pandas, {task}", n_peer, full)
        growth = (full["peak_gb"] - half["peak_gb"]) / (n_peer - n_peer // 2)
        peers[task] = {key: full[key] * n_files / n_peer for key in ("seconds", "cpu")}
        peers[task]["peak_gb"] = full["peak_gb"] + growth * (n_files - n_peer)
    for task, guess in peers.items():
        row(f"pandas, {task}: extrapolated", n_files, guess)
    if with_prepare:
        row("prepare, whole step", n_files, measure("prepare", folder, n_files))
    print(f"\nours faster by {peers['usecols']['cpu'] / found['cpu']:.1f}x (usecols), "
          f"{peers['whole']['cpu'] / found['cpu']:.1f}x (whole); "
          f"memory {peers['usecols']['peak_gb'] / found['peak_gb']:.1f}x less")  # fmt: skip


def setting() -> str:
    """When, where and with which versions."""
    import platform
    from datetime import UTC, datetime
    from importlib.metadata import version

    packages = ", ".join(f"{name} {version(name)}" for name in ("pandas", "numpy", "numba"))
    day = datetime.now(tz=UTC).date()
    return f"{day}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}."


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--different", type=int, default=1000)
    parser.add_argument("--peer", type=int, default=500, help="files that pandas reads")
    parser.add_argument("--folder", type=Path, help="keep the files here (made when it is not there)")
    parser.add_argument("--quick", action="store_true", help="200 files, 100 different, without prepare")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], Path(given.child[1]), int(given.child[2]))
        return
    n_files, n_different, n_peer = (
        (200, 100, 100) if given.quick else (given.files, given.different, given.peer)
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary) / "raw"
        if not (folder / "provenance.json").is_file():
            started = time.perf_counter()
            make(folder, n_files=n_files, n_different=n_different)
            print(f"files made in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        print(f"{setting()} {N_GENES:,} genes, {n_different:,} different files.\n")
        table(folder, n_files=n_files, n_peer=n_peer, with_prepare=not given.quick)


if __name__ == "__main__":
    main()
