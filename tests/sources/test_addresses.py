"""Plans for files at given addresses: their names, the choice among them, and what is refused."""

import io
import tarfile

import pytest

from consilience.foundation.errors import DownloadError
from consilience.foundation.files import read_json
from consilience.sources.addresses import file_name, plan_addresses
from consilience.sources.fetch import fetch_cohort
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection

SITE = "https://example.org/data"


def plan(location, *files):
    return plan_addresses(cohort=Cohort("c", "bulk", "url", location=location, files=files))


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (f"{SITE}/a.h5ad", "a.h5ad"),
        (f"{SITE}/a.h5ad?download=1", "a.h5ad"),
        (f"{SITE}/a.h5ad#part", "a.h5ad"),
        ("https://zenodo.org/api/records/1/files/b.tsv.gz/content", "b.tsv.gz"),
        (
            "https://www.ncbi.nlm.nih.gov/geo/download/?acc=GSE1&format=file&file=GSE1%5Fx%2Eh5ad",
            "GSE1_x.h5ad",
        ),
        (f"{SITE}/my%20table%281%29.csv", "my_table_1_.csv"),
        (f"{SITE}/..%2F..%2Fetc%2Fpasswd", "passwd"),
        (f"{SITE}/%2Ehidden.tsv", "hidden.tsv"),
        (f"{SITE}/$(touch x).tsv", "touch_x_.tsv"),
        (f"{SITE}/ä.tsv", "tsv"),
        ("https://plus.figshare.com/ndownloader/files/35773219", "35773219"),
    ],
)
def test_names_are_plain(address, name):
    assert file_name(address) == name


@pytest.mark.parametrize("address", ["https://example.org", "https://example.org/", f"{SITE}/{'a' * 300}"])
def test_an_address_without_a_name_is_refused(address):
    with pytest.raises(DownloadError, match="the address names no file"):
        file_name(address)


def test_several_addresses():
    found = plan(f"{SITE}/a.tsv|{SITE}/a.samples.tsv")
    assert [(one.name, one.url) for one in found.downloads] == [
        ("a.tsv", f"{SITE}/a.tsv"),
        ("a.samples.tsv", f"{SITE}/a.samples.tsv"),
    ]
    assert found.members == found.notes == ()


def test_two_addresses_with_one_name_are_refused():
    with pytest.raises(DownloadError, match=r"c: location: two addresses name the same file 'A.tsv'"):
        plan(f"{SITE}/1/a.tsv|{SITE}/2/A.tsv")


def test_patterns_choose_files():
    found = plan(f"{SITE}/a.tsv|{SITE}/b.csv|{SITE}/c.csv", "*.csv")
    assert [one.name for one in found.downloads] == ["b.csv", "c.csv"]
    assert found.members == ()
    assert found.notes == ("1 files of the location do not fit 'files' and were left",)


def test_patterns_that_fit_no_file_are_for_members_of_archives():
    found = plan(f"{SITE}/a.tsv|{SITE}/panel.tgz", "a.*", "*.bed", "EUR/*.bim")
    assert [one.name for one in found.downloads] == ["a.tsv", "panel.tgz"]
    assert found.members == ("*.bed", "EUR/*.bim")
    assert plan(f"{SITE}/panel.tgz").members == ()


def test_patterns_that_leave_nothing_are_refused():
    with pytest.raises(DownloadError, match=r"c: files: no file .*found '\*.csv'; allowed: a.tsv"):
        plan(f"{SITE}/a.tsv", "*.csv")


def test_http_is_said():
    assert plan("http://example.org/a.tsv").notes == (
        "brought by http, which anybody on the way can change: a.tsv",
    )


def test_a_name_of_the_catalogue():
    (found,) = plan("norman-2019").downloads
    assert found.name == "NormanWeissman2019_filtered.h5ad"
    assert (found.bytes, len(found.md5)) == (698680199, 32)
    with pytest.raises(DownloadError, match=r"did you mean 'norman-2019'\?"):
        plan("norman-2091")


def test_the_whole_way_with_an_archive(replay, tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("EUR/1.bed", "EUR/1.bim", "EUR/README.txt"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    replay.serve("/d/panel.tgz", packed.getvalue())
    replay.serve("/d/gwas.tsv", b"rsid\tbeta\nrs1\t0.1\n")
    cohort = Cohort("c", "summary_statistics", "url", location=f"{SITE}/gwas.tsv|{SITE}/panel.tgz",
                    files=("gwas.*", "*.bed", "*.bim"))  # fmt: skip
    settings = FetchSection(cache=str(tmp_path / "cache"), mirrors={f"{SITE}/": f"{replay.url}/d/"})
    fetch_cohort(cohort=cohort, served_dir=None, raw_dir=tmp_path / "raw", folder=tmp_path, settings=settings)
    record = read_json(tmp_path / "raw" / "provenance.json")
    assert [(one["name"], one["url"]) for one in record["files"]] == [
        ("gwas.tsv", f"{SITE}/gwas.tsv"),
        ("panel/EUR/1.bed", f"{SITE}/panel.tgz"),
        ("panel/EUR/1.bim", f"{SITE}/panel.tgz"),
    ]


def test_a_password_in_an_address_is_refused_and_not_shown():
    with pytest.raises(DownloadError, match="must not hold a user name or password") as caught:
        plan("https://me:secret@example.org/a.tsv")
    assert "secret" not in str(caught.value)
