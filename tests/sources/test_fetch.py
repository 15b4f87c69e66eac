"""Fetch: whole files with digests, nothing of an earlier fetch left, errors that name the file."""

import hashlib
import io
import json
import tarfile
from dataclasses import replace

import pytest

from consilience.foundation.errors import DataError, DownloadError
from consilience.sources.fetch import fetch_cohort
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection


def served(folder, files):
    folder.mkdir()
    entries = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        entries.append({"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    (folder / "manifest.json").write_text(json.dumps({"files": entries, "source": "simulated"}))
    return folder


def simulated(name="a"):
    return Cohort(name=name, kind="bulk", source="simulated", location="geo")


def fetched(tmp_path, cohort, **settings):
    """Fetch into tmp_path/raw and give the record."""
    fetch_cohort(
        cohort=cohort,
        served_dir=None,
        raw_dir=tmp_path / "raw",
        folder=tmp_path,
        settings=FetchSection(**settings),
    )
    return json.loads((tmp_path / "raw" / "provenance.json").read_text())


def local(location):
    return Cohort(name="a", kind="bulk", source="local", location=str(location))


def test_served_files_arrive_with_their_digests(tmp_path):
    files = {"x.gz": b"1" * 1000, "deep/y.tsv": b"2"}
    fetch_cohort(
        cohort=simulated(),
        served_dir=served(tmp_path / "s", files),
        raw_dir=tmp_path / "raw",
        folder=tmp_path,
        settings=FetchSection(),
    )
    record = json.loads((tmp_path / "raw" / "provenance.json").read_text())
    assert {entry["name"]: entry["bytes"] for entry in record["files"]} == {"x.gz": 1000, "deep/y.tsv": 1}
    for entry in record["files"]:
        content = (tmp_path / "raw" / entry["name"]).read_bytes()
        assert content == files[entry["name"]]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]


def test_a_damaged_server_file_is_refused_and_not_kept(tmp_path):
    folder = served(tmp_path / "s", {"x": b"good"})
    (folder / "x").write_bytes(b"evil")
    with pytest.raises(DownloadError, match="digest differs"):
        fetch_cohort(
            cohort=simulated(),
            served_dir=folder,
            raw_dir=tmp_path / "raw",
            folder=tmp_path,
            settings=FetchSection(),
        )
    assert not (tmp_path / "raw" / "x").exists()
    assert not (tmp_path / "raw" / "provenance.json").exists()


def test_files_of_an_earlier_fetch_do_not_stay(tmp_path):
    raw = tmp_path / "raw"
    for number, files in enumerate([{"old/a": b"1", "b": b"2"}, {"b": b"3"}]):
        folder = served(tmp_path / f"s{number}", files)
        fetch_cohort(
            cohort=simulated(), served_dir=folder, raw_dir=raw, folder=tmp_path, settings=FetchSection()
        )
    assert sorted(path.name for path in raw.rglob("*")) == ["b", "provenance.json"]
    assert (raw / "b").read_bytes() == b"3"


def test_local_table_brings_its_samples_sheet(tmp_path):
    (tmp_path / "kidney.counts.parquet").write_bytes(b"p")
    (tmp_path / "kidney.samples.tsv").write_bytes(b"s")
    (tmp_path / "other.samples.tsv").write_bytes(b"o")
    fetch_cohort(
        cohort=local("kidney.counts.parquet"),
        served_dir=None,
        raw_dir=tmp_path / "raw",
        folder=tmp_path,
        settings=FetchSection(),
    )
    record = json.loads((tmp_path / "raw" / "provenance.json").read_text())
    assert [entry["name"] for entry in record["files"]] == ["kidney.counts.parquet", "kidney.samples.tsv"]


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_local_folder_without_hidden_files(tmp_path, mode):
    folder = tmp_path / "my data; $(x)"
    (folder / ".hidden").mkdir(parents=True)
    (folder / ".hidden" / "secret").write_bytes(b"")
    (folder / "sub").mkdir()
    (folder / "sub" / "m.mtx").write_bytes(b"m")
    fetch_cohort(
        cohort=local(folder),
        served_dir=None,
        raw_dir=tmp_path / "raw",
        folder=tmp_path,
        settings=FetchSection(local_files=mode),
    )
    target = tmp_path / "raw" / "sub" / "m.mtx"
    assert target.read_bytes() == b"m"
    assert target.is_symlink() == (mode == "link")
    assert not (tmp_path / "raw" / ".hidden").exists()


def test_nothing_there(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="the folder holds no files"):
        fetch_cohort(
            cohort=local("empty"),
            served_dir=None,
            raw_dir=tmp_path / "raw",
            folder=tmp_path,
            settings=FetchSection(),
        )
    with pytest.raises(DataError, match="no such file or folder"):
        fetch_cohort(
            cohort=local("absent"),
            served_dir=None,
            raw_dir=tmp_path / "raw",
            folder=tmp_path,
            settings=FetchSection(),
        )


def archive_of(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_archives_are_replaced_by_their_members(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    archive_of(folder / "RAW.tar.gz", {"a/x.tsv": b"x\ty\n", "z.tsv": b"1\t2\n"})
    (folder / "beside.tsv").write_bytes(b"s\tt\n")
    for _ in range(2):  # a second fetch finds what the first has left
        record = fetched(tmp_path, local(folder))
        entries = {entry["name"]: entry for entry in record["files"]}
        assert set(entries) == {"RAW/a/x.tsv", "RAW/z.tsv", "beside.tsv"}
        assert entries["RAW/z.tsv"]["archive"] == "RAW.tar.gz"
        assert (
            entries["RAW/z.tsv"]["archive_sha256"]
            == hashlib.sha256((folder / "RAW.tar.gz").read_bytes()).hexdigest()
        )
        assert sorted(path.name for path in (tmp_path / "raw").rglob("*.*")) == [
            "beside.tsv",
            "provenance.json",
            "x.tsv",
            "z.tsv",
        ]


def test_an_archive_beyond_its_limits_leaves_nothing(tmp_path):
    path = archive_of(tmp_path / "bomb.tar.gz", {f"{k}.tsv": b"x\ty\n" for k in range(5)})
    with pytest.raises(DataError, match="member"):
        fetched(tmp_path, local(path.name), max_archive_members=4)
    assert not (tmp_path / "raw" / "provenance.json").exists()
    assert not list((tmp_path / "raw").rglob("*.tsv"))


def test_patterns_choose_files_and_their_absence_is_said(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("a.tsv", "b.csv", "c.tsv"):
        (folder / name).write_bytes(b"s\tt\n")
    record = fetched(tmp_path, replace(local(folder), files=("*.tsv",)))
    assert [entry["name"] for entry in record["files"]] == ["a.tsv", "c.tsv"]
    assert record["notes"] == ["1 files of the folder do not fit 'files' and were left"]
    with pytest.raises(DataError, match=r"no file of the folder fits.*'\*\.gz'.*a\.tsv, b\.csv"):
        fetched(tmp_path, replace(local(folder), files=("*.gz",)))


def test_a_planned_cohort_comes_with_addresses_and_notes(tmp_path, replay):
    replay.serve("/x/a.counts.tsv", b"gene\ts1\nTP53\t1\n")
    replay.serve("/x/a.samples.tsv", b"sample\tc\ns1\tx\n")
    at = "https://data.example.org/x/"
    cohort = Cohort("a", "bulk", "url", f"{at}a.counts.tsv|{at}a.samples.tsv")
    mirrors = {"https://data.example.org/": replay.url + "/"}
    record = fetched(tmp_path, cohort, mirrors=mirrors)
    assert [entry["url"] for entry in record["files"]] == [f"{at}a.counts.tsv", f"{at}a.samples.tsv"]
    assert all(entry["date"] for entry in record["files"])
    n_requests = len(replay.requests)
    assert fetched(tmp_path, cohort, mirrors=mirrors)["files"] == record["files"]
    assert len(replay.requests) == n_requests, "the second study finds them in the cache"


def test_linked_folders_are_followed_once_and_broken_links_named(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.tsv").write_bytes(b"s\tt\n")
    (tmp_path / "real" / "back").symlink_to(tmp_path / "mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "linked").symlink_to(tmp_path / "real")
    record = fetched(tmp_path, local("mine"))
    assert [entry["name"] for entry in record["files"]] == ["linked/a.tsv"]
    (tmp_path / "mine" / "b.tsv").symlink_to("gone.tsv")
    with pytest.raises(DataError, match=r"mine/b\.tsv: a link that leads to no file; found 'gone\.tsv'"):
        fetched(tmp_path, local("mine"))


def test_patterns_that_a_single_file_does_not_fit_are_refused(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"s\tt\n")
    (tmp_path / "a.samples.tsv").write_bytes(b"s\tt\n")
    assert len(fetched(tmp_path, replace(local("a.tsv"), files=("a.*",)))["files"]) == 2
    with pytest.raises(
        DataError, match=r"a\.tsv: the file does not fit the patterns of 'files'; found 'b\.\*'"
    ):
        fetched(tmp_path, replace(local("a.tsv"), files=("b.*",)))


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_archives_of_every_packing_come_with_any_patterns(tmp_path, packing):
    folder = tmp_path / "mine"
    folder.mkdir()
    with tarfile.open(folder / f"x.tar.{packing}", f"w:{packing}") as archive:
        for name in ("a.tsv", "b.tsv"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"s\tt\n"))
    assert len(fetched(tmp_path, local(folder))["files"]) == 2
    record = fetched(tmp_path, replace(local(folder), files=("a.*",)))
    assert [entry["name"] for entry in record["files"]] == ["x/a.tsv"]


def test_files_that_nothing_reads_are_noted(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.tsv").write_bytes(b"s\tt\n")
    (folder / "more.rds").write_bytes(b"RDX3\n")
    (note,) = fetched(tmp_path, local(folder))["notes"]
    assert note.startswith("never read: more.rds")
