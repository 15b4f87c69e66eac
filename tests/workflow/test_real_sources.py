"""Cohorts from GEO, the GDC and plain addresses through the whole workflow, and again without a network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from checkouts import BLOOD, GWAS, TISSUE, TUMOUR, copy_checkout, environment
from fake_gdc import FakeGdc
from faults import Fault
from replay import ReplayServer
from sites import FILES, geo_folder, lay_out_series, mirrors

SHEET = """\
cohort\tkind\tsource\tlocation\tcondition\tcase\tcontrol\tdonor\tcell_type\tbatch\tselect\tlabel
tissue\tbulk\tgeo\t{series}\tdisease state\tdiseased\thealthy\tsubject id\t\tbatch\t\tTissue
tumour\tbulk\tgdc\tTCGA-ZZZZ\tsample_type\tPrimary Tumor\tSolid Tissue Normal\tcase_id\t\tplate\t\tTumour
blood\tsingle_cell\turl\t{files}blood.tar.gz\tcondition\tdiseased\thealthy\tdonor\tcell_type\tbatch\t\tBlood
gwas\tsummary_statistics\turl\t{files}gwas.zip\t\t\t\t\t\t\t\tGWAS
"""
LATER = "later\tbulk\tgdc\tTCGA-ZZZZ\tsample_type\tPrimary Tumor\tSolid Tissue Normal\tcase_id\t\t\t\tAgain\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A checkout, and the simulator's files served as NCBI, the GDC and a plain server would."""
    checkout = copy_checkout(tmp_path_factory.mktemp("real"))
    checkout.study(TISSUE, TUMOUR, BLOOD, GWAS)
    done = checkout.snakemake("--until", "simulate_cohort")
    assert done.returncode == 0, done.stdout
    served = checkout.folder / "results" / "small" / "served"
    root = tmp_path_factory.mktemp("geo")
    files = {path.name: path for path in (served / "tissue").iterdir() if path.name != "manifest.json"}
    series = next(name for name in files if "series_matrix" in name).split("_")[0]
    matrices = {name: path for name, path in files.items() if "series_matrix" in name}
    others = {name: path for name, path in files.items() if name not in matrices}
    lay_out_series(root, series, matrices=matrices, supplements=others)
    with tarfile.open(root / "blood.tar.gz", "w:gz") as archive:
        for path in sorted((served / "blood").rglob("*")):
            if path.is_file() and path.name != "manifest.json":
                archive.add(path, arcname=f"./{path.relative_to(served / 'blood')}")
    with zipfile.ZipFile(root / "gwas.zip", "w") as packed:
        for path in sorted((served / "gwas").rglob("*")):
            if path.is_file() and path.name != "manifest.json":
                packed.write(path, path.relative_to(served / "gwas"))
    hits = json.loads((served / "tumour" / "files.json").read_text())["data"]["hits"]
    data = [(hit, (served / "tumour" / hit["file_id"] / hit["file_name"]).read_bytes()) for hit in hits]
    with ReplayServer() as server:
        server.serve_folder("/geo", root)
        server.serve("/files/blood.tar.gz", root / "blood.tar.gz")
        server.serve("/files/gwas.zip", root / "gwas.zip")
        FakeGdc(data, projects=["TCGA-ZZZZ"]).serve(server)
        shutil.rmtree(checkout.folder / "results")
        (checkout.folder / "cohorts.tsv").write_text(SHEET.format(series=series, files=FILES))
        yield checkout, server, series, root


def configure(checkout, server, **fetch):
    """The small study with its mirrors."""
    import yaml

    path = checkout.folder / "study.yaml"
    config = yaml.safe_load(path.read_text())
    config["fetch"] = {"mirrors": mirrors(server), "stall_seconds": 5.0, **fetch}
    path.write_text(yaml.safe_dump(config))


def consilience(checkout, *arguments):
    """The command line in the checkout; both streams as one text."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "consilience"), *arguments], cwd=checkout.folder, text=True, check=False,
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip


def test_a_faulty_network_then_none_at_all(site):
    """One long story, because each step needs the one before."""
    checkout, server, series, root = site
    configure(checkout, server)
    supplement = next(path.name for path in (geo_folder(root, series) / "suppl").iterdir())
    path = f"/geo/series/{series[:-3]}nnn/{series}/suppl/{supplement}"
    server.fault(path, Fault.status(503, retry_after=0))
    server.fault(path, Fault.cut_at(1000))
    server.fault("/gdc/data", Fault.cut_at(20_000))
    server.fault("/files/blood.tar.gz", Fault.status(429, retry_after=0))

    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout
    results = checkout.folder / "results" / "small"
    assert (results / "report" / "index.html").is_file()
    raw = {name: json.loads((results / "raw" / name / "provenance.json").read_text())
           for name in ("tissue", "tumour", "blood", "gwas")}  # fmt: skip
    urls = {entry["url"] for record in raw.values() for entry in record["files"] if entry["url"]}
    assert not [url for url in urls if "127.0.0.1" in url], "provenance names the original servers"
    assert raw["tumour"]["release"].startswith("Data Release 41.0")
    assert {entry["archive"] for entry in raw["gwas"]["files"]} == {"gwas.zip"}
    first = {p.name: p.read_bytes() for p in (results / "expression").glob("*.h5ad")}
    assert set(first) == {"tissue.h5ad", "tumour.h5ad", "blood.h5ad"}
    page = (results / "report" / "index.html").read_text()
    assert "ftp.ncbi.nlm.nih.gov" in page

    # a second run asks nobody anything
    n_requests = len(server.requests)
    assert "Nothing to be done" in checkout.snakemake().stdout
    assert len(server.requests) == n_requests

    # everything again, without a network: the same expression files from the cache alone
    shutil.rmtree(results)
    configure(checkout, server, offline=True)
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout
    assert len(server.requests) == n_requests
    assert {p.name: p.read_bytes() for p in (results / "expression").glob("*.h5ad")} == first

    # a file that is gone from the cache is named, with the place where it belongs
    shutil.rmtree(results)
    cached = next((checkout.folder / "downloads").rglob("gwas.zip"))
    content = cached.read_bytes()
    cached.unlink()
    said = consilience(checkout, "check", "--config", "study.yaml")
    assert said.returncode == 1
    assert f"{FILES}gwas.zip" in said.stdout
    assert str(cached.relative_to(checkout.folder)) in said.stdout
    assert "blood.tar.gz" not in said.stdout
    assert "Traceback" not in said.stdout

    # put there by hand it is as good as downloaded
    cached.write_bytes(content)
    assert consilience(checkout, "check", "--config", "study.yaml").returncode == 0

    # online again, with one more cohort: only that one is fetched
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout
    configure(checkout, server)
    with (checkout.folder / "cohorts.tsv").open("a") as sheet:
        sheet.write(LATER)
    jobs = checkout.jobs()
    assert {job for job in jobs if job.startswith(("fetch", "prepare"))} == {"fetch:later", "prepare:later"}

    # beforehand, from a machine with a network
    listed = consilience(checkout, "fetch", "--config", "study.yaml", "--list")
    assert listed.returncode == 0, listed.stdout
    assert "tissue: all" in listed.stdout
